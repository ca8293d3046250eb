"""Whether each line has the outputs that its rules may need. Pure.

What the rules may order is found by asking them (:mod:`greffier.policy.actions`). What callers of
the policy's own market bring about must be possible; what only callers from elsewhere would is not
asked for: no site has an output for every law.
"""

from collections.abc import Iterator
from dataclasses import replace

from greffier.config.records import Config
from greffier.language import translate as _
from greffier.policy import actions
from greffier.policy.packs import Packs
from greffier.policy.site import Line, Policy
from greffier.recorder.finding import Finding

UNNAMED = "unconfigured"
"""How the recorder calls the line of calls that no rule gives a line."""


def look(config: Config, policy: Policy, packs: Packs) -> Iterator[Finding]:
    """A finding for each action that a line may need and lacks, or one that all is there."""
    needed, sound = _Once(policy, packs), True
    for line in (*config.lines, UNNAMED):
        for action in sorted(needed.of(line)):
            if not any(one.serves(line, action) for one in config.outputs):
                sound = False
                cause = _("line {line}: its rules may need an output for {action}, it has none")
                told = cause.format(line=line, action=action)
                yield Finding("actions", "fail", told, f"sudoedit {config.path}")
    if sound:
        named = sorted({action for one in config.outputs for action in one.actions})
        yield Finding("actions", "ok", ", ".join(named) or _("no line needs an output"))


class _Once:
    """Lines with the same rules are asked about once."""

    def __init__(self, policy: Policy, packs: Packs) -> None:
        self._policy = policy
        self._packs = packs
        self._known: dict[Line | None, frozenset[str]] = {}

    def of(self, line: str) -> frozenset[str]:
        rules = self._policy.lines.get(line)
        key = replace(rules, name="") if rules is not None else None
        if key not in self._known:
            self._known[key] = actions.possible(self._policy, self._packs, line)
        return self._known[key]
