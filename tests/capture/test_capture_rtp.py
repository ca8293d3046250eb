"""RTP in C, in plain Python, and in sets of numbers: they must agree on every packet."""

import json
import random
import struct
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.reference import rtp as reference

from greffier.capture import rtp

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "capture" / "rtp" / "packets.json").read_text()
)
REFUSED = [row for row in VECTORS if "reason" in row]
ACCEPTED = [row for row in VECTORS if "reason" not in row]
SSRC = 0x11223344


def packet(
    number: int, timestamp: int, payload: bytes, *, payload_type: int = 8, ssrc: int = SSRC
) -> bytes:
    return (
        struct.pack(">BBHII", 128, payload_type, number % 65536, timestamp % 2**32, ssrc) + payload
    )


# --- packets --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row["name"]))
def test_a_refused_packet_says_why_and_where(row: dict[str, object]) -> None:
    octets = bytes.fromhex(str(row["packet"]))
    with pytest.raises(rtp.BadRtp) as caught:
        rtp.parse(octets)
    assert (caught.value.reason, caught.value.offset) == (row["reason"], row["offset"])
    assert isinstance(caught.value, rtp.Rtcp) == (row["reason"] == "an RTCP packet")
    with pytest.raises(ValueError, match=str(row["reason"])):
        reference.parse(octets)
    stream = rtp.Stream()
    with pytest.raises(rtp.BadRtp) as again:
        stream.receive(octets, 0)
    assert again.value.offset == row["offset"]
    assert stream.counters.packets == 0


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: str(row["name"]))
def test_an_accepted_packet_gives_its_payload(row: dict[str, object]) -> None:
    octets = bytes.fromhex(str(row["packet"]))
    header = rtp.parse(octets)
    end = header.payload_offset + header.payload_length
    assert octets[header.payload_offset : end].hex() == row["payload"]
    assert (header.payload_type, header.marker) == (row["payload_type"], row["marker"])


def check_parsing(octets: bytes) -> None:
    """The C core and the reference read the same, or refuse for the same reason."""
    try:
        expected = reference.parse(octets)
    except ValueError as error:
        with pytest.raises(rtp.BadRtp) as caught:
            rtp.parse(memoryview(octets))
        assert caught.value.reason == str(error)
        assert 0 <= caught.value.offset <= len(octets)
        return
    header = rtp.parse(octets)
    body = octets[header.extension_offset : header.extension_offset + header.extension_length]
    payload = octets[header.payload_offset : header.payload_offset + header.payload_length]
    assert payload == expected.payload
    assert (body if header.extension_offset else None) == expected.extension
    for name in (
        "timestamp",
        "ssrc",
        "sequence",
        "payload_type",
        "marker",
        "csrc_count",
        "padding",
    ):
        assert getattr(header, name) == getattr(expected, name), name
    assert header.extension_profile == expected.profile


@settings(deadline=None, max_examples=300)
@given(st.integers(0x80, 0xBF), st.binary(max_size=80))
def test_any_octets_are_read_as_the_reference_reads_them(first: int, rest: bytes) -> None:
    check_parsing(bytes([first]) + rest)


def test_thousands_of_damaged_packets_are_read_as_the_reference_reads_them() -> None:
    rng = random.Random(3550)
    whole = [bytes.fromhex(str(row["packet"])) for row in VECTORS]
    for _ in range(5000):
        octets = bytearray(rng.choice(whole))
        for _ in range(rng.randint(0, 3)):
            if octets:
                octets[rng.randrange(len(octets))] = rng.randrange(256)
        check_parsing(
            bytes(octets[: rng.randint(0, len(octets))] if rng.random() < 0.3 else octets)
        )


# --- telephone events -----------------------------------------------------------------------


def test_an_event_is_read() -> None:
    event = rtp.parse_event(bytes([11, 0x80 | 10, 0x03, 0x20]))
    assert event == rtp.Event(code=11, end=True, volume=10, duration=800)
    assert event.key == "#"
    assert [rtp.Event(code, False, 0, 0).key for code in (0, 9, 10, 15, 16)] == [*"09*D", None]


