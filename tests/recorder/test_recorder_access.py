"""Every opening goes through one door: roles by two persons, rules, the log before the sound."""

import hmac
from pathlib import Path
from typing import Any

import pytest
from tests.recorder.test_recorder_purger import by_socket, running
from tests.stories.box import RETAIL, Box, command

from greffier import trust
from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.clock import SECOND, SystemClock
from greffier.errors import AccessDenied
from greffier.policy import rules
from greffier.recorder import shelf
from greffier.recorder.archive import Archive
from greffier.recorder.doorway import Visitor, admit
from greffier.store import layout
from greffier_sim.captures import Plan, call

TWO = ("--by", "anne", "--by", "Bruno")
CASA = rules.builtin("casa-desk.toml")
HOUR = 3600 * SECOND


class House(Box):
    """A box with one call of now, recorded for quality and training, and as evidence."""

    def __init__(self, folder: Path, age_ns: int = HOUR, facts: str = "proof=true contract=oral"):
        super().__init__(folder)
        start = SystemClock().wall_ns() - age_ns
        self.made = self.call(call(Plan(start_ns=start)), facts=facts)
        self.name: str = self.made["recording"]

    def grant(self, person: str, role: str, *words: object) -> Any:
        said = command("role", "grant", person, "--role", role, *TWO, *words, "--data", self.data)
        assert said.code == 0, said.err

    def take(self, *words: object) -> tuple[int, str]:
        """Try to export; the exit code, and the code of a refusal."""
        self.files += 1
        path = self.folder / f"take-{self.files}.wav"
        said = self.export(self.name, path, *words)
        assert path.exists() == (said.code == 0)
        return said.code, said.complaint.split("(")[1].split(")")[0] if said.code == 12 else ""

    def entries(self, *kinds: str) -> list[Entry]:
        return [entry for entry in verify.entries(self.data) if entry.ev in kinds]


def stated(role: str, purpose: str, by: str = "Zoé", *words: object) -> tuple[object, ...]:
    return ("--role", role, "--purpose", purpose, "--by", by, *words)


