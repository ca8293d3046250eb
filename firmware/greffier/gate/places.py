"""Which call a fact is about: whose calls run, whose ran, and what a told fact meant before.

Everything is bounded and in memory; a gate that is started anew has forgotten calls that are over.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND
from greffier.control.desks import AskCalls, Calls, DeskCall
from greffier.gate.telling import Told
from greffier.gate.tokens import Token

MOST_CALLS: Final = 20_000
MOST_FACTS: Final = 20_000
REMEMBERED_NS: Final = 3600 * SECOND
MOST_NAMES: Final = 128
"""In one request, which has a bound of its own."""


def question(token: Token) -> AskCalls:
    """What to ask the recorder about the calls of a desk or an agent."""
    if token.kind == "desk":
        return AskCalls(extensions=(token.name,))
    return AskCalls(agents=(token.name,))


def questions(tokens: Iterable[Token]) -> Iterator[AskCalls]:
    """The same for all of these, in few requests; systems and codes have no calls of their own."""
    found = sorted({(one.kind, one.name) for one in tokens if one.kind in ("desk", "agent")})
    for first in range(0, len(found), MOST_NAMES):
        some = found[first : first + MOST_NAMES]
        yield AskCalls(
            tuple(name for kind, name in some if kind == "desk"),
            tuple(name for kind, name in some if kind == "agent"),
        )


def is_of(token: Token, call: DeskCall) -> bool:
    """Whether *call* is one of the desk's or the agent's."""
    return token.name == (call.extension if token.kind == "desk" else call.agent)


@dataclass(frozen=True, slots=True)
class _Meant:
    token: str
    content: Told
    call: str
    at_ns: int


class Places:
    """What the gate has seen. Owned by the loop's thread; times are monotonic."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, DeskCall] = OrderedDict()
        self._meant: OrderedDict[tuple[str, str], _Meant] = OrderedDict()

    def see(self, calls: Calls) -> None:
        """These calls run."""
        for call in calls.calls:
            self._calls[call.call] = call
            self._calls.move_to_end(call.call)
        while len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)

    def owns(self, token: Token, call: str) -> bool | None:
        """Whether the call of that number is the token's; None where it was never seen."""
        found = self._calls.get(call)
        return None if found is None else is_of(token, found)

    def mean(self, token: Token, told: Told, call: str, now_ns: int) -> None:
        """*told* named no call, and this one was meant."""
        self._meant[token.id, told.id] = _Meant(token.id, told, call, now_ns)
        while len(self._meant) > MOST_FACTS:
            self._meant.popitem(last=False)

    def meant(self, token: Token, told: Told, now_ns: int) -> str | None:
        """Which call was meant when the same was told before; None where it was not.

        A fact of the same id with another content means that call too: the recorder refuses it.
        """
        found = self._meant.get((token.id, told.id))
        if found is None or now_ns - found.at_ns > REMEMBERED_NS:
            return None
        return found.call