@pytest.mark.parametrize("length", range(4))
def test_a_short_event_is_refused(length: int) -> None:
    with pytest.raises(rtp.BadEvent) as caught:
        rtp.parse_event(bytes(length))
    assert caught.value.offset == length


@pytest.mark.parametrize("payload_type", [-1, 128, 1000])
def test_an_impossible_payload_type_is_refused(payload_type: int) -> None:
    with pytest.raises(ValueError, match="0 to 127"):
        rtp.Stream(event_types=[payload_type])


# --- streams --------------------------------------------------------------------------------


class Lockstep:
    """The C stream and the reference, given the same packets; they must never differ.

    *expires*: a third one is told, between packets, that time has passed. It hands out the same,
    sooner.
    """

    def __init__(
        self,
        event_types: frozenset[int] = frozenset({101}),
        room: int = 64,
        *,
        expires: random.Random | None = None,
    ) -> None:
        self.told = rtp.Stream(event_types, payload_octets=room) if expires else None
        self.expires = expires or random.Random()
        self.told_out: list[rtp.Packet] = []
        self.real = rtp.Stream(event_types, payload_octets=room)
        self.plain = reference.ReferenceStream(event_types, payload_octets=room)
        self.time_ns = 1_700_000_000_000_000_000
        self.accepted = 0
        self.handed_out: list[rtp.Packet] = []

    def give(self, octets: bytes, after_ms: int = 20) -> rtp.Status:
        before_ns = self.time_ns
        self.time_ns += after_ms * 1_000_000
        if self.told is not None:
            self.told.expire(self.expires.randint(before_ns, max(before_ns, self.time_ns)))
            told = self.told.receive(octets, self.time_ns)
        expected = self.plain.receive(octets, self.time_ns)
        status = self.real.receive(octets, self.time_ns)
        assert status.name == expected
        if self.told is not None:
            assert told is status
            self.told_out += self.told.ready()
        self.accepted += status is not rtp.Status.FOREIGN
        return status

    def drain(self, *, flush: bool = False) -> None:
        packets = self.real.flush() if flush else self.real.ready()
        expected = self.plain.flush() if flush else self.plain.ready()
        assert [tuple(packet) for packet in packets] == expected
        self.handed_out += packets
        if self.told is not None:
            self.told_out += self.told.flush() if flush else self.told.ready()
            assert self.told_out[: len(self.handed_out)] == self.handed_out

    def pass_time(self, ms: int) -> None:
        """Let time pass in all of them; packets may still come that were older."""
        self.time_ns += ms * 1_000_000
        self.plain.expire(self.time_ns)
        self.real.expire(self.time_ns)
        if self.told is not None:
            self.told.expire(self.time_ns)

    def compare(self) -> None:
        counters = self.real.counters
        assert asdict(counters) == self.plain.counters()
        assert self.told is None or self.told.counters == counters
        assert counters.packets + counters.strays == self.accepted
        if counters.packets:
            span = counters.highest - counters.first + 1
            assert span == counters.packets - counters.duplicates + counters.lost


class Sender:
    """A source that numbers its packets truly; what is on the wire wraps."""

    def __init__(self, number: int, timestamp: int) -> None:
        self.at, self.timestamp = number, timestamp
        self.number = number

    def packet(self, number: int, *, payload_type: int = 8, size: int = 6) -> bytes:
        timestamp = self.timestamp + 160 * (number - self.at)
        return packet(number, timestamp, number.to_bytes(size, "big"), payload_type=payload_type)


