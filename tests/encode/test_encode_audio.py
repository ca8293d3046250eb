"""Stored packets back to sound: with and without the C core, and damaged ones."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import bare_codecs
from tests.reference.bare_codecs import voice

from greffier.encode import BadPayload, Coded, audio, codecs, core, decoders, flac_frame, stored
from greffier.encode.grid import Grid
from greffier.encode.leg import LegEncoder
from greffier.encode.timeline import Placed
from greffier.errors import NotDecodable

PCMA = codecs.STATIC[8]
ROOT = Path(__file__).parents[2]


def leg(kind: stored.Kind, seconds: float = 1.0) -> tuple[stored.Stored, list[Coded]]:
    """A stored leg of something like speech, from position 100 on."""
    octets = core.encode_g711("PCMA", voice(int(8000 * seconds)))
    items = [
        Placed(100 + at, len(octets[at : at + 160]), 0, PCMA, 8, at // 160, octets[at : at + 160])
        for at in range(0, len(octets), 160)
    ]
    encoder = LegEncoder(kind, PCMA, 8)
    out = [*encoder.feed(items), *encoder.flush()]
    return encoder.stored, [item for item in out if isinstance(item, Coded)]


def test_opus_sound_lies_where_it_was_said() -> None:
    what, packets = leg("opus")
    got = audio.decode(what, packets).samples.astype(float)
    sent = decoders.TABLES["PCMA"][
        np.frombuffer(core.encode_g711("PCMA", voice(8000)), np.uint8)
    ].astype(float)
    assert len(got) == 8100
    assert not got[:100].any()
    fits = [float(np.dot(got[100 + lag : 7900 + lag], sent[:7800])) for lag in range(-80, 81)]
    assert abs(int(np.argmax(fits)) - 80) <= 2


def test_opus_is_bare_libopus_less_its_delay() -> None:
    what, packets = leg("opus")
    bare = bare_codecs.opus_sound([p.data for p in packets], 8000)
    got = audio.decode(what, packets).samples
    assert np.array_equal(got[100 : 8100 - what.delay], bare[what.delay :])


def test_lost_opus_packets_leave_the_others_in_place() -> None:
    what, packets = leg("opus", 2)
    whole = audio.decode(what, packets, end=16100).samples
    holed = [p for p in packets if not 40 <= p.sequence < 44]
    got = audio.decode(what, holed, end=16100).samples
    assert not got[100 + 6400 : 100 + 7040].any()
    assert np.array_equal(got[:6400], whole[:6400])
    after = slice(100 + 12000, 16000)
    assert np.corrcoef(got[after], whole[after])[0, 1] > 0.99


def test_far_apart_opus_runs_are_decoded_on_their_own() -> None:
    what, packets = leg("opus", 3)
    holed = [p for p in packets if not 20 <= p.sequence < 100]
    assert len(audio.decode(what, holed, end=24100).samples) == 24100


def test_a_window_of_the_leg_is_that_part_of_it() -> None:
    for kind in ("original", "flac", "opus"):
        what, packets = leg(kind)
        whole = audio.decode(what, packets, end=9000).samples
        part = audio.decode(what, packets, start=1234, end=5678).samples
        assert np.array_equal(part, whole[1234:5678])


def test_listed_ranges_are_silent_whatever_was_stored() -> None:
    what, packets = leg("opus")
    got = audio.decode(what, packets, silent=[(500, 900), (8000, 99999)]).samples
    assert not got[500:900].any()
    assert not got[8000:].any()
    assert got[900:1500].any()


def test_flac_with_missing_frames_puts_the_others_right() -> None:
    what, packets = leg("flac", 2)
    whole = audio.decode(what, packets).samples
    kept = [p for p in packets if p.sequence not in (0, 3, 4, 9)]
    got = audio.decode(what, kept, end=len(whole)).samples
    for packet in packets:
        place = slice(packet.position, packet.position + packet.samples)
        if packet in kept:
            assert np.array_equal(got[place], whole[place])
        else:
            assert not got[place].any()


WITHOUT_CORE = """
import sys
sys.modules["greffier._native"] = None
import json
import numpy as np
from greffier.encode import Coded, audio, codecs, core, export, stored
from greffier.errors import NotDecodable
given = json.load(sys.stdin)
out = {"available": core.available()}
for name, (what, packets) in given.items():
    coded = [Coded(*p[:5], bytes.fromhex(p[5])) for p in packets]
    out[name] = audio.decode(stored.read(what), coded).samples.tolist()
