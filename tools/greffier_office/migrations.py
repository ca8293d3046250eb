"""SQLite files of head office: opened safely, and brought to the schema that this program knows.

A schema is a sequence of steps, each SQL text; ``PRAGMA user_version`` counts the steps that a file
has had. A step that was released is never changed: a new one is added behind it. Settings: WAL,
``synchronous=FULL`` (NORMAL loses committed rows at a power cut), foreign keys checked.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadDatabase, StorageFailed
from greffier.language import translate as _

# How long a command waits for another one's transaction: each is a few rows.
WAIT_S = 10.0


def connect(path: Path, steps: Sequence[str], disk: Disk) -> sqlite3.Connection:
    """The database at *path*, made if it is missing, after all *steps*.

    The connection commits by itself unless :func:`transaction` is used; rows are ``sqlite3.Row``.
    It may pass from thread to thread, one at a time. Killed at any instant, the file is after a
    whole number of steps. Raises BadDatabase (damaged, foreign, or made by a newer version: then
    nothing was changed), StorageFailed.
    """
    with suppress(AlreadyThere):  # made here for its mode; SQLite would ask the umask
        disk.create(path).close()
    with _explained(path):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=WAIT_S,
        )
        try:
            db.row_factory = sqlite3.Row
            _bring_up(db, path, steps)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All or none of what is done inside, durable at its end.

    *path* is for the message. Raises StorageFailed, BadDatabase.
    """
    with _explained(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL *text*; a semicolon inside a trigger or a string ends none."""
    begun = ""
    for piece in text.split(";"):
        begun += piece
        if sqlite3.complete_statement(begun + ";"):
            if begun.strip():
                yield begun.strip()
            begun = ""
        else:
            begun += ";"
    if begun.strip(" \n;"):
        raise ValueError("the last statement has no end")


def _bring_up(db: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    _check_version(db, path, steps)  # before anything is written, were it only the journal's mode
    _write_ahead(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    for number, step in enumerate(steps, 1):
        with transaction(db, path):  # another process may have done it meanwhile: asked again here
            if _check_version(db, path, steps) >= number:
                continue
            for statement in statements(step):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")


def _write_ahead(db: sqlite3.Connection) -> None:
    """Have the journal written ahead; two that do so at once are told "locked" without a wait."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _check_version(db: sqlite3.Connection, path: Path, steps: Sequence[str]) -> int:
    found, objects = db.execute(  # in one statement, for another process may be at work
        "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version"
    ).fetchone()
    if not 0 <= found <= len(steps):
        reason = _("its schema is {found}, this version knows {known}")
        raise BadDatabase(path=path, reason=reason.format(found=found, known=len(steps)))
    if found == 0 and objects:
        raise BadDatabase(path=path, reason=_("it belongs to another program"))
    return int(found)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # busy, full, read-only
        raise StorageFailed(path=path, reason=str(error)) from error
    except sqlite3.IntegrityError:
        raise  # a row that the caller must not write: a matter between it and its tables
    except sqlite3.DatabaseError as error:
        raise BadDatabase(path=path, reason=str(error)) from error
