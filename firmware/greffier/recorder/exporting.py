"""An export: the log says who takes what before anything leaves the vault.

The parts that the log names are the recording: one that is missing, altered or was never sealed
stops the export, unless its key was destroyed on purpose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from greffier.audit import verify
from greffier.encode.export import LegSound
from greffier.errors import (
    GreffierError,
    IntegrityError,
    KeyDoesNotOpen,
    NotDecodable,
    NotFound,
)
from greffier.recorder.archive import Archive
from greffier.recorder.doorway import Admission
from greffier.recorder.persons import pseudonym
from greffier.recorder.recovery import TORN
from greffier.recorder.shelf import MOST_NAMED, Shelf
from greffier.seal.keys import Opener
from greffier.store import playback
from greffier.store.playback import OpenedPart

OUTCOMES: Mapping[type[GreffierError], str] = {
    KeyDoesNotOpen: "wrong_key",
    IntegrityError: "altered",
    NotDecodable: "not_decodable",
}
"""What the log says of an export that failed after it was announced."""


@dataclass(frozen=True, slots=True)
class Known:
    """A part as the log knows it: its length and SHA-256, or None where it was never sealed.

    *torn*: its recording was cut short, and it was recovered without an end.
    """

    part: str
    number: int
    size: int | None = None
    digest: str = ""
    torn: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """An opened recording: its parts in order, its legs on one line that begins at *start_ns*."""

    parts: tuple[OpenedPart, ...]
    legs: tuple[LegSound, ...]
    start_ns: int


def parts_of(shelf: Shelf, recording: str, purpose: str | None) -> list[Known]:
    """The parts of *recording* (32 hex digits) in order, as the log has them.

    Raises NotFound when there is none, or none for *purpose*.
    """
    known: dict[str, Known] = {}
    purposes: dict[str, list[str]] = {}
    shredded: set[str] = set()
    for entry in verify.entries(shelf.data.path):
        data = entry.data
        if entry.ev == "part.opened" and data["recording"] == recording:
            known[data["part"]] = Known(data["part"], data["number"])
            purposes[data["part"]] = list(data.get("purposes", []))
        elif entry.ev in ("part.sealed", "part.recovered") and data["part"] in known:
            known[data["part"]] = replace(
                known[data["part"]],
                size=data["bytes"],
                digest=data["sha256"],
                torn=data.get("end") == TORN,
            )
        elif entry.ev == "key.shredded":
            shredded |= set(data.get("parts", ()))
    if known and shredded >= known.keys():
        raise KeyDoesNotOpen(what=f"recording {recording}")
    wanted = [
        one
        for one in known.values()
        if one.size != 0  # cut before it held anything
        and one.part not in shredded
        and (purpose is None or purpose in purposes[one.part])
    ]
    if not wanted:
        raise NotFound(what=f"recording {recording}")
    return sorted(wanted, key=lambda one: one.number)


def open_parts(shelf: Shelf, known: Sequence[Known], opener: Opener) -> list[OpenedPart]:
    """Verify and open *known*, each against the log. Raises IntegrityError, KeyDoesNotOpen."""
    opened = []
    for one in known:
        name = f"part {one.part}"
        if one.size is None:
            raise IntegrityError(what=name, reason="it was never sealed")
        path = _path(shelf, one.part, name)
        block = shelf.block_of(one.part, path.parent.name)
        # Before it is opened: bytes that somebody else wrote meet no key and no decoder.
        digest = shelf.vault.digest(one.part)
        if (digest.size, digest.sha256) != (one.size, one.digest):
            raise IntegrityError(what=name, reason="it is not the one that was sealed")
        part = playback.open_part(path, block, opener, unfinished=one.torn)
        if part.header.part_id.hex() != one.part:
            raise IntegrityError(what=name, reason="it is another part")
        opened.append(part)
    return opened


def _path(shelf: Shelf, part: str, name: str) -> Path:
    try:
        return shelf.vault.path_of(part)
    except NotFound as error:
        raise IntegrityError(what=name, reason="it is missing") from error


def note_access(archive: Archive, what: str, opener: Opener, by: str) -> None:
    """Say in the log, durably, that *opener* is about to read *what* in the name of *by*.

    Raises StorageFailed.
    """
    entry = {"what": what, "by": pseudonym(archive.data, by), "key": opener.key_id.hex()}
    archive.log.append("access", None, entry)
    archive.log.commit()


def take(shelf: Shelf, recording: str, opener: Opener, form: str, admission: Admission) -> Taken:
    """Open of *recording* what *admission* lets open, with *opener*.

    The entry is durable before the first sample is decoded; that the export then failed is a second
    one. Raises NotFound, KeyDoesNotOpen, IntegrityError, NotDecodable, StorageFailed.
    """
    known = parts_of(shelf, recording, admission.kept_for)
    if admission.parts is not None:
        known = [one for one in known if one.part in admission.parts]
    entry = {
        "recording": recording,
        "format": form,
        "parts": [one.part for one in known][:MOST_NAMED],
        "key": opener.key_id.hex(),
        **admission.entry,
    }
    shelf.note("export", recording, entry, admission.by)
    try:
        parts = open_parts(shelf, known, opener)
        legs, first = playback.sound(parts)
    except GreffierError as error:
        failed = {"outcome": OUTCOMES.get(type(error), "failed"), "parts": None}
        shelf.note("export", recording, entry | failed, admission.by)
        raise
    origin = min(int(part.about.get("origin_us", 0)) for part in parts) * 1000
    return Taken(tuple(parts), tuple(legs), origin + int(first * 1_000_000_000))


def note_heard(
    shelf: Shelf, recording: str, seconds: float, opener: Opener, admission: Admission
) -> None:
    """Say in the log, durably, how much of *recording* is about to leave. Raises StorageFailed."""
    entry = {
        "what": "heard",
        "recording": recording,
        "seconds": ceil(seconds),
        "key": opener.key_id.hex(),
        **admission.entry,
    }
    shelf.note("access", recording, entry, admission.by)
