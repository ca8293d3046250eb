"""Calls that took place, under another policy: by code, and what they would take."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import command

from greffier.policy import packs, rules
from greffier.policy.cases import set_keys
from greffier.policy.simulation import OCTETS_A_SECOND, simulate

PACKS = packs.load()
RETAIL = rules.builtin("fr-retail.toml")


def site(**changes: Any) -> rules.Policy:
    tables, _ = rules.read_tables(RETAIL)
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return rules.parse(set_keys(tables, dotted))


def call(number: int = 1, **words: Any) -> dict[str, Any]:
    told = {
        "line": "vente",
        "start": "2026-03-02T10:00:00+01:00",
        "duration_s": 60.0,
        "record": "none",
        "codes": ["SAMPLED_OUT"],
        "from": None,
        "to": None,
        "number": f"box-0007/vente/{number:010d}",
    }
    return {**told, **words}


def test_a_higher_rate_records_more_and_the_answer_is_always_the_same() -> None:
    calls = [call(number) for number in range(1, 401)]
    few, many = (simulate(site(sampling__rate=rate), PACKS, calls) for rate in (0.1, 0.3))
    assert (few.before.calls, few.before.recorded) == (400, 0)
    assert 20 < few.after.recorded < 60
    assert 90 < many.after.recorded < 150
    assert few == simulate(site(sampling__rate=0.1), PACKS, calls)


def test_what_the_codes_tell_of_a_call_holds_again() -> None:
    policy = site(sampling__rate=0.0)
    for codes, expected in (
        (["SAMPLED_OUT", "EVIDENCE_SEGMENT"], "EVIDENCE_SEGMENT"),
        (["SAMPLED_OUT", "EVIDENCE_NOT_NECESSARY"], "EVIDENCE_NOT_NECESSARY"),
        (["SAMPLED_IN", "OBJECTED"], "OBJECTED"),
        (["PRIVATE_MODE"], "PRIVATE_MODE"),
        (["INTERNAL_OFF"], "INTERNAL_OFF"),
        (["ANNOUNCE_FAILED"], "ANNOUNCE_FAILED"),
        (["SAMPLED_OUT", "INCIDENT_MANUAL"], "INCIDENT_MANUAL"),
    ):
        assert expected in simulate(policy, PACKS, [call(codes=codes)]).after.codes


def test_the_window_the_consumer_and_an_unknown_line_decide() -> None:
    policy = site(sampling__rate=0.3, sampling__rate_justification_ref="J")
    night = [call(number, start="2026-03-02T23:00:00+01:00") for number in range(1, 50)]
    assert simulate(policy, PACKS, night).after.recorded == 0
    german = [call(number, **{"from": "+493012345678"}) for number in range(1, 50)]
    assert "CONSENT_MISSING" in simulate(policy, PACKS, german).after.codes
    assert set(simulate(policy, PACKS, [call(line="fax")]).after.codes) == {"LINE_UNCONFIGURED"}


def test_storage_is_seconds_times_the_codec_s_rate() -> None:
    evidence = call(codes=["EVIDENCE_SEGMENT"], record="seg")
    for codec, octets in OCTETS_A_SECOND.items():
        policy = site(sampling__rate=0.0, lines__vente__codec=codec)
        found = simulate(policy, PACKS, [evidence])
        assert found.after.octets == 60 * 2 * octets


def test_the_command_says_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text(json.dumps({"calls": [call(), call(2, record="full", codes=["SAMPLED_IN"])]}))
    said = command("policy", "simulate", "--policy", RETAIL, "--calls", path, "--json")
    assert said.code == 0, said.complaint
    assert said.json["before"]["recorded"] == 1
    assert sum(said.json["after"]["codes"].values()) >= 2
    assert command("policy", "simulate", "--policy", RETAIL, "--calls", path).code == 0


@pytest.mark.parametrize("text", ["", "[]", '{"calls": 3}', '{"calls": [{}]}', "[" * 100_000])
def test_what_is_no_list_of_calls_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calls.json"
    path.write_text(text)
    said = command("policy", "simulate", "--policy", RETAIL, "--calls", path, "--json")
    assert said.code == 2
    assert "\n" not in said.complaint.strip()
