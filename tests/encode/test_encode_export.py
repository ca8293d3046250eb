"""Files that leave the box: WAV, FLAC, Ogg Opus; legs side by side at one rate."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bare_codecs
from tests.reference.bare_codecs import voice

from greffier.encode import BadPayload, Coded, codecs, core, export, ogg, opus_packet, stored
from greffier.encode.export import LegSound
from greffier.encode.leg import LegEncoder
from greffier.encode.resample import resample
from greffier.encode.timeline import Placed

PCMA = codecs.STATIC[8]


@pytest.mark.parametrize("form", ["wav", "flac"])
@pytest.mark.parametrize("legs", [1, 2, 3, 8])
def test_lossless_files_hold_every_sample_one_channel_a_leg(form: export.Format, legs: int) -> None:
    sounds = [LegSound(voice(3000 + 500 * i, seed=i), 8000) for i in range(legs)]
    file = io.BytesIO()
    export.write(sounds, form, file)
    pcm, rate = soundfile.read(io.BytesIO(file.getvalue()), dtype="int16", always_2d=True)
    assert rate == 8000
    assert pcm.shape == (3000 + 500 * (legs - 1), legs)
    for channel, sound in enumerate(sounds):
        assert np.array_equal(pcm[: len(sound.samples), channel], sound.samples)
        assert not pcm[len(sound.samples) :, channel].any()


def test_wav_is_plain_16_bit_pcm() -> None:
    head = export.render([LegSound(voice(800), 8000)] * 2, "wav")
    assert head[:4] + head[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack("<HHIIHH", head[20:36]) == (1, 2, 8000, 32000, 4, 16)
    assert struct.unpack("<4sI", head[36:44]) == (b"data", 3200)
    assert len(head) == 44 + 3200


def test_too_many_legs_or_none_are_refused() -> None:
    sound = LegSound(voice(80), 8000)
    with pytest.raises(export.TooManyLegs):
        export.render([sound] * 9, "flac")
    assert export.render([sound] * 9, "wav")
    for form in export.FORMATS:
        with pytest.raises(ValueError, match="nothing"):
            export.render([], form)


def test_legs_of_two_rates_are_brought_to_the_higher_in_step() -> None:
    t8, t16 = np.arange(8000) / 8000, np.arange(16000) / 16000
    low = LegSound((9000 * np.sin(2 * np.pi * 440 * t8)).astype(np.int16), 8000)
    high = LegSound((9000 * np.sin(2 * np.pi * 440 * t16)).astype(np.int16), 16000)
    pcm, rate = export.side_by_side([low, high])
    assert rate == 16000
    inner = pcm[400:-400].astype(int)
    assert np.abs(inner[:, 0] - inner[:, 1]).max() <= 4


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 48000), (44100, 48000), (48000, 8000)])
def test_resampling_keeps_tones_in_their_place(rate: int, wanted: int) -> None:
    for tone in (50, 1000, 3000):
        given_pcm = (9000 * np.sin(2 * np.pi * tone * np.arange(rate) / rate)).astype(np.int16)
        want = 9000 * np.sin(2 * np.pi * tone * np.arange(wanted) / wanted)
        got = resample(given_pcm, rate, wanted)
        assert len(got) == wanted
        edge = wanted // 50
        assert np.abs(got - want)[edge:-edge].max() < 8


def test_resampling_to_a_lower_rate_lets_nothing_alias() -> None:
    tone = (9000 * np.sin(2 * np.pi * 5000 * np.arange(48000) / 48000)).astype(np.int16)
    assert np.abs(resample(tone, 48000, 8000)[200:-200]).max() <= 2


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 50),
    st.sampled_from([8000, 11025, 12000, 16000, 44100, 48000]),
    st.sampled_from([8000, 16000, 48000]),
)
def test_resampled_length_is_the_true_duration(length: int, rate: int, wanted: int) -> None:
    got = resample(np.full(length, -32768, np.int16), rate, wanted)
    assert len(got) == -(-length * wanted // rate)


def crc_by_the_book(page: bytes) -> int:
    """RFC 3533 section 6, bit by bit."""
    crc = 0
    for octet in page:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc


def pages(file: bytes) -> list[tuple[int, int, int, list[bytes]]]:
    """Flags, granule, page number and packets of every page; checks the checksums."""
    out = []
    at = 0
    while at < len(file):
        magic, version, flags, granule, _serial, number, crc, count = struct.unpack_from(
            "<4sBBqIIIB", file, at
        )
        assert (magic, version) == (b"OggS", 0)
        lacing = file[at + 27 : at + 27 + count]
        end = at + 27 + count + sum(lacing)
        assert crc == crc_by_the_book(file[at : at + 22] + bytes(4) + file[at + 26 : end])
        packets, start, size = [], at + 27 + count, 0
        for value in lacing:
            size += value
            if value < 255:
                packets.append(file[start : start + size])
                start, size = start + size, 0
        assert size == 0
        out.append((flags, granule, number, packets))
        at = end
    return out


@pytest.mark.parametrize("samples", [1, 7999, 8000, 7948, 7949, 56000, 56320])
def test_ogg_pages_follow_the_rfcs(samples: int) -> None:
    found = pages(export.render([LegSound(voice(samples), 8000)], "opus"))
    assert [page[2] for page in found] == list(range(len(found)))
    assert found[0][3][0][:8] == b"OpusHead"
    assert struct.unpack("<BBHIhB", found[0][3][0][8:]) == (1, 1, 312, 8000, 0, 0)
    assert found[1][3][0][:8] == b"OpusTags"
    assert [page[0] for page in found] == [2] + [0] * (len(found) - 2) + [4]
    granules = [page[1] for page in found]
    assert granules == sorted(granules)
    assert granules[-1] == 312 + 6 * samples
    total = 0
    for _, granule, _, packets in found[2:-1]:
        total += sum(opus_packet.duration(packet) for packet in packets)
        assert granule == total
    assert total < granules[-1]
    assert total + sum(opus_packet.duration(p) for p in found[-1][3]) >= granules[-1]


@pytest.mark.parametrize("legs", [1, 2, 3])
def test_opus_files_play_for_their_true_length_and_in_place(legs: int) -> None:
    sounds = [LegSound(voice(24321, seed=i), 8000) for i in range(legs)]
    file = export.render(sounds, "opus")
    pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16", always_2d=True)
    assert (rate, pcm.shape) == (8000, (24321, 2 if legs == 2 else 1))
    for channel in range(pcm.shape[1]):
        want = sounds[channel].samples.astype(float)
        if legs == 3:
            want = np.mean([s.samples for s in sounds], axis=0)
        got = pcm[:, channel].astype(float)
        fits = [
            float(np.dot(got[200 + lag : 20200 + lag], want[200:20200])) for lag in range(-40, 41)
        ]
        assert abs(int(np.argmax(fits)) - 40) <= 3


def test_odd_rates_are_resampled_for_opus() -> None:
    file = export.render([LegSound(voice(11025, 11025), 11025)], "opus")
    pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    assert (rate, len(pcm)) == (48000, 48000)


def opus_leg(lost: set[int], first: int = 0) -> tuple[stored.Stored, list[Coded]]:
    octets = core.encode_g711("PCMA", voice(24000))
    items = [
        Placed(first + at, 160, 0, PCMA, 8, at // 160, octets[at : at + 160])
        for at in range(0, len(octets), 160)
        if at // 160 not in lost
    ]
    encoder = LegEncoder("opus", PCMA, 8)
    out = [*encoder.feed(items), *encoder.flush()]
    return encoder.stored, [item for item in out if isinstance(item, Coded)]


def test_the_only_leg_leaves_the_box_untouched() -> None:
    what, packets = opus_leg(set())
    file = export.opus_untouched(what, packets)
    inside = [packet for page in pages(file)[2:] for packet in page[3]]
    assert inside[: len(packets)] == [packet.data for packet in packets]
    assert len(inside) == len(packets) + 1  # one without sound, for the encoder's delay
    pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    assert (rate, len(pcm)) == (8000, 24000)
    bare = bare_codecs.opus_sound([packet.data for packet in packets], 8000)
    assert np.abs(pcm[: 24000 - 52].astype(int) - bare[52:]).max() <= 2


def test_holes_of_an_untouched_leg_keep_their_length() -> None:
    what, packets = opus_leg(set(range(30, 60)), first=1600)
    file = export.opus_untouched(what, packets, end=30000)
    inside = [packet for page in pages(file)[2:] for packet in page[3]]
    assert [packet for packet in inside if len(packet) > 1] == [p.data for p in packets]
    pcm, _ = soundfile.read(io.BytesIO(file), dtype="int16")
    assert len(pcm) == 30000
    assert not pcm[:1500].any()


def test_only_a_leg_stored_as_opus_can_be_untouched() -> None:
    what, packets = opus_leg(set())
    with pytest.raises(ValueError, match="not a leg"):
        export.opus_untouched(what, [])
    with pytest.raises(ValueError, match="not a leg"):
        export.opus_untouched(stored.Stored("flac", 8000, 1024), packets)


def test_large_packets_are_laced_over_segments() -> None:
    packets = [bytes([0x0B, 0x01]) + bytes(n) for n in (252, 253, 254, 508, 1000, 1275)] * 30
    found = pages(ogg.mux(packets, ogg.Stream(48000, 1, 0)))
    assert [packet for page in found[2:] for packet in page[3]] == packets


def test_what_is_no_opus_packet_is_not_muxed() -> None:
    with pytest.raises(BadPayload):
        ogg.mux([b""], ogg.Stream(48000, 1, 0))


def test_no_packets_are_an_empty_stream() -> None:
    found = pages(ogg.mux([], ogg.Stream(48000, 1, 0)))
    assert [(flags, packets) for flags, _, _, packets in found][2:] == [(4, [])]
