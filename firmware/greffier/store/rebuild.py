"""From the files to the index: what journal, part headers and shred store say, as rows.

The recorder uses the same functions for a single part or call, so an index that grew and one that
was rebuilt are equal.
"""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final, Literal

from greffier.durable import Disk
from greffier.seal.header import BadPart, Header
from greffier.seal.reader import Reader
from greffier.seal.structure import State
from greffier.store import journal
from greffier.store.ageing import open_as_it_is
from greffier.store.index import CallRow, Index, PartRow
from greffier.store.layout import DataDirectory
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Name
from greffier.store.vault import StoredPart

FORGOTTEN: Final = "forgotten"
"""In the clear part of a row: its names and numbers are destroyed."""
_OF_A_PARTY: Final = frozenset({"source", "destination", "ssrc"})


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many recordings the index has now, and how many it did not have or had too many.

    ``unreadable`` are files in the vault whose header is damaged: they are in no row.
    """

    recordings: int
    added: int
    removed: int
    unreadable: tuple[str, ...] = ()


def rebuild(
    directory: DataDirectory,
    disk: Disk,
    shred: ShredStore,
    holds: Callable[[str, str], tuple[str, ...]] = lambda part, recording: (),
    synced: Container[str] = (),
    forgotten: Collection[str] = (),
) -> Rebuilt:
    """Make the index of *directory* anew; the lock must be held.

    The rows go from the files to the index one by one: it takes the memory of a day's names.
    *holds* (of a part and its recording), *synced* (by part id) and *forgotten*, the epochs whose
    metadata key was given up, come from the audit log, which this room does not know. Raises
    StorageFailed, and then the old index stays.
    """
    unreadable: list[str] = []

    def parts() -> Iterator[PartRow]:
        for row in _part_rows(directory.vault(disk).walk(), shred, unreadable):
            kept = holds(row.part_id, row.recording)
            yield replace(row, holds=kept, synced=row.part_id in synced)

    calls = (call_row(record, forgotten) for record in journal.everything(directory.calls))
    with (
        closing(Index.open(directory.index, disk)) as index,
        closing(open_as_it_is(directory.index)) as before,
    ):
        index.replace(calls, parts())
        found = _compared(before.recordings(), index.recordings())
    return Rebuilt(*found, tuple(unreadable))


def _part_rows(
    stored: Iterable[StoredPart], shred: ShredStore, unreadable: list[str]
) -> Iterator[PartRow]:
    """The row of each part; those whose header is damaged are named in *unreadable*."""
    for day, those in groupby(stored, lambda one: one.day):
        for one in those:
            try:
                yield part_row(one, shred)
            except BadPart:
                unreadable.append(one.part_id)
        shred.let_go(day)


def _compared(before: Iterator[str], after: Iterator[str]) -> tuple[int, int, int]:
    """How many there are after, how many of them are new, and how many have gone; both ordered."""
    count = added = removed = 0
    old = next(before, None)
    for name in after:
        count += 1
        while old is not None and old < name:
            removed += 1
            old = next(before, None)
        if old == name:
            old = next(before, None)
        else:
            added += 1
    return count, added, removed + (old is not None) + sum(1 for _ in before)


def lags(directory: DataDirectory, rows: Iterable[CallRow]) -> bool:
    """Whether the journal has a call that *rows* of the index lack (a kill came between them)."""
    known = {row.uid for row in rows}
    return any(one.clear["uid"] not in known for one in journal.everything(directory.calls))


def call_row(record: journal.Record, forgotten: Collection[str] = ()) -> CallRow:
    """The row of a record of the journal; *forgotten* are epochs whose key was given up."""
    clear = redacted(record.clear) if record.epoch in forgotten else record.clear
    return row_of(clear, record.epoch, record.number)


def redacted(clear: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of the clear part of a record whose names and numbers nobody can open any more:
    nothing by which a party could be found, and that it is so.
    """
    kept = {**clear, FORGOTTEN: True}
    if "call_id" in clear:
        kept["call_id"] = None
    legs = clear.get("legs")
    if isinstance(legs, list):
        kept["legs"] = [
            {name: None if name in _OF_A_PARTY else value for name, value in leg.items()}
            for leg in legs
            if isinstance(leg, dict)
        ]
    return kept


def row_of(clear: Mapping[str, Any], epoch: str, number: int) -> CallRow:
    """The row of a call's record *number* in the journal of *epoch*; *clear* is what is clear."""
    end = clear["end_ns"]
    return CallRow(
        clear["uid"],
        clear["line"],
        int(clear["start_ns"]),
        None if end is None else int(end),
        clear["recording"],
        clear,
        epoch,
        number,
    )


def part_row(stored: StoredPart, shred: ShredStore) -> PartRow:
    """The row of a part's file, read without any key. Raises BadPart if its header is damaged."""
    with stored.path.open("rb") as file:
        reader = Reader(file)
        # Complete or not is all that is asked: no search for what follows a break, which a file
        # made to be slow can draw out for hours.
        complete = reader.scan(0).state is State.COMPLETE
    header = reader.header
    meta = header.meta
    return PartRow(
        part_id=stored.part_id,
        recording=header.recording_id.hex(),
        number=header.number,
        line=_text(meta, "line"),
        day=stored.day,
        codec=_text(meta, "codec"),
        epoch=_text(meta, "epoch"),
        deletion=_text(meta, "deletion"),
        created_ns=_created(meta),
        purposes=_purposes(meta.get("purposes")),
        size=stored.path.stat().st_size,
        complete=complete,
        envelope=_envelope(header, shred, stored.day),
    )


def _envelope(header: Header, shred: ShredStore, day: str) -> Literal["store", "file", "none"]:
    if shred.day_of(Name(PART, header.part_id), day) is not None:
        return "store"
    return "file" if header.envelopes else "none"


def _text(meta: Mapping[str, Any], key: str) -> str:
    value = meta.get(key)
    return value if isinstance(value, str) else ""


def _created(meta: Mapping[str, Any]) -> int:
    text = _text(meta, "created_ns")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else 0


def _purposes(value: Any) -> dict[str, tuple[int, int | None]]:
    """The purposes of a header's meta; what has no such form is left out."""
    found: dict[str, tuple[int, int | None]] = {}
    for name, days in value.items() if isinstance(value, dict) else ():
        if isinstance(days, list) and len(days) == 2 and _is_days(days[0]):
            least, most = days
            if most is None or _is_days(most):
                found[name] = (least, most)
    return found


def _is_days(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000
