"""A recorder adopts what two persons signed, and nothing else; its log says what and who."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.recorder.live_scene import CONFIG, NOON_NS, Hands, Scene, Shown
from tests.stories.box import PACKS, PAIR, RETAIL

from greffier.audit.note import Signer
from greffier.capture.datagram import Address
from greffier.config.recorder import load
from greffier.control.board import Board, Reply
from greffier.control.governance import AdoptPolicy
from greffier.control.messages import Done, Failure
from greffier.durable import Disk
from greffier.errors import BadPolicy
from greffier.policy.decision import decide
from greffier.recorder import adopted_policies, archive, signing
from greffier.recorder.adoption import NotAdopted, examine
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.governing import Governor
from greffier.recorder.live import Live
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

ALICE, BOB, EVE = (
    Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number, name in enumerate(("alice", "bob", "eve"), 1)
)
VERSION = "version = 7\n"
BASE = RETAIL.read_text("utf-8").replace("rate = 0.20", "rate = 0.0")
MATCH = '[[match]]\nline = "accueil"\n'


def of_version(number: int, text: str = BASE) -> str:
    assert VERSION in text
    return text.replace(VERSION, f"version = {number}\n")


class Governed(Scene):
    """A box whose policy is governed: what the configuration names, then what is adopted."""

    def __init__(self, folder: Path, text: str = BASE) -> None:
        self.folder = folder
        self.clock = Hands()
        archive.create(folder / "data", self.clock, PAIR.public.format().encode())
        keys = "".join(one.log_key.text + "\n" for one in (ALICE, BOB))
        (folder / "signers").write_text(keys)
        (folder / "recorder.toml").write_text(
            CONFIG.replace("[control]", 'policy_signers = "signers"\n[control]') + MATCH
        )
        self.config = load(folder / "recorder.toml")
        self.write(text)
        self.start()

    def write(self, text: str, *signers: Signer) -> Path:
        """Put a policy where the configuration names one, signed by *signers* (two if none)."""
        path = self.folder / "policy.toml"
        path.write_text(text, "utf-8")
        signing.beside(path).unlink(missing_ok=True)
        signing.sign(path, path.read_bytes(), signers or (ALICE, BOB), Disk())
        return path

    def start(self) -> None:
        governor = Governor(self.config, PACKS)
        self.archive = Archive.open(self.config.data, self.clock)
        self.alarms = AlarmRoom(self.clock, "0" * 32)
        self.board = Board()
        self.live = Live(
            self.config, governor.policy, PACKS, self.clock, self.archive, self.board,
            self.alarms, governor=governor,
        )  # fmt: skip
        self.port = Shown(self.clock)
        try:
            self.live.begin([self.port])
        except BadPolicy:
            self.archive.close()
            raise
        (self.source,) = self.live.sources

    @property
    def version(self) -> int:
        return self.live.policy.version

    def names(self) -> set[str]:
        return {one.name for one in self.standing}

    def adopt(self, text: str, *signers: Signer) -> Reply:
        """Order it, and let the loop go on until it is answered."""
        path = self.folder / "new.toml"
        path.write_text(text, "utf-8")
        signing.beside(path).unlink(missing_ok=True)
        signing.sign(path, path.read_bytes(), signers or (ALICE, BOB), Disk())
        return self.order(path.read_bytes(), signing.beside(path).read_text("utf-8"))

    def order(self, content: bytes, signature: str) -> Reply:
        answers: list[Reply] = []
        request = AdoptPolicy(adopted_policies.packed(content), signature)
        assert self.board.serve(request, 0, 0, answers.append) is None
        for _round in range(8):  # examined, logged, durable, in force
            self.go_on()
            if answers:
                break
            self.archive.tick()
        (answer,) = answers
        return answer

    def go_on(self) -> None:
        """The loop looks at its orders, and again when what it began is examined."""
        self.live._obey()
        thread = self.live._governor._thread  # type: ignore[union-attr]
        if thread is not None:
            thread.join(60)
            self.live._obey()


def plan(number: int, start_ns: int = NOON_NS + 1_000 * MS) -> Plan:
    return Plan(
        call_id=f"governed-{number}@sim",
        start_ns=start_ns,
        talk_ms=1_000,
        caller_media=Address(f"10.1.0.{number + 1}", 4000),
        callee_media=Address(f"10.2.0.{number + 1}", 5000),
    )


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Governed]:
    made = Governed(tmp_path)
    yield made
    made.stop()


def test_calls_that_begin_afterwards_are_of_the_new_one_and_running_calls_keep_theirs(
    box: Governed,
) -> None:
    first = plan(0)
    box.hear(captures.opening(first))
    assert box.adopt(of_version(8)) == Done()
    box.hear(captures.closing(first))
    second = plan(1, box.clock.now + 1_000 * MS)
    box.hear(captures.call(second))
    versions = [one["policy_version"] for one in box.told("call.decided")]
    assert versions == [7, 8]
    adopted = [one["policy_version"] for one in box.told("policy.adopted")]
    assert adopted == [7, 8]


def test_the_entry_says_who_signed_and_what_differs(box: Governed) -> None:
    text = of_version(8).replace("quality = 89", "quality = 120").replace("0.0", "0.25", 1)
    assert "rate = 0.25" in text
    box.adopt(text)
    entry = box.told("policy.adopted")[-1]
    assert entry["policy_version"] == 8 and entry["signed"]
    assert entry["changed"] == ["retention.quality", "sampling.rate", "version"]
    assert entry["looser"] == ["retention.quality", "sampling.rate"]
    assert entry["keys"] == [one.log_key.key_id.hex() for one in (ALICE, BOB)]
    assert entry["fail_mode"] == "closed" and entry["never"] == ["cse"]
    statement = f"greffier-policy\n{entry['policy_sha256']}\n".encode()
    for signer, signature in zip((ALICE, BOB), entry["signatures"], strict=True):
        public = Ed25519PrivateKey.from_private_bytes(
            bytes([1 if signer is ALICE else 2]) * 32
        ).public_key()
        public.verify(bytes.fromhex(signature), statement)  # it raises where it does not hold
    assert "alice" not in str(entry)


REFUSED = [
    (of_version(8), (ALICE,), "one_person"),
    (of_version(8), (EVE,), "unsigned"),
    (of_version(8), (ALICE, EVE), "one_person"),
    (of_version(6), (ALICE, BOB), "older"),
    (BASE + "\n# other bytes\n", (ALICE, BOB), "same_version"),
    (of_version(8) + "[nonsense]\n", (ALICE, BOB), "malformed"),
    (of_version(8).replace("= 2025-09-01", '= "no day"'), (ALICE, BOB), "malformed"),
    (of_version(8).replace('dpo_ref = "', '# "'), (ALICE, BOB), "errors"),
    (of_version(8).replace("fr-retail-lyon2", "fr-0123456789"), (ALICE, BOB), "nameless"),
    ("\x00", (ALICE, BOB), "malformed"),
]


def test_what_may_not_be_adopted_changes_nothing_and_is_logged(box: Governed) -> None:
    for text, signers, code in REFUSED:
        assert box.adopt(text, *signers) == Failure("refused", f"policy_{code}")
        assert box.version == 7
    box.tick()
    logged = [one["reason"] for one in box.told("policy.refused")]
    assert logged == [code for _text, _signers, code in REFUSED]
    assert len(box.told("policy.adopted")) == 1


def test_the_policy_that_runs_is_no_change(box: Governed) -> None:
    assert box.adopt(BASE) == Done(changed=False)
    assert len(box.told("policy.adopted")) == 1


def test_signatures_of_other_bytes_and_broken_ones_are_refused(box: Governed) -> None:
    old = signing.beside(box.folder / "policy.toml").read_text("utf-8")
    new = of_version(8).encode()
    assert box.order(new, old) == Failure("refused", "policy_another")
    assert box.order(new, "no note\n") == Failure("refused", "policy_garbled")
    signing.sign(box.folder / "x", new, (ALICE, BOB), Disk())
    note = signing.beside(box.folder / "x").read_text("utf-8")
    head, _, tail = note.rpartition(" ")
    flipped = "B" if tail[20] != "B" else "C"
    broken = f"{head} {tail[:20]}{flipped}{tail[21:]}"
    assert box.order(new, broken) == Failure("refused", "policy_forged")
    assert box.version == 7


def test_one_name_with_two_keys_and_one_key_under_two_names_are_one_person() -> None:
    other_alice = Signer("Alice", Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    same_key = Signer("anna", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
    content = BASE.encode()
    for twin in (other_alice, same_key):
        signers = [one.log_key for one in (ALICE, twin)]
        lines = [one.sign(f"greffier-policy\n{_sha(content)}\n") for one in (ALICE, twin)]
        note = lines[0] + lines[1].decode().partition("\n\n")[2].encode()
        with pytest.raises(NotAdopted) as found:
            examine(content, note, signers, PACKS)
        assert found.value.code == "one_person"


def _sha(content: bytes) -> str:
    return adopted_policies.adoption.sha256_of(content)


def test_after_a_kill_between_entry_and_effect_the_adopted_one_runs(box: Governed) -> None:
    path = box.folder / "new.toml"
    path.write_text(of_version(8), "utf-8")
    signing.sign(path, path.read_bytes(), (ALICE, BOB), Disk())
    request = AdoptPolicy(
        adopted_policies.packed(path.read_bytes()), signing.beside(path).read_text("utf-8")
    )
    answers: list[Reply] = []
    box.board.serve(request, 0, 0, answers.append)
    box.go_on()  # the entry is in the log's memory
    assert not answers and box.version == 7
    box.archive.tick()  # and durable; the process ends before it answers
    box.break_off()
    box.start()  # the configuration still names the older one
    assert box.version == 8
    assert "policy.refused" not in box.names()
    assert box.told("policy.refused") == []


def test_a_start_with_a_newer_file_adopts_it_and_with_a_bad_one_goes_on(box: Governed) -> None:
    box.break_off()
    box.write(of_version(9))
    box.start()
    assert box.version == 9
    for text, signers, code in (
        (of_version(10), (ALICE,), "one_person"),
        (of_version(10) + "[", (ALICE, BOB), "malformed"),
        (of_version(9) + "\n", (ALICE, BOB), "same_version"),
    ):
        box.break_off()
        box.write(text, *signers)
        box.start()
        assert box.version == 9
        assert "policy.refused" in box.names()
        assert box.told("policy.refused")[-1]["reason"] == code
    box.break_off()
    (box.folder / "policy.toml").unlink()
    box.start()
    assert box.version == 9
    assert box.told("policy.refused")[-1]["reason"] == "missing"


def test_a_summary_knows_what_was_adopted(box: Governed) -> None:
    box.adopt(of_version(8))
    picture = box.archive.picture
    assert picture is not None
    again = type(picture).load(picture.dump())
    assert again.policies == picture.policies
    assert again.policies.refusal("fr-retail-lyon2", 7, "") == "older"


@pytest.mark.parametrize("fail_mode", ["closed", "block_call", "open"])
def test_an_adopted_policy_that_cannot_be_read_leaves_the_fail_mode(
    tmp_path: Path, fail_mode: str
) -> None:
    box = Governed(tmp_path, BASE.replace('fail_mode = "closed"', f'fail_mode = "{fail_mode}"'))
    try:
        box.break_off()
        for path in (tmp_path / "data/policies").glob("*.toml"):
            path.write_text("spoilt")
        (tmp_path / "policy.toml").unlink()
        box.start()
        assert "policy.unreadable" in box.names()
        assert box.live.policy.fail_mode == fail_mode
        assert box.live.policy.never_records("cse")
        box.hear(captures.call(replace(plan(0), start_ns=box.clock.now + 1_000 * MS)))
        (decided,) = box.told("call.decided")
        expected = {
            "closed": ("none", ["LINE_UNCONFIGURED"]),
            "block_call": ("none", ["LINE_UNCONFIGURED"]),
            "open": ("cont", ["FAIL_OPEN_EMERGENCY"]),
        }
        assert (decided["record"], decided["codes"]) == expected[fail_mode]
        verdict = decide(box.live.policy, PACKS, "accueil")
        assert verdict.action == ("block_call" if fail_mode == "block_call" else "continue")
    finally:
        box.stop()


def test_a_box_that_never_had_a_policy_does_not_start_without_one(tmp_path: Path) -> None:
    with pytest.raises(NotAdopted) as found:
        made = Governed(tmp_path, BASE.replace('dpo_ref = "', '# "'))
        made.stop()
    assert found.value.code == "errors"
    assert not (tmp_path / "data/policies").exists()
