"""From frames to calls: every wrapping, a bad network, and thousands of calls."""

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from greffier.calls.limits import SECOND
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address
from greffier.capture.dissector import Dissector
from greffier.capture.pcap import Reader
from greffier_sim import packets
from greffier_sim.captures import MS, Harm, Plan, call, harmed, in_order, opening, speech
from greffier_sim.heard import Heard

PLAN = Plan(talk_ms=400)


def heard_in(data: bytes) -> tuple[Heard, Tracker]:
    """Everything in a capture file."""
    dissector, tracker, heard = Dissector(), Tracker(), Heard()
    for record in Reader(io.BytesIO(data), "test"):
        for datagram in dissector.feed(record):
            for event in tracker.feed(datagram):
                heard.take(event)
    for datagram in dissector.finish():
        for event in tracker.feed(datagram):
            heard.take(event)
    for event in tracker.finish():
        heard.take(event)
    return heard, tracker


@pytest.mark.parametrize("link_type", [0, 1, 101, 113, 276])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("outer", [None, ("1.1.1.1", "2.2.2.2")])
@pytest.mark.parametrize("form", [packets.pcap, packets.pcapng])
def test_a_call_in_a_file_is_the_same_call(link_type, transport, outer, form) -> None:  # type: ignore[no-untyped-def]
    plan = replace(PLAN, transport=transport)
    frames = packets.frames_of(call(plan), link_type, vlans=(3,), outer=outer, fragment=256)
    heard, _ = heard_in(form(frames, link_type))
    (found,) = heard.calls
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 40)


def test_a_mirror_that_doubles_every_frame_gives_copies_not_calls() -> None:
    frames = [each for frame in packets.frames_of(call(PLAN)) for each in (frame, frame)]
    heard, _ = heard_in(packets.pcap(frames))
    (found,) = heard.calls
    for leg in found.legs:
        assert leg.summary is not None
        assert (leg.summary.counters.packets, leg.summary.counters.duplicates) == (40, 20)
        assert len(leg.packets) == 20


def test_a_snap_length_that_cuts_speech_still_counts_it() -> None:
    heard, _ = heard_in(packets.pcap(packets.frames_of(call(PLAN)), snaplen=900))
    assert heard.calls[0].packets == 40
    heard, _ = heard_in(packets.pcap(packets.frames_of(speech(PLAN, "caller")), snaplen=60))
    assert [len(leg.packets) for leg in heard.calls[0].legs] == [20]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("seed", range(3))
def test_tshark_counts_the_same_streams(tmp_path: Path, seed: int) -> None:
    plan = Plan(talk_ms=4_000, ptime_ms=30)
    rough = harmed(speech(plan, "caller") + speech(plan, "callee"), Harm(lost=0.1), seed)
    path = tmp_path / "rough.pcap"
    path.write_bytes(packets.pcap(packets.frames_of(in_order([*opening(plan), *rough]))))
    command = ["tshark", "-r", str(path), "-q", "-z", "rtp,streams"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = set()
    for line in said.splitlines():
        words = line.split()
        if len(words) > 9 and words[6].startswith("0x"):
            theirs.add((f"{words[2]}:{words[3]}", words[6], int(words[8]), int(words[9])))
    heard, _ = heard_in(path.read_bytes())
    ours = {
        (
            str(leg.added.source),
            f"0x{leg.added.ssrc:08x}",
            leg.summary.counters.packets,
            leg.summary.counters.lost,
        )
        for leg in heard.calls[0].legs
        if leg.summary
    }
    assert ours == theirs
    assert len(ours) == 2


def test_three_thousand_calls_in_are_three_thousand_calls_out() -> None:
    tracker, heard = Tracker(), Heard()
    busiest = 0
    plans = [
        Plan(
            call_id=f"{number}@busy",
            start_ns=PLAN.start_ns + number * 100 * MS,
            talk_ms=60,
            ring_ms=40,
            caller_media=Address("10.0.0.1", 10_000 + 2 * (number % 200)),
            callee_media=Address("10.0.0.2", 20_000 + 2 * (number % 200)),
        )
        for number in range(3_000)
    ]
    for plan in plans:
        for datagram in call(plan):
            for event in tracker.feed(datagram):
                heard.take(event)
        busiest = max(busiest, len(tracker))
    for event in tracker.advance(plans[-1].end_ns + 60 * SECOND):
        heard.take(event)
    assert [found.call_id for found in heard.calls] == [plan.call_id for plan in plans]
    assert {found.packets for found in heard.calls} == {6}
    assert {len(found.legs) for found in heard.calls} == {2}
    assert busiest < 100
    assert len(tracker) == 0
    assert not tracker.ignored
