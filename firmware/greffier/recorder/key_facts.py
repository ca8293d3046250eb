"""Keys that say something of a call become facts, by the one inlet that all facts have."""

from collections.abc import Iterable, Mapping
from typing import Final

from greffier.policy.facts import PENDING
from greffier.policy.keypad import STARS, Deed
from greffier.recorder.telling import Telling
from greffier.recorder.trunk import Source

SOURCE: Final = "key"
FACTS: Final[Mapping[Deed, tuple[str, str]]] = {
    "accept": ("consent", "in"),
    "refuse": ("consent", "out"),
    "private": ("private", "true"),
    "proof": ("proof", "true"),
    "threat": ("threat", "true"),
}


def hand_on(telling: Telling, sources: Iterable[Source]) -> bool:
    """Tell what keys meant since this was asked last; whether there was anything.

    A star code was pressed by the call's agent, as far as anybody knows who that is.
    """
    told = False
    for source in sources:
        for call in tuple(source.running):
            while call.meant:
                one = call.meant.popleft()
                fact, value = FACTS[one.deed]
                agent = "" if call.facts.agent == PENDING else call.facts.agent
                actor = agent if one.deed in STARS else ""
                telling.tell(call, fact, value, one.at_ns, SOURCE, actor)
                told = True
    return told
