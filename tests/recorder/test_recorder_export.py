"""What is exported is what was sent: sample for sample, silence where a gap is listed."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import bare_codecs
from tests.stories.box import Box, coded, payloads

from greffier.capture.datagram import Datagram
from greffier_sim import captures
from greffier_sim.captures import EVENT, MS, PCMA, PCMU, Plan, rtp, tagged

PLAN = Plan(talk_ms=1_000)
LOSSLESS = ("original", "flac")
Samples = NDArray[np.int16]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def alaw(data: bytes) -> Samples:
    """ITU-T G.711 table 1a, straight from its text."""
    out = []
    for octet in data:
        code = octet ^ 0x55
        low, segment = code & 0x0F, code >> 4 & 7
        size = (low << 4) + 8 if not segment else ((low << 4) + 0x108) << (segment - 1)
        out.append(size if code & 0x80 else -size)
    return np.array(out, np.int16)


def ulaw(data: bytes) -> Samples:
    """ITU-T G.711 table 2a."""
    out = []
    for octet in data:
        code = ~octet & 0xFF
        size = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
        out.append(-size if code & 0x80 else size)
    return np.array(out, np.int16)


def expected(packets: Iterable[Datagram], origin_ns: int, length: int) -> Samples:
    """The sound of PCMA *packets* laid where the first arrived and the timestamps say."""
    whole = np.zeros(length, np.int16)
    ordered = sorted(packets, key=lambda one: int.from_bytes(one.payload[4:8], "big"))
    first = ordered[0]
    begin = (first.time_ns - origin_ns) * 8 // MS
    base = int.from_bytes(first.payload[4:8], "big")
    for one in ordered:
        at = begin + int.from_bytes(one.payload[4:8], "big") - base
        whole[at : at + len(one.payload) - 12] = alaw(one.payload[12:])
    return whole


def taking(box: Box, codec: str, speech: Iterable[Datagram], plan: Plan = PLAN) -> Samples:
    """Import a call with *speech*, and its export: (samples, legs)."""
    every = captures.in_order([*captures.opening(plan), *speech, *captures.closing(plan)])
    call = box.call(every, policy=coded(box.folder, codec))
    assert call["recording"] and call["accounted"]["lost"] == 0
    pcm, rate = box.sound(call["recording"])
    assert rate == 8_000
    return pcm


@pytest.mark.parametrize("codec", LOSSLESS)
def test_both_legs_are_what_was_sent(box: Box, codec: str) -> None:
    legs = [captures.speech(PLAN, "caller"), captures.speech(PLAN, "callee")]
    pcm = taking(box, codec, [*legs[0], *legs[1]])
    begin = legs[0][0].time_ns
    assert pcm.shape == (8_000, 2)
    for channel, leg in zip(pcm.T, legs, strict=True):
        assert (channel == expected(leg, begin, 8_000)).all()


@pytest.mark.parametrize("codec", LOSSLESS)
def test_a_leg_that_begins_later_stays_later(box: Box, codec: str) -> None:
    legs = [captures.speech(PLAN, "caller"), captures.speech(PLAN, "callee", first=17)]
    pcm = taking(box, codec, [*legs[0], *legs[1]])
    begin = legs[0][0].time_ns
    assert not pcm[: 17 * 160, 1].any()
    for channel, leg in zip(pcm.T, legs, strict=True):
        assert (channel == expected(leg, begin, 8_000)).all()


@pytest.mark.parametrize("codec", LOSSLESS)
@settings(deadline=None, max_examples=8)
@given(
    missing=st.sets(st.integers(1, 48), max_size=9),
    swapped=st.sets(st.integers(1, 40), max_size=3),
    doubled=st.sets(st.integers(0, 49), max_size=5),
)
def test_a_bad_network(
    tmp_path_factory: pytest.TempPathFactory,
    codec: str,
    missing: set[int],
    swapped: set[int],
    doubled: set[int],
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    sent = captures.speech(PLAN, "caller")
    arrive = [one for at, one in enumerate(sent) if at not in missing]
    for at in swapped:
        if at + 1 < len(arrive):
            early, late = arrive[at], arrive[at + 1]
            arrive[at] = late._replace(time_ns=early.time_ns)
            arrive[at + 1] = early._replace(time_ns=late.time_ns)
    arrive += [one._replace(time_ns=one.time_ns + MS) for one in sent
               if sent.index(one) in doubled - missing]  # fmt: skip
    pcm = taking(box, codec, arrive)
    kept = [one for at, one in enumerate(sent) if at not in missing]
    assert (pcm[:, 0] == expected(kept, sent[0].time_ns, len(pcm))).all()
    assert len(pcm) == 8_000
    (part,) = box.opened()
    (leg,) = part.legs.values()
    gaps = [gap for gap in leg.gaps if gap.cause == "lost"]
    assert sum(gap.packets for gap in gaps) == len(missing)
    assert sum(gap.end - gap.start for gap in gaps) == 160 * len(missing)


@pytest.mark.parametrize("codec", LOSSLESS)
def test_another_ssrc_is_another_channel(box: Box, codec: str) -> None:
    first = captures.speech(PLAN, "caller", count=25)
    other = replace(PLAN, caller_ssrc=0x33333333, caller_sequence=7, call_id="other")
    second = captures.speech(other, "caller", first=25)
    pcm = taking(box, codec, [*first, *second])
    assert pcm.shape == (8_000, 2)
    assert (pcm[:4_000, 0] == expected(first, first[0].time_ns, 4_000)).all()
    assert (pcm[4_000:, 1] == expected(second, second[0].time_ns, 4_000)).all()
    assert not pcm[4_000:, 0].any() and not pcm[:4_000, 1].any()


def reinvited(codings: tuple[captures.Coding, ...]) -> list[Datagram]:
    """After half a second the caller changes to *codings*."""
    plan = replace(PLAN, codings=codings)
    at = PLAN.answer_ns + 500 * MS
    return [
        captures.request(PLAN, at, "INVITE", 2, body=captures.offer(plan, "caller")),
        captures.response(PLAN, at + 2 * MS, 200, "2 INVITE", body=captures.offer(plan, "callee")),
        captures.request(PLAN, at + 4 * MS, "ACK", 2),
    ]


@pytest.mark.parametrize("codec", LOSSLESS)
def test_another_codec_of_the_same_rate_goes_on_in_its_channel(box: Box, codec: str) -> None:
    first = captures.speech(PLAN, "caller", count=25)
    second = captures.speech(replace(PLAN, codings=(PCMU,)), "caller", first=25)
    pcm = taking(box, codec, [*first, *reinvited((PCMU, PCMA)), *second])
    assert pcm.shape == (8_000, 1)
    assert (pcm[:4_000, 0] == expected(first, first[0].time_ns, 4_000)).all()
    assert (pcm[4_000:, 0] == ulaw(b"".join(one.payload[12:] for one in second))).all()


@pytest.mark.parametrize("codec", LOSSLESS)
def test_a_leg_that_turns_wideband_stays_one_channel(box: Box, codec: str) -> None:
    g722 = (9, "G722", 8_000)
    quiet = bytes([0xFA]) * 160
    first = captures.speech(PLAN, "caller", count=25)
    second = captures.speech(
        replace(PLAN, codings=(g722,)), "caller", first=25, payload=lambda index: quiet
    )
    every = [*captures.opening(PLAN), *first, *reinvited((g722, PCMA)), *second]
    every += captures.closing(PLAN)
    call = box.call(captures.in_order(every), policy=coded(box.folder, codec))
    (part,) = box.opened()
    assert {leg.stored.rate for leg in part.legs.values()} == {8_000, 16_000}
    kept = payloads([part])
    if codec == "original":
        assert kept == [one.payload[12:] for one in [*first, *second]]
    pcm, rate = box.sound(call["recording"])
    assert (pcm.shape, rate) == ((16_000, 1), 16_000)
    narrow = expected(first, first[0].time_ns, 4_000)
    heard = pcm[200:7_800:2, 0].astype(float)
    assert np.corrcoef(heard, narrow[100:3_900])[0, 1] > 0.7
    wide = bare_codecs.g722_sound(quiet * 25)
    assert (pcm[8_000:, 0] == wide).all()


@pytest.mark.parametrize("codec", LOSSLESS)
def test_silence_of_the_sender_keeps_its_length(box: Box, codec: str) -> None:
    sent = captures.speech(PLAN, "caller")
    noise = rtp(PLAN.caller_sequence + 10, 10 * 160, PLAN.caller_ssrc, b"\x40", payload_type=13)
    hush = Datagram(sent[10].time_ns, sent[0].source, sent[0].destination, noise)
    after = [
        one._replace(payload=rtp(PLAN.caller_sequence + at - 19, at * 160, PLAN.caller_ssrc,
                                 one.payload[12:]))
        for at, one in enumerate(sent) if at >= 30
    ]  # fmt: skip
    pcm = taking(box, codec, [*sent[:10], hush, *after])
    assert len(pcm) == 8_000 and not pcm[1_600:4_800].any()
    assert (pcm[:, 0] == expected([*sent[:10], *after], sent[0].time_ns, 8_000)).all()
    (part,) = box.opened()
    (leg,) = part.legs.values()
    assert [(gap.cause, gap.end - gap.start) for gap in leg.gaps if gap.cause == "dtx"] == [
        ("dtx", 3_200)
    ]


def test_keys_pressed_are_in_no_part(box: Box) -> None:
    plan = replace(PLAN, codings=(PCMA, EVENT))
    sent = captures.speech(plan, "caller")
    digits = []
    for step, number in enumerate(range(20, 26)):
        body = captures.event(7, step == 5, 160 * (step + 1))
        packet = rtp(plan.caller_sequence + number, 20 * 160, plan.caller_ssrc, body,
                     payload_type=101)  # fmt: skip
        digits.append(sent[number]._replace(payload=packet))
    every = captures.in_order(
        [*captures.opening(plan), *sent[:20], *digits, *sent[26:], *captures.closing(plan)]
    )
    call = box.call(every, policy=coded(box.folder, "original"))
    assert call["legs"][0]["dtmf_events"] == 1
    assert call["accounted"]["silent"] == 6 and call["accounted"]["lost"] == 0
    assert all(len(one) == 160 for one in payloads(box.opened()))


def test_opus_packets_are_those_of_bare_libopus(box: Box) -> None:
    tone = (np.sin(np.arange(8_000) / 9) * 9_000).astype(np.int16)
    square = bytes(0xD5 if value >= 0 else 0x55 for value in tone)
    sent = captures.speech(
        PLAN, "caller", payload=lambda index: square[index * 160 : index * 160 + 160]
    )
    every = captures.in_order([*captures.opening(PLAN), *sent, *captures.closing(PLAN)])
    call = box.call(every)
    (part,) = box.opened()
    (leg,) = part.legs.values()
    assert leg.stored.kind == "opus"
    bare = bare_codecs.opus_packets(alaw(square), 8_000)
    assert [packet.data for packet in leg.packets] == bare
    assert box.sound(call["recording"])[0].shape == (8_000, 1)


@pytest.mark.parametrize("form", ["flac", "opus"])
def test_other_formats_hold_the_same_legs(box: Box, form: str) -> None:
    every = captures.call(PLAN)
    call = box.call(every, policy=coded(box.folder, "original"))
    path = box.exported(call["recording"], form=form)
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if form == "flac":
        assert (pcm == box.sound(call["recording"])[0]).all()
    else:
        assert pcm.shape[1] == 2 and abs(len(pcm) / rate - 1.0) < 0.01


def test_a_cut_between_two_times(box: Box) -> None:
    call = box.call(captures.call(PLAN), policy=coded(box.folder, "original"))
    whole, _ = box.sound(call["recording"])
    some, _ = box.sound(call["recording"], "--from", "0.25", "--to", "0.5")
    assert (some == whole[2_000:4_000]).all()
    begin = box.export(call["recording"], box.folder / "all.wav").json["start"]
    said = box.export(call["recording"], box.folder / "cut.wav", "--from", begin)
    assert said.json["seconds"] == 1.0
    assert (box.folder / "cut.wav").stat().st_mode & 0o777 == 0o600


def test_more_sources_than_a_part_has_legs(box: Box) -> None:
    """255 legs fit; the rest is said to be unusable, and the import goes on."""
    speech = []
    for number in range(270):
        for index in range(5):
            packet = rtp(index, index * 160, 0x1000 + number, tagged("many", str(number), index))
            time_ns = PLAN.answer_ns + (20 + number * 2 + index * 20) * MS
            speech.append(Datagram(time_ns, PLAN.caller_media, PLAN.callee_media, packet))
    every = captures.in_order([*captures.opening(PLAN), *speech, *captures.closing(PLAN)])
    call = box.call(every, policy=coded(box.folder, "original"))
    assert call["result"] == "degraded" and call["recording"]
    assert box.verified()["ok"] and len(box.opened()[0].legs) <= 255


@pytest.mark.parametrize("years", [1, 30])
def test_a_frame_with_a_wrong_clock_does_not_make_years_of_silence(box: Box, years: int) -> None:
    sent = captures.speech(PLAN, "caller")
    wrong = sent[20]._replace(time_ns=sent[20].time_ns + years * 31_536_000 * 1_000 * MS)
    every = [*captures.opening(PLAN), *sent[:20], wrong, *sent[21:], *captures.closing(PLAN)]
    call = box.call(every, policy=coded(box.folder, "original"))
    pcm, _ = box.sound(call["recording"])
    assert (pcm[:, 0] == expected(sent, sent[0].time_ns, 8_000)).all()
    assert call["result"] == "ok" and call["duration_s"] < 2