class StreamsInLockstep(RuleBasedStateMachine):
    @initialize(number=st.integers(0, 65535), timestamp=st.integers(0, 2**32 - 1))
    def start(self, number: int, timestamp: int) -> None:
        self.both = Lockstep(expires=random.Random(number))
        self.sender = Sender(number + 2**20, timestamp)

    @rule(ms=st.sampled_from([-40, 0, 1, 19, 100, 179, 180, 199, 200, 201, 5000]))
    def let_time_pass(self, ms: int) -> None:
        self.both.pass_time(ms)

    @rule(ms=st.sampled_from([-300, -1, 0, 1, 60, 179, 180, 199, 200, 201, 3000]))
    def send_after_a_while(self, ms: int) -> None:
        self.sender.number += 1
        self.both.give(self.sender.packet(self.sender.number), ms)

    @rule(
        skipped=st.sampled_from([0, 0, 0, 0, 1, 2, 30, 31, 32, 33, 2998, 2999, 3000, 40000]),
        payload_type=st.sampled_from([8, 8, 8, 13, 0]),
        size=st.sampled_from([6, 6, 6, 64, 65]),
    )
    def send_next(self, skipped: int, payload_type: int, size: int) -> None:
        self.sender.number += 1 + skipped
        self.both.give(self.sender.packet(self.sender.number, payload_type=payload_type, size=size))

    @rule(count=st.integers(1, 40))
    def send_many(self, count: int) -> None:
        for _ in range(count):
            self.sender.number += 1
            self.both.give(self.sender.packet(self.sender.number))

    @rule(
        back=st.one_of(
            st.integers(0, 40),
            st.sampled_from([99, 100, 101, 102, 3000, 4094, 4095, 4096, 4097, 32767, 32768]),
        )
    )
    def send_again_or_late(self, back: int) -> None:
        self.both.give(self.sender.packet(self.sender.number - back))

    @rule(back=st.integers(0, 50), shift=st.sampled_from([1, -160, 2**31]))
    def use_a_number_for_another_instant(self, back: int, shift: int) -> None:
        number = self.sender.number - back
        timestamp = self.sender.timestamp + 160 * (number - self.sender.at) + shift
        self.both.give(packet(number, timestamp, b"again"))

    @rule(number=st.integers(0, 65535), timestamp=st.integers(0, 2**32 - 1))
    def restart(self, number: int, timestamp: int) -> None:
        self.sender = Sender(number + 2**20, timestamp)

    @rule(code=st.integers(0, 17), length=st.integers(3, 5), repeats=st.integers(1, 3))
    def press_a_key(self, code: int, length: int, repeats: int) -> None:
        timestamp = self.sender.timestamp + 160 * (self.sender.number - self.sender.at)
        for _ in range(repeats):
            self.sender.number += 1
            payload = bytes([code, 0x8A, 0, 160, 0])[:length]
            octets = packet(self.sender.number, timestamp, payload, payload_type=101)
            self.both.give(octets)

    @rule()
    def send_from_another_source(self) -> None:
        self.both.give(packet(1, 1, b"", ssrc=1) if self.both.accepted else self.sender.packet(0))

    @rule()
    def take_what_is_ready(self) -> None:
        self.both.drain()

    @rule()
    def flush(self) -> None:
        self.both.drain(flush=True)

    @invariant()
    def all_counts_agree(self) -> None:
        if hasattr(self, "both"):
            self.both.compare()


StreamsInLockstep.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None
)
TestStreamsInLockstep = StreamsInLockstep.TestCase


def given_all(*numbers_and_timestamps: tuple[int, int]) -> tuple[list[str], Lockstep]:
    """What became of empty packets with these numbers and timestamps."""
    both = Lockstep()
    statuses = [both.give(packet(*pair, b"")).name for pair in numbers_and_timestamps]
    both.compare()
    return statuses, both


@pytest.mark.parametrize(
    ("step", "timestamp", "status"),
    [
        (1, 1160, "NEWEST"),
        (2999, 0, "NEWEST"),
        (3000, 0, "PROBATION"),
        (32767, 0, "PROBATION"),
        (-32768, 0, "PROBATION"),
        (0, 1000, "DUPLICATE"),
        (0, 1001, "PROBATION"),
        (-1, 0, "REORDERED"),
        (-31, 0, "REORDERED"),
        (-32, 0, "LATE"),
        (-100, 0, "LATE"),
        (-101, 0, "PROBATION"),
        (-4096, 1000, "PROBATION"),  # its place in memory is that of the highest number
    ],
)
def test_each_rule_of_numbers_holds_at_its_edge(step: int, timestamp: int, status: str) -> None:
    statuses, _ = given_all((5000, 1000), (5000 + step, timestamp))
    assert statuses[1] == status


