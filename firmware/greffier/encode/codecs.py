"""What a codec name or payload type means: clock, sample rate, samples in a payload.

RFC 3551 (tables 4 and 5, sections 4.5.x), RFC 7587 (Opus), RFC 3389 (comfort noise), RFC 4733
(telephone events), RFC 2198 (redundancy, not decoded).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from greffier.encode import BadPayload, opus_packet

Purpose = Literal["audio", "noise", "event", "video"]

_GSM_FRAME = 33
_GSM_SIGNATURE = 0xD
_G711 = ("PCMU", "PCMA")
_SPELLINGS = {
    name.lower(): name
    for name in (
        *("PCMU", "PCMA", "G722", "GSM", "L16", "opus", "CN", "telephone-event", "tone"),
        *("G723", "G728", "G729", "G729D", "G729E", "G726-16", "G726-24", "G726-32", "G726-40"),
        *("DVI4", "LPC", "QCELP", "MPA", "L8", "L24", "GSM-EFR", "GSM-HR-08", "iLBC", "iSAC"),
        *("AMR", "AMR-WB", "EVS", "speex", "SILK", "BV16", "BV32", "G7221", "G719", "red"),
        *("CelB", "JPEG", "nv", "H261", "H263", "H263-1998", "H264", "H265", "VP8", "VP9"),
        *("MPV", "MP2T", "AV1"),
    )
}
_VIDEO = frozenset(
    name.lower()
    for name in (
        *("CelB", "JPEG", "nv", "H261", "H263", "H263-1998", "H264", "H265", "VP8", "VP9"),
        *("MPV", "MP2T", "AV1"),
    )
)


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload format: RTP clock and sample rate in Hz, and what can be done with it.

    *decodable*: this software knows how to make sound of it (the C core may be needed).
    *cuttable*: the payload can be cut between any two samples, *width* octets each.
    """

    name: str
    clock: int
    rate: int
    channels: int
    purpose: Purpose
    decodable: bool
    width: int = 0

    @property
    def cuttable(self) -> bool:
        """Whether a payload may be cut at any sample (block codecs: only between packets)."""
        return self.width > 0

    def samples(self, payload: bytes) -> int:
        """Samples at :attr:`rate` in *payload*. Raises BadPayload when it cannot be one."""
        if not self.decodable:
            raise BadPayload(f"the length of {self.name} is not known here")
        if not payload:
            raise BadPayload("an empty payload")
        if self.width == 1:
            return len(payload)
        if self.name == "opus":
            return opus_packet.duration(payload)
        if self.name == "G722":
            return 2 * len(payload)
        if self.name == "GSM":
            return _gsm_samples(payload)
        if len(payload) % self.width:
            raise BadPayload("half a sample at the end", len(payload))
        return len(payload) // self.width


def _gsm_samples(payload: bytes) -> int:
    """RFC 3551 4.5.8: frames of 33 octets with signature 0xD, 160 samples each."""
    if len(payload) % _GSM_FRAME:
        raise BadPayload("no whole number of GSM frames", len(payload))
    for at in range(0, len(payload), _GSM_FRAME):
        if payload[at] >> 4 != _GSM_SIGNATURE:
            raise BadPayload("a GSM frame without its signature", at)
    return len(payload) // _GSM_FRAME * 160


def is_known(name: str) -> bool:
    """Whether *name* is that of a payload format, and not just any word of a description."""
    return name.lower() in _SPELLINGS


@lru_cache(maxsize=1024)
def by_name(name: str, clock: int = 8000, channels: int = 1) -> Codec:
    """The codec of an ``a=rtpmap`` (any letter case); a name that nobody knows is not decodable.

    Opus is taken as one channel whatever the SDP says (RFC 7587 section 7 always says 2): a
    decoder of one channel makes one of both.
    """
    low = name.lower()
    canonical = _SPELLINGS.get(low, name)
    if low in ("cn", "telephone-event", "tone"):
        return Codec(canonical, clock, clock, 1, "noise" if low == "cn" else "event", False)
    if low in _VIDEO:
        return Codec(canonical, clock, clock, 1, "video", False)
    if low == "opus":
        return Codec(canonical, 48000, 48000, 1, "audio", True)
    one = channels == 1 and clock > 0
    if canonical in _G711:
        return Codec(canonical, clock, clock, channels, "audio", one, 1 if one else 0)
    if canonical == "L16":
        return Codec(canonical, clock, clock, channels, "audio", one, 2 if one else 0)
    if canonical == "G722" and one and clock in (8000, 16000):
        # RFC 3551 4.5.2: the clock is 8000 by an old mistake, the audio 16 kHz all the same.
        return Codec(canonical, clock, 16000, 1, "audio", True)
    if canonical == "GSM" and one and clock == 8000:
        return Codec(canonical, clock, 8000, 1, "audio", True)
    return Codec(canonical, clock, clock, channels, "audio", False)


# RFC 3551 tables 4 and 5; 19 was comfort noise before RFC 3551 reserved it, and is still sent.
STATIC: dict[int, Codec] = {
    0: by_name("PCMU"),
    3: by_name("GSM"),
    4: by_name("G723"),
    5: by_name("DVI4"),
    6: by_name("DVI4", 16000),
    7: by_name("LPC"),
    8: by_name("PCMA"),
    9: by_name("G722"),
    10: by_name("L16", 44100, 2),
    11: by_name("L16", 44100),
    12: by_name("QCELP"),
    13: by_name("CN"),
    14: by_name("MPA", 90000),
    15: by_name("G728"),
    16: by_name("DVI4", 11025),
    17: by_name("DVI4", 22050),
    18: by_name("G729"),
    19: by_name("CN"),
    25: by_name("CelB", 90000),
    26: by_name("JPEG", 90000),
    28: by_name("nv", 90000),
    31: by_name("H261", 90000),
    32: by_name("MPV", 90000),
    33: by_name("MP2T", 90000),
    34: by_name("H263", 90000),
}


def by_payload_type(payload_type: int) -> Codec | None:
    """The codec of a static payload type; None for one that only an SDP can explain."""
    return STATIC.get(payload_type)
