"""Which actions a line's rules may order follows from the rules, line by line."""

from dataclasses import replace

import pytest

from greffier.policy import actions, packs, rules
from greffier.policy.site import Policy

PACKS = packs.load()
EXAMPLES = {
    "fr-retail.toml": {"accueil": set(), "cse": set(), "vente": set()},
    "paris-desk.toml": {
        "desk": {"end_call", "block_call"},
        "conseil": {"end_call", "block_call"},
        "perso": set(),
    },
    "sdis18.toml": {"l18": set(), "l15": set(), "admin": set()},
    "casa-desk.toml": {"assur": {"end_call"}, "cd": set()},
}


def example(name: str) -> Policy:
    """A policy that we ship."""
    return rules.load(rules.builtin(name))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_actions_of_the_examples(name: str) -> None:
    policy = example(name)
    found = {line: set(actions.possible(policy, PACKS, line)) for line in policy.lines}
    assert found == EXAMPLES[name]


def test_a_caller_from_elsewhere_may_be_owed_more() -> None:
    policy = example("fr-retail.toml")
    assert actions.possible(policy, PACKS, "accueil", "CA-QC") == {"offer_alternative"}
    assert actions.possible(policy, PACKS, "cse", "CA-QC") == set()
    assert actions.possible(replace(policy, market="CA-QC"), PACKS, "accueil") == {
        "offer_alternative"
    }


def test_a_line_that_no_rule_names_is_blocked_where_the_policy_says_so() -> None:
    policy = example("fr-retail.toml")
    assert actions.possible(policy, PACKS, "unconfigured") == set()
    blocked = replace(policy, fail_mode="block_call")
    assert actions.possible(blocked, PACKS, "unconfigured") == {"block_call"}
