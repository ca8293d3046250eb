"""Who called whom: what the calls journal says under its epochs' keys, for who may open them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greffier.errors import IntegrityError, KeyDoesNotOpen, NotFound
from greffier.language import translate as _
from greffier.policy.rights import TELLABLE
from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, DoesNotOpen
from greffier.seal.keys import Opener
from greffier.store import journal, layout
from greffier.store.ageing import open_reading
from greffier.store.index import CallRow
from greffier.store.journal import BadJournal, Record
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import call_row
from greffier.store.shred import ShredStore
from greffier.store.shred_format import METADATA, Name
from greffier.store.shred_names import Blocks, blocks_in

About = dict[str, Any]
_STALE = "it does not say what the calls journal says; run `greffier index rebuild`"


def about_calls(
    directory: DataDirectory,
    shred: ShredStore | Blocks,
    opener: Opener,
    rows: Sequence[CallRow],
) -> dict[tuple[str, int], About]:
    """What *opener* opens of the calls *rows*, by (epoch, record number).

    An epoch whose key was destroyed says nothing. Raises KeyDoesNotOpen when *opener* opens no
    epoch that is there, IntegrityError (also where a record is gone that its key would open, or
    where a row does not say what its record says: the index is a file that anybody may edit).
    """
    epochs = {row.epoch for row in rows}
    epochs |= {row.clear["about"][0] for row in rows if row.clear.get("about")}
    opened: dict[str, bytes | None] = {}
    refused = 0
    for epoch in sorted(epochs):
        try:
            opened[epoch] = epoch_key(shred, epoch, opener)
        except KeyDoesNotOpen:
            opened[epoch] = None
            refused += 1
    if refused and refused == len(epochs):
        raise KeyDoesNotOpen(what=_("the metadata of these calls"))
    told: dict[tuple[str, int], About] = {}
    latest: dict[str, Record] = {}
    for record in journal.everything(directory.calls, epochs):
        key = opened.get(record.epoch)
        if key is None:
            continue
        try:
            told[record.epoch, record.number] = journal.open_sealed(record, key)
        except BadJournal as error:
            raise IntegrityError(what=f"epoch {record.epoch}", reason=error.reason) from error
        latest[record.clear["uid"]] = record
    for row in rows:
        if opened[row.epoch] is None:
            continue
        if (row.epoch, row.record) not in told:
            reason = f"record {row.record} of the calls journal is damaged or missing"
            raise IntegrityError(what=f"epoch {row.epoch}", reason=reason)
        own = latest.get(row.uid)
        if own is None or call_row(own) != replace(row, parts=()):
            raise IntegrityError(what=directory.index, reason=_STALE)
    return told


@dataclass(frozen=True, slots=True)
class Found:
    """Calls of a person: how many, which recordings there are of them, and why the others, as far
    as their parties may know, were not recorded.
    """

    calls: int
    recordings: tuple[str, ...]
    codes: tuple[str, ...]


def calls_with(folder: Path, number: str, opener: Opener) -> Found:
    """The calls in which *number* is that of a party.

    Reads only, also beside a recorder that runs. Two numbers are the same when they have the same
    digits, a leading ``00`` being a ``+``. Of a never-record line nothing is ever found: nothing of
    its calls says who called. Raises KeyDoesNotOpen, IntegrityError, StorageFailed.
    """
    directory = layout.open(folder)
    wanted = _digits(number)
    if not wanted:
        return Found(0, (), ())
    shred = Blocks(blocks_in(directory.shred, METADATA))
    index = open_reading(directory.index)
    try:
        rows = index.calls()
    finally:
        index.close()
    told = about_calls(directory, shred, opener, rows)
    found: list[CallRow] = []
    for row in rows:
        about: dict[str, Any] = {}
        for place in (row.clear.get("about") or ("", -1), (row.epoch, row.record)):
            told_here = told.get((place[0], place[1]), {})
            about |= {key: value for key, value in told_here.items() if value}
        if wanted in {_digits(str(about.get(key))) for key in ("from", "to")}:
            found.append(row)
    recordings = dict.fromkeys(row.recording for row in found if row.recording)
    codes = {code for row in found if not row.recording for code in row.clear["codes"]}
    return Found(len(found), tuple(recordings), tuple(sorted(codes & TELLABLE)))


def recordings_with(folder: Path, number: str, opener: Opener) -> list[str]:
    """The recordings of :func:`calls_with`, in order of time. Raises the same."""
    return list(calls_with(folder, number, opener).recordings)


def _digits(number: str) -> str:
    kept = "".join(one for one in number if one.isascii() and (one.isdigit() or one == "+"))
    return f"+{kept[2:]}" if kept.startswith("00") else kept


def epoch_key(shred: ShredStore | Blocks, epoch: str, opener: Opener) -> bytes | None:
    """The metadata key of *epoch*, None where its entry was destroyed.

    Raises KeyDoesNotOpen (it is sealed to others), IntegrityError.
    """
    identity = envelope.epoch_id(epoch)
    what = f"epoch {epoch}"
    try:
        block = shred.get(Name(METADATA, identity), epoch[:10]).block
    except NotFound:
        return None
    try:
        return envelope.open_block(block, envelope.What.METADATA, identity, opener)
    except DoesNotOpen as error:
        if error.number == 10:  # no envelope names this key
            raise KeyDoesNotOpen(what=what) from error
        raise IntegrityError(what=what, reason=error.reason) from error
    except BadEnvelope as error:
        raise IntegrityError(what=what, reason=error.reason) from error
