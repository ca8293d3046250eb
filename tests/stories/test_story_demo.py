"""The demonstration keeps every promise that it makes, wherever it can be run at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.stories.live import wire

from greffier_sim import demo
from greffier_sim.witness import rtp_packets

TOOLS = ("sipp", "espeak-ng", "tcpdump", "ss", "mosquitto")
FIGURES: dict[str, Any] = {
    "calls": 9,
    "recorded": 5,
    "not_recorded": {"SAMPLED_OUT": 3, "INTERNAL_OFF": 1},
    "lost_packets": 0,
    "recordings_synced": 5,
    "receipts": 5,
    "outage_s": 5.0,
    "audit_entries": 41,
    "audit_verified": True,
    "coverage_accounted": 1.0,
    "tamper_detected": True,
    "opens_without_key": 0,
    "opens_with_key": 5,
    "elapsed_s": 41.2,
    "console_url": None,
}
"""What `--json` prints, in this order: others read it, so no key may go or change its kind."""


@pytest.mark.story
def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"the demo needs root and {', '.join(missing or TOOLS)}")
    with wire():
        pass  # skips where there is no wire at all
    kept = tmp_path / "kept"
    done = subprocess.run(
        [sys.executable, "-m", "greffier_sim.demo", "--json", "--lang", "en", "--keep", str(kept)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "✖" not in done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [key for key in told if key in FIGURES] == list(FIGURES)
    assert {key: type(told[key]) for key in FIGURES} == {
        key: type(value) for key, value in FIGURES.items()
    }
    assert told["calls"] == told["recorded"] + sum(told["not_recorded"].values())
    assert told["not_recorded"]["INTERNAL_OFF"] == 1
    assert (told["lost_packets"], told["opens_without_key"]) == (0, 0)
    assert told["opens_with_key"] == told["recordings_synced"] == told["receipts"]
    assert told["receipts"] == told["recorded"] > 0
    assert told["coverage_accounted"] == 1.0 and told["audit_verified"]
    assert told["tamper_detected"]
    assert told["off_s"] > 0 and told["outage_s"] > 0
    assert sorted(one.name for one in kept.iterdir()) == ["device", "keys", "office", "sync"]


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin"


def test_the_table_shows_every_figure_that_is_no_detail() -> None:
    table = demo.show({**FIGURES, "off_s": 0.8})
    for value in (9, 5, "3 non tirés, 1 interne", 5.0, "100.000%", 41, 41.2):
        assert any(line.endswith(f"  {value}") for line in table.splitlines())


def test_a_demo_that_failed_keeps_its_logs(tmp_path: Path) -> None:
    def work(folder: Path, code: int) -> int:
        (folder / "work").mkdir()
        return code

    for code in (0, 1):
        folder = tmp_path / str(code)
        assert demo.with_folder(str(folder), lambda one, code=code: work(one, code)) == code
        assert (folder / "work").exists() == bool(code)
    assert demo.with_folder(str(folder), lambda _: 0) == 2  # it is not empty


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
