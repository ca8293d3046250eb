"""What a decision costs: the whole verdict on a call, from its facts to its codes."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any

from greffier.policy import packs as law_packs
from greffier.policy import rules
from greffier.policy.decision import decide
from greffier.policy.facts import Facts

RUNS = 60
ROUNDS = 40
GOAL = 3.0
PACKS = law_packs.load()
CALLS = tuple(
    (rules.load(rules.builtin(policy)), line, Facts.from_words([facts]))
    for policy, line, facts in (
        ("fr-retail.toml", "accueil", "u=0.1"),
        ("fr-retail.toml", "accueil", "u=0.9"),
        ("fr-retail.toml", "vente", "u=0.05 proof=true contract=oral card=true"),
        ("fr-retail.toml", "vente", "u=0.1 consumer=DE consent=out"),
        ("paris-desk.toml", "desk", "mifid=yes consent=out"),
        ("sdis18.toml", "l18", "transfer=15"),
        ("casa-desk.toml", "assur", "dir=out consent=in"),
        ("casa-desk.toml", "cd", "u=0.1 consent=pending announce=pending"),
    )
)


def _ours() -> float:
    """Seconds a decision."""
    started = time.perf_counter()
    for _ in range(ROUNDS):
        for policy, line, facts in CALLS:
            decide(policy, PACKS, line, facts)
    return (time.perf_counter() - started) / (ROUNDS * len(CALLS))


def _theirs(told: list[str]) -> float:
    """Seconds for the facts of one call, read from JSON and written: the least a door does."""
    started = time.perf_counter()
    for _ in range(ROUNDS):
        for text in told:
            json.dumps(json.loads(text), sort_keys=True)
    return (time.perf_counter() - started) / (ROUNDS * len(told))


def judge() -> dict[str, Any]:
    """One decision, of eight typical calls, against their facts through JSON and back."""
    told = [json.dumps(asdict(facts)) for _policy, _line, facts in CALLS]
    _ours()
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_ours())
        theirs.append(_theirs(told))
    value, other = min(ours), min(theirs)  # a busy machine only adds time
    ratio = value / other
    return {
        "name": "policy.decide",
        "value": round(value * 1e6, 2),
        "unit": "us",
        "better": "lower",
        "reference": {"name": "its facts, JSON and back", "value": round(other * 1e6, 2)},
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "met": ratio <= GOAL,
        "runs": RUNS,
        "spread": round((median(ours) - value) / value, 3),
        "pi4_estimate": f"{value * 4e6:.0f} us (x 4, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"policy.decide": judge}
