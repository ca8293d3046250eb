"""The units: how exposed a service is, each remaining point with its reason, and who it runs as."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from greffier.cli.main import COMMANDS

BOARD = Path(__file__).parents[2] / "board"
UNITS = sorted(BOARD.glob("**/*.service"))
# Exposure that a unit may have at most; the recorder's is a promise of docs/.
MOST = {
    "greffier-recorder.service": 2.0,
    "greffier-alarm.service": 1.5,
    "greffier-sync.service": 1.5,
}
# The folder that a unit keeps things in; any other keeps nothing.
KEPT = {"greffier-recorder": ["greffier"], "greffier-sync": ["greffier-sync"]}

analysed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyse(unit: Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "Overall exposure" not in done.stdout:
        pytest.skip("this systemd-analyze knows no --offline (before 250)")
    return done.stdout


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_there_are_units() -> None:
    assert {unit.name for unit in UNITS} >= set(MOST)


@analysed
@pytest.mark.parametrize("name", MOST)
def test_a_unit_is_no_more_exposed_than_promised(name: str) -> None:
    (unit,) = BOARD.glob(f"**/{name}")
    found = re.search(r"Overall exposure level for .*: ([0-9.]+) ", analyse(unit))
    assert found is not None
    assert float(found[1]) <= MOST[name]


@analysed
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_remaining_point_has_its_reason_and_no_other(unit: Path) -> None:
    remaining = set(re.findall(r"^✗ (\S+)", analyse(unit), re.M))
    explained = re.findall(r"^#: (\S+?): .+", unit.read_text("utf-8"), re.M)
    assert len(explained) == len(set(explained))
    assert set(explained) == remaining


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_runs_as_a_user_of_its_own_that_exists(unit: Path) -> None:
    (user,) = settings(unit)["User"]
    assert user == unit.stem
    users = (BOARD / "common/sysusers.d/greffier.conf").read_text("utf-8")
    assert re.search(rf"^u +{user} ", users, re.M)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_starts_a_command_that_exists_and_leaves_no_core(unit: Path) -> None:
    found = settings(unit)
    (command,) = found["ExecStart"]
    words = command.split()
    assert words[0] == "/usr/bin/greffier"
    assert words[1] in {*COMMANDS, "run"}
    assert found["LimitCORE"] == ["0"]
    assert found["Restart"] == ["always"]
    assert found["NoNewPrivileges"] == ["yes"]
    assert int(found["WatchdogSec"][0]) >= 60


def test_only_the_recorder_keeps_data_and_sees_the_wire() -> None:
    (recorder,) = BOARD.glob("**/greffier-recorder.service")
    others = [settings(unit) for unit in UNITS if unit != recorder]
    assert settings(recorder)["RestrictAddressFamilies"] == ["AF_UNIX AF_PACKET"]
    for unit in UNITS:
        assert settings(unit).get("StateDirectory", []) == KEPT.get(unit.stem, [])
    for found in others:
        assert not any("AF_PACKET" in value for value in found["RestrictAddressFamilies"])
        assert not any("CAP_" in value for value in found.get("CapabilityBoundingSet", []))


def test_the_transfer_sees_nothing_of_the_data_directory() -> None:
    (sync,) = BOARD.glob("**/greffier-sync.service")
    found = settings(sync)
    assert "-/var/lib/greffier" in found["InaccessiblePaths"][0].split()
    assert "SupplementaryGroups" not in found
    assert found["CapabilityBoundingSet"] == [""]
    text = (BOARD / "common/tmpfiles.d/greffier.conf").read_text("utf-8")
    assert re.search(
        r"^d +/var/lib/greffier +0700 greffier-recorder greffier-recorder ", text, re.M
    )
    assert re.search(r"^d +/var/lib/greffier-sync +0700 greffier-sync +greffier-sync ", text, re.M)
