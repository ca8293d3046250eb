"""Placing packets on the sample line: nothing twice, nothing unlisted."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.encode import Gap, codecs
from greffier.encode.timeline import OtherRate, Placed, Timeline

PCMA, G722 = codecs.STATIC[8], codecs.STATIC[9]
NOISE, EVENT, G729 = codecs.STATIC[13], codecs.by_name("telephone-event"), codecs.STATIC[18]
MS = 1_000_000
ORIGIN = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Sent:
    sequence: int
    timestamp: int
    payload_type: int = 8
    arrival_ns: int = 0
    payload: bytes = bytes(160)


def stream(count: int, first: int = 0, size: int = 160) -> list[Sent]:
    """*count* packets of 20 ms, the first one *first* ms after the origin."""
    return [
        Sent(i, 5000 + i * 160, 8, ORIGIN + (first + 20 * i) * MS, bytes([i % 256]) * size)
        for i in range(count)
    ]


def place(
    packets: list[Sent], timeline: Timeline | None = None, codec: codecs.Codec | None = PCMA
) -> list[Placed | Gap]:
    line = timeline or Timeline(ORIGIN, 8000)
    return [item for packet in packets for item in line.place(packet, codec)]


def spans(items: list[Placed | Gap]) -> list[tuple[int, int]]:
    return [
        (item.position, item.position + item.samples) for item in items if isinstance(item, Placed)
    ]


def gaps(items: list[Placed | Gap]) -> list[tuple[int, int, int, str]]:
    return [(g.start, g.end, g.packets, g.cause) for g in items if isinstance(g, Gap)]


def test_the_first_packet_lies_where_it_arrived_and_jitter_moves_nothing() -> None:
    packets = stream(5, first=30)
    packets[2] = replace(packets[2], arrival_ns=packets[2].arrival_ns + 15 * MS)
    items = place(packets)
    assert gaps(items) == [(0, 240, 0, "late_start")]
    assert spans(items) == [(240 + 160 * i, 400 + 160 * i) for i in range(5)]


def test_arrival_is_rounded_to_a_sample() -> None:
    packet = replace(stream(1)[0], arrival_ns=ORIGIN + 187_499)  # 1.499992 samples
    assert spans(place([packet])) == [(1, 161)]
    assert spans(place([replace(packet, arrival_ns=ORIGIN + 187_500)])) == [(2, 162)]


def test_g722_counts_two_samples_a_tick() -> None:
    line = Timeline(ORIGIN, 16000)
    items = place(stream(3), line, G722)
    assert spans(items) == [(0, 320), (320, 640), (640, 960)]


def test_lost_packets_are_one_gap() -> None:
    packets = stream(10)
    items = place(packets[:3] + packets[6:])
    assert gaps(items) == [(480, 960, 3, "lost")]
    assert spans(items)[3] == (960, 1120)


def test_a_silent_sender_is_dtx_not_loss() -> None:
    packets = stream(20)
    later = [replace(p, sequence=p.sequence - 10) for p in packets[13:]]
    assert gaps(place(packets[:3] + later)) == [(480, 2080, 0, "dtx")]


def test_comfort_noise_and_events_carry_time_and_no_sound() -> None:
    line = Timeline(ORIGIN, 8000)
    packets = stream(12)
    items = place(packets[:2], line)
    items += place([replace(packets[2], payload=b"\x40", payload_type=13)], line, NOISE)
    items += place([replace(p, timestamp=packets[3].timestamp) for p in packets[3:6]], line, EVENT)
    items += place(packets[6:8], line)
    assert gaps(items) == [(320, 960, 0, "event")]
    assert spans(items)[-1] == (1120, 1280)


def test_a_key_held_for_ten_seconds_is_no_jump() -> None:
    line = Timeline(ORIGIN, 8000)
    packets = stream(600)
    items = place(packets[:2], line)
    items += place(
        [replace(p, timestamp=packets[2].timestamp) for p in packets[2:500]], line, EVENT
    )
    items += place(packets[500:501], line)
    assert gaps(items) == [(320, 80000, 0, "event")]


def test_comfort_noise_within_a_long_pause_is_no_jump() -> None:
    line = Timeline(ORIGIN, 8000)
    packets = stream(600)
    items = place(packets[:2], line)
    for i, at in enumerate(range(2, 500, 50)):
        items += place([replace(packets[at], sequence=2 + i)], line, NOISE)
    items += place([replace(packets[500], sequence=12)], line)
    assert gaps(items) == [(320, 80000, 0, "dtx")]


def test_repeated_and_straddling_timestamps_write_no_sample_twice() -> None:
    packets = stream(6)
    packets[2] = replace(packets[2], timestamp=packets[1].timestamp)
    packets[3] = replace(packets[3], timestamp=packets[1].timestamp + 100)
    items = place(packets)
    placed = [item for item in items if isinstance(item, Placed)]
    assert (placed[2].position, placed[2].samples, placed[2].skip) == (320, 100, 60)
    assert gaps(items) == [(320, 320, 1, "overlap"), (420, 640, 0, "dtx")]


def test_late_and_repeated_sequence_numbers_are_not_used() -> None:
    packets = stream(5)
    assert gaps(place([*packets, packets[4], packets[2]])) == [(800, 800, 1, "late")] * 2


def test_a_timestamp_jump_is_placed_by_arrival() -> None:
    packets = stream(100)
    jumped = [replace(p, timestamp=p.timestamp + 123_456_789) for p in packets[50:]]
    items = place(packets[:50] + jumped)
    assert gaps(items) == []
    assert spans(items)[-1] == (99 * 160, 16000)
    frozen = [
        replace(p, arrival_ns=p.arrival_ns + 10_000 * MS) for p in packets[50:]
    ]  # held 10 s, timestamps went on as if nothing had been
    assert gaps(place(packets[:50] + frozen)) == [(8000, 88000, 0, "jump")]


@pytest.mark.parametrize("step", [-4_000_000_000, -20_000, -1601])
def test_a_step_back_of_the_timestamps_loses_no_audio(step: int) -> None:
    packets = stream(100)
    stepped = [replace(p, timestamp=p.timestamp + step) for p in packets[50:]]
    items = place(packets[:50] + stepped)
    assert len(spans(items)) == 100
    assert spans(items)[-1][1] == 16000


def test_another_ssrc_starts_where_it_arrives_but_never_inside_what_is_there() -> None:
    line = Timeline(ORIGIN, 8000)
    packets = stream(20)
    items = [i for p in packets[:10] for i in line.place(p, PCMA, 1)]
    other = [
        replace(p, sequence=p.sequence + 40000, timestamp=p.timestamp * 7, arrival_ns=a)
        for p, a in zip(packets[:3], (p.arrival_ns for p in packets[8:11]), strict=True)
    ]
    items += line.place(other[0], PCMA, 2)
    assert spans(items)[-1] == (1600, 1760)
    third = Timeline(ORIGIN, 8000)
    items = [i for p in packets[:5] for i in third.place(p, PCMA, 1)]
    items += third.place(replace(other[0], arrival_ns=ORIGIN + 500 * MS), PCMA, 2)
    assert gaps(items) == [(800, 4000, 0, "restart")]


def test_sequence_numbers_that_start_anew_are_followed() -> None:
    packets = stream(20)
    items = place([replace(p, sequence=p.sequence + 5000) for p in packets[:10]] + packets[10:])
    assert len(spans(items)) == 20


def test_what_comes_before_sample_zero_is_cut_off() -> None:
    packets = stream(4, first=-30)
    items = place(packets)
    assert gaps(items) == [(0, 0, 1, "early")]
    first = next(item for item in items if isinstance(item, Placed))
    assert (first.position, first.samples, first.skip) == (0, 80, 80)


@pytest.mark.parametrize(
    ("codec", "payload", "cause"),
    [(None, bytes(160), "unknown_codec"), (G729, bytes(20), "undecodable"), (PCMA, b"", "damaged")],
)
def test_packets_that_cannot_be_used_are_listed(
    codec: codecs.Codec | None, payload: bytes, cause: str
) -> None:
    line = Timeline(ORIGIN, 8000)
    packets = stream(4)
    items = place(packets[:1], line)
    assert line.place(replace(packets[1], payload=payload), codec) == []
    items += place(packets[2:3], line)
    assert gaps(items) == [(160, 320, 1, cause)]
    assert line.place(replace(packets[3], payload=payload), codec) == []
    assert gaps(list(line.finish())) == [(480, 480, 1, cause)]
    assert line.finish() == []


def test_another_sample_rate_is_another_leg() -> None:
    line = Timeline(ORIGIN, 8000)
    place(stream(2), line)
    with pytest.raises(OtherRate):
        line.place(stream(3)[2], G722)


wild = st.builds(
    Sent,
    sequence=st.integers(0, 70000),
    timestamp=st.integers(0, 2**33),
    arrival_ns=st.integers(ORIGIN - 10**10, ORIGIN + 10**11),
    payload=st.integers(0, 400).map(bytes),
)
near = st.builds(
    lambda p, s, t, a: replace(
        p, sequence=p.sequence + s, timestamp=p.timestamp + t, arrival_ns=p.arrival_ns + a * MS
    ),
    st.sampled_from(stream(200)),
    st.sampled_from([0, 0, 0, 1, -1, 3]),
    st.sampled_from([0, 0, 0, 80, -80, 1700, -1700]),
    st.sampled_from([0, 0, 5, 300, -300]),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.one_of(wild, near),
            st.sampled_from([PCMA, PCMA, PCMA, NOISE, EVENT, G729, None]),
            st.integers(0, 1),
        ),
        max_size=60,
    )
)
def test_whatever_comes_the_line_is_covered_once(
    feed: list[tuple[Sent, codecs.Codec | None, int]],
) -> None:
    line = Timeline(ORIGIN, 8000)
    at = 0
    audio = 0
    for packet, codec, source in feed:
        for item in line.place(packet, codec, source):
            if isinstance(item, Gap):
                assert (item.start, item.end >= item.start) == (at, True)
                at = item.end
            else:
                assert item.position == at
                assert 0 < item.samples == len(item.payload) - item.skip
                at += item.samples
                audio += 1
        assert line.end == at
    assert at <= 8000 * (110 + 2 * len(feed)) + 400 * len(feed)
