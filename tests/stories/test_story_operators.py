"""Operators replay on the box, each with their own secret; nobody else reads anything there."""

import json
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import Box, Said, command

from greffier.audit import verify, vouching
from greffier.clock import SystemClock
from greffier.recorder import enlisting
from greffier.recorder.archive import Archive
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.trust import passphrase, wrapping
from greffier.trust.operators import Unlocked
from greffier_sim import captures
from greffier_sim.captures import Plan
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.soak_missing import Missing

PLAN = Plan(talk_ms=400)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id is slow on purpose: vectors and the story of secrecy have the real one."""
    monkeypatch.setattr(
        wrapping, "stretch", lambda secret, salt, cost: sha256(salt + secret).digest()
    )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def operator(box: Box, *words: object) -> Said:
    verb, *rest = words
    return command("operator", verb, *rest, "--data", box.data, "--json")


def added(box: Box, name: str, *words: object) -> Path:
    """Make *name* an operator; the file that holds the passphrase the box drew."""
    said = operator(box, "add", name, *words)
    assert said.code == 0, said.err
    path = box.folder / f"{name}.txt"
    path.write_text(said.json["passphrase"] + "\n")
    return path


def let_in(box: Box, name: str, by: str) -> Path:
    return added(box, name, "--operator", by, "--passphrase-file", box.folder / f"{by}.txt")


def exported(box: Box, recording: str, *words: object) -> Said:
    output = box.folder / f"{secrets.token_hex(4)}.wav"
    said = command("export", recording, "--data", box.data, *words, "-o", output, "--json")
    assert output.exists() == (said.code == 0)
    return said


def as_operator(box: Box, name: str) -> list[Any]:
    return ["--operator", name, "--passphrase-file", box.folder / f"{name}.txt"]


def recording(box: Box) -> str:
    return str(box.call(captures.call(PLAN))["recording"])


def kinds(box: Box) -> list[str]:
    return [entry.ev for entry in verify.entries(box.data)]


def listed(box: Box) -> Any:
    return operator(box, "list").json


def test_an_operator_replays_what_was_recorded_since_they_came(box: Box) -> None:
    before = recording(box)
    added(box, "marie")
    after = recording(box)
    assert exported(box, after, *as_operator(box, "marie")).code == 0
    assert exported(box, before, *as_operator(box, "marie")).code == 12
    assert exported(box, after, "--key", box.key).code == 0
    said = command("calls", "--data", box.data, *as_operator(box, "marie"), "--json")
    told = {one["recording"]: one["from"] for one in said.json["calls"]}
    assert told == {before: None, after: "+33140506070"}
    assert box.verified()["ok"]


def test_each_access_of_an_operator_is_an_entry_that_names_their_key(box: Box) -> None:
    added(box, "marie")
    key_id = listed(box)["operators"][0]["key_id"]
    one = recording(box)
    exported(box, one, *as_operator(box, "marie"))
    command("calls", "--data", box.data, *as_operator(box, "marie"))
    told = [entry for entry in verify.entries(box.data) if entry.ev in ("export", "access")]
    assert [entry.data.get("what", entry.ev) for entry in told] == ["export", "heard", "calls"]
    assert {entry.data["key"] for entry in told} == {key_id}
    assert all(entry.data["by"] for entry in told)


def test_another_operator_is_let_in_by_one_and_gets_what_that_one_opens(box: Box) -> None:
    added(box, "marie")
    one = recording(box)
    assert operator(box, "add", "paul").code == 12  # nobody vouches for them
    let_in(box, "paul", "marie")
    two = recording(box)
    for name in ("marie", "paul"):
        for wanted in (one, two):
            assert exported(box, wanted, *as_operator(box, name)).code == 0
    assert kinds(box).count("console.key") == 1
    assert operator(box, "add", "marie", *as_operator(box, "paul")).code == 1


def test_a_wrong_passphrase_opens_nothing_and_is_one_line(box: Box) -> None:
    added(box, "marie")
    one = recording(box)
    wrong = box.folder / "wrong.txt"
    wrong.write_text(passphrase.generate())
    for words in (["--passphrase-file", wrong], ["--passphrase-file", box.key]):
        said = exported(box, one, "--operator", "marie", *words)
        assert said.code == 12 and said.complaint
    assert exported(box, one, "--operator", "eve", "--passphrase-file", wrong).code == 12
    assert exported(box, one, "--operator", "../marie", "--passphrase-file", wrong).code == 12
    assert exported(box, one, "--operator", "marie").code == 2  # no terminal to ask on
    assert exported(box, one).code == 2


def test_who_is_removed_opens_nothing_that_comes_after_and_nothing_on_the_box(box: Box) -> None:
    added(box, "marie")
    let_in(box, "paul", "marie")
    one = recording(box)
    card = (box.data / "keys" / "operators" / "paul.json").read_bytes()
    said = operator(box, "remove", "paul").json
    assert said["operators_left"] == 1 and kinds(box).count("console.key") == 2
    two = recording(box)
    assert exported(box, one, *as_operator(box, "paul")).code == 12
    # A copy of the card, put back, makes nobody an operator again.
    (box.data / "keys" / "operators" / "paul.json").write_bytes(card)
    assert exported(box, one, *as_operator(box, "paul")).code == 12
    assert [one["operator"] for one in listed(box)["operators"]] == ["marie"]
    for wanted in (one, two):
        assert exported(box, wanted, *as_operator(box, "marie")).code == 0
    assert said["key_id"] not in json.dumps(listed(box)["months"])
    assert box.verified()["ok"]


def test_after_the_last_operator_head_office_still_reads_all_and_old_months_stay_shut(
    box: Box,
) -> None:
    added(box, "marie")
    one = recording(box)
    said = operator(box, "remove", "marie").json
    assert said["operators_left"] == 0 and said["console_key"] is None
    two = recording(box)
    assert listed(box)["months"] == []
    assert {"operator.removed", "console.closed", "console.removed"} <= set(kinds(box))
    added(box, "marie")
    three = recording(box)
    for wanted, code in ((one, 12), (two, 12), (three, 0)):
        assert exported(box, wanted, *as_operator(box, "marie")).code == code
        assert exported(box, wanted, "--key", box.key).code == 0
    assert box.verified()["ok"]


def test_an_operator_whom_nobody_let_in_is_found_in_the_log(box: Box) -> None:
    """Who has the log's key can write such an entry; a signature of an operator he has not."""
    added(box, "marie")
    rogue = Unlocked(*enlisting.new_operator("eve"))
    digest = bytes.fromhex(rogue.operator.digest)
    entry = {
        "operator": rogue.operator.key_id,
        "card": digest.hex(),
        "verify": rogue.operator.verify.hex(),
        "wrap": "file",
        "tpm": False,
        "signature": rogue.sign(vouching.PURPOSE, digest).signature.hex(),
    }
    marie = listed(box)["operators"][0]["key_id"]
    assert box.verified()["ok"]
    for seq, by in enumerate((rogue.operator.key_id, marie), start=1):
        with Archive.open(box.data, SystemClock()) as archive:
            archive.log.append("operator.added", None, {**entry, "by": by})
        codes = [one["code"] for one in box.verified()["problems"]]
        assert codes == ["operator.unvouched"] * seq


