"""Keys are heard in the sound of every codec that can be decoded, and in telephone events."""

import numpy as np
import pytest
from tests.reference import bare_codecs

from greffier.capture.rtp import Packet
from greffier.encode.codecs import Codec, by_name
from greffier.encode.ear import Ear, Press
from greffier.encode.resample import resample
from greffier_sim import captures, keypad

DIGITS = "159#"
MS = 1_000_000


def typed(rate: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    quiet = np.zeros(800, np.int16)
    parts = [one for digit in DIGITS for one in (quiet, keypad.tone(digit), quiet)]
    return resample(np.concatenate(parts), 8000, rate)


def payloads(codec: Codec) -> list[bytes]:
    pcm = typed(codec.rate)
    if codec.name == "PCMA":
        return [keypad.alaw(pcm)]
    if codec.name == "L16":
        return [pcm.astype(">i2").tobytes()]
    if codec.name == "G722":
        return [bare_codecs.g722_octets(pcm)]
    return [bare_codecs.gsm_octets(pcm)]


@pytest.mark.parametrize("name", ("PCMA", "G722", "GSM", "L16", "L16/16000", "L16/48000"))
def test_tones_are_heard_in_any_codec(name: str) -> None:
    word, _, clock = name.partition("/")
    codec = by_name(word, int(clock or 8000))
    (octets,) = payloads(codec)
    ear = Ear(codec.rate)
    count = {"GSM": 33, "G722": 160}.get(word, codec.rate // 50 * max(codec.width, 1))
    for number in range(len(octets) // count):
        payload = octets[number * count : (number + 1) * count]
        at = (number + 1) * 20 * MS
        ear.hear(Packet(number, 0, 0, False, at, payload, 0), codec)
    found = ear.take()
    assert [one.digit for one in found] == list(DIGITS)
    for number, one in enumerate(found):
        assert abs(one.at_ns - (100 + 300 * number) * MS) < 40 * MS
    assert ear.take() == []


def test_events_are_heard_and_noise_is_not() -> None:
    codec = by_name("telephone-event")
    ear = Ear(8000)
    for number in range(6):
        payload = captures.event(7, number > 2, 160 * number)
        ear.hear(Packet(number, 1000, 101, False, 5, payload, 0), codec)
    ear.hear(Packet(7, 2000, 13, False, 6, b"\7\x8a\1\1", 0), by_name("CN"))
    ear.hear(Packet(8, 3000, 14, False, 6, b"\7\x8a\1\1", 0), by_name("tone"))
    ear.hear(Packet(9, 3000, 3, False, 6, b"no GSM", 0), by_name("GSM"))
    ear.hear(Packet(9, 3000, 18, False, 6, b"any", 0), by_name("G729"))
    (press,) = ear.take()
    assert press == Press(5, "7", True)
    assert "7" not in repr(press)


def test_there_is_no_ear_for_other_rates() -> None:
    with pytest.raises(ValueError, match="rate"):
        Ear(44100)
