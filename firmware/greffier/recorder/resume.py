"""Calls that were running when the process ended: they keep their number and their verdict.

A call is known again by the pseudonym of its Call-ID, or of the addresses of one of its legs (after
a restart in mid-call only RTP is heard). It is never drawn again: the log holds its draw.
"""

from collections.abc import Iterable

from greffier.recorder.recovery import CutCall

RESUMABLE_NS = 30_000_000_000
"""A call that is not heard of again this long after the start is over."""


class Resumable:
    """The calls that may still be running, since *since_ns* (when this process began to listen).

    One thread owns it.
    """

    def __init__(
        self,
        calls: Iterable[CutCall],
        since_ns: int = 0,
        gap: tuple[str, str | None] = ("off", None),
    ) -> None:
        """*gap* is what the coverage says of their time before that: a state, and its reason."""
        self.since_ns = since_ns
        self.gap = gap
        self._calls = {call.uid: call for call in calls if call.ended is None}
        self._by_name = {name: call.uid for call in self._calls.values() for name in call.names}

    def __len__(self) -> int:
        return len(self._calls)

    def claim(self, *names: str) -> CutCall | None:
        """The call that one of the pseudonyms *names* stands for; it is taken out."""
        for name in names:
            call = self._calls.pop(self._by_name.get(name, ""), None)
            if call is not None:
                return call
        return None

    def knows(self, *names: str) -> bool:
        """Whether one of the pseudonyms *names* stands for a call that nobody claimed."""
        return any(self._by_name.get(name, "") in self._calls for name in names)

    def rest(self) -> list[CutCall]:
        """The calls that nobody claimed; they are taken out."""
        left = list(self._calls.values())
        self._calls.clear()
        return left
