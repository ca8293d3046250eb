"""Keys that are pressed on one leg, heard in its decoded sound and its telephone events.

native/ear.h does the hearing (libspandsp, RFC 4733); this is what packets of any codec need to come
to it. Keys are secret: nothing here is logged, and what was taken out is zeroed in the core.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from greffier._native import ffi, lib
from greffier.capture.rtp import KEYS, Packet
from greffier.encode import BadPayload
from greffier.encode.codecs import Codec
from greffier.encode.decoders import Decoder, decoder_of
from greffier.errors import NotDecodable

if TYPE_CHECKING:
    from greffier._native import CData

Samples = NDArray[np.int16]

RATES: Final = (8000, 16000, 48000)
"""Of sound that can be listened to, Hz."""
LAWS: Final = {"PCMA": lib.GREFFIER_EAR_ALAW, "PCMU": lib.GREFFIER_EAR_ULAW}
_BY_EVENT = lib.GREFFIER_EAR_BY_EVENT
_HELD = lib.GREFFIER_EAR_HELD


class Press(NamedTuple):
    """A key as one way brought it: *at_ns* since the epoch, *event*: not a tone."""

    at_ns: int
    digit: str
    event: bool

    def __repr__(self) -> str:
        """Without the digit."""
        return f"Press(at_ns={self.at_ns}, event={self.event})"


class Ear:
    """Listens to one leg whose sound has *rate* Hz. One thread at a time.

    Raises ValueError for a rate that is not among :data:`RATES`, and MemoryError.
    """

    def __init__(self, rate: int) -> None:
        if rate not in RATES:
            raise ValueError("no ear for this rate")
        ear = lib.greffier_ear_new(rate)
        if ear == ffi.NULL:
            raise MemoryError("no memory for an ear")
        self.rate = rate
        self._ear = ffi.gc(ear, lib.greffier_ear_free)
        self._decoders: dict[Codec, Decoder | None] = {}

    @property
    def handle(self) -> "CData":
        """The greffier_ear, for a leg of the core; valid as long as this object."""
        return self._ear

    def hear(self, packet: Packet, codec: Codec) -> None:
        """The next packet of the leg: sound of this rate, or a telephone event; all else is none.

        Sound that cannot be decoded is passed over.
        """
        payload = packet.payload
        if codec.name == "telephone-event":
            stamp = packet.timestamp & 0xFFFFFFFF
            at_ns = packet.arrival_ns
            lib.greffier_ear_event(self._ear, stamp, payload, len(payload), at_ns)
        elif codec.rate != self.rate or not codec.decodable:
            return
        elif codec.name in LAWS:
            law = LAWS[codec.name]
            lib.greffier_ear_hear(self._ear, law, payload, len(payload), packet.arrival_ns)
        else:
            self.listen(self._decoded(payload, codec), packet.arrival_ns)

    def listen(self, pcm: Samples, end_ns: int) -> None:
        """The next samples, the last of which arrived at *end_ns*."""
        if len(pcm):
            given = ffi.from_buffer("uint8_t[]", np.ascontiguousarray(pcm))
            lib.greffier_ear_hear(self._ear, lib.GREFFIER_EAR_LINEAR, given, len(pcm), end_ns)

    def take(self) -> list[Press]:
        """The keys that were heard since the last call."""
        presses = ffi.new("greffier_press[]", _HELD)
        count = lib.greffier_ear_take(self._ear, presses, _HELD)
        found = [
            Press(presses[i].at_ns, KEYS[presses[i].code], presses[i].way == _BY_EVENT)
            for i in range(count)
        ]
        if count:
            ffi.buffer(presses)[:] = bytes(len(ffi.buffer(presses)))
        return found

    def _decoded(self, payload: bytes, codec: Codec) -> Samples:
        nothing = np.zeros(0, np.int16)
        if codec not in self._decoders:
            try:
                self._decoders[codec] = decoder_of(codec)
            except NotDecodable:
                self._decoders[codec] = None
        decoder = self._decoders[codec]
        if decoder is None:
            return nothing
        try:
            codec.samples(payload)
            return decoder.decode([payload]).pcm
        except BadPayload:
            return nothing
