"""What must hold of every verdict, on drawn policies, packs and facts; soaks try many more."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from greffier_sim import mutated_policies
from greffier_sim import policy_properties as properties
from greffier_sim.policy_properties import PROPERTIES, Broken, hold

EXAMPLES = 300


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_it_holds(check: Callable[[random.Random], None]) -> None:
    assert hold(check, EXAMPLES) == EXAMPLES


WANTED = {"none", "seg", "full", "cont", "provisional_deleted", "quality", "evidence", "incident"}
WANTED |= {"regulatory", "insurance", "NOTICE_PENDING", "CONSENT_PENDING", "AGENT_PENDING"}
WANTED |= {"OBJECTED", "POLICY_INACTIVE", "QUOTA_REACHED", "SAMPLED_OUT", "EVIDENCE_KEPT_CLAIM"}


def test_the_examples_meet_what_they_are_about() -> None:
    met: set[str] = set()
    for index in range(20 * EXAMPLES):
        draw = random.Random(f"met/{index}")
        policy, facts = properties.a_policy(draw), properties.some_facts(draw)
        line = properties.a_place(draw, policy)
        verdict = properties.decide(policy, properties.PACKS, line, facts)
        met |= {verdict.record, *verdict.purposes, *verdict.codes}
        if met >= WANTED:
            break
    assert met >= WANTED


def test_a_wrong_engine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = properties.decide

    def silent(*words: object) -> object:
        return replace(right(*words), codes=())  # type: ignore[arg-type]

    monkeypatch.setattr(properties, "decide", silent)
    with pytest.raises(Broken, match="every_decision_has_a_code, seed 1, example 0"):
        hold(properties.every_decision_has_a_code, EXAMPLES)


def test_a_harmed_policy_is_one_clear_line_and_never_adopted(tmp_path: Path) -> None:
    answers, wrong = mutated_policies.look(EXAMPLES, tmp_path)
    assert wrong == []
    assert min(answers[name] for name in ("no policy", "errors", "fits")) >= 5
