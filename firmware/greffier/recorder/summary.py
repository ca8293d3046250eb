"""The summary: what a start has to know of the past, so that it reads only what came since.

A derived file, docs/summary-format.md: whoever does not have it, or does not like it, reads the
whole log and the whole journal and comes to the same. It counts only if an entry of the log behind
what it sums up names its SHA-256, and if the signed root of the log is that of the tree that it
knows with all that follows: so nobody can put words into the past who cannot sign this log.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from greffier.audit.log import Log
from greffier.audit.note import Signer
from greffier.audit.recovery import SUMMARISED, Known
from greffier.clock import Clock
from greffier.durable import Disk
from greffier.errors import IntegrityError, StorageFailed
from greffier.recorder.picture import Picture

EVERY: Final = 8_192
"""Entries after which the next one is made: a start decodes so many, and a few more."""
SUFFIX: Final = ".gsum"
MAGIC: Final = bytes.fromhex("894753550D0A1A0A")
VERSION: Final = 1
_HEAD: Final = len(MAGIC) + 2
_LENGTH: Final = 8
_NAME: Final = re.compile(r"(0|[1-9][0-9]{0,15})\.gsum", re.ASCII)
_FILE: Final = re.compile(r"entries-\d{10}(\.[1-9]\d{0,3})?\.glog", re.ASCII)


class BadSummary(ValueError):
    """The bytes are no summary; ``reason`` and ``offset`` say why and where."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file says: of the log's files, and all else, not looked at yet."""

    known: Known
    sections: Mapping[str, bytes] = field(repr=False)

    def picture(self) -> Picture:
        """What it sums up. Raises ValueError where it is none of ours."""
        made = Picture.load(self.sections)
        if made.size != self.known.size:
            raise ValueError("a picture of another size")
        return made


def encode(known: Known, sections: Mapping[str, bytes]) -> bytes:
    """The bytes of a summary."""
    log = {
        "size": known.size,
        "peaks": [peak.hex() for peak in known.peaks],
        "closed": dict(known.closed),
        "open": known.open,
        "offset": known.offset,
    }
    told = {"log": json.dumps(log, separators=(",", ":")).encode(), **sections}
    parts = [MAGIC, VERSION.to_bytes(2, "big")]
    for name, data in told.items():
        parts += [bytes([len(name)]), name.encode("ascii"), len(data).to_bytes(_LENGTH, "big")]
        parts.append(data)
    return b"".join(parts)


def decode(data: bytes) -> Summary:
    """What *data* says. Raises BadSummary."""
    if not data.startswith(MAGIC):
        raise BadSummary("wrong magic", 0)
    if data[len(MAGIC) : _HEAD] != VERSION.to_bytes(2, "big"):
        raise BadSummary("unknown version", len(MAGIC))
    sections: dict[str, bytes] = {}
    at = _HEAD
    while at < len(data):
        begin = at + 1 + data[at]
        name = data[at + 1 : begin].decode("latin-1")
        size = int.from_bytes(data[begin : begin + _LENGTH], "big")
        begin += _LENGTH
        if begin + size > len(data) or name in sections:
            raise BadSummary("a section is cut, or there twice", at)
        sections[name] = data[begin : begin + size]
        at = begin + size
    try:
        known = _known(json.loads(sections.pop("log")), hashlib.sha256(data).hexdigest())
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BadSummary("it does not say of which log it is", _HEAD) from error
    return Summary(known, sections)


def _known(told: dict[str, Any], sha256: str) -> Known:
    size, offset, name = told["size"], told["offset"], told["open"]
    closed = {str(one): int(octets) for one, octets in told["closed"].items()}
    peaks = tuple(bytes.fromhex(peak) for peak in told["peaks"])
    names = [*closed, *([] if name is None else [name])]
    whole = all(isinstance(one, int) and one >= 0 for one in (size, offset, *closed.values()))
    if not whole or len(peaks) != size.bit_count() or any(len(one) != 32 for one in peaks):
        raise ValueError("a tree has one peak for each bit of its size")
    if not all(_FILE.fullmatch(one) for one in names):
        raise ValueError("no file of a log")
    return Known(size, peaks, closed, name, offset, sha256)


def found_in(folder: Path) -> Iterator[tuple[Path, Summary]]:
    """The summaries in *folder*, the latest first; what cannot be read is passed over."""
    for path in sorted(_listed(folder), key=lambda one: int(one.stem), reverse=True):
        try:
            summary = decode(path.read_bytes())
        except (BadSummary, OSError):
            continue
        if summary.known.size == int(path.stem):
            yield path, summary


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]


def open_log(
    folder: Path, audit: Path, disk: Disk, signer: Signer, clock: Clock
) -> tuple[Log, Summary | None, Path | None]:
    """The log in *audit*, and the latest summary in *folder* that is one of it, if there is any.

    Raises IntegrityError, StorageFailed.
    """
    for path, summary in found_in(folder):
        try:
            log = Log.open(disk, audit, signer, clock, known=summary.known)
        except IntegrityError:  # or the log is altered: then the whole of it says so
            continue
        return log, summary, path
    return Log.open(disk, audit, signer, clock), None, None


class Keeper:
    """Makes the summaries of a running recorder. Who commits owns it.

    Two files stay: the latest, whose entry in the log may not be durable yet, and the one before.
    """

    def __init__(self, folder: Path, disk: Disk, log: Log, every: int = EVERY) -> None:
        self._folder = folder
        self._disk = disk
        self._log = log
        self.every = every
        self._latest: Path | None = None
        self._tried = 0  # of how many entries the last one was made, or was to be

    def begin(self, latest: Path | None, size: int) -> None:
        """The file *latest* over *size* entries is what the start went by, if anything."""
        self._latest, self._tried = latest, size

    def look(self, picture: Picture) -> bool:
        """Make one of *picture*, if it is time; whether it was made.

        To be called when everything that the log speaks of is durable. One that cannot be written
        is not missed by anybody but the next start, so the recorder does not wait for it.
        """
        if picture.size - self._tried < self.every:
            return False
        self._tried = picture.size
        try:
            self._make(picture)
        except StorageFailed:
            return False
        return True

    def _make(self, picture: Picture) -> None:
        known = self._log.known()
        if known is None or known.size != picture.size:
            return
        data = encode(known, picture.dump())
        path = self._folder / f"{known.size}{SUFFIX}"
        self._disk.make_dirs(self._folder)
        # Its entry is durable, or it would not be the latest: it stays until the next one.
        self._disk.remove([one for one in _listed(self._folder) if one != self._latest])
        self._disk.write_file(path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        self._log.append(SUMMARISED, None, {"entries": known.size, "sha256": sha256})
        self._latest = path
