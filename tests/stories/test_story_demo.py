"""The demonstration keeps every promise that it makes, wherever it can be run at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.stories.live import wire

from greffier_sim.witness import rtp_packets

TOOLS = ("sipp", "espeak-ng", "tcpdump", "ss")


@pytest.mark.story
def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"the demo needs root and {', '.join(missing or TOOLS)}")
    with wire():
        pass  # skips where there is no wire at all
    done = subprocess.run(
        [sys.executable, "-m", "greffier_sim.demo", "--json", "--lang", "en"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["calls"] == told["recorded"] + sum(told["not_recorded"].values())
    assert told["not_recorded"]["INTERNAL_OFF"] == 1
    assert (told["lost_packets"], told["opens_without_key"]) == (0, 0)
    assert told["opens_with_key"] == told["recorded"] > 0
    assert told["coverage_accounted"] == 1.0 and told["audit_verified"]
    assert told["tamper_detected"]
    assert told["off_s"] > 0
    assert {told[key] for key in ("recordings_synced", "receipts", "outage_s")} == {None}


def test_the_witness_reads_what_tcpdump_writes(tmp_path: Path) -> None:
    from greffier_sim import captures, packets  # noqa: PLC0415 - beside what they judge

    sent = captures.call(captures.Plan(talk_ms=200))
    path = tmp_path / "seen.pcap"
    path.write_bytes(packets.pcap(packets.frames_of(sent)))
    speech = [one for one in sent if one.payload[0] == 0x80]
    seen = rtp_packets(path)
    assert [(one.source, one.payload) for one in seen] == [
        (one.source.port, one.payload[12:]) for one in speech
    ]
