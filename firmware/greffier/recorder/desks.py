"""What the gate asks of the recorder's loop: which calls run at a desk, what is to be done.

No answer depends on a draw: a call is listed, or not, by the rules of its line alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from greffier.config.records import Config
from greffier.control.board import Order
from greffier.control.desks import Acted, AskCalls, AskInstructions, Calls, DeskCall, LineRule
from greffier.control.fields import NAME_PATTERN
from greffier.policy.site import Policy
from greffier.recorder.actions import NOTICE, Actions
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.call import Call
from greffier.recorder.deciding import CONFIRMED
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source

if TYPE_CHECKING:
    from greffier.recorder.live import Live

_EXTENSION = re.compile(NAME_PATTERN, re.ASCII)


def of_live(live: "Live", alarms: AlarmRoom, troubles: Troubles) -> "Desks":
    """The desks of a recorder that runs."""

    def settled(call: Call, action: str, output: str, done: bool) -> None:
        for fact, value in facts_of(call, action, done=done):
            now = live.clock.wall_ns()
            live.telling.tell(call, fact, value, now, "api", output)

    run = alarms.view().run
    actions = Actions(live.config, live.archive, troubles, live.sources, run, settled)
    return Desks(live.config, live.policy, live.sources, actions)


def facts_of(call: Call, action: str, *, done: bool) -> Iterator[tuple[str, str]]:
    """What the outcome of *action* tells of *call*: a fact, as any other.

    A notice that nobody played was not heard, unless the recorder itself has heard it.
    """
    if action != NOTICE:
        yield CONFIRMED, "true" if done else "false"
    elif not done and call.facts.t_notice_end is None:
        yield "announce", "fail"


def extension_of(number: str) -> str:
    """*number* where it is an extension of ours (at most six digits), else ""."""
    return number if _EXTENSION.fullmatch(number) else ""


class Desks:
    """Owned by the recorder's thread; *sources* is the loop's own list."""

    def __init__(
        self, config: Config, policy: Policy, sources: Sequence[Source], actions: Actions
    ) -> None:
        self._policy = policy
        self._sources = sources
        self._lines = tuple(LineRule(line, self._may(line)) for line in config.lines)
        self._actions = actions

    def adopt(self, policy: Policy) -> None:
        """Calls that begin from now on are those of *policy*."""
        self._policy = policy
        self._lines = tuple(LineRule(one.line, self._may(one.line)) for one in self._lines)

    def watch(self, now_ns: int) -> None:
        """Order what the rules say now; a tick is done."""
        self._actions.watch(now_ns)

    def answer(self) -> None:
        """Answer what is durable by now."""
        self._actions.answer()

    def obey(self, order: Order) -> bool:
        """Answer *order* if it is one of the gate's; whether it was."""
        request = order.request
        if isinstance(request, AskCalls):
            order.done(Calls(tuple(self._found(request)), self._lines))
        elif isinstance(request, AskInstructions):
            order.done(self._actions.show())
        elif isinstance(request, Acted):
            self._actions.take(request, order)
        else:
            return False
        return True

    def _found(self, request: AskCalls) -> Iterator[DeskCall]:
        extensions, agents = frozenset(request.extensions), frozenset(request.agents)
        for source in self._sources:
            for call in source.running:
                agent = str(call.rules.given.get("agent", ""))
                if call.rules.extension in extensions or agent in agents:
                    yield _shown(call, agent)

    def _may(self, line: str) -> bool:
        rules = self._policy.lines.get(line)
        return self._policy.fail_mode == "open" if rules is None else not rules.never


def _shown(call: Call, agent: str) -> DeskCall:
    paused = bool(call.pauses.windows) and call.pauses.paused
    extension = call.rules.extension
    return DeskCall(call.uid, call.rules.line, extension, agent, call.start_ns, paused)
