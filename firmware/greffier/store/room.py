"""How many octets of parts the index knows of, by kind: what could go, what came lately.

For whoever must not wait for the index's owner: each question opens the file by itself, reads
only, and lets it go.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from greffier.errors import StorageFailed


@dataclass(frozen=True, slots=True)
class Kept:
    """Parts with the same *purposes* and fate: *octets* of them, *recent* since the instant asked
    for. *received*: head office has them. *held*: somebody claims them.
    """

    purposes: tuple[str, ...]
    received: bool
    held: bool
    octets: int
    recent: int


def kept_in(index: Path, since_ns: int) -> tuple[Kept, ...]:
    """What the index at *index* counts; *since_ns* is when something is recent.

    Raises StorageFailed, also where no index is.
    """
    try:
        with closing(
            sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
        ) as db:
            rows = db.execute(
                "SELECT purposes, synced, holds, sum(bytes),"
                " coalesce(sum(CASE WHEN created_ns >= ? THEN bytes END), 0)"
                " FROM parts GROUP BY purposes, synced, holds",
                (since_ns,),
            ).fetchall()
        return tuple(
            Kept(tuple(json.loads(names)), bool(synced), holds != "[]", octets, recent)
            for names, synced, holds, octets, recent in rows
        )
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StorageFailed(path=index, reason=str(error)) from error
