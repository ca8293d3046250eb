"""What the doctor says of media: the ladder, the reserve, the mirror, wear, what is due unsent."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.recorder.office_scene import QUALITY, RECEIPTS, START_NS, Box, made

from greffier.cli import doctor
from greffier.config.recorder import load
from greffier.config.records import Config, Storage
from greffier.durable import Disk
from greffier.policy.lifecycle import DAY_NS
from greffier.policy.space import Space
from greffier.recorder import checks_medium, reserve
from greffier.recorder.block_device import CYCLES, wear_of
from greffier.recorder.mirror import Mirror
from greffier.store import medium

CONFIG = """schema = "recorder/1"
data = "data"
policy = "p.toml"
[taps.trunk]
interface = "eth1"
[sync]
folder = "sync"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made(tmp_path / "data")
    (tmp_path / "r.toml").write_text(CONFIG)
    return load(tmp_path / "r.toml")


def states(found: checks_medium.Found) -> list[str]:
    every = list(found)
    assert all(mend for state, _cause, mend in every if state != "ok")
    return [state for state, _cause, _mend in every]


def keeping(config: Config, **words: object) -> Config:
    return replace(config, storage=replace(Storage(), **words))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("percent", "state"), [(10, "ok"), (85, "warn"), (92, "fail"), (99, "fail")]
)
def test_the_steps_of_the_ladder_are_the_doctors(
    config: Config, monkeypatch: pytest.MonkeyPatch, percent: int, state: str
) -> None:
    monkeypatch.setattr(checks_medium, "space_of", lambda _path: Space(100 - percent, 100))
    assert states(checks_medium.space(config)) == [state]


def test_the_reserve(config: Config) -> None:
    assert states(checks_medium.kept_free(config, running=False)) == ["ok"]
    assert states(checks_medium.kept_free(config, running=True)) == ["warn"]
    assert states(checks_medium.kept_free(keeping(config, reserve_mib=0), running=True)) == ["warn"]
    held = Disk().create(config.data / reserve.FILE)
    assert held.preallocate(2 << 20)
    held.close()
    assert states(checks_medium.kept_free(config, running=True)) == ["ok"]


def test_the_mirror(config: Config, tmp_path: Path) -> None:
    assert states(checks_medium.mirror(config)) == []
    stick = tmp_path / "stick"
    mirrored = keeping(config, mirror=stick)
    assert states(checks_medium.mirror(mirrored)) == ["warn"]
    stick.mkdir()
    assert states(checks_medium.mirror(mirrored)) == ["warn"], "an empty mount point is none"
    with Box(config.data) as box:
        medium.prepare(stick, box.device, Disk())
        assert states(checks_medium.mirror(mirrored)) == ["ok"]
        box.seal(0, QUALITY)
        assert states(checks_medium.mirror(mirrored)) == ["warn"]
        Mirror(box.archive.data, stick, box.archive.unconfirmed, box.clock).look()
        assert states(checks_medium.mirror(mirrored)) == ["ok"]


def test_what_reaches_its_term_soon_and_head_office_has_not(config: Config) -> None:
    assert states(checks_medium.retention(config, START_NS)) == [], "there is no index yet"
    with Box(config.data) as box:
        name = box.seal(0, QUALITY)
        last_day = START_NS + 89 * DAY_NS
        assert states(checks_medium.retention(config, last_day - 8 * DAY_NS)) == ["ok"]
        assert states(checks_medium.retention(config, last_day - 6 * DAY_NS)) == ["warn"]
        assert box.bring(box.receipt(name).signed(RECEIPTS)) == ["received"]
    assert states(checks_medium.retention(config, last_day - 6 * DAY_NS)) == ["ok"]


def system_of(tmp_path: Path, data: Path, *, sectors: int, uptime: float, life: str = "") -> Path:
    """A root below which the device of *data* is the fourth partition of an eMMC of 32 GB."""
    root, number = tmp_path / "root", data.stat().st_dev
    disk = root / "sys/devices/mmcblk0"
    (disk / "mmcblk0p4").mkdir(parents=True)
    (disk / "mmcblk0p4" / "partition").write_text("4\n")
    (disk / "mmcblk0p4" / "stat").write_text("1 2 3 4 5 6 7 8\n")
    (disk / "stat").write_text(f"1 2 3 4 5 6 {sectors} 8 9 10 11\n")
    (disk / "size").write_text(f"{32_000_000_000 // 512}\n")
    if life:
        (disk / "device").mkdir()
        (disk / "device" / "life_time").write_text(life)
        (disk / "device" / "pre_eol_info").write_text("0x01\n")
    (root / "proc").mkdir()
    (root / "proc/uptime").write_text(f"{uptime} 0.0\n")
    block = root / "sys/dev/block"
    block.mkdir(parents=True)
    (block / f"{os.major(number)}:{os.minor(number)}").symlink_to(disk / "mmcblk0p4")
    return root


def test_the_years_of_an_emmc_follow_from_what_was_written(config: Config, tmp_path: Path) -> None:
    day = 2_000_000_000
    root = system_of(tmp_path, config.data, sectors=day // 512, uptime=86_400.0)
    found = wear_of(config.data, root)
    assert found is not None
    assert (found.device, found.octets_a_day, found.used_percent) == (
        "mmcblk0",
        day // 512 * 512,
        None,
    )
    assert found.years == pytest.approx(32e9 * CYCLES / (4 * day * 365.25), rel=1e-6)
    assert states(checks_medium.wear(config, root)) == ["ok"]


@pytest.mark.parametrize(
    ("sectors", "uptime", "life", "state"),
    [
        (1 << 40, 1800.0, "", "ok"),
        (1 << 30, 86_400.0, "", "warn"),
        (10, 86_400.0, "0x01 0x0a\n", "warn"),
        (10, 86_400.0, "0x00 0x00\n", "ok"),
        (10, 86_400.0, "garbage\n", "ok"),
    ],
)
def test_a_medium_that_wears_out_is_said(
    config: Config, tmp_path: Path, sectors: int, uptime: float, life: str, state: str
) -> None:
    root = system_of(tmp_path, config.data, sectors=sectors, uptime=uptime, life=life)
    assert states(checks_medium.wear(config, root)) == [state]


def test_a_folder_without_a_block_device_has_no_wear(config: Config, tmp_path: Path) -> None:
    assert states(checks_medium.wear(config, tmp_path / "nowhere")) == []


def test_the_transfer_is_looked_at_where_there_is_one(config: Config) -> None:
    assert doctor._sync(config, START_NS) == []
    enrolled = replace(config, control=replace(config.control, sync=("greffier-sync",)))
    (found,) = doctor._sync(enrolled, START_NS)
    assert (found.check, found.state, bool(found.mend)) == ("sync", "fail", True)