@pytest.mark.parametrize(
    ("back", "status"), [(4094, "DUPLICATE"), (4095, "LATE"), (4096, "PROBATION")]
)
def test_memory_of_numbers_ends_where_it_says(back: int, status: str) -> None:
    numbers = [0, 2, 2 + 2047, 2 + 4094, 1 + 4095]
    statuses, _ = given_all(*((number, number) for number in [*numbers, 4096 - back]))
    assert statuses[-1] == status


def test_a_jump_under_another_timestamp_is_another_jump() -> None:
    statuses, both = given_all((1, 1), (40000, 7), (40000, 8), (40000, 8), (40001, 168))
    assert statuses[1:] == ["PROBATION"] * 3 + ["RESTARTED"]
    counters = both.real.counters
    assert (counters.strays, counters.duplicates, counters.packets) == (1, 1, 4)


def test_a_long_press_is_one_key_in_either_order() -> None:
    for stamps in [(0, 65535, 131070), (131070, 65535, 0)]:
        both = Lockstep()
        for number, stamp in enumerate(stamps):
            both.give(packet(number, stamp, bytes([1, 10, 255, 255]), payload_type=101))
        both.compare()
        assert both.real.counters.keys == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_long_bad_line_is_counted_as_the_reference_counts_it(seed: int) -> None:
    rng = random.Random(seed)
    both = Lockstep(expires=random.Random(seed))
    sender = Sender(rng.randrange(65536) + 2**20, rng.randrange(2**32))
    step_ms = rng.choice([5, 10, 20, 30])  # the window is full before its time is up, or after
    late: list[tuple[int, bytes]] = []
    for step in range(4000):
        octets = sender.packet(sender.number, payload_type=rng.choice([8] * 30 + [13]))
        sender.number += 1
        if rng.random() < 0.1:
            late.append((step + rng.choice([1, 2, 5, 31, 32, 33, 60, 200]), octets))
        elif rng.random() > 0.05:
            for copy in range(rng.choice([1, 1, 1, 1, 2, 3])):
                both.give(octets, 0 if copy else step_ms)
        for due, delayed in [entry for entry in late if entry[0] <= step]:
            late.remove((due, delayed))
            both.give(delayed, 0)
        if rng.random() < 0.001:
            sender = Sender(rng.randrange(65536) + 2**20, rng.randrange(2**32))
        if rng.random() < 0.5:
            both.drain()
        if step % 50 == 0:
            both.compare()
    both.drain(flush=True)
    both.compare()
    assert both.told_out == both.handed_out


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 60)), min_size=1, max_size=60),
    st.integers(0, 500),
)
def test_no_packet_waits_longer_than_the_patience(
    given_at: list[tuple[int, int]], more_ms: int
) -> None:
    stream, handed_out, arrived = rtp.Stream(), set[int](), dict[int, int]()
    now = 0
    for number, after_ms in given_at:
        now += after_ms * 1_000_000
        octets = packet(number, number * 160, number.to_bytes(2, "big"))
        status = stream.receive(octets, now)
        if status in (rtp.Status.NEWEST, rtp.Status.REORDERED, rtp.Status.RESTARTED):
            arrived[number] = now
        handed_out |= {int.from_bytes(one.payload, "big") for one in stream.ready()}
        old = {number for number, at in arrived.items() if at <= now - rtp.PATIENCE_NS}
        assert old <= handed_out
    now += more_ms * 1_000_000
    stream.expire(now)
    handed_out |= {int.from_bytes(one.payload, "big") for one in stream.ready()}
    assert {at for at, when in arrived.items() if when <= now - rtp.PATIENCE_NS} <= handed_out


def test_what_comes_after_the_patience_is_late_and_no_longer_lost() -> None:
    stream = rtp.Stream()
    at = [0, 20, 40, 80, 100, 120]
    for number, ms in zip((0, 1, 2, 4, 5, 6), at, strict=True):
        stream.receive(packet(number, number * 160, b"x"), ms * 1_000_000)
    assert stream.ready() == []  # the first one may not be the lowest
    stream.expire(279_999_999)
    assert [one.sequence - 65536 for one in stream.ready()] == [0, 1, 2]
    stream.expire(280_000_000)
    assert [one.sequence - 65536 for one in stream.ready()] == [4, 5, 6]
    assert stream.counters.lost == 1
    assert stream.receive(packet(3, 480, b"x"), 281_000_000) is rtp.Status.LATE
    counters = stream.counters
    assert (counters.lost, counters.late, counters.reordered) == (0, 1, 1)
    assert stream.receive(packet(7, 1120, b"x"), 282_000_000) is rtp.Status.NEWEST
    assert [one.sequence - 65536 for one in stream.ready()] == [7]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spread", [0, 1, 20, 31, 80])
