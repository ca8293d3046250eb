"""The configuration file: what it says, and that whatever is wrong in it is named."""

import json
import re
from pathlib import Path

import pytest

from greffier.config.recorder import load, parse
from greffier.errors import BadConfig

VECTORS = Path(__file__).parents[1] / "vectors" / "config"
FULL = (VECTORS / "full.toml").read_text("utf-8")
INVALID = json.loads((VECTORS / "invalid.json").read_text("ascii"))
LEAST = {
    "schema": "recorder/1",
    "data": "d",
    "policy": "p.toml",
    "taps": {"trunk": {"interface": "eth1"}},
}


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "agents.csv").write_bytes((VECTORS / "agents.csv").read_bytes())
    (tmp_path / "full.toml").write_text(FULL)
    path = tmp_path / "recorder.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_full_file_is_read_whole(tmp_path: Path) -> None:
    config = load(written(tmp_path, FULL))
    assert config.data == Path("/var/lib/greffier")
    assert config.policy == tmp_path / "policy.toml"
    assert [one.interface for one in config.taps] == ["eth1"]
    assert [(one.name, one.line, one.channel) for one in config.analogue] == [
        ("accueil-1", "accueil", 0),
        ("accueil-2", "accueil", 1),
    ]
    assert config.analogue[0].detection.end_dbfs == -50.5
    assert config.lines == ("accueil", "cse", "urgence", "vente")
    assert [(one.name, one.in_recorder) for one in config.outputs] == [
        ("journal", True),
        ("lamp", False),
        ("mail", False),
        ("hook", False),
        ("gong", False),
        ("desks", False),
    ]
    assert [one.name for one in config.outputs if one.tells_alarms][-1] == "hook"
    assert [one.name for one in config.outputs if one.serves("vente", "end_call")] == ["gong"]
    assert not any(one.serves("accueil", "end_call") for one in config.outputs)
    assert config.gate.listen == (("127.0.0.1", 8760), ("::1", 8760))
    assert config.gate.keys[0].gpio == 27
    assert len(config.assignments) == 4
    assert len(config.sha256) == 64


def test_the_least_file_has_documented_defaults() -> None:
    config = parse(LEAST)
    assert (config.tick_ms, config.limits.stall_s, config.limits.undecided_s) == (500, 30, 60)
    assert config.taps[0].ring_blocks * config.taps[0].retire_ms >= 10_000
    assert config.control.socket == Path("/run/greffier/control.sock")
    assert config.inside.otherwise == "in"


@pytest.mark.parametrize("vector", INVALID, ids=lambda v: f"{v['new'][:30]!r} for {v['old'][:20]}")
def test_a_wrong_key_is_named_and_no_other(vector: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path, FULL.replace(vector["old"], vector["new"], 1))
    with pytest.raises(BadConfig) as caught:
        load(path)
    reason = str(caught.value.fields["reason"])
    named = [part.partition(": ")[0] for part in reason.split("; ")]
    assert named == vector["wrong"]
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (2, False)


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(BadConfig) as caught:
        parse({"schema": "recorder/1", "tick_ms": 9, "colour": "red", "limits": {"calls": "x"}})
    reason = str(caught.value)
    for key in ("data", "policy", "tick_ms", "limits.calls", "taps", "colour"):
        assert re.search(rf"(^|[ ;]){re.escape(key)}: ", reason), key


@pytest.mark.parametrize(
    "content", [b"x = [", b"\xff", b"", b"[" * 5000, b"taps = 3", b"match = 3"]
)
def test_a_file_that_is_none_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no-such.toml", ".", "a\0b"])
def test_a_path_that_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", None),
        ("agent,extension\n", True),
        ("extension;agent\n101;a\n", None),
        ("extension,agent\n101,a,b\n", None),
        ("extension,agent\n,a\n", None),
        ("extension,agent\n101,\n", None),
        ("extension,agent,from,until\n101,a,2026-02-30,\n", None),
        ("extension,agent,from,until\n101,a,2026-02-02,2026-02-01\n", None),
        ('extension,agent\n"101,a\n', None),
        ("extension,agent\n201,a\n201,b\n", None),
        ("extension,agent,from,until\n201,a,2026-01-01,2026-01-31\n201,b,2026-02-01,\n", True),
        ("\ufeffextension,agent\n201,a\n", True),
    ],
)
def test_a_table_of_agents(content: str, line: bool | None, tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    (tmp_path / "agents.csv").write_text(content, "utf-8")
    if line:
        load(path)
    else:
        with pytest.raises(BadConfig, match="agents"):
            load(path)


def test_every_key_that_is_read_is_documented() -> None:
    root = Path(__file__).parents[2]
    readers = (root / "firmware/greffier/config").glob("*.py")
    reading = re.compile(
        r"(?:\.(?:text|choice|choice_whole|whole|optional_whole|number|flag|texts|table|rows)\("
        r'|(?:_path|_users|_wholes|_patterns|_networks)\(\w+, )"(\w+)"'
    )
    keys = {key for path in readers for key in reading.findall(path.read_text("utf-8"))}
    assert {"tick_ms", "inside_numbers", "vlans", "watch", "interface", "socket"} <= keys
    page = (root / "docs/config.md").read_text("utf-8")
    undocumented = {key for key in keys if not re.search(rf"`[^`]*\b{key}\b[^`]*`", page)}
    assert undocumented == set()