refused = []
for make in (
    lambda: audio.decode(
        stored.Stored("original", 16000, codecs={9: codecs.STATIC[9]}),
        [Coded(0, 2, 0, 9, 0, b"x")],
    ),
    lambda: export.render([export.LegSound(np.zeros(9, np.int16), 8000)], "opus"),
    lambda: core.FlacEncoder(8000, 1024),
):
    try:
        make()
    except NotDecodable as error:
        refused.append(error.fields["codec"])
out["refused"] = refused
print(json.dumps(out))
"""


def test_without_the_c_core_original_flac_and_opus_still_sound() -> None:
    legs = {kind: leg(kind) for kind in ("original", "flac", "opus")}
    # a hole, so that the way through an Ogg file has one to fill
    legs["opus"] = (legs["opus"][0], [p for p in legs["opus"][1] if p.sequence != 30])
    given_legs = {
        kind: (
            what.record(),
            [
                [p.position, p.samples, p.sequence, p.payload_type, p.flags, p.data.hex()]
                for p in packets
            ],
        )
        for kind, (what, packets) in legs.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CORE],
        input=json.dumps(given_legs),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "firmware",
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert out["available"] is False
    assert out["refused"] == ["G722", "opus", "flac"]
    for kind in ("original", "flac"):
        assert out[kind] == audio.decode(*legs[kind]).samples.tolist()
    mine = audio.decode(*legs["opus"]).samples.astype(float)
    # Another build of libopus, another build's rounding: the same sound, not the same bits.
    assert np.abs(mine - np.array(out["opus"]))[:4800].max() <= 2


def test_g711_by_table_is_g711_by_the_c_core() -> None:
    octets = bytes(range(256))
    for law in ("PCMA", "PCMU"):
        assert np.array_equal(decoders.TABLES[law], core.decode_g711(law, octets))
        back = core.encode_g711(law, decoders.TABLES[law])
        assert [(i, b) for i, b in enumerate(back) if i != b] in ([], [(0x7F, 0xFF)])


def test_g722_and_gsm_decode_as_spandsp_does() -> None:
    octets = bare_codecs.g722_octets(voice(16000, 16000))
    assert np.array_equal(core.G722Decoder().decode(octets), bare_codecs.g722_sound(octets))
    octets = bare_codecs.gsm_octets(voice(8000))
    assert np.array_equal(core.GsmDecoder().decode(octets), bare_codecs.gsm_sound(octets))


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("original", {"payload_type": 9}, "leg table"),
        ("original", {"samples": 159}, "another length"),
        ("original", {"data": b""}, "empty"),
        ("flac", {"data": b""}, "FLAC"),
        ("flac", {"data": bytes(400)}, "FLAC"),
        ("flac", {"samples": 1023}, "FLAC"),
        ("opus", {"data": b""}, "at least one octet"),
        ("opus", {"data": b"\x0b\x00"}, "no frames"),
        ("opus", {"data": b"\x00abc"}, "another length"),
        ("opus", {"samples": 161}, "another length"),
        ("opus", {"samples": 0}, "another length"),
        ("original", {"position": 1 << 60}, "two days"),
    ],
)
def test_packets_that_cannot_be_sound_are_one_clean_error(
    kind: stored.Kind, change: dict[str, object], reason: str
) -> None:
    what, packets = leg(kind)
    packets[2] = packets[2]._replace(**change)  # type: ignore[arg-type]
    with pytest.raises(audio.BadAudio, match=reason) as caught:
        audio.decode(what, packets)
    assert caught.value.offset >= 0


def test_a_codec_that_nobody_decodes_is_named() -> None:
    what = stored.Stored("original", 8000, codecs={18: codecs.STATIC[18]})
    with pytest.raises(NotDecodable) as caught:
        audio.decode(what, [Coded(0, 160, 0, 18, 0, bytes(20))])
    assert caught.value.fields == {"codec": "G729"}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["flac", "opus"]), st.integers(0, 7), st.integers(0, 9999), st.integers(1, 255)
)
def test_flipped_octets_are_sound_or_one_clean_error(
    kind: stored.Kind, which: int, at: int, flip: int
) -> None:
    what, packets = leg(kind)
    data = bytearray(packets[which].data)
    data[at % len(data)] ^= flip
    packets[which] = packets[which]._replace(data=bytes(data))
    try:
        assert len(audio.decode(what, packets, end=8100).samples) == 8100
    except audio.BadAudio as error:
        assert error.reason


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(1, 900)), max_size=20))
def test_the_grid_gives_every_sample_once_and_zeros_between(
    writes: list[tuple[int, int]],
) -> None:
    grid, line, at = Grid(160), np.zeros(40000, np.int16), 37
    blocks = []
    for skip, length in writes:
        at += skip
        pcm = np.arange(at, at + length).astype(np.int16) | 1
        line[at : at + length] = pcm
        blocks += grid.write(at, pcm)
        at += length
    last = grid.flush()
    blocks += [last] if last else []
    got = np.zeros(40000, np.int16)
    end = 0
    for block in blocks:
        assert len(block.pcm) % 160 == 0
        assert block.position >= end
        assert block.pcm.any()
        end = block.position + len(block.pcm)
        got[block.position : end] = block.pcm
    assert np.array_equal(got, line)
    assert grid.flush() is None


def test_the_grid_refuses_to_go_back() -> None:
    grid = Grid(160)
    grid.write(0, np.ones(100, np.int16))
    with pytest.raises(ValueError, match="only once"):
        grid.write(99, np.ones(1, np.int16))


def test_leg_tables_come_back_as_they_were_written() -> None:
    for kind in ("original", "flac", "opus"):
        what, _ = leg(kind)
        assert stored.read(json.loads(json.dumps(what.record()))) == what


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"kind": "mp3", "rate": 8000},
        {"kind": "flac", "rate": 8000},
        {"kind": "flac", "rate": True, "block": 1024},
        {"kind": "flac", "rate": 8000, "block": 0},
        {"kind": "opus", "rate": 8000, "block": 161, "delay": 52},
        {"kind": "opus", "rate": 44100, "block": 882, "delay": 52},
        {"kind": "opus", "rate": 8000, "block": 160, "delay": -1},
        {"kind": "original", "rate": 8000},
        {"kind": "original", "rate": 8000, "codecs": {"x": {}}},
        {"kind": "original", "rate": 8000, "codecs": {8: {}}},
        {"kind": "original", "rate": 8000, "codecs": {"8": []}},
        {"kind": "original", "rate": 8000, "codecs": {"8": {"name": 5}}},
        {"kind": "original", "rate": 8000, "codecs": {"8": {"name": "PCMA"}}},
    ],
)
def test_leg_tables_that_are_none_are_refused(record: object) -> None:
    with pytest.raises(stored.BadStored):
        stored.read(record)


def test_settings_that_a_library_refuses_are_errors() -> None:
    with pytest.raises(ValueError, match="libopus refuses"):
        core.OpusEncoder(44100)
    with pytest.raises(ValueError, match="libopus refuses"):
        core.OpusDecoder(11025)
    with pytest.raises(ValueError, match="whole number"):
        core.OpusEncoder(8000).encode(np.zeros(161, np.int16))
    with pytest.raises(ValueError, match="libFLAC refuses"):
        core.FlacEncoder(8000, 5000)
    encoder = core.FlacEncoder(8000, 1024)
    encoder.finish()
    with pytest.raises(ValueError, match="libFLAC cannot encode"):
        encoder.encode(np.zeros(1, np.int16))
    with pytest.raises(ValueError, match="120 ms"):
        core.OpusDecoder(8000).conceal(961)


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(16, 4608))
def test_flac_frames_can_be_numbered_anew(number: int, block: int) -> None:
    encoder = core.FlacEncoder(8000, block)
    frame = [*encoder.encode(voice(block)), *encoder.finish()][0]
    assert flac_frame.head(frame).samples == block
    other = flac_frame.renumber(frame, number)
    assert flac_frame.head(other).samples == block
    assert flac_frame.renumber(other, 0) == frame


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40), st.booleans())
def test_octets_that_are_no_flac_frame_are_refused(octets: bytes, sync: bool) -> None:
    with pytest.raises(BadPayload):
        flac_frame.renumber((b"\xff\xf8" if sync else b"") + octets, 0)
