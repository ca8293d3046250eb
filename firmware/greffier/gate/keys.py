"""Keys on desks that are wired to an input of the board: one more way to tell a fact.

Owned by the event loop's thread; reading an input does not wait. A key counts when two looks in a
row see it pressed, and again only when two have seen it released.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from greffier.clock import Clock
from greffier.config.records import Key
from greffier.control.desks import AskCalls
from greffier.control.facts import Tell
from greffier.gate.contacts import ContactFailed, FileInput, GpioInput, Input
from greffier.gate.link import Link, Unavailable

SOURCE: Final = "gpio"
ATTEMPTS: Final = 3


def input_of(key: Key) -> Input:
    """The contact of *key*."""
    if key.gpio is None:
        return FileInput(key.input, key.active)
    return GpioInput(key.input, key.gpio, high=key.active != "0")


@dataclass(slots=True)
class _Seen:
    pressed: bool = True  # a key that is held, or stuck, when we begin tells nothing
    last: bool = True


class Keys:
    """*make* gives the contact of a key."""

    def __init__(
        self,
        keys: Sequence[Key],
        link: Link,
        clock: Clock,
        make: Callable[[Key], Input] = input_of,
    ) -> None:
        self._inputs = [(key, make(key), _Seen()) for key in keys]
        self._link = link
        self._clock = clock

    async def look(self) -> None:
        """Read every key once, and tell what was pressed."""
        for key, contact, seen in self._inputs:
            try:
                now = contact.read()
            except ContactFailed:
                continue
            if now == seen.last and now != seen.pressed:
                seen.pressed = now
                if now:
                    await self._press(key)
            seen.last = now

    async def _press(self, key: Key) -> None:
        """Tell the fact of the one call at the key's desk; without one, or with two, nothing."""
        at_ns, one = self._clock.wall_ns(), secrets.token_hex(16)
        for _ in range(ATTEMPTS):
            try:
                calls = (await self._link.calls(AskCalls(extensions=(key.extension,)))).calls
                if len(calls) != 1:
                    return
                value = "false" if key.fact == "card" and calls[0].paused else "true"
                tell = Tell(
                    id=one, fact=key.fact, value=value, source=SOURCE, call=calls[0].call,
                    actor=key.name, at_ns=at_ns,
                )  # fmt: skip
                await self._link.tell(tell)
            except Unavailable:
                continue
            return
