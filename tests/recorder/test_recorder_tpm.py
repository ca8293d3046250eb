"""A recorder whose deletions are class A: it says so, and waits for a TPM that is away."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recorder.office_scene import KEYS, QUALITY, START_NS, Box, WornClock
from tests.recorder.test_recorder_service import Running
from tests.stories.box import PAIR, RETAIL, SDIS, command

from greffier.audit import verify
from greffier.clock import SystemClock
from greffier.errors import TpmLost
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import archive
from greffier.recorder.checks import Subject, examine
from greffier_sim import captures, packets
from greffier_sim.captures import Plan
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.soak_missing import Missing

OFFICE = PAIR.public.format().encode()


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedTpm]:
    made = EmulatedTpm(tmp_path / "tpm")
    try:
        made.start()
    except Missing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("GREFFIER_TPM", made.words)
    yield made
    made.stop()


@pytest.fixture
def office_key(tmp_path: Path) -> Path:
    path = tmp_path / "office.pub"
    path.write_bytes(OFFICE)
    return path


def recording(tmp_path: Path) -> Running:
    archive.create(tmp_path / "disk/box", SystemClock(), OFFICE, None, "tpm")
    return Running(tmp_path, made=False)


def test_init_says_which_class_it_is(tpm: EmulatedTpm, tmp_path: Path, office_key: Path) -> None:
    words = ("init", "--office-key", office_key, "--data")
    said = command(*words, tmp_path / "a", "--json")
    assert (said.code, said.json["deletion_class"]) == (0, "A")
    assert command("status", "--data", tmp_path / "a", "--json").json["deletion_class"] == "A"
    said = command(*words, tmp_path / "c", "--effaceable", "file", "--json")
    assert (said.code, said.json["deletion_class"]) == (0, "C")
    assert command("status", "--data", tmp_path / "c", "--json").json["deletion_class"] == "C"
    assert " A " in command(*words, tmp_path / "b", "--effaceable", "tpm").out
    for name, letter in (("a", "A"), ("b", "A"), ("c", "C")):
        first = next(verify.entries(tmp_path / name))
        assert (first.ev, first.data["class"]) == ("device.created", letter)


def test_without_a_tpm_auto_is_class_c_and_tpm_is_refused(
    tmp_path: Path, office_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_TPM", f"device:{tmp_path}/tpmrm0")
    words = ("init", "--office-key", office_key, "--data")
    found = command(*words, tmp_path / "c", "--json").json
    assert found["deletion_class"] == "C" and f"{tmp_path}/tpmrm0" in found["no_tpm"]
    assert f"{tmp_path}/tpmrm0" in command(*words, tmp_path / "d").out
    assert command(*words, tmp_path / "e", "--effaceable", "file", "--json").json["no_tpm"] is None
    said = command(*words, tmp_path / "a", "--effaceable", "tpm")
    assert (said.code, "/dev/tpmrm0" in said.complaint) == (10, True)
    assert not (tmp_path / "a" / "device.json").exists()


def test_auto_says_why_a_tpm_that_answers_is_not_used(
    tpm: EmulatedTpm, tmp_path: Path, office_key: Path
) -> None:
    assert tpm.tool("tpm2_changeauth", "-c", "owner", "secret").returncode == 0
    words = ("init", "--office-key", office_key, "--data", tmp_path / "c")
    said = command(*words, "--lang", "en")
    assert said.code == 0 and "lets no index be made" in said.out
    said = command(*words[:-1], tmp_path / "a", "--effaceable", "tpm", "--lang", "en")
    assert said.code == 10 and "password" in said.complaint


def test_a_purge_says_in_the_log_what_it_is_worth(tpm: EmulatedTpm, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    archive.create(folder, WornClock(), OFFICE, None, "tpm")
    (folder / "keys" / "head-office.pub").write_text(KEYS)
    with Box(folder) as box:
        part = box.seal(0, QUALITY)
        with box.turn:
            box.clock.witnessed(START_NS + 89 * DAY_NS, "statement")
            box.archive.log.append("recorder.stopped", None, {"reason": "asked"})
            box.archive.tick()
    before = tpm.state
    said = command("purge", "--data", folder, "--json")
    assert [one["id"] for one in said.json["done"]] == [part]
    with Box(folder) as box:
        assert {one.data["class"] for one in box.entries("part.opened")} == {"A"}
        shredded = [
            (one.data["class"], one.data.get("outcome")) for one in box.entries("key.shredded")
        ]
    assert shredded == [("A", None), ("A", "done")]
    assert tpm.state != before
    assert command("audit", "verify", "--data", folder, "--json").json["ok"]


def test_a_duty_whose_file_carries_an_envelope_is_class_c_all_the_same(
    tpm: EmulatedTpm, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    archive.create(folder, SystemClock(), OFFICE, None, "tpm")
    capture = tmp_path / "call.pcap"
    capture.write_bytes(packets.pcap(packets.frames_of(captures.call(Plan(talk_ms=200)))))
    for policy, line in ((SDIS, "l18"), (RETAIL, "vente")):
        words = ("--policy", policy, "--line", line, "--facts", "window=true", "--draw", 0)
        said = command("import-pcap", capture, "--data", folder, *words)
        assert said.code == 0, said.err
    found = {
        (one.data["line"], one.data["class"])
        for one in verify.entries(folder)
        if one.ev == "part.opened"
    }
    assert found == {("l18", "C"), ("vente", "A")}
    assert command("audit", "verify", "--data", folder, "--json").json["ok"]


def test_who_only_reads_says_that_the_tpm_is_away(tpm: EmulatedTpm, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    archive.create(folder, SystemClock(), OFFICE, None, "tpm")
    tpm.stop()
    for words in (("audit", "verify"), ("calls",), ("purge",)):
        said = command(*words, "--data", folder)
        assert (said.code, "TPM" in said.complaint) == (10, True), words
    tpm.start()
    tpm.tool("tpm2_clear", "-c", "p")
    for words in (("audit", "verify"), ("calls",), ("purge",)):
        said = command(*words, "--data", folder)
        assert (said.code, "TPM" in said.complaint) == (20, True), words


def test_a_start_waits_for_its_tpm(tpm: EmulatedTpm, tmp_path: Path) -> None:
    box = recording(tmp_path)
    tpm.stop()
    with box:
        status = box.wait_for(lambda status: bool(status.alarms))
        assert (status.armed, status.deletion) == (False, "")
        tpm.start()
        status = box.wait_for(lambda status: status.armed)
        assert (status.alarms, status.deletion) == ((), "A")
    assert len(box.said) == 1 and "TPM" in box.said[0], "one line, however often it was tried"
    assert verify.verify(tmp_path / "disk/box").problems == ()


def test_a_start_with_another_tpm_ends(tpm: EmulatedTpm, tmp_path: Path) -> None:
    box = recording(tmp_path)
    tpm.tool("tpm2_clear", "-c", "p")
    with pytest.raises(TpmLost):
        box.service.run()
    assert not list((tmp_path / "disk/box").rglob("effaceable.key"))


def test_the_doctor_counts_the_replacements(tpm: EmulatedTpm, tmp_path: Path) -> None:
    box = recording(tmp_path)
    findings = {one.check: one for one in examine(Subject(box.config, box.clock, running=False))}
    assert findings["deletion"].state == "ok" and " 1 " in findings["deletion"].cause
    tpm.stop()
    findings = {one.check: one for one in examine(Subject(box.config, box.clock, running=False))}
    assert findings["deletion"].state == "fail" and "TPM" in findings["deletion"].cause


def test_the_description_is_canonical(tpm: EmulatedTpm, tmp_path: Path) -> None:
    made = archive.create(tmp_path / "data", SystemClock(), OFFICE, None, "tpm")
    found = json.loads((made.shred / "effaceable.json").read_bytes())
    assert found["handles"] == ["01500010", "01500011"]
