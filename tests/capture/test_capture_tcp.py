"""SIP over TCP: any order, copies, overlaps, holes, a start in the middle, other traffic."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture import tcp
from greffier.capture.datagram import Address
from greffier.capture.dissector import Dissector
from greffier.capture.record import Record
from greffier.capture.tcp import HOLE_NS, MAX_DIRECTIONS, Segment, Streams
from greffier_sim import captures, packets

PAIR = (Address("10.0.0.1", 5060), Address("10.0.0.2", 49_152))
SYN, FIN, RST, PSH = 2, 1, 4, 0x18
PLAN = captures.Plan(transport="tcp")
MESSAGES = [d.payload for d in captures.opening(PLAN) + captures.closing(PLAN)]
STREAM = b"".join(MESSAGES)
ISN = 0xFFFFFF00  # so that the numbers wrap within the first message


def segments(size: int, stream: bytes = STREAM) -> list[Segment]:
    """The stream in segments, without handshake."""
    return [
        Segment((ISN + 1 + at) & 0xFFFFFFFF, PSH, stream[at : at + size])
        for at in range(0, len(stream), size)
    ]


def heard(streams: Streams, parts: list[Segment], time_ns: int = 0) -> list[bytes]:
    """What comes out of some segments of one direction."""
    return [d.payload for part in parts for d in streams.feed(PAIR, part, time_ns)]


@pytest.mark.parametrize("size", [1, 7, 100, 536, 1_460, 9_000])
@pytest.mark.parametrize("opened", [True, False])
def test_segments_of_any_size_give_the_messages(size: int, opened: bool) -> None:
    streams = Streams()
    start = [Segment(ISN, SYN, b"")] if opened else []
    if size == 1 and not opened:  # a start line in more pieces than are held
        start = [Segment(ISN + 1, PSH, STREAM[:100])]
    assert heard(streams, start + segments(size)) == MESSAGES
    assert not streams.dropped


@settings(deadline=None, max_examples=150)
@given(st.randoms(use_true_random=False), st.integers(40, 900))
def test_disorder_copies_and_overlaps_change_nothing(draw: random.Random, size: int) -> None:
    parts = segments(size)
    parts += [
        Segment((ISN + 1 + at) & 0xFFFFFFFF, PSH, STREAM[at : at + draw.randint(1, 900)])
        for at in (draw.randrange(len(STREAM)) for _ in range(5))
    ]
    parts.append(Segment(ISN, SYN, b""))
    draw.shuffle(parts)
    streams = Streams()
    # Whatever order: behind a SYN nothing is lost, before it only what cannot be held.
    assert heard(streams, [Segment(ISN, SYN, b""), *parts]) == MESSAGES


def test_a_start_in_the_middle_finds_the_next_message() -> None:
    streams = Streams()
    cut = STREAM[len(MESSAGES[0]) // 2 :]
    parts = [Segment(5_000, PSH, cut[: len(MESSAGES[0]) - len(MESSAGES[0]) // 2])]
    at = len(parts[0].data)
    parts += [Segment(5_000 + at, PSH, cut[at:])]
    assert heard(streams, parts) == MESSAGES[1:]


@settings(deadline=None, max_examples=100)
@given(st.randoms(use_true_random=False))
def test_a_first_message_in_pieces_of_any_order_needs_no_handshake(draw: random.Random) -> None:
    cuts = sorted(draw.sample(range(1, len(MESSAGES[0])), draw.randint(1, 20)))
    ends = [*cuts, len(MESSAGES[0])]
    parts = [
        Segment((ISN + 1 + at) & 0xFFFFFFFF, PSH, MESSAGES[0][at:end])
        for at, end in zip([0, *cuts], ends, strict=True)
    ]
    draw.shuffle(parts)
    rest = Segment((ISN + 1 + len(MESSAGES[0])) & 0xFFFFFFFF, PSH, STREAM[len(MESSAGES[0]) :])
    assert heard(Streams(), [*parts, rest]) == MESSAGES


def test_what_arrived_before_its_first_half_is_held() -> None:
    first, second = MESSAGES[0][:200], MESSAGES[0][200:]
    streams = Streams()
    parts = [Segment(1_200, PSH, second), Segment(1_000, PSH, first)]
    assert heard(streams, parts) == [MESSAGES[0]]


def test_a_hole_is_given_up_after_its_time_and_costs_no_neighbour() -> None:
    streams = Streams()
    parts = []
    at = 1
    for message in MESSAGES:
        parts.append(Segment(at, PSH, message))
        at += len(message)
    lost = parts.pop(1)
    assert heard(streams, parts[:1]) == MESSAGES[:1]
    assert heard(streams, parts[1:3], 1) == []
    assert heard(streams, parts[3:], HOLE_NS + 2) == MESSAGES[2:]
    assert streams.dropped == {"hole": 1}
    assert heard(streams, [lost], HOLE_NS + 3) == []


def test_another_direction_brings_the_time_on() -> None:
    streams = Streams()
    heard(streams, [Segment(1, PSH, MESSAGES[0])])
    heard(streams, [Segment(90_000, PSH, MESSAGES[1])])
    other = streams.feed((PAIR[1], PAIR[0]), Segment(1, PSH, b"x"), 2 * HOLE_NS)
    assert [(d.source, d.payload) for d in other] == [(PAIR[0], MESSAGES[1])]


def test_the_end_of_the_capture_gives_what_waits_behind_a_hole() -> None:
    streams = Streams()
    heard(streams, [Segment(1, PSH, MESSAGES[0]), Segment(90_000, PSH, MESSAGES[1])])
    assert [d.payload for d in streams.finish(9)] == [MESSAGES[1]]
    assert len(streams) == 0


def test_a_new_connection_on_the_same_ports_is_another_stream() -> None:
    streams = Streams()
    parts = [Segment(1, PSH, MESSAGES[0]), Segment(0x40000000, SYN, b"")]
    parts += [Segment(0x40000001, PSH, MESSAGES[1])]
    assert heard(streams, parts) == MESSAGES[:2]
    assert heard(streams, [Segment(0xA0000000, PSH, MESSAGES[2])]) == MESSAGES[2:3]


@pytest.mark.parametrize("flag", [FIN, RST])
def test_a_connection_that_ends_is_forgotten(flag: int) -> None:
    streams = Streams()
    heard(streams, [Segment(1, PSH, MESSAGES[0])])
    heard(streams, [Segment(1 + len(MESSAGES[0]), flag, b"")])
    assert len(streams) == 0
    assert streams._bytes == 0


def test_other_traffic_is_not_held() -> None:
    streams = Streams()
    draw = random.Random(4)
    for number in range(500):
        heard(streams, [Segment(number * 1_000, PSH, draw.randbytes(1_000))])
    assert streams._bytes <= 16_384
    assert heard(streams, [Segment(7, SYN, b""), Segment(8, PSH, b"GET / HTTP/1.1\r\n")]) == []
    assert not streams.follows(PAIR)


def test_a_flood_of_connections_is_bounded() -> None:
    streams = Streams()
    for port in range(MAX_DIRECTIONS * 2):
        streams.feed((Address("10.0.0.9", port), PAIR[1]), Segment(1, SYN, b""), 0)
    assert len(streams) == MAX_DIRECTIONS
    assert streams.dropped == {"limit": MAX_DIRECTIONS}


def test_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_BYTES", 200_000)
    streams = Streams()
    head = b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 60000\r\n\r\n"
    for port in range(20):
        pair = (Address("10.0.0.9", port), PAIR[1])
        streams.feed(pair, Segment(1, PSH, head + bytes(50_000)), 0)
        assert streams._bytes <= 200_000
    assert streams.dropped["limit"] >= 15
    assert streams._bytes == sum(way.size() for way in streams._directions.values())


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 31), st.integers(0, 60))))
def test_the_bytes_held_are_counted_right(steps: list[tuple[int, int, int]]) -> None:
    streams = Streams()
    for time, (at, flags, size) in enumerate(steps):
        place = at * 50 % len(STREAM)
        part = Segment(place, flags, STREAM[place : place + size * 20])
        streams.feed(PAIR, part, time * HOLE_NS // 4)
        assert streams._bytes == sum(way.size() for way in streams._directions.values())
        assert all(
            way.held_bytes == sum(map(len, way.held.values()))
            for way in streams._directions.values()
        )


def test_a_call_over_tcp_comes_through_the_dissector() -> None:
    frames = packets.frames_of(captures.opening(PLAN) + captures.closing(PLAN), sequence=ISN)
    dissector = Dissector()
    found = [d for t, f in frames for d in dissector.feed(Record(t, 1, f, len(f)))]
    assert [(d.payload, d.transport) for d in found] == [(m, "tcp") for m in MESSAGES]
    assert dissector.ignored == {}
