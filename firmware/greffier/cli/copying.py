"""The copy that a request for access is answered with (GDPR art. 15(3))."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier.audit import verify
from greffier.audit.requests import Request
from greffier.cli.opening import opener
from greffier.cli.retaining import Place
from greffier.cli.shelves import opened
from greffier.cli.unlocking import Sources
from greffier.clock import SystemClock, format_time
from greffier.durable import Disk
from greffier.encode import export
from greffier.errors import AlreadyThere, GreffierError, UsageError
from greffier.language import translate as _
from greffier.policy import access, rights
from greffier.recorder import handover
from greffier.recorder.doorway import Visitor, admit
from greffier.recorder.exporting import Taken, note_heard, take
from greffier.recorder.handover import CannotMask, TooMuch
from greffier.recorder.shelf import Shelf
from greffier.seal.keys import Opener
from greffier.store import layout, playback
from greffier.trust import passphrase

_SAID = ("codes", "record", "u", "stratum", "policy", "policy_version", "policy_sha256", "epoch")


@dataclass(frozen=True, slots=True)
class Copying:
    """With what recordings are opened, where the copy goes, and whose voice alone it has (""
    everybody's).
    """

    key: Path | None
    operator: str | None
    passphrases: tuple[str, ...]
    key_files: tuple[str, ...]
    file: Path | None
    side: str
    by: str
    language: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of it: a code for each recording, and what the command tells of it."""

    codes: tuple[str, ...]
    more: dict[str, Any] = field(default_factory=dict)


def make(place: Place, known: Request, held: Sequence[str], wish: Copying) -> Copied:
    """Write the copy of *held*. Raises UsageError, and what opening raises."""
    if wish.file is None:
        raise UsageError(reason=_("an access needs --copy FILE.html, and --key or --operator"))
    if wish.file.exists():
        raise AlreadyThere(path=wish.file)
    sources = Sources(wish.passphrases, wish.key_files)
    private = opener(layout.open(place.folder), wish.key, wish.operator, sources)
    if private is None:
        raise UsageError(reason=_("give --key or --operator"))
    who = wish.operator or wish.by
    visitor = Visitor(
        who or "dpo", access.REQUEST, "dpo", "", known.request, proved=wish.operator is not None
    )
    files: dict[str, bytes] = {}
    codes = []
    with opened(place) as shelf:
        for recording in held:
            try:
                files |= _of_recording(shelf, recording, private, visitor, wish.side)
            except CannotMask:
                codes.append(rights.MASK_IMPOSSIBLE)
                continue
            codes.append(rights.COPY_GIVEN)
    if not files:
        return Copied(tuple(codes))
    words = passphrase.generate()
    try:
        page = handover.sealed_page(handover.archive_of(files), words, wish.language)
    except TooMuch:
        reason = _("the copy is too large for one page: open a request for fewer recordings")
        raise GreffierError(reason=reason) from None
    Disk().create_file(wish.file, page)
    told = {"copy": str(wish.file), "passphrase": words, "files": sorted(files)}
    return Copied(tuple(codes), told)


def _of_recording(
    shelf: Shelf, recording: str, private: Opener, visitor: Visitor, side: str
) -> dict[str, bytes]:
    admission = admit(shelf, SystemClock(), recording, visitor)
    taken = take(shelf, recording, private, "wav", admission)
    parts = handover.only(taken.parts, side) if side else taken.parts
    legs = playback.sound(parts)[0] if side else list(taken.legs)
    content = export.render(legs, "wav")
    longest_s = max(len(leg.samples) / leg.rate for leg in legs)
    note_heard(shelf, recording, longest_s, private, admission)
    told = _told(shelf, recording, taken, side) | {
        "sha256": hashlib.sha256(content).hexdigest(),
        "seconds": round(longest_s, 3),
    }
    return {
        f"{recording}.wav": content,
        f"{recording}.json": json.dumps(told, indent=1, ensure_ascii=False).encode(),
    }


def _told(shelf: Shelf, recording: str, taken: Taken, side: str) -> dict[str, Any]:
    """Times, purposes, terms and the decision: what the person may know of the recording."""
    decided: dict[str, dict[str, Any]] = {}
    uid = ""
    for entry in verify.entries(shelf.data.path):
        data = entry.data
        if entry.ev == "call.decided":
            told = {key: data[key] for key in _SAID if key in data}
            decided[data["uid"]] = told | {"entry": entry.seq}
        elif entry.ev in ("part.opened", "call.ended") and data.get("recording") == recording:
            uid = data.get("uid", uid)
        elif entry.ev == "call.ended":
            decided.pop(data["uid"], None)
    return {
        "recording": recording,
        "start": format_time(taken.start_ns),
        "voice": side or "all",
        "parts": [
            {
                "part": part.header.part_id.hex(),
                "purposes": part.header.meta.get("purposes"),
                "gaps": sum(len(leg.gaps) + len(leg.masks) for leg in part.legs.values()),
            }
            for part in taken.parts
        ],
        "decision": decided.get(uid, {}),
    }
