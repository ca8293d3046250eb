"""What doctor --load says: sums and findings; that it measures is seen, how fast is not judged."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.stories.box import PAIR

from greffier.clock import SystemClock
from greffier.config.recorder import load as load_config
from greffier.config.records import Config
from greffier.encode.codecs import by_payload_type
from greffier.encode.decoders import decoder_of
from greffier.policy import rules
from greffier.recorder import archive, load, load_work
from greffier.recorder.load import Load, Wanted
from greffier.recorder.load_work import KINDS, Cost, Ticks

TOP = 'schema = "recorder/1"\ndata = "data"\npolicy = "p.toml"\n'
TRUNK = '[taps.trunk]\ninterface = "eth1"\n[[match]]\nline = "vente"\n[[match]]\nline = "accueil"\n'
DOOR = '[analogue.porte]\nline = "accueil"\npcm = "hw:0"\n'


def config(folder: Path, *tables: str) -> Config:
    path = folder / "recorder.toml"
    path.write_text(TOP + "".join(tables))
    return load_config(path)


def measured(**changes: object) -> Load:
    costs = (Cost("original", 100.0, 10_000), Cost("flac", 500.0, 20_000), Cost("opus", 5000.0, 1))
    made = Load(costs, Ticks(1024, 5.0, 20.0, 40.0), Wanted(50, 4, "opus", "flac"), 500, 1)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_what_is_wanted_is_what_the_configuration_names(tmp_path: Path) -> None:
    retail, desk = (
        rules.load(rules.builtin(f"{name}.toml")) for name in ("fr-retail", "paris-desk")
    )
    assert load.wanted_of(config(tmp_path, TRUNK), retail) == Wanted(1000, 0, "opus", "original")
    both = config(tmp_path, TRUNK, DOOR, "[limits]\ncalls = 7\n")
    assert load.wanted_of(both, retail) == Wanted(7, 1, "opus", "opus")
    only = config(tmp_path, DOOR.replace("accueil", "desk"))
    assert load.wanted_of(only, desk) == Wanted(0, 1, "original", "original")


def test_the_sums() -> None:
    made = measured()
    assert [one.legs_a_core for one in made.costs] == [10_000, 2_000, 200]
    assert made.cpu_share == pytest.approx(2 * 50 * 0.005 + 4 * 0.0005)
    assert made.calls_carried == int((0.75 - 4 * 0.0005) / 0.01)
    assert made.memory == 100 * 1 + 4 * 20_000
    assert set(made.as_json()["codecs"]) == set(KINDS)


@pytest.mark.parametrize(
    ("changes", "check", "state"),
    [
        ({}, "load.cpu", "ok"),
        ({"wanted": Wanted(90, 0, "opus", "original")}, "load.cpu", "warn"),
        ({"wanted": Wanted(101, 0, "opus", "original")}, "load.cpu", "fail"),
        ({"wanted": Wanted(140, 0, "opus", "original"), "encoders": 2}, "load.cpu", "ok"),
        ({"wanted": Wanted(5001, 0, "original", "flac"), "encoders": 2}, "load.cpu", "fail"),
        ({}, "load.disk", "ok"),
        ({"ticks": Ticks(1024, 5.0, 20.0, 501.0)}, "load.disk", "warn"),
        ({"ticks": Ticks(1024, 5.0, 501.0, 600.0)}, "load.disk", "fail"),
        ({}, "load.memory", "ok"),
        ({"costs": tuple(Cost(kind, 1.0, 1 << 50) for kind in KINDS)}, "load.memory", "fail"),
    ],
)
def test_each_finding_has_what_mends_it(
    changes: dict[str, object], check: str, state: str, tmp_path: Path
) -> None:
    found = {one.check: one for one in load.findings(measured(**changes), config(tmp_path, DOOR))}
    assert set(found) == {"load.cpu", "load.disk", "load.memory"}
    assert found[check].state == state
    assert bool(found[check].mend) == (state != "ok")


def test_the_made_up_speech_is_speech_in_a_law() -> None:
    packets = load_work.speech(1)
    codec = by_payload_type(8)
    assert codec is not None
    sound = decoder_of(codec).decode(packets).pcm
    assert len(sound) == 8000
    assert 500 < float(abs(sound.astype(float)).mean()) < 10_000


def test_it_measures_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_work, "WORK_S", 0.02)
    monkeypatch.setattr(load_work, "TICKS", 3)
    data = tmp_path / "data"
    archive.create(data, SystemClock(), PAIR.public.format().encode())
    before = sorted(data.rglob("*"))
    policy = rules.load(rules.builtin("fr-retail.toml"))
    made = load.measure(config(tmp_path, TRUNK, "[limits]\ncalls = 5\n"), policy)
    assert [one.kind for one in made.costs] == list(KINDS)
    assert all(one.cpu_us > 0 for one in made.costs)
    assert made.ticks.bytes == 10 * 8800 * 500 // 1000
    assert made.ticks.p50_ms <= made.ticks.p95_ms <= made.ticks.worst_ms
    assert sorted(data.rglob("*")) == before
