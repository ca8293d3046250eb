"""The writer of a part in the C core: the same bytes as :class:`~greffier.seal.part.PartWriter`.

For parts whose frames are sealed in batches (native/spool.h). Its keys lie in one locked page that
a forked child finds empty; nothing of them is ever in Python but the content key that the caller
hands over.
"""

import secrets
from collections.abc import Mapping
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex

from greffier._native import ffi, lib
from greffier.seal.frames import NO_LEG, BadFrame, Content, Final, FrameType, type_of
from greffier.seal.header import CONTENT_KEY_BYTES, SALT_BYTES, fixed_and_variable
from greffier.seal.part import Sealed, WriterClosed

if TYPE_CHECKING:
    from greffier._native import CData, Totals

_TAIL = lib.GREFFIER_SEAL_TAIL
_COMMITMENT_BYTES = 32


class CoreWriter:
    """The one writer of one part; arguments and errors as those of ``PartWriter``."""

    def __init__(
        self,
        *,
        part_id: bytes,
        recording_id: bytes,
        number: int,
        meta: Mapping[str, Any],
        content_key: bytes | bytearray,
        envelopes: bytes = b"",
    ) -> None:
        if len(content_key) != CONTENT_KEY_BYTES:
            raise ValueError("a content key is 32 bytes")
        before = fixed_and_variable(
            part_id=part_id,
            recording_id=recording_id,
            number=number,
            salt=secrets.token_bytes(SALT_BYTES),
            meta=meta,
            envelopes=envelopes,
        )
        tail = ffi.new("uint8_t[]", _TAIL)
        key = ffi.from_buffer("uint8_t[]", content_key)
        seal = lib.greffier_seal_new(key, before, len(before), tail)
        if seal == ffi.NULL:
            raise MemoryError("no memory for the keys of a part")
        self._seal = ffi.gc(seal, lib.greffier_seal_free)
        self._header = before + ffi.buffer(tail)[:]
        self._lock = Lock()

    @property
    def handle(self) -> "CData":
        """The greffier_seal, for other rooms of the core; valid as long as this object."""
        return self._seal

    @property
    def locked(self) -> bool:
        """Whether the system keeps the keys out of the swap."""
        return bool(lib.greffier_seal_locked(self._seal))

    @property
    def header(self) -> bytes:
        """The bytes with which the file begins."""
        return self._header

    @property
    def commitment(self) -> bytes:
        """The 32 bytes that name the content key without telling it."""
        return self._header[-_TAIL : _COMMITMENT_BYTES - _TAIL]

    @property
    def size(self) -> int:
        """The bytes of the file so far, header included."""
        return self._totals().size

    @property
    def frames(self) -> int:
        """How many frames were sealed."""
        return self._totals().frames

    def sha256(self) -> str:
        """SHA-256 of the bytes of the file so far, in hex."""
        return ffi.buffer(self._totals().sha256)[:].hex()

    def seal(self, content: Content, leg: int = NO_LEG) -> bytes:
        """The frame that holds *content*. Raises as :meth:`seal_frame`."""
        return self.seal_frame(type_of(content), leg, bytes(content))

    def seal_frame(self, kind: FrameType, leg: int, plaintext: bytes) -> bytes:
        """The next frame of the file; *leg* is 0..254, or NO_LEG for META.

        Raises BadFrame for what no reader would accept, WriterClosed after the end.
        """
        if kind is FrameType.FINAL:
            raise BadFrame("FINAL is written by finish()")
        if not 0 <= leg <= NO_LEG:
            raise BadFrame("the leg of a frame does not fit its type")
        with self._lock:
            return self._sealed(kind, leg, plaintext)

    def finish(self, reason: str) -> Sealed:
        """FINAL and the totals; the keys are then gone. *reason* is why the part ended (a word).

        Raises BadFrame for another reason, WriterClosed when it was finished before.
        """
        with self._lock:
            totals = self._totals()
            legs = tuple((totals.leg[i], totals.end[i]) for i in range(totals.legs))
            digest, root = (ffi.buffer(one)[:] for one in (totals.sha256, totals.root))
            final = Final(totals.frames, legs, digest, root, reason)
            frame = self._sealed(FrameType.FINAL, NO_LEG, bytes(final))
            after = self._totals()
            return Sealed(frame, after.size, ffi.buffer(after.sha256)[:], totals.frames, root)

    def abandon(self) -> None:
        """Forget the keys; the part stays unfinished for ever. Safe to repeat."""
        with self._lock:
            lib.greffier_seal_close(self._seal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        # Also what copy.copy and copy.deepcopy call: a second counter over one key repeats nonces.
        raise TypeError("a part has one writer; it cannot be copied")

    def _sealed(self, kind: FrameType, leg: int, plaintext: bytes) -> bytes:
        out = ffi.new("uint8_t[]", len(plaintext) + lib.GREFFIER_SEAL_OVERHEAD)
        sealer = lib.greffier_sealer_new()
        if sealer == ffi.NULL:
            raise MemoryError("no memory for a cipher")
        size = lib.greffier_seal_frame(
            self._seal, sealer, int(kind), leg, plaintext, len(plaintext), out
        )
        lib.greffier_sealer_free(sealer)
        if size < 0:
            raise refusal(size)
        return ffi.buffer(out)[:]

    def _totals(self) -> "Totals":
        totals = ffi.new("greffier_seal_totals *")
        if lib.greffier_seal_count(self._seal, totals) != 0:
            raise WriterClosed("a forked process knows nothing of this part")
        return totals


def refusal(fault: int) -> BadFrame | WriterClosed:
    """The exception for one of enum greffier_seal_fault."""
    if fault == lib.GREFFIER_SEAL_BAD:
        return BadFrame("no reader would accept this frame")
    if fault == lib.GREFFIER_SEAL_FULL:
        return WriterClosed("this part is full")
    if fault == lib.GREFFIER_SEAL_FAILED:
        return WriterClosed("the cipher failed, and the part cannot go on")
    return WriterClosed("this part takes no more frames")