def test_a_key_file_on_a_stick_serves_as_well_as_a_passphrase(box: Box) -> None:
    stick = box.folder / "stick.key"
    said = operator(box, "add", "marie", "--wrap", "file", "--new-key-file", stick)
    assert said.code == 0 and said.json["passphrase"] is None and said.json["bits"] == 256
    status = command("status", "--data", box.data, "--json").json
    assert status["operators"] == ["key-file"] and status["deletion_class"] == "C"
    one = recording(box)
    assert exported(box, one, "--operator", "marie", "--key-file", stick).code == 0
    assert exported(box, one, "--operator", "marie", "--key-file", box.key).code == 12
    assert exported(box, one, "--operator", "marie").code == 2
    text = stick.read_text()
    stick.write_text(text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:])
    assert "check" in exported(box, one, "--operator", "marie", "--key-file", stick).complaint


def test_a_chosen_passphrase_is_refused_without_a_tpm(box: Box) -> None:
    mine = box.folder / "mine.txt"
    mine.write_text("correct horse battery staple")
    said = operator(box, "add", "marie", "--wrap", "chosen", "--new-passphrase-file", mine)
    assert said.code == 2 and "TPM" in said.complaint
    assert listed(box)["operators"] == [] and "operator.added" not in kinds(box)


def test_another_secret_opens_the_same_and_the_old_one_nothing(box: Box) -> None:
    old = added(box, "marie")
    one = recording(box)
    said = operator(box, "passphrase", "marie", "--passphrase-file", old)
    assert said.code == 0, said.err
    assert exported(box, one, *as_operator(box, "marie")).code == 12
    old.write_text(said.json["passphrase"].upper().replace("-", " "))
    assert exported(box, one, *as_operator(box, "marie")).code == 0


