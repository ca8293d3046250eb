"""Under which rules a call of a mirrored port stands: what the configuration says of it."""

from collections.abc import Callable
from typing import Final

from greffier.calls.events import CallStarted
from greffier.config.lines import agent_of, direction_of, line_of
from greffier.recorder import desks
from greffier.recorder.channels import Ruled
from greffier.recorder.rules import Rules, facts_of
from greffier.recorder.sources import pending_of

UNCONFIGURED: Final = "unconfigured"


def rules_of(site: Ruled, tap: str, unknown: Callable[[], None], call: CallStarted) -> Rules:
    """Which line *call*, which *tap* saw, is on, and which way it goes; *unknown*: on none."""
    config, policy = site.config, site.policy
    facts = facts_of(call, tap)
    line = line_of(config, facts)
    if line is None:
        unknown()
    direction = direction_of(config, facts)
    given: dict[str, object] = {"dir": direction}
    # Of a call that stays inside it is who answers.
    ours = facts.caller if direction == "out" else facts.called
    agent = agent_of(config.assignments, ours, call.time_ns)
    given |= {"agent": agent} if agent is not None else {}
    line = line or UNCONFIGURED
    return Rules(
        policy,
        site.packs,
        line,
        given,
        pending=pending_of(config, policy, line),
        extension=desks.extension_of(ours),
        stars=config.star_codes,
    )
