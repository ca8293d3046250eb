"""A second medium that parts are mirrored to: whose it is, what is on it, one copy at a time.

Normative page: docs/data-directory.md, *A second medium*. Everything below the folder is reached
through a descriptor of it, so that a medium that goes away takes its name with it, and nothing is
ever written into the empty folder that it leaves.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier import canonical
from greffier.durable import Disk
from greffier.durable.system import failed
from greffier.errors import IntegrityError, NoMedium

MARKER: Final = "greffier-mirror.json"
PARTS: Final = "parts"
_NAME = re.compile(r"[0-9a-f]{32}\.gpart", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FORMAT: Final = 1
_MOST_MARKER: Final = 4096
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Medium:
    """A medium that is there, while :func:`opened` lasts. *folder* goes by its descriptor."""

    folder: Path
    mirror: str

    def days(self) -> dict[str, set[str]]:
        """Ids of the parts on it, by day. Raises OSError."""
        parts = self.folder / PARTS
        if not parts.is_dir():
            return {}
        return {day.name: names_in(day) for day in parts.iterdir() if _DAY.fullmatch(day.name)}

    def path_of(self, day: str, part: str) -> Path:
        """Where the copy of *part* is."""
        return self.folder / PARTS / day / f"{part}.gpart"


def names_in(folder: Path) -> set[str]:
    """Ids of the parts in the folder of one day; none where it is not. Raises OSError."""
    try:
        with os.scandir(folder) as found:
            return {one.name[:32] for one in found if _NAME.fullmatch(one.name)}
    except FileNotFoundError:
        return set()


def prepare(folder: Path, device: str, disk: Disk) -> str:
    """Make *folder* the mirror of *device*; its new id.

    Raises AlreadyThere (a marker is there, whoever's), StorageFailed.
    """
    mirror = secrets.token_hex(16)
    marker = canonical.dump({"device": device, "format": _FORMAT, "mirror": mirror})
    disk.create_file(folder / MARKER, marker)
    disk.make_dirs(folder / PARTS)
    return mirror


@contextmanager
def opened(folder: Path, device: str) -> Iterator[Medium]:
    """The medium in *folder*, if it is one and a mirror of *device*. Raises NoMedium, OSError."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoMedium(path=folder, reason="away") from None
    try:
        place = Path(f"/proc/self/fd/{fd}")
        yield Medium(place, _marked(place, folder, device))
    finally:
        os.close(fd)


def _marked(place: Path, folder: Path, device: str) -> str:
    try:
        fd = os.open(place / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoMedium(path=folder, reason="away") from None
    try:
        found = json.loads(os.read(fd, _MOST_MARKER))
        if not isinstance(found, dict) or set(found) != {"device", "format", "mirror"}:
            raise ValueError
        ours = found["format"] == _FORMAT and found["device"] == device
        if not ours or not _ID.fullmatch(str(found["mirror"])):
            raise ValueError
        return str(found["mirror"])
    except (ValueError, RecursionError):
        raise NoMedium(path=folder, reason="foreign") from None
    finally:
        os.close(fd)


def copy(source: Path, target: Path, disk: Disk, expected: str | None) -> int:
    """Copy the sealed part *source* to *target*; how many octets that were.

    The copy gets its name when it is durable and, read back from the medium, has the SHA-256 of
    what was read here, which is *expected* (hex) where that is known. Raises IntegrityError: one of
    the two has not; StorageFailed (of the medium); OSError (of the source).
    """
    disk.make_dirs(target.parent)
    digest = hashlib.sha256()
    with disk.draft(target) as draft, source.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            draft.append(piece)
        draft.appender.sync()
        told = digest.hexdigest()
        if expected is not None and told != expected:
            raise IntegrityError(what=source, reason="it is not what was sealed")
        if _read_back(draft.appender.path) != told:
            raise IntegrityError(what=target, reason="the medium gives back something else")
        size = draft.appender.size
        draft.publish()
    return size


def _read_back(path: Path) -> str:
    """The SHA-256 of what the medium holds, not of what memory still knows of it."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise failed(path, error) from error
    return digest.hexdigest()