def test_a_console_key_is_made_at_the_first_epoch_of_another_month(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(box, "marie")
    one = recording(box)
    monkeypatch.setattr("greffier.recorder.archive.day_of", lambda at_ns: "2031-05-01")
    two = recording(box)
    three = recording(box)
    made = [entry.data for entry in verify.entries(box.data) if entry.ev == "console.key"]
    assert [one["reason"] for one in made] == ["first", "month"]
    assert made[1]["month"] == "2031-05"
    for wanted in (one, two, three):
        assert exported(box, wanted, *as_operator(box, "marie")).code == 0
    assert box.verified()["ok"]


def test_rotating_makes_another_key_and_old_recordings_still_open(box: Box) -> None:
    assert operator(box, "rotate").code == 12  # there is nobody to seal it to
    added(box, "marie")
    one = recording(box)
    key_id = operator(box, "rotate").json["console_key"]
    two = recording(box)
    opened = [entry.data for entry in verify.entries(box.data) if entry.ev == "epoch.opened"]
    assert [one["console_key"] == key_id for one in opened] == [False, True]
    for wanted in (one, two):
        assert exported(box, wanted, *as_operator(box, "marie")).code == 0


def test_a_month_goes_with_the_last_key_that_was_sealed_to_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(box, "marie")
    recording(box)
    with Archive.open(box.data, SystemClock()) as archive:
        old = list(archive.shred.names())
    monkeypatch.setattr("greffier.recorder.archive.day_of", lambda at_ns: "2031-05-01")
    two = recording(box)
    assert len(listed(box)["months"]) == 2
    with Archive.open(box.data, SystemClock()) as archive:
        archive.shred.destroy(old[1:])
        assert enlisting.remove_unneeded(archive) == []  # one key of that month is left
        archive.shred.destroy(old)
        gone = enlisting.remove_unneeded(archive)
        assert enlisting.remove_unneeded(archive) == []
    assert [one["month"] for one in listed(box)["months"]] == ["2031-05"]
    assert gone == [
        entry.data["keys"][0] for entry in verify.entries(box.data) if entry.ev == "console.removed"
    ]
    assert exported(box, two, *as_operator(box, "marie")).code == 0


def test_an_operator_or_a_month_that_somebody_planted_reads_nothing(box: Box) -> None:
    added(box, "marie")
    (box.folder / "rogue").mkdir()
    other = Box(box.folder / "rogue")
    eve = added(other, "eve")
    folder = box.data / "keys" / "operators"
    (folder / "eve.json").write_bytes((other.data / "keys" / "operators" / "eve.json").read_bytes())
    (month,) = (box.data / "keys" / "months").iterdir()
    good = month.read_bytes()
    (planted,) = (other.data / "keys" / "months").iterdir()
    month.write_bytes(planted.read_bytes())
    (box.data / "keys" / "console.pub").write_text(keys.generate(Role.CONSOLE).public.format())
    one = recording(box)  # a key of its own instead of the planted one
    assert exported(box, one, "--operator", "eve", "--passphrase-file", eve).code == 12
    assert exported(box, one, *as_operator(box, "marie")).code == 0
    opened = [entry.data for entry in verify.entries(box.data) if entry.ev == "epoch.opened"]
    assert opened[-1]["console_key"] not in planted.read_text()
    assert good != month.read_bytes() or len(listed(box)["months"]) == 2
    assert box.verified()["ok"]


def test_a_console_key_that_was_given_is_asked_for_before_the_first_operator(
    tmp_path: Path,
) -> None:
    pair = keys.generate(Role.CONSOLE)
    (tmp_path / "console.pub").write_text(pair.public.format())
    (tmp_path / "console.key").write_text(pair.format())
    (tmp_path / "office.pub").write_text(keys.generate(Role.OFFICE).public.format())
    data = tmp_path / "data"
    made = command(
        "init",
        *("--data", data, "--office-key", tmp_path / "office.pub"),
        *("--console-key", tmp_path / "console.pub", "--effaceable", "file"),
    )
    assert made.code == 0
    assert command("operator", "add", "marie", "--data", data).code == 12
    said = command(
        "operator", "add", "marie", "--data", data, "--console-key", tmp_path / "console.key"
    )
    assert said.code == 0, said.err


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


def test_with_a_tpm_a_passphrase_may_be_chosen_and_a_copy_of_the_box_cannot_try_it(
    box: Box, tpm: EmulatedTpm
) -> None:
    mine = box.folder / "marie.txt"
    for easy in ("short", "aaaaaaaaaaaaaa", " " * 12):
        mine.write_text(easy)
        said = operator(box, "add", "marie", "--wrap", "chosen", "--new-passphrase-file", mine)
        assert said.code == 2 and said.complaint
    mine.write_text("Lundi à la pêche")
    said = operator(box, "add", "marie", "--wrap", "chosen", "--new-passphrase-file", mine)
    assert said.code == 0 and said.json["tpm"] and said.json["passphrase"] is None
    one = recording(box)
    assert exported(box, one, *as_operator(box, "marie")).code == 0
    assert listed(box)["guard"] == ["tpm"]
    wrong = box.folder / "wrong.txt"
    wrong.write_text("Mardi à la pêche")
    asked = ("--operator", "marie", "--passphrase-file", wrong)
    complaints = {exported(box, one, *asked).complaint for _ in range(12)}
    assert len(complaints) == 2  # wrong, then locked
    assert exported(box, one, *as_operator(box, "marie")).code == 12
    # The disk in another machine, with a TPM or without: nothing to guess against.
    other = EmulatedTpm(box.folder / "other-tpm")
    with other, pytest.MonkeyPatch.context() as patch:
        for words, code in ((other.words, 20), ("none", 10)):
            patch.setenv("GREFFIER_TPM", words)
            assert exported(box, one, *as_operator(box, "marie")).code == code
    assert operator(box, "remove", "marie").json["pepper_destroyed"] is True
    assert exported(box, one, "--key", box.key).code == 0
