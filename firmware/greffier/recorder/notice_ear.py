"""One call's ear for the notice: our leg's packets, as they come, into a detector.

What it hears is compared and forgotten. It has a sample line of its own, so it also listens to
calls of which nothing is held or kept: a proof may come later, and allows nothing where the notice
was not given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.calls.notice import BOUND_S, Detector, Template
from greffier.capture.rtp import Packet
from greffier.clock import SECOND
from greffier.encode import BadPayload, core
from greffier.encode.codecs import Codec
from greffier.encode.decoders import Decoder, decoder_of
from greffier.encode.timeline import OtherRate, Placed, Timeline
from greffier.errors import NotDecodable
from greffier.recorder.track import codec_of
from greffier.sip.sdp import Codec as Described

MOST_LEGS: Final = 8
"""Streams of our side that are listened to in one call."""
WHOLE_NS: Final = (BOUND_S + 5) * SECOND
"""How long after the answer a call is listened to at most."""
_OPUS_RATE: Final = 8000


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is listened for: None where the line names a prompt that is not there.

    *digest* is the SHA-256 of the file that was learnt, 64 hex digits; "" without one.
    """

    template: Template | None
    digest: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """The notice ended at *end_ns* (wall clock), and was found with *score* of 1000."""

    end_ns: int
    score: int


class _Leg:
    """One stream at one rate."""

    def __init__(self, template: Template, origin_ns: int, codec: Codec) -> None:
        self.timeline = Timeline(origin_ns, codec.rate)
        # Opus is decoded at the rate of telephones, whatever it was made at.
        self.rate = _OPUS_RATE if codec.name == "opus" else codec.rate
        self.detector = Detector(template, self.rate)
        self._decoders: dict[Codec, Decoder | core.OpusDecoder] = {}

    def sound_of(self, placed: Placed) -> tuple[int, NDArray[np.int16]]:
        """Where it begins, and its samples. Raises NotDecodable, BadPayload."""
        codec = placed.codec
        if codec not in self._decoders:
            opus = codec.name == "opus"
            self._decoders[codec] = core.OpusDecoder(_OPUS_RATE) if opus else decoder_of(codec)
        decoder = self._decoders[codec]
        if isinstance(decoder, core.OpusDecoder):
            at = placed.position * self.rate // codec.rate
            return at, decoder.decode(placed.payload)
        pcm = decoder.decode([placed.payload]).pcm
        return placed.position, pcm[placed.skip : placed.skip + placed.samples]


class NoticeEar:
    """Owned by the call's thread. *origin_ns* is when the call's sample 0 was."""

    def __init__(self, prompt: Prompt, origin_ns: int) -> None:
        self.prompt = prompt
        self._origin_ns = origin_ns
        self._legs: dict[tuple[int, int], _Leg] = {}
        self.noticed: Noticed | None = None

    @property
    def score(self) -> int:
        """The best that there was so far, of 1000."""
        return max((leg.detector.score for leg in self._legs.values()), default=0)

    def take(
        self, leg: int, packets: Sequence[Packet], codecs: Mapping[int, Described], ssrc: int
    ) -> None:
        """Our side went on with *packets*, in order; *codecs* are those of the SDP."""
        for packet in packets:
            codec = codec_of(codecs.get(packet.payload_type), packet.payload_type)
            found = self._leg(leg, codec)
            if found is None:
                continue
            try:
                items = found.timeline.place(packet, codec, ssrc)
            except OtherRate:
                continue
            for item in items:
                if isinstance(item, Placed):
                    self._hear(found, item)

    def take_sampled(self, placed: Placed) -> None:
        """An analogue line went on with *placed*."""
        leg = self._leg(0, placed.codec)
        if leg is not None:
            self._hear(leg, placed)

    def _leg(self, leg: int, codec: Codec | None) -> _Leg | None:
        template = self.prompt.template
        if template is None or self.noticed is not None:
            return None
        if codec is None or not codec.decodable:
            return next((one for key, one in self._legs.items() if key[0] == leg), None)
        key = (leg, codec.rate)
        if key not in self._legs:
            if len(self._legs) >= MOST_LEGS:
                return None
            self._legs[key] = _Leg(template, self._origin_ns, codec)
        return self._legs[key]

    def _hear(self, leg: _Leg, placed: Placed) -> None:
        try:
            at, pcm = leg.sound_of(placed)
        except (NotDecodable, BadPayload):
            return  # it counts as silence
        heard = leg.detector.feed(at, pcm)
        if heard is not None and self.noticed is None:
            end_ns = self._origin_ns + heard.end * SECOND // leg.rate
            self.noticed = Noticed(end_ns, heard.score)
