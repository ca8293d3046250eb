"""Tokens, links and agents through the commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import command

from greffier.gate.registry import Registry

CONFIG = """schema = "recorder/1"
data = "data"
policy = "policy.toml"
[taps.trunk]
interface = "eth1"
[agents]
file = "agents.csv"
[[agents.entry]]
extension = "100"
agent = "a-chef"
team = "ventes"
[gate]
folder = "gate"
url = "https://box.example:8760"
certificate = "gate.crt"
key = "gate.key"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "recorder.toml"
    path.write_text(CONFIG)
    return path


def ran(*words: object, code: int = 0) -> tuple[dict[str, Any], str]:
    said = command(*words, "--json") if code == 0 else command(*words)
    assert said.code == code, said
    return (json.loads(said.out.splitlines()[-1]) if code == 0 else {}), said.err


def test_agents_are_imported_or_every_wrong_line_is_said(config: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "new.csv", tmp_path / "agents.csv"
    file.write_bytes(b"\xef\xbb\xbfextension;agent;from;team\n101;a-lea;01/03/2026;ventes\n")
    words = ("agents", "import", file, "--config", config)
    found, _ = ran(*words, "--dry-run")
    assert (found["rows"], found["teams"], found["changed"]) == (1, 1, False)
    assert not target.exists()
    assert ran(*words)[0]["changed"] is True
    assert ran(*words)[0]["changed"] is False
    before = target.read_bytes()
    file.write_text("extension,agent\n101,a-lea\n102,\n101,a-max\n100,a-lea\n")
    _, told = ran(*words, code=2)
    lines = told.splitlines()
    assert len(lines) == 4
    assert [line.split()[1] for line in lines[:3]] == ["3", "4", "5"]
    assert target.read_bytes() == before
    listed, _ = ran("agents", "list", "--config", config)
    assert listed["teams"] == {"ventes": ["a-chef", "a-lea"]}
    assert ran("agents", "import", tmp_path / "none.csv", "--config", config, code=2)[1]


def test_tokens_are_made_listed_and_revoked(config: Path, tmp_path: Path) -> None:
    (tmp_path / "agents.csv").write_text("extension,agent\n101,a-lea\n")
    words = ("--config", config)
    one, _ = ran("gate", "token", "add", "a-lea", "--agent", *words)
    two, _ = ran(
        "gate", "token", "add", "crm", "--allow", "contract", "--allow", "mifid=no", *words
    )
    link, _ = ran("gate", "desk", "101", *words)
    assert link["link"].startswith("https://box.example:8760/enrol?code=gft-")
    assert (tmp_path / "gate/tokens.json").stat().st_mode & 0o077 == 0
    for secret in (one["token"], two["token"]):
        assert secret[21:] not in (tmp_path / "gate/tokens.json").read_text()
    rows = ran("gate", "token", "list", *words)[0]["tokens"]
    assert [(row["kind"], row["name"], row["allow"], row["state"]) for row in rows] == [
        ("agent", "a-lea", [], "valid"),
        ("system", "crm", ["contract", "mifid=no"], "valid"),
        ("code", "101", [], "valid"),
    ]
    key = rows[0]["id"]
    assert ran("gate", "token", "revoke", key, *words)[0]["done"] == [key]
    assert ran("gate", "token", "revoke", key, *words)[0]["done"] == []
    assert Registry(tmp_path / "gate").find(one["token"], 1) is None
    ran("gate", "token", "revoke", "0" * 16, *words, code=1)


@pytest.mark.parametrize(
    "words",
    [
        ("add", "crm"),
        ("add", "crm", "--agent", "--allow", "proof"),
        ("add", "crm", "--allow", "u"),
        ("add", "crm", "--allow", "consent=out"),
        ("add", "0478123456", "--agent"),
    ],
)
def test_a_wrong_token_is_refused_in_one_line(words: tuple[str, ...], config: Path) -> None:
    (config.parent / "agents.csv").write_text("extension,agent\n101,a-lea\n")
    _, told = ran("gate", "token", *words, "--config", config, code=2)
    assert len(told.splitlines()) == 1
    assert not (config.parent / "gate/tokens.json").exists()


def test_a_damaged_file_of_tokens_is_said(config: Path, tmp_path: Path) -> None:
    (tmp_path / "agents.csv").write_text("extension,agent\n101,a-lea\n")
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate/tokens.json").write_text("{}")
    for words in (("token", "list"), ("run",)):
        _, told = ran("gate", *words, "--config", config, code=12)
        assert len(told.splitlines()) == 1
