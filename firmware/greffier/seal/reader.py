"""Reading a part: the keyless scan, opening it with its content key, seeking, partial proofs.

Format and numbers of refusals: docs/part-format.md. A part is read from bytes or from a seekable
binary file. No frame is given out before the whole part was verified, except by
:meth:`Opened.frame`, which says so.
"""

import hashlib
import hmac
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag

from greffier import merkle
from greffier.seal import salted, structure
from greffier.seal.frames import (
    LARGEST_SEALED,
    TAG_BYTES,
    BadFrame,
    Content,
    Final,
    FrameType,
    Meta,
    parse,
)
from greffier.seal.header import BadPart, Header, PartKeys, WrongKey
from greffier.seal.structure import (
    HEAD_BYTES,
    TORN,
    RawFrame,
    Scan,
    SourceFile,
    State,
    frame_at,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One authenticated frame: its record, and whether the part it is from is ``complete``."""

    seq: int
    kind: FrameType
    leg: int
    plaintext: bytes
    complete: bool

    @property
    def content(self) -> Content:
        """The record in the frame (it was parsed before, so it parses)."""
        content = parse(self.kind, self.plaintext)
        if isinstance(content, Final):
            raise TypeError("FINAL is not content")
        return content


@dataclass(frozen=True, slots=True)
class Outline:
    """What a verified part is: ``final`` None means unfinished, and ``complete`` false.

    ``sha256`` is that of the bytes before FINAL (or of all good bytes), ``leaves`` the leaf hashes.
    """

    complete: bool
    frames: int
    leaves: tuple[bytes, ...]
    root: bytes
    sha256: bytes
    final: Final | None


class Reader:
    """A part in *source*: bytes, or a seekable binary file that stays open.

    Raises BadPart (1 to 9).
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._file = SourceFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        self.header: Header = structure.read_header(self._file)

    def scan(self, committed: int | None = None) -> Scan:
        """What of the file is whole, without any key.

        *committed* is how many bytes are known to have been durable: a break before it is damage, a
        break after it a torn write. Without it the scan looks for frames after the break, which
        on a hostile file costs more than linear time.
        """
        return structure.scan(self._file, self.header, committed)

    def open(self, content_key: bytes | bytearray) -> "Opened":
        """The part under its content key. Raises WrongKey, or ValueError if it is not 32 bytes."""
        keys = PartKeys(content_key, self.header.before)
        if not hmac.compare_digest(keys.commitment, self.header.commitment):
            keys.wipe()
            raise WrongKey(len(self.header.before))
        return Opened(self, self._file, keys)


class Opened:
    """A part whose commitment matched the content key. One thread uses it at a time."""

    def __init__(self, reader: Reader, file: SourceFile, keys: PartKeys) -> None:
        self.header = reader.header
        self._reader = reader
        self._file = file
        self._keys = keys
        self._offsets = [reader.header.size]
        self._outline: Outline | None = None

    def verify(self, *, allow_unfinished: bool = False) -> Outline:
        """Check every rule of the format over the whole file.

        A part without FINAL is refused, unless *allow_unfinished*: then its whole frames before a
        torn end count, and ``complete`` is False. Raises BadPart.
        """
        if self._outline is None:
            self._outline = self._verified(allow_unfinished)
        if not self._outline.complete and not allow_unfinished:
            raise BadPart(19, self._file.size)
        return self._outline

    def frames(self, *, allow_unfinished: bool = False) -> Iterator[Frame]:
        """The frames before FINAL, in order, after the whole part was verified. Raises BadPart."""
        outline = self.verify(allow_unfinished=allow_unfinished)
        return (self._given(self._raw(seq), outline.complete) for seq in range(outline.frames))

    def frame(self, seq: int) -> Frame:
        """Frame *seq* alone, found by hopping over the headers before it.

        It is authenticated as that frame of this part; nothing is said of the others, so
        ``complete`` is False unless the part was verified before. Raises BadPart, or ValueError if
        the file has no such frame before FINAL.
        """
        complete = self._outline is not None and self._outline.complete
        return self._given(self._raw(seq), complete)

    def prove(self, seqs: Iterable[int]) -> salted.Proof:
        """A partial proof of the frames *seqs* of a complete part. Raises BadPart, ValueError."""
        outline = self.verify()
        chosen = sorted(set(seqs))
        if not chosen or chosen[0] < 0 or chosen[-1] >= outline.frames:
            raise ValueError("the part has no such frame")
        given = [self.frame(seq) for seq in chosen]
        shown = [
            salted.Shown(f.seq, f.kind, f.leg, self._keys.salt(f.seq), f.plaintext, ())
            for f in given
        ]
        return salted.prove(self.header.part_id, outline.leaves, shown)

    def close(self) -> None:
        """Forget the keys; the part gives nothing more."""
        self._keys.wipe()

    def _verified(self, allow_unfinished: bool) -> Outline:
        totals = _Totals(self.header)
        offset = self.header.size
        final: Final | None = None
        try:
            while offset < self._file.size:
                if final is not None:
                    raise BadPart(18, offset)
                raw = frame_at(self._file, offset, totals.count)
                final = self._taken(raw, totals)
                offset = raw.end
            if final is None:
                raise BadPart(19, self._file.size)
        except BadPart as error:
            excused = allow_unfinished and final is None and error.number in TORN
            if not excused or self._reader.scan().state is not State.TORN:
                raise
        return Outline(
            final is not None,
            totals.count,
            tuple(totals.leaves),
            merkle.root(totals.leaves),
            totals.digest.digest(),
            final,
        )

    def _taken(self, raw: RawFrame, totals: "_Totals") -> Final | None:
        """Add a frame to the totals, or check FINAL against them."""
        plaintext, content = self._decrypted(raw)
        if isinstance(content, Final):
            totals.check(content, raw.offset)
            return content
        leaf = salted.leaf(self._keys.salt(raw.seq), raw.kind, raw.leg, raw.seq, plaintext)
        totals.add(raw, content, leaf)
        return None

    def _decrypted(self, raw: RawFrame) -> tuple[bytes, Content | Final]:
        nonce = (self._keys.base_nonce ^ raw.seq).to_bytes(12, "big")
        try:
            plaintext = self._keys.decrypt(nonce, raw.sealed, raw.head[:12])
        except InvalidTag:
            raise BadPart(20, raw.offset) from None
        try:
            return plaintext, parse(raw.kind, plaintext)
        except BadFrame:
            raise BadPart(_MALFORMED[raw.kind], raw.offset) from None

    def _given(self, raw: RawFrame, complete: bool) -> Frame:
        plaintext, _ = self._decrypted(raw)
        return Frame(raw.seq, raw.kind, raw.leg, plaintext, complete)

    def _raw(self, seq: int) -> RawFrame:
        while len(self._offsets) <= seq:
            offset = self._offsets[-1]
            head = self._file.read(offset, HEAD_BYTES)
            if offset == self._file.size or (len(head) > 4 and head[4] == FrameType.FINAL):
                break
            if len(head) < HEAD_BYTES:
                raise BadPart(11, offset)
            length = int.from_bytes(head[:4], "big")
            if not TAG_BYTES < length <= LARGEST_SEALED:
                raise BadPart(12, offset)
            self._offsets.append(offset + HEAD_BYTES + length)
        if not 0 <= seq < len(self._offsets) or self._offsets[seq] == self._file.size:
            raise ValueError("the part has no such frame")
        raw = frame_at(self._file, self._offsets[seq], seq)
        if raw.kind is FrameType.FINAL:
            raise ValueError("the part has no such frame")
        return raw


class _Totals:
    """What FINAL must state, summed frame by frame."""

    def __init__(self, part: Header) -> None:
        self.count = 0
        self.leaves: list[bytes] = []
        self.digest = hashlib.sha256(bytes(part))
        self._ends: dict[int, int] = {}

    def add(self, raw: RawFrame, content: Content, leaf: bytes) -> None:
        self.count += 1
        self.leaves.append(leaf)
        self.digest.update(raw.head + raw.sealed)
        if not isinstance(content, Meta):
            self._ends[raw.leg] = max(content.end, self._ends.get(raw.leg, 0))

    def check(self, final: Final, offset: int) -> None:
        if final.frames != self.count:
            raise BadPart(26, offset)
        if final.sha256 != self.digest.digest():
            raise BadPart(27, offset)
        if final.root != merkle.root(self.leaves):
            raise BadPart(28, offset)
        if final.legs != tuple(sorted(self._ends.items())):
            raise BadPart(29, offset)


_MALFORMED = {
    FrameType.AUDIO: 21,
    FrameType.META: 22,
    FrameType.MASK: 23,
    FrameType.GAP: 24,
    FrameType.FINAL: 25,
}
