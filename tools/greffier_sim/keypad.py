"""Keys as telephones send them: tones in the sound, telephone events, SIP INFO."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.capture.datagram import Datagram
from greffier.encode.decoders import TABLES
from greffier_sim import captures
from greffier_sim.captures import MS, Plan, Side

Samples = NDArray[np.int16]

KEYS: Final = "0123456789*#ABCD"
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_PAD: Final = ("123A", "456B", "789C", "*0#D")
_RATE: Final = 8000
_CODES: Final = np.argsort(TABLES["PCMA"].astype(np.int32), kind="stable")
_VALUES: Final = TABLES["PCMA"].astype(np.int32)[_CODES]


def tone(key: str, ms: int = 100, level: float = 0.25, rate: int = _RATE) -> Samples:
    """The tone of *key* (ITU-T Q.23); *level* of full scale for each of its two frequencies."""
    row = next(number for number, keys in enumerate(_PAD) if key in keys)
    at = np.arange(rate * ms // 1000) / rate
    pair = (_ROWS[row], _COLUMNS[_PAD[row].index(key)])
    wave = sum(np.sin(2 * np.pi * hertz * at) for hertz in pair)
    return np.asarray(np.rint(wave * level * 32767), np.int16)


def alaw(pcm: Samples) -> bytes:
    """The nearest value of G.711 A-law for each sample."""
    wide = pcm.astype(np.int32)
    high = np.clip(np.searchsorted(_VALUES, wide), 1, 255)
    low = high - 1
    nearer = np.where(_VALUES[high] - wide < wide - _VALUES[low], high, low)
    return _CODES[nearer].astype(np.uint8).tobytes()


def spoken(
    plan: Plan, side: Side, keys: Mapping[int, str], background: Samples | None = None
) -> list[Datagram]:
    """The speech of one side, PCMA, with tones of 100 ms: *keys* by ms since its first packet.

    Beneath and between them is *background*, as long as the talk; None: silence.
    """
    length = plan.talk_ms * _RATE // 1000
    pcm = np.zeros(length, np.int16) if background is None else background.copy()
    for at_ms, key in keys.items():
        sound = tone(key)
        begin = at_ms * _RATE // 1000
        pcm[begin : begin + len(sound)] = sound[: max(length - begin, 0)]
    octets = alaw(pcm)
    size = _RATE * plan.ptime_ms // 1000
    return captures.speech(
        plan, side, payload=lambda index: octets[index * size : (index + 1) * size]
    )


def events(
    plan: Plan, side: Side, keys: Mapping[int, str], drop: Sequence[int] = ()
) -> list[Datagram]:
    """Telephone events in place of sound (RFC 4733): six packets a key, the last three its end.

    *drop*: which of the six never come. They stand between packets of speech, and have sequence
    numbers of a source of their own.
    """
    source, target = plan.media(side), plan.media("callee" if side == "caller" else "caller")
    ssrc = 0x33333333 if side == "caller" else 0x44444444
    out = []
    for number, (at_ms, key) in enumerate(keys.items()):
        for index in range(6):
            if index in drop:
                continue
            ended = index >= 3
            payload = captures.event(KEYS.index(key), ended, 160 * min(index + 1, 4))
            packet = captures.rtp(
                6 * number + index, at_ms * 8, ssrc, payload, payload_type=101, marker=index == 0
            )
            time_ns = plan.answer_ns + (10 + at_ms + 20 * index) * MS + 7 * MS
            out.append(Datagram(time_ns, source, target, packet))
    return out


def info(plan: Plan, side: Side, keys: Mapping[int, str], *, plain: bool = False) -> list[Datagram]:
    """A SIP INFO for each key, when it is let go, and once more as if its answer were lost."""
    kind = "application/dtmf" if plain else "application/dtmf-relay"
    out = []
    for number, (at_ms, key) in enumerate(keys.items(), 10):
        body = key.encode() if plain else f"Signal={key}\r\nDuration=100\r\n".encode()
        time_ns = plan.answer_ns + (110 + at_ms) * MS
        extra = f"Content-Type: {kind}\r\n"
        one = captures.request(plan, time_ns, "INFO", number, by=side, body=body, extra=extra)
        out += [one, one._replace(time_ns=time_ns + 500 * MS)]
    return out