def test_without_roles_the_key_holder_opens_and_the_log_says_it_before(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.take() == (0, "")
    assert house.take("--purpose", "quality", "--by", "Zoé") == (0, "")
    first, heard, second, _again = house.entries("export", "access")
    assert (first.ev, heard.ev, second.ev) == ("export", "access", "export")
    assert heard.data["what"] == "heard" and heard.data["seconds"] >= 1
    assert "by" not in first.data and second.data["purpose"] == "quality"


def test_once_somebody_has_a_role_everybody_needs_one(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.grant("Zoé", "evaluator")
    assert house.take()[0] == 2
    assert house.take(*stated("evaluator", "quality")) == (0, "")
    assert house.take(*stated("evaluator", "quality", " zoé ")) == (0, "")
    assert house.take(*stated("evaluator", "quality", "Yann")) == (12, "DENY_NOT_GRANTED")
    denied = house.entries("access")[-1].data
    assert (denied["what"], denied["code"], denied["outcome"]) == (
        "export", "DENY_NOT_GRANTED", "denied",
    )  # fmt: skip
    assert (denied["role"], denied["purpose"], denied["proof"]) == (
        "evaluator", "quality", "declared",
    )  # fmt: skip
    taken = command("role", "revoke", "Zoé", "--role", "evaluator", *TWO, "--data", house.data)
    assert taken.code == 0
    assert house.take(*stated("evaluator", "quality")) == (12, "DENY_NOT_GRANTED")
    assert house.verified()["ok"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (stated("admin", "quality"), (12, "DENY_ROLE")),
        (stated("auditor", "evidence", "Zoé", "--reference", "L 1"), (12, "DENY_ROLE")),
        (stated("trainer", "quality"), (12, "DENY_ROLE")),
        (stated("trainer", "training"), (0, "")),
        (stated("evaluator", "insurance"), (12, "DENY_PURPOSE_MISMATCH")),
        (stated("legal", "evidence"), (12, "DENY_NO_REFERENCE")),
        (stated("legal", "evidence", "Zoé", "--reference", "Litige 24"), (0, "")),
        (stated("legal", "dispute", "Zoé", "--reference", "L 1"), (12, "DENY_PURPOSE_MISMATCH")),
        (stated("evaluator", "quality", "Zoé", "--country", "MA"), (12, "DENY_TRANSFER")),
        (
            stated("evaluator", "quality", "Zoé", "--country", "MA", "--policy", CASA),
            (0, ""),
        ),
        (stated("agent_self", "quality"), (12, "DENY_NOT_OWN")),
        (stated("team_lead", "quality"), (12, "DENY_NOT_TEAM")),
        (("--role", "evaluator"), (2, "")),
        (("--role", "evaluator", "--purpose", "quality"), (2, "")),
        (stated("boss", "quality"), (2, "")),
    ],
)
def test_the_rules_hold_for_the_role_that_is_stated(
    tmp_path: Path, words: tuple[object, ...], expected: tuple[int, str]
) -> None:
    assert House(tmp_path).take(*words) == expected


def test_a_purpose_ends_at_its_own_day(tmp_path: Path) -> None:
    house = House(tmp_path, 100 * 24 * HOUR)
    assert house.take(*stated("evaluator", "quality")) == (12, "DENY_PURPOSE_EXPIRED")
    assert house.take(*stated("legal", "evidence", "Zoé", "--reference", "L 1")) == (0, "")


def test_where_a_grant_says_from_which_country_nobody_says_otherwise(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.grant("Zoé", "evaluator", "--country", "TN")
    for country in ((), ("--country", "FR")):
        words = stated("evaluator", "quality", "Zoé", *country)
        assert house.take(*words) == (12, "DENY_TRANSFER")


def test_what_a_data_subject_had_blocked_stays_shut(tmp_path: Path) -> None:
    house = House(tmp_path)
    words = ("--kind", "restriction", "--identity", "document", "--by", "dpo")
    for more in (("open", "D 1", house.name, *words), ("answer", "D 1")):
        assert command("request", *more, "--data", house.data).code == 0
    assert house.take(*stated("evaluator", "quality")) == (12, "DENY_RESTRICTED")
    assert house.take("--purpose", "quality") == (12, "DENY_RESTRICTED")
    assert house.take() == (12, "DENY_RESTRICTED")


def test_one_person_grants_nothing_and_no_role_is_made_up(tmp_path: Path) -> None:
    house = House(tmp_path)
    words = ("role", "grant", "Zoé", "--role", "evaluator", "--data", house.data, "--json")
    alone = command(*words, "--by", "anne")
    assert alone.code == 1 and alone.json["refused"][0]["code"] == "TWO_PERSONS_NEEDED"
    same = command(*words, "--by", "anne", "--by", "ANNE")
    assert same.code == 1
    none = command("role", "revoke", "Zoé", "--role", "legal", *TWO, "--data", house.data, "--json")
    assert none.json["refused"][0]["code"] == "ROLE_NOT_GRANTED"
    assert command("role", "grant", "Zoé", "--role", "boss", *TWO, "--data", house.data).code == 2
    assert not house.entries("role.granted", "role.revoked")


def test_an_emergency_call_is_heard_again_for_ten_minutes_and_behind_glass_for_a_day_half(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    start = SystemClock().wall_ns() - HOUR
    made = box.call(call(Plan(start_ns=start)), "l18", rules.builtin("sdis18.toml"))
    visitor = Visitor("Zoé", "emergency_fire", "operator")
    clock = SystemClock()
    with Archive.open(box.data, clock) as archive:
        desk = shelf.of_archive(archive)
        admit(desk, clock, made["recording"], visitor)  # the import was a moment ago
    later = Later()
    with Archive.open(box.data, clock) as archive:
        desk = shelf.of_archive(archive)
        with pytest.raises(AccessDenied, match="DENY_REPLAY_WINDOW"):
            admit(desk, later, made["recording"], visitor)
        glass = Visitor("Zoé", "emergency_fire", "operator", break_glass="malaise non localisé")
        admit(desk, later, made["recording"], glass)
        assert archive.register.grants.broken_ns > start
        later.hours = 13
        with pytest.raises(AccessDenied, match="DENY_REPLAY_WINDOW"):
            admit(desk, later, made["recording"], glass)
    (broken,) = [one for one in verify.entries(box.data) if one.ev == "access.broken_glass"]
    assert broken.data["reason"] == "malaise non localisé"


class Later(SystemClock):
    """A clock that is some hours ahead."""

    hours = 2

    def wall_ns(self) -> int:
        return super().wall_ns() + self.hours * HOUR


def test_own_calls_and_those_of_the_team_are_told_by_the_agent_in_the_log(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.grant("Zoé", "agent_self", "--agent", "agent-12")
    house.grant("Yann", "team_lead", "--team", "lyon")
    data = layout.open(house.data)
    secret = trust.load_log_key(data.log_key).private.private_bytes_raw()
    (decided,) = house.entries("call.decided")
    root = hmac.digest(secret, b"greffier/agents@v1", "sha256")
    month = hmac.digest(root, house.made["start"][:7].encode(), "sha256")
    who = hmac.digest(month, b"callpolicy/1|agent|agent-12", "sha256").hex()[:32]
    team = tmp_path / "team.toml"
    team.write_text(RETAIL.read_text() + '\n[teams]\nlyon = ["agent-11", "agent-12"]\n')
    other = tmp_path / "other.toml"
    other.write_text(RETAIL.read_text() + '\n[teams]\nlyon = ["agent-11"]\n')
    clock = SystemClock()
    with Archive.open(house.data, clock) as archive:
        desk = shelf.of_archive(archive)
        own, lead = Visitor("Zoé", "quality", "agent_self"), Visitor("Yann", "quality", "team_lead")
        with pytest.raises(AccessDenied, match="DENY_NOT_OWN"):
            admit(desk, clock, house.name, own)
        again = {**decided.data, "agent": who}
        archive.log.append("call.decided", house.name, again)
        archive.log.commit()
        assert admit(desk, clock, house.name, own).parts
        assert admit(desk, clock, house.name, lead, rules.load(team)).parts
        with pytest.raises(AccessDenied, match="DENY_NOT_TEAM"):
            admit(desk, clock, house.name, lead, rules.load(other))


def test_beside_a_recorder_that_runs_it_writes_the_log_and_the_command_reads(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    with running(house.data) as (box, _engine):
        words = ("--data", house.data, "--socket", box.socket, "--json")
        said = command("role", "grant", "Zoé", "--role", "evaluator", *TWO, *words)
        assert said.code == 0, said.err
        at = ("--socket", box.socket)
        assert house.take(*at)[0] == 2
        assert house.take(*stated("evaluator", "quality"), *at) == (0, "")
        assert house.take(*stated("trainer", "training"), *at) == (12, "DENY_NOT_GRANTED")
        opened = by_socket(box, "request", "open", "D 1", house.name, "--kind", "erasure")
        assert opened["done"]
        assert box.archive.register.find("D 1") is not None
    assert [one.data.get("what") for one in house.entries("access")] == ["heard", "export"]
    assert len(house.entries("export")) == 1
