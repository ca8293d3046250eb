"""Writing a part: header, sealed frames, FINAL (docs/part-format.md). Bytes out, no files.

The caller writes what it gets, in order; when a write fails it writes the same bytes again. That no
nonce is ever used twice does not depend on the caller: the salt is drawn here, the counter is
claimed before it is used and only moves forward, one lock guards it, a forked child
forgets the keys of every writer, a writer cannot be copied, and nothing comes after FINAL.
"""

import hashlib
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, NoReturn, Self, SupportsIndex
from weakref import WeakSet

from greffier import merkle
from greffier.seal import salted
from greffier.seal.frames import (
    LARGEST_PLAINTEXT,
    NO_LEG,
    TAG_BYTES,
    BadFrame,
    Content,
    Final,
    FrameType,
    end_of,
    type_of,
)
from greffier.seal.header import (
    CONTENT_KEY_BYTES,
    SALT_BYTES,
    Header,
    PartKeys,
    fixed_and_variable,
)

LARGEST_SEQ = 0xFFFFFFFF  # left to FINAL
_HEAD = struct.Struct(">IBBHI")
_META, _FINAL = FrameType.META, FrameType.FINAL  # looked up once, not for every frame


class WriterClosed(RuntimeError):
    """The writer was finished, abandoned, broken by an error, or carried into another process."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The end of a part: the FINAL frame to write, and what the audit log says of the part.

    ``size`` and ``sha256`` are those of the whole file, FINAL included; ``frames`` is the number of
    frames before FINAL, ``root`` the root of the salted tree over them.
    """

    frame: bytes
    size: int
    sha256: bytes
    frames: int
    root: bytes


def new_content_key() -> bytearray:
    """32 random bytes, in a buffer that its owner wipes with :func:`greffier.seal.header.wipe`.

    The bytes object that the generator hands over is freed at once, but not wiped: Python cannot.
    """
    return bytearray(secrets.token_bytes(CONTENT_KEY_BYTES))


class PartWriter:
    """The one writer of one part.

    *part_id* and *recording_id* are 16 bytes, *number* counts the parts of the recording, *meta* is
    the clear object, *content_key* 32 bytes that the caller owns and wipes, *envelopes* the
    envelope block that the file shall carry (empty: none). Raises ValueError for what no reader
    would accept.

    Its key buffer is wiped by :meth:`finish` and :meth:`abandon` (see :class:`PartKeys` for what
    Python cannot wipe); as a context manager it is abandoned at the end.
    """

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
        before = fixed_and_variable(
            part_id=part_id,
            recording_id=recording_id,
            number=number,
            salt=secrets.token_bytes(SALT_BYTES),
            meta=meta,
            envelopes=envelopes,
        )
        self._keys: PartKeys | None = PartKeys(content_key, before)
        self._lock = Lock()
        _live.add(self)
        self._header = bytes(
            Header(part_id, recording_id, number, meta, envelopes, self._keys.commitment, before)
        )
        self._commitment = self._keys.commitment
        self._next = 0
        self._ends: dict[int, int] = {}
        self._frontier = merkle.Frontier()
        self._digest = hashlib.sha256(self._header)
        self._size = len(self._header)

    @property
    def header(self) -> bytes:
        """The bytes with which the file begins."""
        return self._header

    @property
    def commitment(self) -> bytes:
        """The 32 bytes that name the content key without telling it."""
        return self._commitment

    @property
    def size(self) -> int:
        """The bytes of the file so far, header included."""
        return self._size

    @property
    def frames(self) -> int:
        """How many frames were sealed."""
        return self._next

    def seal(self, content: Content, leg: int = NO_LEG) -> bytes:
        """The frame that holds *content*. Raises as :meth:`seal_frame`."""
        return self.seal_frame(type_of(content), leg, bytes(content))

    def seal_frame(self, kind: FrameType, leg: int, plaintext: bytes) -> bytes:
        """The next frame of the file; *leg* is 0..254, or NO_LEG for META.

        *plaintext* must be that of :mod:`greffier.seal.frames`; only its end position is looked
        at. Raises BadFrame for what no reader would accept, WriterClosed after the end.
        """
        if kind is _FINAL:
            raise BadFrame("FINAL is written by finish()")
        if not 1 <= len(plaintext) <= LARGEST_PLAINTEXT:
            raise BadFrame("a frame holds 1 byte to 1 MiB")
        if not 0 <= leg <= NO_LEG or (leg == NO_LEG) != (kind is _META):
            raise BadFrame("the leg of a frame does not fit its type")
        end = -1 if kind is _META else end_of(kind, plaintext)
        with self._lock:
            frame = self._sealed(kind, leg, plaintext)
            if end >= 0:
                self._ends[leg] = max(end, self._ends.get(leg, 0))
        return frame

    def finish(self, reason: str) -> Sealed:
        """FINAL and the totals; the keys are then gone. *reason* is why the part ended (a word).

        Raises BadFrame for another reason, WriterClosed when it was finished before.
        """
        with self._lock:
            count, root = self._next, self._frontier.root()
            legs = tuple(sorted(self._ends.items()))
            final = Final(count, legs, self._digest.digest(), root, reason)
            frame = self._sealed(_FINAL, NO_LEG, bytes(final))
            self._forget()
            return Sealed(frame, self._size, self._digest.digest(), count, root)

    def abandon(self) -> None:
        """Forget the keys; the part stays unfinished for ever. Safe to repeat."""
        with self._lock:
            self._forget()

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
        keys, seq = self._keys, self._next
        if keys is None:
            raise WriterClosed("this part takes no more frames")
        if seq >= LARGEST_SEQ and kind is not _FINAL:
            raise WriterClosed("this part is full")
        self._next = seq + 1  # claimed before it is used, whatever fails below
        try:
            number = int(kind)
            head = _HEAD.pack(len(plaintext) + TAG_BYTES, number, leg, 0, seq)
            nonce = (keys.base_nonce ^ seq).to_bytes(12, "big")
            text = keys.encrypt(nonce, plaintext, head)
            crc = zlib.crc32(text, zlib.crc32(head)).to_bytes(4, "big")
            frame = b"".join((head, crc, text))
            self._digest.update(frame)
            self._frontier.append(salted.leaf(keys.salt(seq), number, leg, seq, plaintext))
        except BaseException:
            self._forget()  # a frame that nobody got leaves a hole: the part cannot go on
            raise
        self._size += len(frame)
        return frame

    def _forget(self) -> None:
        _live.discard(self)
        if self._keys is not None:
            self._keys.wipe()
            self._keys = None


_live: WeakSet[PartWriter] = WeakSet()


def _forget_all() -> None:
    """In a forked child: two processes with one key and one counter would repeat nonces."""
    for writer in list(_live):
        writer._lock = Lock()  # a thread that exists no more may have held the old one
        writer._forget()


os.register_at_fork(after_in_child=_forget_all)
