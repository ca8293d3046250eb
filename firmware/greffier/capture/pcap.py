"""Reading a capture file, pcap or pcapng, one record at a time.

pcap: the format of draft-ietf-opsawg-pcap (a 24-byte header, then records of 16 bytes + data), in
both byte orders, with microseconds or nanoseconds. A file that is no capture is refused; damage
further on ends the reading there and is said in :attr:`Reader.damage`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from greffier.capture import pcapng
from greffier.capture.record import MAX_RECORD, Damage, Damaged, Record
from greffier.errors import BadCapture

# First four bytes: (byte order, nanoseconds a time unit, extra bytes of each record header).
_MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 0),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 0),
    b"\xa1\xb2\x3c\x4d": (">", 1, 0),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 0),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 8),  # Kuznetzov's variant, still written by some routers
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 8),
}
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zX": "xz",
    b"\x04\x22\x4d\x18": "lz4",
}
_HUGE_SNAPLEN = 16 * 1024 * 1024
"""A snap length above this is taken for "no limit": no frame is that long."""


class Reader:
    """The records of one capture, in file order; to be iterated once.

    Holds one record in memory at a time. Raises :class:`~greffier.errors.BadCapture` when made
    if the first bytes are no capture; never raises for what comes after them.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.damage: Damage | None = None
        """Set when reading ended before the end of the file; None for a whole file."""
        self.records = 0
        """Records given so far."""
        try:
            self._source = _source(stream, name)
        except OSError as error:
            raise BadCapture(path=name, reason=error.strerror or "not readable") from error

    def __iter__(self) -> Iterator[Record]:
        try:
            for record in self._source:
                self.records += 1
                yield record
        except Damaged as found:
            self.damage = Damage(found.offset, found.reason)
        except OSError as error:
            # A bad sector ends the capture like a cut does: what came before it is kept.
            self.damage = Damage(self._stream.tell(), error.strerror or "not readable")

    @property
    def position(self) -> int:
        """How many bytes of the file were read: for showing progress."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_capture(path: Path) -> Reader:
    """A reader of the file at *path*; use it in a ``with`` statement.

    Raises BadCapture if the file cannot be opened or does not begin like a capture.
    """
    try:
        stream = path.open("rb", buffering=1 << 20)
    except OSError as error:
        raise BadCapture(path=str(path), reason=error.strerror or "not readable") from error
    try:
        return Reader(stream, str(path))
    except BadCapture:
        stream.close()
        raise


def read(path: Path) -> Iterator[Record]:
    """The records of the file at *path*. Who needs to know about damage uses open_capture."""
    with open_capture(path) as reader:
        yield from reader


def _source(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file of either kind, by its first four bytes."""
    magic = stream.read(4)
    if magic == pcapng.MAGIC:
        return pcapng.records(stream, name)
    if magic in _MAGIC:
        return _records(stream, name, magic)
    raise BadCapture(path=name, reason=_why_not(magic))


def _records(stream: BinaryIO, name: str, magic: bytes) -> Iterator[Record]:
    """The records behind a pcap magic number that is already read."""
    order, unit, extra = _MAGIC[magic]
    header = stream.read(20)
    if len(header) < 20:
        raise BadCapture(path=name, reason="the file ends inside its header")
    major, _minor, _zone, _figures, snaplen, network = struct.unpack(f"{order}HHiIII", header)
    if major != 2:
        raise BadCapture(path=name, reason=f"pcap version {major} is not known")
    return _follow(stream, struct.Struct(f"{order}IIII{extra}x"), unit, snaplen, network & 0xFFFF)


def _follow(
    stream: BinaryIO, header: struct.Struct, unit: int, snaplen: int, link_type: int
) -> Iterator[Record]:
    """The records themselves; raises Damaged where they stop making sense."""
    size, offset = header.size, 24
    longest = snaplen if MAX_RECORD < snaplen <= _HUGE_SNAPLEN else MAX_RECORD
    while True:
        head = stream.read(size)
        if len(head) < size:
            if head:
                raise Damaged(offset, "the file ends inside a record header")
            return
        seconds, fraction, kept, length = header.unpack(head)
        if kept > longest:
            raise Damaged(offset, "a record is longer than any frame")
        data = stream.read(kept)
        if len(data) < kept:
            raise Damaged(offset, "the file ends inside a record")
        yield Record(seconds * 1_000_000_000 + fraction * unit, link_type, data, length)
        offset += size + kept


def _why_not(magic: bytes) -> str:
    """What to say about first bytes that no capture has."""
    if not magic:
        return "the file is empty"
    for begin, kind in _COMPRESSED.items():
        if magic.startswith(begin):
            return f"it is compressed ({kind}); unpack it first"
    return "it is neither pcap nor pcapng"
