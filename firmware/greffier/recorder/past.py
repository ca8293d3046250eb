"""What a start reads of the past, and what of it the index may lack.

From the latest summary and what came since, or from everything: the same comes out, and the index
says the same. :mod:`greffier.recorder.recovery` says what becomes of it.
"""

from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass

from greffier.audit import verify
from greffier.audit.entry import Entry, decode
from greffier.errors import IntegrityError, NotFound
from greffier.recorder.archive import Archive
from greffier.recorder.picture import Picture
from greffier.recorder.settled import Ids
from greffier.recorder.summary import Keeper, Summary
from greffier.store.index import CallRow
from greffier.store.journal_recovery import Followed, Mended, follow
from greffier.store.rebuild import call_row, part_row, rebuild
from greffier.store.vault import StoredPart


@dataclass(frozen=True, slots=True)
class Since:
    """What the log and the journal say that the index may lack: of all time, or since a summary.

    *ended* are parts with an entry of their end, *received* those with a receipt.
    """

    whole: bool
    mended: tuple[Mended, ...]
    rows: tuple[CallRow, ...] = ()
    ended: tuple[str, ...] = ()
    received: Container[str] = ()


def remembered(archive: Archive, alive: Callable[[], None]) -> tuple[Picture, Since]:
    """The past, from the summary and what came since, or else from everything."""
    if archive.past is not None:
        try:
            return _continued(archive, archive.past, alive)
        except (ValueError, IntegrityError):  # of another program, or the journal is another
            pass
    followed = follow(archive.data.calls, archive.disk)
    received = Ids()

    def entries() -> Iterator[Entry]:
        for entry in verify.entries(archive.data.path):
            alive()
            if entry.ev == "part.received":
                received.add(entry.data["part"])
            yield entry

    picture = Picture()
    picture.read_all(entries(), followed.records)
    _know_files(picture, followed)
    _remember(archive, picture, None)
    return picture, Since(True, followed.mended, received=received)


def _continued(archive: Archive, past: Summary, alive: Callable[[], None]) -> tuple[Picture, Since]:
    """Raises ValueError, IntegrityError: the summary cannot be gone by; nothing was changed."""
    picture = past.picture()
    ended: list[str] = []
    received = Ids()
    for seq, raw in enumerate(archive.log.tail or (), picture.size):
        alive()
        entry = decode(raw)
        if entry.seq != seq:
            raise ValueError("an entry is not where it must be")
        if entry.ev == "part.sealed":
            ended.append(entry.data["part"])
        elif entry.ev == "part.received":
            received.add(entry.data["part"])
        picture.read(entry)
    followed = follow(archive.data.calls, archive.disk, picture.journals, picture.growing)
    rows: dict[str, CallRow] = {}
    for record in followed.records:
        alive()
        picture.heed(record.epoch, record.number, record.clear)
        row = call_row(record)
        rows[row.uid] = row
    picture.settle()
    _know_files(picture, followed)
    _remember(archive, picture, past)
    since = Since(False, followed.mended, tuple(rows.values()), tuple(ended), received)
    return picture, since


def _remember(archive: Archive, picture: Picture, summary: Summary | None) -> None:
    """The archive goes on with *picture*, which was made from *summary*, if that is given."""
    archive.unconfirmed.become(picture.unconfirmed)
    archive.origins.become(picture.origins)
    archive.deletions.become(picture.deletions)
    archive.tellings.become(picture.tellings)
    archive.agents.become(picture.agents)
    archive.pace.take(picture.pace.dump())
    for entry in picture.kept:
        archive.holds.read(entry)
        archive.register.read(entry)
    keeper = Keeper(archive.data.summary, archive.disk, archive.log, archive.summary_every)
    if summary is not None:
        keeper.begin(archive.past_path, summary.known.size)
    archive.remember(picture, keeper)


def _know_files(picture: Picture, followed: Followed) -> None:
    picture.journals, picture.growing = dict(followed.places), None


def find_parts(archive: Archive, parts: Collection[str]) -> tuple[list[StoredPart], list[str]]:
    """The files of *parts*, by day and id, and those of which there is none.

    A file that the log never opened is not ours: it stays, and a verification shows it.
    """
    found: list[StoredPart] = []
    lost: list[str] = []
    for part in sorted(parts):
        try:
            path = archive.vault.path_of(part)
        except NotFound:
            lost.append(part)
        else:
            found.append(StoredPart(part, path.parent.name, path, path.stat().st_size))
    return sorted(found, key=lambda one: (one.day, one.part_id)), lost


def mend_index(
    archive: Archive, since: Since, kept: Sequence[StoredPart], empty: Sequence[str]
) -> None:
    """The index says what the files say, and what head office has."""
    damaged = any(one.damaged for one in since.mended)
    changed = bool(since.mended or kept or empty)
    if archive.index.fresh or damaged or (since.whole and changed):
        received = since.received if since.whole else _received_in(archive)
        archive.index.close()
        rebuild(
            archive.data,
            archive.disk,
            archive.shred,
            archive.holds.standing,
            received,
            archive.deletions.forgotten,
        )
        archive.reopen_index()
    elif not since.whole:
        _catch_up(archive, since, kept, empty)
    # A kill may have come between the entry of a receipt and the row of its part.
    late = [part for part in archive.index.unsynced() if part in since.received]
    if late:
        archive.index.mark_synced(late)


def _received_in(archive: Archive) -> Ids:
    """The parts of which the log has a receipt, by id: all of it is read."""
    found = Ids()
    for entry in verify.entries(archive.data.path):
        if entry.ev == "part.received":
            found.add(entry.data["part"])
    return found


def _catch_up(
    archive: Archive, since: Since, kept: Sequence[StoredPart], empty: Sequence[str]
) -> None:
    """Give the index the rows that a kill may have kept from it. Raises StorageFailed."""
    known = archive.index.places(row.uid for row in since.rows)
    calls = [row for row in since.rows if known.get(row.uid) != (row.epoch, row.record)]
    stored = list(kept)
    here = archive.index.have(since.ended)
    for part in since.ended:
        if part not in here:
            stored += find_parts(archive, [part])[0]
    parts = [part_row(one, archive.shred) for one in stored]
    if calls or parts:
        archive.index.put(calls, parts)
    if empty:
        archive.index.remove_parts(empty)
