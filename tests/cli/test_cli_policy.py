"""``greffier policy`` as a person and as a program meet it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from greffier.cli.main import COMMANDS, run
from greffier.policy import rules

CASES = Path(__file__).parents[1] / "vectors" / "policy" / "cases.json"
RETAIL = rules.builtin("fr-retail.toml")
CASA = rules.builtin("casa-desk.toml")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run("greffier", COMMANDS, ["policy", *words], "0")
    out, err = capsys.readouterr()
    return code, out, err


def last_line(out: str) -> dict[str, Any]:
    found = json.loads(out.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_check_of_a_good_policy(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "check", str(RETAIL), "--json")
    assert (code, last_line(out)["codes"]) == (0, [])


def test_check_with_warnings_passes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "check", str(CASA), "--json")
    found = last_line(out)
    assert code == 0
    assert (set(found["codes"]), found["errors"], found["warnings"]) == (
        {"C_RATE_CLAMPED_SOFT", "C_CONSENT_RAISED"},
        0,
        2,
    )


def test_check_with_an_error_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(RETAIL.read_text().replace('works_council_ref = "CSE-PV-2025-06-12"', ""))
    code, out, _ = call(capsys, "check", str(path), "--json")
    found = last_line(out)
    assert (code, found["codes"], found["errors"]) == (1, ["C_NO_WORKS_COUNCIL"], 1)


@pytest.mark.parametrize("content", ["", "x = [", 'schema = "callpolicy/1"\nid = 3\n'])
def test_an_unusable_policy_is_one_line_and_exit_2(
    content: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(content)
    for words in (["check", str(path)], ["explain", "--policy", str(path), "--line", "x"]):
        code, out, err = call(capsys, *words)
        assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_unusable_packs_and_cases_are_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(capsys, "check", str(RETAIL), "--packs", str(tmp_path / "no"))[0] == 2
    assert call(capsys, "cases", str(tmp_path / "no"))[0] == 2


def test_cases_pass(capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(RETAIL.parent)
    for more in ([], ["--policies", folder], ["--packs", str(RETAIL.parent / "packs.toml")]):
        code, out, _ = call(capsys, "cases", str(CASES), *more, "--json")
        found = last_line(out)
        assert (code, found["total"], found["passed"]) == (0, 97, 97)
        assert found["results"][0]["id"] == "A01"
        assert found["results"][0]["ok"] is True


def test_a_case_that_fails_is_exit_1_and_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cases = json.loads(CASES.read_text())[:2]
    cases[1]["expect"]["record"] = "full"
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases))
    code, out, _ = call(capsys, "cases", str(path))
    assert code == 1
    assert "A02" in out
    assert "A01" not in out


def test_other_packs_give_other_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (RETAIL.parent / "packs.toml").read_text()
    assert tomllib.loads(text)["FR"]["quality"] == 180
    path = tmp_path / "packs.toml"
    path.write_text(text.replace("quality=180", "quality=60", 1))
    found = last_line(call(capsys, "check", str(RETAIL), "--packs", str(path), "--json")[1])
    assert found["codes"] == ["C_RETENTION_CLAMPED:quality"]


@pytest.mark.parametrize(
    "facts",
    [
        ["--facts", "u=0.05", "proof=true", "contract=oral", "--json"],
        ["--json", "--facts", "u=0.05", "--facts", "proof=true", "--facts", "contract=oral"],
        ["--facts", "u=0.05 proof=true contract=oral", "--json"],
    ],
)
def test_explain_takes_facts_in_any_way(
    facts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "--policy", str(RETAIL), "--line", "vente", *facts]
    code, out, _ = call(capsys, *words)
    found = last_line(out)
    assert code == 0
    assert found["verdict"]["codes"] == ["SAMPLED_IN", "EVIDENCE_SEGMENT"]
    assert [why["code"] for why in found["why"]] == found["verdict"]["codes"]
    assert all(why["text"] and why["source"] for why in found["why"])


def test_explain_speaks_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "--policy", str(RETAIL), "--line", "cse"]
    french = call(capsys, *words, "--lang", "fr")[1]
    english = call(capsys, *words, "--lang", "en")[1]
    assert "never recorded" in english
    assert "never recorded" not in french
    assert "NEVER_RECORD" in french


def test_a_wrong_fact_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "--policy", str(RETAIL), "--line", "cse", "--facts", "moon=full"]
    code, out, err = call(capsys, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "quota_used" in err
