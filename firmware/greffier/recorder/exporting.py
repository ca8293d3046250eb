"""An export: the log says who takes what before anything leaves the vault.

The parts that the log names are the recording: one that is missing, altered or was never sealed
stops the export, unless its key was destroyed on purpose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from greffier.audit import verify
from greffier.audit.kinds import LONGEST_LIST
from greffier.encode.export import LegSound
from greffier.errors import (
    GreffierError,
    IntegrityError,
    KeyDoesNotOpen,
    NotDecodable,
    NotFound,
)
from greffier.recorder.archive import Archive
from greffier.recorder.persons import pseudonym
from greffier.recorder.recovery import TORN
from greffier.seal.envelope import What
from greffier.seal.keys import Opener
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import Name

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


def parts_of(archive: Archive, recording: str, purpose: str | None) -> list[Known]:
    """The parts of *recording* (32 hex digits) in order, as the log has them.

    Raises NotFound when there is none, or none for *purpose*.
    """
    known: dict[str, Known] = {}
    purposes: dict[str, list[str]] = {}
    shredded: set[str] = set()
    for entry in verify.entries(archive.data.path):
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


def open_parts(archive: Archive, known: Sequence[Known], opener: Opener) -> list[OpenedPart]:
    """Verify and open *known*, each against the log. Raises IntegrityError, KeyDoesNotOpen."""
    opened = []
    for one in known:
        name = f"part {one.part}"
        if one.size is None:
            raise IntegrityError(what=name, reason="it was never sealed")
        path = _path(archive, one.part, name)
        try:
            name_of_key = Name(What.PART, bytes.fromhex(one.part))
            block = archive.shred.get(name_of_key, path.parent.name).block
        except NotFound:
            block = None
        # Before it is opened: bytes that somebody else wrote meet no key and no decoder.
        digest = archive.vault.digest(one.part)
        if (digest.size, digest.sha256) != (one.size, one.digest):
            raise IntegrityError(what=name, reason="it is not the one that was sealed")
        part = playback.open_part(path, block, opener, unfinished=one.torn)
        if part.header.part_id.hex() != one.part:
            raise IntegrityError(what=name, reason="it is another part")
        opened.append(part)
    return opened


def _path(archive: Archive, part: str, name: str) -> Path:
    try:
        return archive.vault.path_of(part)
    except NotFound as error:
        raise IntegrityError(what=name, reason="it is missing") from error


def note_access(archive: Archive, what: str, opener: Opener, by: str) -> None:
    """Say in the log, durably, that *opener* is about to read *what* in the name of *by*.

    Raises StorageFailed.
    """
    person = pseudonym(archive.data, by)
    entry = {"what": what, "by": person, "key": opener.key_id.hex()}
    archive.log.append("access", None, entry)
    archive.log.commit()


def take(
    archive: Archive,
    recording: str,
    opener: Opener,
    form: str,
    purpose: str | None = None,
    by: str | None = None,
) -> Taken:
    """Open *recording* with *opener*, for *purpose* in the name of *by*.

    The entry is durable before the first sample is decoded; that the export then failed is a second
    one. Raises NotFound, KeyDoesNotOpen, IntegrityError, NotDecodable, StorageFailed.
    """
    known = parts_of(archive, recording, purpose)
    entry = {
        "recording": recording,
        "format": form,
        "parts": [one.part for one in known][:LONGEST_LIST],
        "purpose": purpose,
        "by": pseudonym(archive.data, by) if by else None,
        "key": opener.key_id.hex(),
    }
    archive.log.append("export", recording, entry)
    archive.log.commit()
    try:
        parts = open_parts(archive, known, opener)
        legs, first = playback.sound(parts)
    except GreffierError as error:
        failed = {"outcome": OUTCOMES.get(type(error), "failed"), "parts": None}
        archive.log.append("export", recording, entry | failed)
        archive.log.commit()
        raise
    origin = min(int(part.about.get("origin_us", 0)) for part in parts) * 1000
    return Taken(tuple(parts), tuple(legs), origin + int(first * 1_000_000_000))
