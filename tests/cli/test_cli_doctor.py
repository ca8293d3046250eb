"""``greffier doctor``: every check on a box that is well, and on one fault at a time."""

import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit.note import Signer
from greffier.cli.main import COMMANDS, run
from greffier.clock import SECOND, LowerBound, Source, SystemClock
from greffier.config.recorder import load
from greffier.policy import rules
from greffier.recorder import adoption, archive, load_work
from greffier.recorder.checks import Finding, Subject, examine
from greffier.seal import keys
from greffier.seal.keys import Role

NOON_NS = 1_796_000_000 * SECOND


class Noon:
    """A clock that shows a given time."""

    boot_id = "0" * 32

    def __init__(self, wall_ns: int = NOON_NS) -> None:
        self.now = wall_ns

    def wall_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return 0

    def lower_bound(self) -> LowerBound:
        return SystemClock().lower_bound()

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Nobody is believed here."""


def signed(path: Path, signers: Path) -> None:
    people = [Signer(name, Ed25519PrivateKey.generate()) for name in ("ada", "grace")]
    text = adoption.statement(path.read_bytes())
    first, second = (person.sign(text) for person in people)
    (path.parent / f"{path.name}.sig").write_bytes(first + second.splitlines(keepends=True)[-1])
    signers.write_text("".join(f"{person.log_key.text}\n" for person in people))


@pytest.fixture
def box(tmp_path: Path) -> Subject:
    """A box on which nothing is wrong."""
    office = keys.generate(Role.OFFICE).public
    archive.create(tmp_path / "data", SystemClock(), office.format().encode())
    policy = tmp_path / "policy.toml"
    policy.write_text(rules.builtin("fr-retail.toml").read_text("utf-8"), "utf-8")
    signed(policy, tmp_path / "signers")
    system = tmp_path / "root"
    for folder in ("sys/class/rtc/rtc0", "sys/class/net/eth1", "proc/asound/Line"):
        (system / folder).mkdir(parents=True)
    (system / "sys/class/net/eth1/operstate").write_text("up\n")
    (system / "proc/swaps").write_text("Filename Type Size Used Priority\n")
    lines = rules.load(policy).lines
    matches = "".join(f'[[match]]\nline = "{line}"\nvlans = [1]\n' for line in lines)
    (tmp_path / "off-hook").write_text("0")
    (tmp_path / "secret").write_text("s")
    path = tmp_path / "recorder.toml"
    path.write_text(
        'schema = "recorder/1"\ndata = "data"\npolicy = "policy.toml"\n'
        f'policy_signers = "signers"\n[control]\nsocket = "{tmp_path}/s"\n'
        'watch = ["greffier-alarm"]\n'
        '[taps.trunk]\ninterface = "eth1"\n'
        '[analogue.porte]\nline = "accueil"\npcm = "hw:CARD=Line,DEV=0"\ndetect = "off_hook"\n'
        'off_hook_input = "off-hook"\n'
        '[outputs.hook]\nkind = "webhook"\nurl = "https://example.org/"\nsecret_file = "secret"\n'
        f"{matches}"
    )
    return Subject(load(path), Noon(), False, system)


def found(subject: Subject) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for one in examine(subject):
        grouped.setdefault(one.check, []).append(one)
    return grouped


def has_alsa() -> bool:
    try:
        import alsaaudio  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError:
        return False
    return True


def test_a_box_that_is_well(box: Subject) -> None:
    checks = found(box)
    skipped = set() if has_alsa() else {"card"}
    skipped |= set() if may_capture() else {"tap"}
    wrong = [
        one
        for name, many in checks.items()
        for one in many
        if one.state != "ok" and name not in {*skipped, "limits", "space"}
    ]
    assert wrong == []
    assert set(checks) >= {
        "core", "data", "keys", "deletion", "clock", "space", "policy", "lines", "tap", "card",
        "swap", "audit", "outputs",
    }  # fmt: skip


Fault = Callable[[Subject, Path], Subject | None]


def _clock_in_1970(box: Subject, _: Path) -> Subject:
    return replace(box, clock=Noon(SECOND))


def _no_network_card(box: Subject, _: Path) -> None:
    shutil.rmtree(box.system / "sys/class/net/eth1")


def _loose(_: Subject, folder: Path) -> None:
    (folder / "data/keys/log.key").chmod(0o644)


def _altered(_: Subject, folder: Path) -> None:
    (entries,) = (folder / "data/audit").glob("entries-*")
    content = bytearray(entries.read_bytes())
    content[40] ^= 1
    entries.write_bytes(content)


def _line_without_input(box: Subject, _: Path) -> Subject:
    return replace(box, config=replace(box.config, matches=box.config.matches[:1]))


def _line_without_policy(box: Subject, _: Path) -> Subject:
    more = replace(box.config.matches[0], line="inconnue")
    return replace(box, config=replace(box.config, matches=(*box.config.matches, more)))


def _blocks_calls(box: Subject, folder: Path) -> None:
    path = folder / "policy.toml"
    path.write_text(path.read_text().replace('"closed"', '"block_call"', 1))
    signed(path, folder / "signers")


def _deaf(box: Subject, _: Path) -> Subject:
    return replace(box, config=replace(box.config, outputs=()))


def _forwarder_shut_out(box: Subject, _: Path) -> Subject:
    control = replace(box.config.control, watch=("somebody-else",))
    return replace(box, config=replace(box.config, control=control))


FAULTS: list[tuple[str, str, Fault]] = [
    ("data", "fail", lambda _, folder: shutil.rmtree(folder / "data")),
    ("data", "fail", _loose),
    ("keys", "fail", lambda _, folder: (folder / "data/keys/log.key").write_text("x") and None),
    ("keys", "fail", lambda _, folder: (folder / "data/keys/log.pub").write_text("x") and None),
    ("keys", "fail", lambda _, folder: (folder / "data/keys/office.pub").write_text("x") and None),
    ("clock", "fail", _clock_in_1970),
    ("clock", "warn", lambda box, _: shutil.rmtree(box.system / "sys/class/rtc")),
    ("policy", "fail", lambda _, folder: (folder / "policy.toml").write_text("x") and None),
    ("policy", "fail", lambda _, folder: (folder / "policy.toml.sig").unlink()),
    ("policy", "fail", lambda _, folder: (folder / "signers").unlink()),
    ("lines", "warn", _line_without_input),
    ("lines", "fail", _line_without_policy),
    ("actions", "fail", _blocks_calls),
    ("tap", "fail", _no_network_card),
    ("tap", "fail", lambda box, _: (
        box.system / "sys/class/net/eth1/operstate").write_text("down") and None),
    ("card", "fail", lambda box, _: (box.system / "proc/asound/Line").rmdir()),
    ("card", "fail", lambda _, folder: (folder / "off-hook").unlink()),
    ("swap", "warn", lambda box, _: (box.system / "proc/swaps").write_text("a\nb\n") and None),
    ("audit", "fail", _altered),
    ("audit", "fail", lambda _, folder: (folder / "data/audit/checkpoint").unlink()),
    ("outputs", "fail", lambda _, folder: (folder / "secret").unlink()),
    ("outputs", "warn", _deaf),
    ("outputs", "fail", _forwarder_shut_out),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_one_fault_is_one_finding_with_what_mends_it(
    number: int, box: Subject, tmp_path: Path
) -> None:
    check, state, break_it = FAULTS[number]
    if check == "tap" and not may_capture():
        pytest.skip("packets may not be captured here")
    if check == "card" and not has_alsa():
        pytest.skip("pyalsaaudio is not installed")
    broken = break_it(box, tmp_path) or box
    findings = found(broken)[check]
    assert state in [one.state for one in findings]
    assert all(one.mend for one in findings if one.state != "ok")
    assert all(one.cause and "\n" not in one.cause for one in findings)


def test_a_data_directory_that_is_none_is_one_finding(box: Subject, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    checks = found(box)
    assert [one.state for one in checks["data"]] == ["fail"]
    assert not {"keys", "deletion", "space", "audit"} & set(checks)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    code = run("greffier", COMMANDS, ["doctor", *words], "0")
    out, err = capsys.readouterr()
    return code, json.loads(out.splitlines()[-1]) if "--json" in words else {"out": out}, err


def test_the_command_fails_where_a_check_does(
    box: Subject, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(box.config.path)
    code, value, err = call(capsys, "--config", path, "--json")
    assert err == ""
    assert [set(one) for one in value["checks"]] == [{"check", "state", "cause", "mend"}] * len(
        value["checks"]
    )
    states = {one["check"]: one["state"] for one in value["checks"]}
    assert states["config"] == "ok"
    assert states["recorder"] == "warn"
    assert states["tap"] == "fail"  # of this machine, which has no such interface
    assert (code, value["ok"]) == (1, False)
    code, value, _ = call(capsys, "--config", path)
    assert code == 1
    assert "systemctl start greffier-recorder" in value["out"]


@pytest.mark.parametrize("content", [None, "x = [", "tick_ms = 1"])
def test_a_configuration_that_is_none_is_the_one_finding(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_text(content)
    code, value, _ = call(capsys, "--config", str(path), "--json")
    assert (code, value["ok"]) == (1, False)
    assert [(one["check"], one["state"]) for one in value["checks"]] == [("config", "fail")]


def test_the_load_is_measured_when_it_is_asked_for(
    box: Subject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_work, "WORK_S", 0.01)
    path = str(box.config.path)
    code, value, err = call(capsys, "--load", "--config", path, "--json")
    assert (code, err) == (1, "")  # 1: this machine has no such interface
    assert set(value["load"]["codecs"]) == {"original", "flac", "opus"}
    assert {"load.cpu", "load.disk", "load.memory"} <= {one["check"] for one in value["checks"]}
    shutil.rmtree(box.config.data)
    code, value, _ = call(capsys, "--load", "--config", path, "--json")
    assert value["load"] is None
