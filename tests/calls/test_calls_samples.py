"""Real captures: the calls and streams that tshark counts in them; torture messages beside them."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier.capture.dissector import Dissector
from greffier.capture.pcap import open_capture
from greffier_sim.captures import MS, Plan, call, in_order, tagged
from greffier_sim.heard import Heard, hear

SAMPLES = Path(os.environ.get("GREFFIER_SAMPLES", "/nowhere"))
needs_samples = pytest.mark.skipif(
    not (SAMPLES / "pcap").is_dir(), reason="GREFFIER_SAMPLES names no sample captures"
)
# tshark's short names of payload types.
CODECS = {"g711A": "PCMA", "g711U": "PCMU", "g722": "G722", "GSM": "GSM"}


def expected() -> list[dict[str, Any]]:
    """What is expected of each file."""
    path = SAMPLES / "pcap" / "expected.json"
    return json.loads(path.read_text())["files"] if path.is_file() else []


def heard_in(path: Path) -> tuple[Heard, Tracker, Dissector]:
    """Everything in a capture file."""
    dissector, tracker, heard = Dissector(), Tracker(), Heard()
    with open_capture(path) as reader:
        for record in reader:
            for datagram in dissector.feed(record):
                for event in tracker.feed(datagram):
                    heard.take(event)
        assert reader.damage is None
    for datagram in dissector.finish():
        for event in tracker.feed(datagram):
            heard.take(event)
    for event in tracker.finish():
        heard.take(event)
    return heard, tracker, dissector


@needs_samples
@pytest.mark.parametrize("wanted", expected(), ids=lambda wanted: wanted["file"])
def test_a_sample_gives_the_calls_and_streams_that_are_in_it(wanted: dict[str, Any]) -> None:
    heard, _, dissector = heard_in(SAMPLES / "pcap" / wanted["file"])
    assert dissector.frames == wanted["packets"]
    dialogs = [found for found in heard.calls if found.call_id is not None]
    assert len(dialogs) == len({found.call_id for found in dialogs})
    assert len(dialogs) == wanted["sip_dialogs_with_invite"]
    assert sum(found.answered is not None for found in dialogs) == wanted["sip_answered"]
    streams = []
    for found in heard.calls:
        assert found.ended is not None
        for leg, made in zip(found.ended.legs, found.legs, strict=True):
            assert leg.codec is not None
            streams.append(
                (
                    str(leg.source),
                    str(leg.destination),
                    f"0x{leg.ssrc:08x}",
                    leg.codec.name,
                    leg.counters.packets,
                    leg.counters.lost,
                )
            )
            assert len(made.packets) == leg.counters.packets - leg.counters.duplicates
    assert sorted(streams) == sorted(
        (s["source"], s["destination"], s["ssrc"], CODECS[s["payload"]], s["packets"], s["lost"])
        for s in wanted["rtp"]
    )
    spans = {
        f"0x{leg.ssrc:08x}": leg.seconds - leg.packet_ns / 1e9
        for found in heard.calls
        if found.ended
        for leg in found.ended.legs
    }
    assert spans == pytest.approx({s["ssrc"]: s["seconds"] for s in wanted["rtp"]}, abs=0.006)


@pytest.mark.skipif(
    not (SAMPLES / "rfc4475").is_dir(), reason="GREFFIER_SAMPLES names no torture messages"
)
def test_torture_messages_between_two_calls_leave_both_whole() -> None:
    one = Plan()
    two = replace(
        one,
        call_id="call-2@sim",
        start_ns=one.start_ns + 33 * MS,
        caller_media=Address("10.0.0.1", 4_100),
        callee_media=Address("10.0.0.2", 5_100),
    )
    odd = [
        Datagram(one.start_ns + (50 + 31 * number) * MS, one.caller, one.callee, path.read_bytes())
        for number, path in enumerate(sorted((SAMPLES / "rfc4475").glob("*.dat")))
    ]
    assert odd
    heard, _ = hear(in_order([*call(one), *call(two), *odd]))
    for plan in (one, two):
        found = heard.by_id(plan.call_id)
        assert found.ended is not None
        assert (found.ended.reason, found.ended.ended_ns) == ("bye", plan.end_ns)
        assert [leg.payloads for leg in found.legs] == [
            [tagged(plan.call_id, side, index) for index in range(50)]
            for side in ("caller", "callee")
        ]
