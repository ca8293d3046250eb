"""A call goes from Python to the core and back, and no packet is lost, doubled or out of order."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier._native import ffi, lib
from greffier.capture import rtp
from greffier.capture.datagram import Address
from greffier.capture.dissector import Dissector
from greffier.capture.flows import Flows, Late, TooManyFlows, pair_of
from greffier.encode.timeline import Timeline
from greffier.seal.spool import Kind, Spool
from greffier_sim.packets import frame, udp

A, B = Address("10.0.0.1", 4000), Address("fd00::2", 5000)
ORIGIN = 1_700_000_000_000_000_000
KINDS = {8: Kind.SOUND}


class Bench:
    """A table without a thread: the test is the capture thread."""

    def __init__(self, flows: int = 16) -> None:
        self.spool = Spool()
        self.flows = Flows(flows=flows, held=1 << 20, waiting=1 << 20)
        self._frame = ffi.new("greffier_frame *")

    def arrive(self, octets: bytes, at: int, tag: int = 0) -> None:
        held = ffi.from_buffer("uint8_t[]", octets)
        self._frame.time_ns, self._frame.octets = at, held
        self._frame.length = self._frame.whole = len(octets)
        self._frame.tag, self._frame.tag_kind = tag, 0x8100 if tag else 0
        lib.greffier_flow_take(self.flows.handle, self._frame, 1)

    def close(self) -> None:
        self.flows.close()
        self.spool.close()


def sent(source: Address, number: int, kind: int = 8, ssrc: int = 7) -> bytes:
    head = struct.pack(">BBHII", 128, kind, number % 65536, 160 * number, ssrc)
    host = Address("fd00::1", source.port) if ":" in B.host else source
    return frame(udp(host, B, head + bytes([number % 256]) * 160))


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_a_leg_that_changes_hands_misses_nothing(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench()
    source = Address("fd00::1", 4000)
    stream, line = rtp.Stream(), Timeline(ORIGIN, 8000)
    dissector = Dissector()
    leg = None
    handled = 0
    for number in range(600):
        at = ORIGIN + 20_000_000 * number
        kind = 0 if chance.random() < 0.01 else 8
        bench.arrive(sent(source, number, kind), at, chance.choice([0, 5]))
        if chance.random() > 0.2:
            continue
        taken = bench.flows.take(begin=chance.random() < 0.5)
        assert taken.until_ns == at
        packets = []
        for record in taken.records:
            (datagram,) = dissector.feed(record)
            if leg is not None:
                packets += bench.flows.disarm(source, B, 7, record.time_ns) or []
                line = Timeline.resume(leg.state, 7)
                leg.close()
                leg = None
            packets.append(Late(record.time_ns, datagram.payload))
        if leg is not None and chance.random() < 0.3:
            until_ns = chance.choice([at, at - 40_000_000, 0])
            packets = bench.flows.disarm(source, B, 7, until_ns) or []
            line = Timeline.resume(leg.state, 7)
            leg.close()
            leg = None
        bench.flows.settle(chance.choice([0, 9]))
        for packet in packets:
            assert stream.receive(packet.payload, packet.time_ns) <= rtp.Status.REORDERED
            handled += len(stream.ready())
        if leg is None and chance.random() < 0.5:
            leg = bench.spool.leg(stream, line.state, KINDS, 3)
            assert bench.flows.arm(source, B, 7, leg.handle)
    if leg is not None:
        bench.flows.disarm(source, B, 7)
        leg.close()
    for record in bench.flows.take().records:
        (datagram,) = dissector.feed(record)
        stream.receive(datagram.payload, record.time_ns)
    counters = stream.counters
    assert (counters.packets, counters.lost, counters.duplicates) == (600, 0, 0)
    assert (counters.reordered, counters.strays, counters.restarts) == (0, 0, 0)
    found = bench.flows.counters
    assert found.frames == found.legs + found.records == 600
    assert bench.flows.missed == found.dropped == found.broken == 0
    bench.close()


def test_a_flow_is_not_armed_while_records_wait() -> None:
    bench = Bench()
    source = Address("fd00::1", 4000)
    leg = bench.spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 3)
    bench.arrive(sent(source, 0), ORIGIN)
    assert not bench.flows.arm(source, B, 7, leg.handle)
    assert len(bench.flows.take().records) == 1
    assert bench.flows.arm(source, B, 7, leg.handle)
    with pytest.raises(ValueError, match="armed already"):
        bench.flows.arm(source, B, 7, leg.handle)
    assert bench.flows.disarm(source, B, 8) is None
    bench.close()


def test_a_full_table_says_so() -> None:
    bench = Bench(flows=4)
    leg = bench.spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 3)
    for ssrc in range(4):
        assert bench.flows.arm(A, Address("10.0.0.2", 5000), ssrc, leg.handle)
    with pytest.raises(TooManyFlows):
        bench.flows.arm(A, Address("10.0.0.2", 5000), 4, leg.handle)
    bench.close()


def test_what_finds_no_room_in_the_ring_is_counted() -> None:
    bench = Bench()
    source = Address("fd00::1", 4000)
    for number in range(6000):
        bench.arrive(sent(source, number), ORIGIN)
    records = bench.flows.take().records
    bench.arrive(sent(source, 0), ORIGIN)
    records += bench.flows.take().records
    counters = bench.flows.counters
    assert counters.dropped == bench.flows.missed > 0
    assert len(records) == counters.records == 6001 - counters.dropped
    bench.close()


def test_addresses_of_both_kinds_are_one_pair() -> None:
    octets = pair_of(A, B)
    assert len(octets) == 36
    assert octets[:16] == bytes(10) + b"\xff\xff\n\0\0\1"
    assert octets[32:] == struct.pack(">HH", 4000, 5000)
    with pytest.raises(ValueError, match="power of two"):
        Flows(waiting=1000)
