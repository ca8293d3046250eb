"""Network layers: every way a datagram may be wrapped, every way a frame may be wrong."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture.datagram import Address, Datagram
from greffier.capture.dissector import Dissector
from greffier.capture.pcap import open_capture
from greffier.capture.record import Record
from greffier_sim import captures, packets

VECTORS = Path(__file__).parents[1] / "vectors" / "capture" / "frames.txt"
PLAN = captures.Plan(talk_ms=200)
PLAN_6 = captures.Plan(
    talk_ms=200,
    caller=Address("2001:db8::1", 5060),
    callee=Address("2001:db8::2", 5060),
    caller_media=Address("2001:db8::1", 4000),
    callee_media=Address("2001:db8::2", 5000),
)


def vectors() -> list[tuple[str, int, str, bytes]]:
    """Name, link type, expectation and bytes of each vector."""
    out = []
    for text in VECTORS.read_text(encoding="ascii").split("\n\n"):
        name, link, expect, data = text.rstrip("\n").split("\n")
        out.append((name[6:], int(link[6:]), expect[8:], bytes.fromhex(data[7:])))
    return out


def dissect(frames: list[packets.Frame], link_type: int = 1) -> tuple[list[Datagram], Dissector]:
    """All datagrams of some frames."""
    dissector = Dissector()
    out = []
    for time_ns, data in frames:
        out += dissector.feed(Record(time_ns, link_type, data, len(data)))
    return out + dissector.finish(), dissector


@pytest.mark.parametrize(
    ("name", "link", "expect", "data"), vectors(), ids=lambda v: v if isinstance(v, str) else "-"
)
def test_a_vector_reads_as_it_says(name: str, link: int, expect: str, data: bytes) -> None:
    found, dissector = dissect([(7, data)], link)
    kind, _, value = expect.partition(": ")
    if kind == "ignored":
        assert found == []
        assert dissector.ignored == {value: 1}
        return
    assert [d.payload.hex() for d in found] == [value]
    assert [str(d.source) for d in found] in (["10.0.0.1:4000"], ["[2001:db8::1]:4000"])
    assert [str(d.destination) for d in found] in (["10.0.0.2:5000"], ["[2001:db8::2]:5000"])
    assert dissector.ignored == {}


@pytest.mark.parametrize("plan", [PLAN, PLAN_6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("link_type", [1, 0, 101, 113, 276])
@pytest.mark.parametrize("vlans", [(), (5,), (5, 6)])
@pytest.mark.parametrize("fragment", [0, 64])
@pytest.mark.parametrize("outer", [None, ("1.1.1.1", "2.2.2.2"), ("::1", "::2")])
def test_a_call_survives_every_wrapping(  # type: ignore[no-untyped-def]
    plan, link_type, vlans, fragment, outer
) -> None:
    sent = captures.call(plan)
    frames = packets.frames_of(sent, link_type, vlans=vlans, fragment=fragment, outer=outer)
    found, dissector = dissect(frames, link_type)
    tags = vlans if link_type in (1, 113, 276) else ()  # the others have no room for tags
    assert found == [one._replace(vlans=tags) for one in sent]
    assert dissector.ignored == {}


def test_tcp_is_looked_at_on_the_ports_of_sip_only() -> None:
    sent = captures.call(replace(PLAN, transport="tcp"))
    frames = packets.frames_of(sent, vlans=(7,))
    for ports, whole in (((5060,), True), ((5080, 5060), True), ((5061,), False)):
        dissector = Dissector(ports)
        found = [
            one for at, data in frames for one in dissector.feed(Record(at, 1, data, len(data)))
        ]
        expected = [one for one in sent if whole or one.transport == "udp"]
        assert found == [one._replace(vlans=(7,)) for one in expected]
        assert bool(dissector.ignored["tcp"]) is not whole


def test_fragments_of_a_tunnel_are_put_together_first() -> None:
    inner = packets.udp(PLAN.caller, PLAN.callee, b"speech" * 50)
    pieces = packets.fragments(packets.tunnel(inner, "1.1.1.1", "2.2.2.2"), 64)
    found, _ = dissect([(n, piece) for n, piece in enumerate(pieces)], 101)
    assert [d.payload for d in found] == [b"speech" * 50]
    assert found[0].time_ns == len(pieces) - 1


def test_a_frame_cut_at_every_length_never_raises() -> None:
    for link_type in (0, 1, 9, 101, 113, 276):
        for outer in (None, ("1.1.1.1", "2.2.2.2")):
            sent = [captures.call(PLAN)[0]]
            frame = packets.frames_of(sent, link_type, vlans=(1,), outer=outer)[0][1]
            for cut in range(len(frame)):
                found, dissector = dissect([(0, frame[:cut])], link_type)
                assert len(found) + sum(dissector.ignored.values()) == 1
                assert dissector.cut == len(found)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_no_bytes_raise(data: st.DataObject) -> None:
    link_type = data.draw(st.sampled_from([0, 1, 9, 12, 101, 108, 113, 228, 276, 999]))
    frame = bytearray(packets.frames_of(captures.call(PLAN_6)[:1], 1, vlans=(1,))[0][1])
    for _ in range(data.draw(st.integers(0, 8))):
        frame[data.draw(st.integers(0, 80))] = data.draw(st.integers(0, 255))
    found, dissector = dissect(
        [(0, bytes(frame)), (1, data.draw(st.binary(max_size=90)))], link_type
    )
    assert len(found) + sum(dissector.ignored.values()) <= 2, "no frame counts twice"


def test_the_fast_way_and_the_general_way_agree() -> None:
    """Plain Ethernet takes a short cut; the same packet by raw IP does not."""
    packet = packets.udp(PLAN.caller, PLAN.callee, b"x" * 30)
    for at in range(len(packet)):
        for value in (0, 1, 0x45, 0xFF):
            changed = packet[:at] + bytes([value]) + packet[at + 1 :]
            by_ethernet, a = dissect([(0, packets.frame(packet)[:14] + changed)])
            by_ip, b = dissect([(0, changed)], 101)
            if changed[0] >> 4 == 4:
                assert (by_ethernet, a.ignored, a.cut) == (by_ip, b.ignored, b.cut), (at, value)


def test_the_table_of_addresses_does_not_grow_for_ever() -> None:
    dissector = Dissector()
    for number in range(70_000):
        source = Address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number & 0xFFFF)
        frame = packets.frame(packets.udp(source, PLAN.callee, b"x"))
        assert dissector.feed(Record(0, 1, frame, len(frame)))[0].source == source
    assert len(dissector._pairs) <= 65_536


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(
    ("link_type", "wrapping"),
    [
        (1, ((), 0, None)),
        (1, ((5, 6), 64, None)),
        (113, ((5,), 0, None)),
        (276, ((), 64, None)),
        (101, ((), 0, ("1.1.1.1", "2.2.2.2"))),
        (1, ((), 0, ("::1", "::2"))),
    ],
)
@pytest.mark.parametrize("plan", [PLAN, PLAN_6], ids=["IPv4", "IPv6"])
def test_tshark_sees_the_same_datagrams(  # type: ignore[no-untyped-def]
    tmp_path: Path, plan, link_type, wrapping
) -> None:
    vlans, fragment, outer = wrapping
    frames = packets.frames_of(
        captures.call(plan), link_type, vlans=vlans, fragment=fragment, outer=outer
    )
    path = tmp_path / "call.pcapng"
    path.write_bytes(packets.pcapng(frames, link_type))
    fields = ["udp.srcport", "udp.dstport", "udp.length"]
    command = ["tshark", "-r", str(path), "-Y", "udp", "-T", "fields"]
    command += [part for field in fields for part in ("-e", field)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = [tuple(int(part) for part in line.split("\t")) for line in said.splitlines()]
    with open_capture(path) as reader:
        dissector = Dissector()
        ours = [
            (d.source.port, d.destination.port, len(d.payload) + 8)
            for record in reader
            for d in dissector.feed(record)
        ]
    assert ours == theirs


SAMPLES = Path(os.environ.get("GREFFIER_SAMPLES", "/nowhere")) / "pcap"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="GREFFIER_SAMPLES names no sample captures")
def test_the_sample_captures_give_their_sip_messages() -> None:
    counted = {}
    for path in sorted(SAMPLES.glob("*.pcap")):
        dissector = Dissector()
        with open_capture(path) as reader:
            found = [d for record in reader for d in dissector.feed(record)]
            assert reader.damage is None
        counted[path.name] = sum(
            b" SIP/2.0\r\n" in d.payload or d.payload[:4] == b"SIP/" for d in found
        )
    assert counted["sip-rtp-g711.pcap"] == 10
    assert counted["sngrep-aaa.pcap"] == 81
    assert counted["sngrep-ipip.pcap"] == 4
    assert counted["sngrep-ipv6frag.pcap"] == 32
