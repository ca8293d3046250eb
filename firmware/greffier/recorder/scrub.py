"""Once a day everything that a start does not read is read: what rotted is an alarm.

A thread of its own, that only reads, and rests fifty times as long as it works. It compares each
entry of the log with its leaf and the leaves with the signed root, the records of the calls journal
with their checksums, both copies of the shred store with each other, and asks SQLite about
the index. It mends nothing: of the shred store its owner does, by the copy that is whole.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from greffier import merkle
from greffier.audit import segments
from greffier.audit.segments import BadFrame
from greffier.clock import SECOND, steady_ns
from greffier.recorder.archive import Archive
from greffier.recorder.troubles import Troubles
from greffier.store import index_file, journal
from greffier.store.journal import BadJournal

ROTTEN: Final = "storage.rotten"
FIRST_S: Final = 600.0
"""After a start: that has more urgent things to do."""
AGAIN_S: Final = 24 * 3600.0
REST: Final = 50
"""So many times as long as it worked it rests after each step."""
_STEP: Final = 256  # entries
_HARMLESS: Final = frozenset({"torn", "repaired"})  # what a cut leaves
PLACES: Final = ("log", "journal", "shred", "index")


class Scrub:
    """Made by the recorder's thread, which owns it; only :meth:`_run` is its own thread's."""

    def __init__(self, archive: Archive, troubles: Troubles) -> None:
        self._archive = archive
        self._troubles = troubles
        self._stopping = threading.Event()
        self._found: dict[str, bool] | None = None  # replaced whole by the thread, after a pass
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def start(self) -> None:
        """Begin, after a while."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for an end, and do not wait for it: it only reads, and may be held by a disk."""
        self._stopping.set()

    def look(self) -> None:
        """Make alarms of what was found, and of what the shred store reports. Waits for nothing."""
        harm = {report.kind for report in self._archive.shred.take_reports()}
        if harm - _HARMLESS:
            self._troubles.happened("shred.damaged")
        found, self._found = self._found, None
        for place, whole in (found or {}).items():
            self._troubles.set(not whole, ROTTEN, place)

    # --- its own thread ---

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.wait(wait_s):
            with suppress(OSError, sqlite3.Error, _Ended):  # of a disk that is away others tell
                self._found = looked_through(self._archive, self._rest)
            wait_s = AGAIN_S

    def _rest(self, worked_ns: int) -> None:
        if self._stopping.wait(worked_ns * REST / SECOND):
            raise _Ended


class _Ended(Exception):
    """The recorder ends."""


def looked_through(archive: Archive, rest: Callable[[int], None]) -> dict[str, bool]:
    """Whether each of :data:`PLACES` is whole; *rest* is told, step by step, how long one took.

    Any thread may call this. Raises OSError, sqlite3.Error, and what *rest* raises.
    """
    walks = (_log(archive), _journal(archive), _shred(archive), _index(archive.data.index))
    found: dict[str, bool] = {}
    for place, walk in zip(PLACES, walks, strict=True):
        found[place] = True
        begun = steady_ns()
        for whole in walk:
            found[place] = found[place] and whole
            rest(steady_ns() - begun)
            begun = steady_ns()
            if not whole:
                break
    return found


def _log(archive: Archive) -> Iterator[bool]:
    """Every entry of the log against its leaf, and the leaves against the root."""
    checkpoint, folder = archive.log.checkpoint, archive.data.audit
    frontier = merkle.Frontier()
    with (folder / segments.LEAVES).open("rb") as leaves:
        for segment, end in segments.ends(segments.listed(folder), checkpoint.size):
            if segment.first >= end:
                continue
            frames = segments.frames((folder / segment.name).read_bytes())
            yield True
            for seq in range(segment.first, end):
                leaf = leaves.read(merkle.HASH_BYTES)
                try:
                    same = seq == frontier.size and merkle.leaf_hash(next(frames)[1]) == leaf
                except (BadFrame, StopIteration):
                    same = False
                if not same:
                    yield False
                    return
                frontier.append(leaf)
                if not seq % _STEP:
                    yield True
    yield frontier.size == checkpoint.size and frontier.root() == checkpoint.root


def _journal(archive: Archive) -> Iterator[bool]:
    """Every record of the journals that grow no more."""
    epoch = archive.epoch
    for path in journal.files(archive.data.calls):
        if epoch is not None and path.stem >= epoch.name[:10]:
            continue  # of today, and perhaps written
        data = path.read_bytes()
        try:
            contents = journal.read(data)
        except BadJournal:
            yield False
            return
        yield not contents.damaged and contents.good == len(data)


def _shred(archive: Archive) -> Iterator[bool]:
    for day in archive.shred.days():
        yield archive.shred.compare(day)


def _index(path: Path) -> Iterator[bool]:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield index_file.is_whole(db)
    except sqlite3.DatabaseError:
        yield False
    finally:
        db.close()
