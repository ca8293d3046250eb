"""The encoded sound of one leg of a part that the C core records (native/voice.h).

What :class:`~greffier.encode.leg.LegEncoder`, kind "opus", does for a part in Python, its threads
do in the core: made by :meth:`Spool.voice <greffier.seal.spool.Spool.voice>`, fed by the legs that
are attached to it, or by :meth:`Voice.write` with what Python decoded. It ends with its part.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greffier._native import ffi, lib
from greffier.encode import Gap
from greffier.encode.stored import Stored

if TYPE_CHECKING:
    from greffier._native import CData

Samples = NDArray[np.int16]

LAWS = {"PCMA": lib.GREFFIER_CODER_ALAW, "PCMU": lib.GREFFIER_CODER_ULAW}
"""The codecs (RFC 3551 names) of legs that can be attached."""
_AT_ONCE = 16_000  # samples a packet: below 2^16 octets
_CAUSES = {
    ffi.string(lib.greffier_place_word(cause)).decode(): cause
    for cause in range(lib.GREFFIER_PLACE_CAUSES)
}


class Voice:
    """One leg of one part, encoded as Opus in blocks of 20 ms. The spool's thread owns it."""

    def __init__(self, handle: "CData", rate: int) -> None:
        self._handle = handle
        self.stored = Stored("opus", rate, rate // 50, lib.greffier_voice_delay(handle))
        """What a reader must know of the packets."""

    @property
    def handle(self) -> "CData":
        """The greffier_voice. Raises ValueError once its part was removed."""
        if not self._handle:
            raise ValueError("the part of this voice is gone")
        return self._handle

    def write(self, position: int, pcm: Samples) -> None:
        """Sound that no leg of the core heard, behind all that was heard so far; while none is
        attached.

        What finds no room in the spool becomes a gap with the cause "overrun".
        """
        for at in range(0, len(pcm), _AT_ONCE):
            some = np.ascontiguousarray(pcm[at : at + _AT_ONCE])
            given = ffi.from_buffer("int16_t[]", some)
            lib.greffier_voice_write(self.handle, position + at, given, len(some))

    def gap(self, gap: Gap) -> None:
        """A gap that no leg of the core noticed; as :meth:`write`. Raises KeyError for a cause that
        the core has no word for."""
        given = ffi.new("greffier_gap *", (gap.start, gap.end, gap.packets, _CAUSES[gap.cause]))
        lib.greffier_voice_gap(self.handle, given)

    def finish(self) -> None:
        """The part ends, and no leg is attached any more: the last block is padded, its true
        length kept. What comes of it is sealed by the next call of the spool's."""
        lib.greffier_voice_finish(self.handle)

    def forget(self) -> None:
        """For the spool: the part was removed."""
        self._handle = ffi.NULL
