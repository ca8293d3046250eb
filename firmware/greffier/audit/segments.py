"""The files of the log: their names, frames, and in which order they hold the entries.

A file ``entries-<first>.glog`` holds entries from number <first> on; the next file says where it
ends. After a failed write another file may begin at the same number (``.1``, ``.2``): then the
earlier one holds nothing that counts. Normative text: docs/audit-format.md section 3.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from greffier.audit.entry import LARGEST_ENTRY

SEGMENT = 65_536
NO_LIMIT = 10**10  # more than ten digits of a file name can count
HEAD_BYTES = 8
LEAVES = "leaves"
CHECKPOINT = "checkpoint"
_NAME = re.compile(r"entries-(\d{10})(?:\.([1-9]\d{0,3}))?\.glog", re.ASCII)


class BadFrame(ValueError):
    """Bytes at ``offset`` are not a whole frame with the right checksum."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file: the number of its first entry and which attempt at that number it is."""

    first: int
    attempt: int = 0

    @property
    def name(self) -> str:
        """The file's name in the folder ``audit``."""
        return f"entries-{self.first:010d}{f'.{self.attempt}' if self.attempt else ''}.glog"


def segment(name: str) -> Segment | None:
    """The segment that a file name means, None for any other name."""
    found = _NAME.fullmatch(name)
    return Segment(int(found[1]), int(found[2] or 0)) if found else None


def listed(folder: Path) -> list[Segment]:
    """The segments in *folder*, in the order in which they hold the entries."""
    if not folder.is_dir():
        return []
    return sorted(found for path in folder.iterdir() if (found := segment(path.name)))


def frame(entry: bytes) -> bytes:
    """u32 length | u32 CRC-32 of length and entry | entry."""
    length = len(entry).to_bytes(4, "big")
    return length + zlib.crc32(entry, zlib.crc32(length)).to_bytes(4, "big") + entry


def frame_at(data: bytes, at: int) -> bytes:
    """The entry of the frame at *at*. Raises BadFrame."""
    if len(data) - at < HEAD_BYTES:
        raise BadFrame("the frame is torn", at)
    length = int.from_bytes(data[at : at + 4], "big")
    if not 0 < length <= LARGEST_ENTRY:
        raise BadFrame("the frame's length cannot be", at)
    entry = data[at + HEAD_BYTES : at + HEAD_BYTES + length]
    if len(entry) < length:
        raise BadFrame("the frame is torn", at)
    if zlib.crc32(entry, zlib.crc32(data[at : at + 4])) != int.from_bytes(
        data[at + 4 : at + 8], "big"
    ):
        raise BadFrame("the frame's checksum is wrong", at)
    return entry


def frames(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Each (offset, entry) from *at* to the end. Raises BadFrame where it stops being frames."""
    while at < len(data):
        entry = frame_at(data, at)
        yield at, entry
        at += HEAD_BYTES + len(entry)


def ends(segments: Sequence[Segment], size: int) -> Iterator[tuple[Segment, int]]:
    """Each segment with the number after its last entry, in a log of *size* entries."""
    bounds = [*(one.first for one in segments[1:]), size]
    for one, bound in zip(segments, bounds, strict=False):
        yield one, max(one.first, min(bound, size))
