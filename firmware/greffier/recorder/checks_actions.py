"""Whether each line has the outputs that its rules may need. Pure.

What the rules may order is found by asking them (:mod:`greffier.policy.actions`). What callers of
the policy's own market bring about must be possible; what only callers from elsewhere do, is a
warning.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from greffier.config.records import Config
from greffier.language import translate as _
from greffier.policy import actions
from greffier.policy.packs import Packs
from greffier.policy.site import Line, Policy
from greffier.recorder.finding import Finding

UNNAMED = "unconfigured"
"""How the recorder calls the line of calls that no rule gives a line."""
_Orders = Callable[[Policy, Packs, str], frozenset[str]]


def look(config: Config, policy: Policy, packs: Packs) -> Iterator[Finding]:
    """A finding for each action that a line may need and lacks, or one that all is there."""
    sound = True
    at_home, anywhere = _Once(actions.at_home), _Once(actions.anywhere)
    for line in (*config.lines, UNNAMED):
        must = at_home.of(policy, packs, line)
        for action in sorted(anywhere.of(policy, packs, line)):
            if any(one.serves(line, action) for one in config.outputs):
                continue
            if action not in must:
                cause = _("line {line}: calls from some countries need an output for {action}")
                state = "warn"
            else:
                cause = _("line {line}: its rules may need an output for {action}, it has none")
                state, sound = "fail", False
            name = _("(without a rule)") if line == UNNAMED else line
            told = cause.format(line=name, action=action)
            yield Finding("actions", state, told, f"sudoedit {config.path}")  # type: ignore[arg-type]
    if sound:
        named = sorted({action for one in config.outputs for action in one.actions})
        yield Finding("actions", "ok", ", ".join(named) or _("no line needs an output"))


class _Once:
    """Lines with the same rules are asked about once."""

    def __init__(self, orders: _Orders) -> None:
        self._orders = orders
        self._known: dict[Line | None, frozenset[str]] = {}

    def of(self, policy: Policy, packs: Packs, line: str) -> frozenset[str]:
        rules = policy.lines.get(line)
        key = replace(rules, name="") if rules is not None else None
        if key not in self._known:
            self._known[key] = self._orders(policy, packs, line)
        return self._known[key]
