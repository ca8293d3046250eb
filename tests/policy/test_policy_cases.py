"""The law as cases: each must come out, and the runner must see one that does not."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from greffier.errors import BadCases
from greffier.policy import cases, packs, rules

CASES = Path(__file__).parents[1] / "vectors" / "policy" / "cases.json"
ALL = cases.load(CASES)
PACKS = packs.load()
FOLDER = rules.builtin("packs.toml").parent


@pytest.mark.parametrize("case", ALL, ids=lambda case: str(case["id"]))
def test_the_answer_is_the_expected_one(case: dict[str, Any]) -> None:
    (result,) = cases.run([case], FOLDER, PACKS).results
    assert result.ok, result.got


def test_all_kinds_are_there() -> None:
    counts = {kind: sum(case["kind"] == kind for case in ALL) for kind in sorted(KINDS)}
    assert counts == {"access": 9, "check": 13, "decide": 61, "erase": 5, "retention": 9}


KINDS = {"access", "check", "decide", "erase", "retention"}


def test_the_answer_has_the_shape_of_what_is_expected() -> None:
    report = cases.run(ALL, None, PACKS)
    assert (report.total, report.passed) == (97, 97)
    for case, result in zip(ALL, report.results, strict=True):
        assert type(result.got) is type(case["expect"])
        if isinstance(result.got, dict):
            assert result.got.keys() == case["expect"].keys()
    assert json.loads(json.dumps(report.as_json()))["passed"] == 97


@pytest.mark.parametrize("case", ALL[::7], ids=lambda case: str(case["id"]))
def test_a_wrong_expectation_fails(case: dict[str, Any]) -> None:
    wrong = copy.deepcopy(case)
    if isinstance(wrong["expect"], dict):
        key = "record" if "record" in wrong["expect"] else "status"
        wrong["expect"][key] = "something else"
    else:
        wrong["expect"] = ["C_SOMETHING"]
    assert cases.run([wrong], None, PACKS).passed == 0


def test_codes_compare_as_sets() -> None:
    case = copy.deepcopy(next(case for case in ALL if case["id"] == "A17"))
    case["expect"]["codes"].reverse()
    assert cases.run([case], None, PACKS).passed == 1
    case["expect"]["codes"].pop()
    assert cases.run([case], None, PACKS).passed == 0


DECIDE = next(case for case in ALL if case["id"] == "A01")
UNRUNNABLE = [
    {**DECIDE, "kind": "guess"},
    {**DECIDE, "facts": {"moon": "full"}},
    {**DECIDE, "facts": {"u": "much"}},
    {**DECIDE, "facts": None},
    {**DECIDE, "policy": "absent.toml"},
    {**DECIDE, "policy": "../../errors.py"},
    {"kind": "decide", "id": "A01", "expect": {}},
    {"kind": "access", "id": "L17", "args": {"role": "admin"}, "expect": "ALLOW"},
    {"kind": "erase", "id": "L01", "args": {"purposes": {"quality": [0]}}, "expect": {}},
    {"kind": "retention", "id": "L06", "args": {"day": 1, "purposes": 3}, "expect": "KEEP"},
    {"kind": "check", "id": "L24", "args": {"policy": "packs.toml"}, "expect": []},
]


@pytest.mark.parametrize("case", UNRUNNABLE, ids=range(len(UNRUNNABLE)))
def test_a_case_that_cannot_run_fails_with_its_reason(case: dict[str, Any]) -> None:
    (result,) = cases.run([case], None, PACKS).results
    assert not result.ok
    assert isinstance(result.got, dict)
    assert result.got["error"]


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[{"id": "A"}]', "\xff", "[" * 100_000])
def test_a_file_that_is_no_list_of_cases_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadCases):
        cases.load(path)
    with pytest.raises(BadCases):
        cases.load(tmp_path / "absent.json")


def test_setting_keys_leaves_the_original_alone() -> None:
    before: dict[str, object] = {"a": {"b": 1}, "c": 2}
    after = cases.set_keys(before, {"a.b": None, "a.d": 3, "e.f": 4})
    assert after == {"a": {"d": 3}, "c": 2, "e": {"f": 4}}
    assert before == {"a": {"b": 1}, "c": 2}