def test_counts_are_those_of_a_set_of_numbers(seed: int, spread: int) -> None:
    """The model knows the true numbers; it has no window, no wrap and no arithmetic."""
    rng = random.Random(seed * 100 + spread)
    first = rng.randrange(60000, 65536)
    sent = [n for n in range(first, first + 6000) if rng.random() > 0.03]
    sent += [n for n in sent if rng.random() < 0.02]
    arrivals = sorted(sent, key=lambda n: n + rng.random() * spread)
    stream = rtp.Stream()
    packets: list[rtp.Packet] = []
    seen: set[int] = set()
    reordered = 0
    not_kept: set[int] = set()
    for at, number in enumerate(arrivals):
        octets = packet(number, number * 160, number.to_bytes(160, "big"))
        reordered += (
            bool(seen) and number < max(arrivals[max(0, at - 200) : at]) and number not in seen
        )
        status = stream.receive(octets, at)
        assert (status is rtp.Status.DUPLICATE) == (number in seen)
        if status is rtp.Status.LATE:
            not_kept.add(number)
        seen.add(number)
        packets += stream.ready()
    packets += stream.flush()
    counters = stream.counters
    assert counters.packets == len(arrivals)
    assert counters.duplicates == len(arrivals) - len(seen)
    assert counters.lost == max(seen) - min(seen) + 1 - len(seen)
    assert counters.reordered == reordered
    assert counters.late == len(not_kept)
    assert (counters.first_arrival_ns, counters.last_arrival_ns) == (0, len(arrivals) - 1)
    assert (counters.strays, counters.restarts) == (0, 0)
    true_numbers = [int.from_bytes(packet.payload, "big") for packet in packets]
    assert true_numbers == sorted(seen - not_kept)
    assert [packet.sequence for packet in packets] == [number + 65536 for number in true_numbers]
    assert [p.timestamp for p in packets] == [
        number * 160 % 2**32 + 2**32 for number in true_numbers
    ]
    if spread <= 31:
        assert not_kept == set()


def test_no_packet_is_forgotten_when_nobody_asks_for_them() -> None:
    stream = rtp.Stream()
    for number in range(1000):
        stream.receive(packet(number, number * 160, number.to_bytes(2, "big")), number)
    packets = stream.flush()
    assert [int.from_bytes(packet.payload, "big") for packet in packets] == list(range(1000))
    assert stream.ready() == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_octets_may_be_given(kind: type) -> None:
    stream = rtp.Stream()
    assert stream.receive(kind(packet(1, 2, b"audio")), 3) is rtp.Status.NEWEST
    assert stream.flush() == [rtp.Packet(65537, 2**32 + 2, 8, False, 3, b"audio", 0)]


@pytest.mark.parametrize("octets", [0, -1, 65536])
def test_a_stream_of_impossible_payloads_is_refused(octets: int) -> None:
    with pytest.raises(ValueError, match="1 to 65535"):
        rtp.Stream(payload_octets=octets)


def test_what_is_held_is_told_by_payload_type() -> None:
    stream = rtp.Stream()
    assert stream.held_types == frozenset()
    for number in range(40):
        stream.receive(packet(number, number * 160, b"x"), number)
    assert stream.held_types == {8}
    stream.ready()
    assert stream.held_types == frozenset()
    stream.receive(packet(41, 41 * 160, b"x", payload_type=97), 41)  # waits for number 40
    stream.receive(packet(9000, 0, b"x", payload_type=13), 42)  # may be a restart
    assert stream.held_types == {13, 97}
    stream.flush()
    assert stream.held_types == {13}
