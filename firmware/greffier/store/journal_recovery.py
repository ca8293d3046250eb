"""The calls journal at a start: torn tails go, and what is known already is not read again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.store.journal import BadJournal, Place, Record, files, path_of, read, records_of


@dataclass(frozen=True, slots=True)
class Mended:
    """What recovery did to one file: bytes cut off its end, damaged records left in it."""

    epoch: str
    cut: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Followed:
    """What recovery found in the files: what it mended, how far each can be read, and the records
    behind what was known, in the order in which they count.
    """

    mended: tuple[Mended, ...]
    places: Mapping[str, Place]
    records: Iterator[Record]


def follow(
    folder: Path, disk: Disk, known: Mapping[str, Place] | None = None, growing: str | None = None
) -> Followed:
    """Cut the torn tails in *folder*, remove files that never got a header.

    Of the files that are *known* only the size is looked at; of the one that was *growing*, what
    follows what is known of it. A file with a damaged header is left as it is and reported as one
    damaged record: nothing in it can be told apart. Raises StorageFailed, IntegrityError where what
    is known is not so: nothing was changed then.
    """
    known = known or {}
    unread = _unread(folder, known, growing)
    mended: list[Mended] = []
    places = {epoch: place for epoch, place in known.items() if epoch not in unread}
    found: list[tuple[int, str, Path, Place | None]] = []
    for epoch, (path, place) in unread.items():
        data = path.read_bytes()
        try:
            contents = read(data, place)
        except BadJournal as error:
            if error.reason == "too short":
                disk.remove([path])
                mended.append(Mended(path.stem, len(data), 0))
            else:
                mended.append(Mended(path.stem, 0, 1))
            continue
        if contents.good < len(data):
            disk.truncate_to(path, contents.good)
        if contents.damaged or contents.good < len(data):
            mended.append(Mended(path.stem, len(data) - contents.good, contents.damaged))
        if contents.epoch == epoch:
            places[epoch] = Place(contents.good, contents.number)
            found.append((contents.opened_ns, epoch, path, place))
    return Followed(tuple(mended), places, records_of(sorted(found, key=lambda one: one[:2])))


def _unread(
    folder: Path, known: Mapping[str, Place], growing: str | None
) -> dict[str, tuple[Path, Place | None]]:
    """The files that hold more than is *known*. Raises IntegrityError."""
    found: dict[str, tuple[Path, Place | None]] = {}
    here = {path.stem: path for path in files(folder)}
    for epoch, place in known.items():
        path = here.get(epoch)
        size = -1 if path is None else path.stat().st_size
        if path is None or size < place.size or (size > place.size and epoch != growing):
            raise IntegrityError(what=path_of(folder, epoch), reason="it is not as long as it was")
        if size > place.size:
            found[epoch] = path, place
    return found | {epoch: (path, None) for epoch, path in here.items() if epoch not in known}


def recover(folder: Path, disk: Disk) -> list[Mended]:
    """As :func:`follow` with nothing known; what was mended. Raises StorageFailed."""
    return list(follow(folder, disk).mended)
