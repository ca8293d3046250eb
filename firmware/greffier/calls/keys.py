"""Keys that are pressed on a telephone during a call, by whichever way they come. Pure.

A key comes as a tone in the sound (ITU-T Q.23), as telephone events (RFC 4733), or in a SIP INFO
(RFC 6086; bodies ``application/dtmf-relay`` and ``application/dtmf``, which no RFC defines), and
gateways send it by two of them at once. What was pressed is secret: no digit stands in a ``repr``,
and none is ever logged or stored.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from greffier.calls.events import KeyTold, Side
from greffier.sip.message import Message

Way = Literal["tone", "event", "info"]

BY_SIGNALLING: Final = -1
"""The leg of a key that no leg carried."""
TOGETHER_NS: Final = 500_000_000
"""A tone and the event of one press are no further apart, by the times of arrival."""
TOLD_NS: Final = 2_000_000_000
"""Nor is an INFO, which is often sent when the key is let go, and again when it is lost."""
ECHO_NS: Final = (15_000_000, 150_000_000)
"""An echo of one side's tone in the other side's sound comes no sooner, and no later. What seems to
come sooner than a block of the detector lasts may have come first: then both count."""
_MOST: Final = 64  # presses that are remembered to be known again
_RELAYED = re.compile(r"(?im)^[ \t]*signal[ \t]*=[ \t]*([0-9*#a-d]|1[0-5])[ \t]*\r?$")
_PLAIN = re.compile(r"\s*([0-9*#A-Da-d])\s*")
_NUMBERED: Final = "0123456789*#ABCD"
_MOST_BODY: Final = 1024


@dataclass(frozen=True, slots=True)
class KeyHeard:
    """A key as one way brought it. ``at_ns`` is when it went down, as far as that way tells."""

    call: int
    leg: int
    digit: str = field(repr=False)
    at_ns: int
    side: Side
    way: Way


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One physical press: ``digit`` is one of 0-9, ``*``, ``#``, A-D, pressed by ``side``.

    ``leg`` is the call's leg that brought it first, or :data:`BY_SIGNALLING`; ``at_ns`` counts
    from the Unix epoch.
    """

    call: int
    leg: int
    digit: str = field(repr=False)
    at_ns: int
    side: Side = "unknown"


@dataclass(slots=True)
class _Press:
    """A press that may come again by another way."""

    digit: str = field(repr=False)
    at_ns: int
    side: Side
    ways: set[Way]


class KeyMerger:
    """Makes one press of what several ways bring of it, for one call. Its thread owns it."""

    def __init__(self) -> None:
        self._recent: deque[_Press] = deque(maxlen=_MOST)

    def take(self, heard: KeyHeard) -> KeyPressed | None:
        """The press that *heard* is the first sign of; None where it is known already."""
        for press in self._recent:
            if press.digit != heard.digit:
                continue
            apart = abs(heard.at_ns - press.at_ns)
            if press.side == heard.side:
                known = heard.way not in press.ways and apart <= _window(heard.way, press)
            else:
                echoed = heard.way == "tone" and press.side != "unknown"
                known = echoed and ECHO_NS[0] < heard.at_ns - press.at_ns <= ECHO_NS[1]
            if known:
                if press.side == heard.side:
                    press.ways.add(heard.way)
                return None
        self._recent.append(_Press(heard.digit, heard.at_ns, heard.side, {heard.way}))
        return KeyPressed(heard.call, heard.leg, heard.digit, heard.at_ns, heard.side)


def _window(way: Way, press: _Press) -> int:
    return TOLD_NS if way == "info" or press.ways == {"info"} else TOGETHER_NS


def told_keys(message: Message) -> str:
    """The keys that the body of an INFO names, in order; "" where it names none."""
    if len(message.body) > _MOST_BODY:
        return ""
    text = message.body.decode("ascii", "replace")
    if message.content_type == "application/dtmf-relay":
        return "".join(_key(found) for found in _RELAYED.findall(text))
    if message.content_type == "application/dtmf":
        plain = _PLAIN.fullmatch(text)
        if plain:
            return _key(plain[1])
        return "".join(_key(found) for found in _RELAYED.findall(text))
    return ""


def _key(text: str) -> str:
    """A key as it stands in a body: itself, or the number of its event (RFC 4733, table 3)."""
    return _NUMBERED[int(text)] if len(text) == 2 else text.upper()


def heard_of(told: KeyTold) -> KeyHeard:
    """What signalling told, beside what was heard."""
    return KeyHeard(told.call, BY_SIGNALLING, told.digit, told.time_ns, told.side, "info")
