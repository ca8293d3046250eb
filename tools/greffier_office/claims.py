"""The claims in the catalogue: made, looked up, used up, and their keys erased.

docs/enrolment-format.md section 1. Head office keeps the key of a claim, never its code.
"""

import sqlite3
from dataclasses import dataclass

from greffier.sync import claim as codes
from greffier.sync.claim import Claim

DAY_NS = 86_400 * 1_000_000_000
DAYS = 7
MOST_DAYS = 90


@dataclass(frozen=True, slots=True)
class MadeClaim:
    """A fresh claim. ``code`` is kept nowhere: it is read out and forgotten."""

    code: str
    claim: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class KeptClaim:
    """A claim as the catalogue has it. ``key`` is None once it was used or found expired.

    ``request`` is the SHA-256 of the request that used it, ``response`` what was answered.
    """

    claim: str
    key: bytes | None
    label: str
    for_device: str | None
    expires_ns: int
    used_by: str | None
    request: str | None
    response: str | None


def make(
    db: sqlite3.Connection, label: str, for_device: str | None, days: int, now_ns: int
) -> MadeClaim:
    """A fresh claim, good for *days*; inside the caller's transaction."""
    code = codes.new_code()
    claim = Claim.of(code)
    expires_ns = now_ns + days * DAY_NS
    db.execute(
        "INSERT INTO claims (claim, key, label, for_device, issued_ns, expires_ns)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (claim.claim, claim.key, label, for_device, now_ns, expires_ns),
    )
    return MadeClaim(code, claim.claim, expires_ns)


def find(db: sqlite3.Connection, claim: str) -> KeptClaim | None:
    """The claim with this id."""
    row = db.execute(
        "SELECT claim, key, label, for_device, expires_ns, used_by, request, response"
        " FROM claims WHERE claim = ?",
        (claim,),
    ).fetchone()
    return KeptClaim(*row) if row else None


def use(
    db: sqlite3.Connection, claim: str, device: str, request: str, response: str, now_ns: int
) -> None:
    """*claim* was used by *device*: its key is erased; inside the caller's transaction."""
    db.execute(
        "UPDATE claims SET key = NULL, used_ns = ?, used_by = ?, request = ?, response = ?"
        " WHERE claim = ?",
        (now_ns, device, request, response, claim),
    )


def erase_expired(db: sqlite3.Connection, now_ns: int) -> int:
    """Erase the keys of claims that have expired; inside the caller's transaction. How many."""
    return db.execute(
        "UPDATE claims SET key = NULL WHERE expires_ns <= ? AND key IS NOT NULL", (now_ns,)
    ).rowcount


def let_go(db: sqlite3.Connection) -> None:
    """After a commit: have SQLite write over what was erased, as far as nobody reads just now."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def open_with_care(db: sqlite3.Connection) -> sqlite3.Connection:
    """Have SQLite overwrite what is erased by this connection with zeros."""
    db.execute("PRAGMA secure_delete = ON").fetchall()
    return db
