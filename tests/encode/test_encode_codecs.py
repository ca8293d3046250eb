"""Codec names, payload types, and how many samples a payload holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bare_codecs

from greffier.encode import BadPayload, codecs, opus_packet


@pytest.mark.parametrize(
    "expected",
    [
        (0, "PCMU", 8000, 8000, 1, True),
        (3, "GSM", 8000, 8000, 1, True),
        (4, "G723", 8000, 8000, 1, False),
        (8, "PCMA", 8000, 8000, 1, True),
        (9, "G722", 8000, 16000, 1, True),
        (10, "L16", 44100, 44100, 2, False),
        (11, "L16", 44100, 44100, 1, True),
        (13, "CN", 8000, 8000, 1, False),
        (18, "G729", 8000, 8000, 1, False),
        (19, "CN", 8000, 8000, 1, False),
        (34, "H263", 90000, 90000, 1, False),
    ],
)
def test_static_payload_types_are_those_of_rfc_3551(
    expected: tuple[int, str, int, int, int, bool],
) -> None:
    number, *rest = expected
    codec = codecs.by_payload_type(number)
    assert codec is not None
    known = [codec.name, codec.clock, codec.rate, codec.channels, codec.decodable]
    assert known == rest


@pytest.mark.parametrize("number", [1, 2, 20, 35, 72, 96, 127, 255, -1])
def test_other_payload_types_need_an_sdp(number: int) -> None:
    assert codecs.by_payload_type(number) is None


def test_names_are_known_in_any_letter_case() -> None:
    assert codecs.by_name("pcma") == codecs.STATIC[8]
    assert codecs.by_name("OPUS", 48000, 2) == codecs.by_name("opus", 48000)
    assert codecs.by_name("amr-wb", 16000).name == "AMR-WB"
    assert codecs.by_name("Telephone-Event").purpose == "event"
    assert codecs.by_name("h264", 90000).purpose == "video"


@pytest.mark.parametrize(
    ("name", "clock", "channels"),
    [
        *[(n, 8000, 1) for n in ("G729", "G723", "iLBC", "AMR", "speex", "G726-32", "x-unheard")],
        *[("PCMA", 8000, 2), ("L16", 44100, 2), ("GSM", 11025, 1), ("G722", 8000, 2)],
        *[("G722", 48000, 1), ("PCMU", 0, 1)],
    ],
)
def test_undecodable_codecs_have_a_name_and_no_length(name: str, clock: int, channels: int) -> None:
    codec = codecs.by_name(name, clock, channels)
    assert (codec.name, codec.decodable, codec.cuttable) == (name, False, False)
    with pytest.raises(BadPayload):
        codec.samples(b"\xd0" * 33)


@pytest.mark.parametrize(
    ("codec", "octets", "samples"),
    [
        (codecs.by_name("PCMA"), bytes(160), 160),
        (codecs.by_name("PCMU", 16000), bytes(7), 7),
        (codecs.by_name("L16", 16000), bytes(640), 320),
        (codecs.by_name("G722"), bytes(160), 320),
        (codecs.by_name("GSM"), (b"\xd5" + bytes(32)) * 2, 320),
        (codecs.by_name("opus", 48000, 2), b"\x08\x01", 960),
    ],
)
def test_payloads_hold_samples_at_the_audio_rate(
    codec: codecs.Codec, octets: bytes, samples: int
) -> None:
    assert codec.samples(octets) == samples


@pytest.mark.parametrize(
    ("codec", "octets"),
    [
        (codecs.by_name("PCMA"), b""),
        (codecs.by_name("L16"), bytes(3)),
        (codecs.by_name("GSM"), bytes(33)),
        (codecs.by_name("GSM"), b"\xd0" * 34),
        (codecs.by_name("opus"), b""),
        (codecs.by_name("CN"), b"\x40"),
    ],
)
def test_payloads_that_are_none_are_refused(codec: codecs.Codec, octets: bytes) -> None:
    with pytest.raises(BadPayload) as caught:
        codec.samples(octets)
    assert caught.value.reason
    assert caught.value.offset >= 0


def opus_like() -> st.SearchStrategy[bytes]:
    """Octets that get past the first checks of an Opus packet more often than noise does."""
    counts = st.integers(0, 255).map(lambda n: bytes([n]))
    lengths = st.lists(st.sampled_from([0, 1, 2, 5, 251, 252, 255]), max_size=4).map(bytes)
    body = st.one_of(st.binary(max_size=40), st.integers(0, 1400).map(bytes))
    return st.tuples(counts, counts, lengths, body).map(b"".join)


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.binary(max_size=60), opus_like()))
def test_opus_durations_are_those_of_libopus(packet: bytes) -> None:
    said = bare_codecs.opus_duration(packet) if packet else -4
    try:
        assert opus_packet.duration(packet) == said
    except BadPayload as error:
        assert said < 0
        assert 0 <= error.offset <= len(packet) + 1


@pytest.mark.parametrize("packet", [b"\x08", b"\x0b\x01", b"\xf8\xff", b"\x09ab"])
def test_a_silent_opus_packet_lasts_one_frame_of_its_model(packet: bytes) -> None:
    quiet = opus_packet.silence(packet)
    assert len(quiet) == 1
    assert opus_packet.duration(quiet) == opus_packet.DURATIONS[packet[0] >> 3]
