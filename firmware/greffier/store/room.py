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
from greffier.store.index_file import check_filled

_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """Parts with the same *purposes* and fate: *octets* of them, *recent* since the instant asked
    for, the first made at *first_ns*. *received*: head office has them. *held*: somebody claims
    them.
    """

    purposes: tuple[str, ...]
    received: bool
    held: bool
    octets: int
    recent: int
    first_ns: int


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
                " coalesce(sum(CASE WHEN created_ns >= ? THEN bytes END), 0), min(created_ns)"
                " FROM parts GROUP BY purposes, synced, holds",
                (since_ns,),
            ).fetchall()
        return tuple(
            Kept(tuple(json.loads(names)), bool(synced), holds != "[]", octets, recent, first)
            for names, synced, holds, octets, recent, first in rows
        )
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StorageFailed(path=index, reason=str(error)) from error


def waiting_at(index: Path, at_ns: int) -> int:
    """How many parts reach their longest term before *at_ns*, and head office has not confirmed.

    Raises StorageFailed, also where no index is.
    """
    try:
        with closing(
            sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
        ) as db:
            check_filled(db, index)
            kinds = [one for (one,) in db.execute("SELECT DISTINCT purposes FROM parts")]
            found = 0
            for kind in kinds:
                most = [days for _least, days in json.loads(kind).values()]
                if not most or None in most:
                    continue
                asked = (kind, at_ns - max(most) * _DAY_NS)
                sql = "SELECT count(*) FROM parts WHERE purposes = ? AND NOT synced"
                found += db.execute(f"{sql} AND created_ns < ?", asked).fetchone()[0]
            return found
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise StorageFailed(path=index, reason=str(error)) from error
