"""A bounded queue into one thread that is fed by others, none of whom ever waits."""

import threading
from collections import deque
from contextlib import suppress
from typing import Final, Generic, TypeVar

MOST: Final = 1024
Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """``put`` is for any thread, ``take`` for the one that owns it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        # Appended by any thread, popped by the owner: both ends of a deque are safe.
        self._items: deque[Item] = deque()
        # Taken while nothing rang: a lock waits for a fraction of what an Event costs.
        self._bell = threading.Lock()
        self._bell.acquire()
        self.dropped = 0
        """What did not fit; whoever needs it asks again."""

    def put(self, item: Item) -> bool:
        """Hand *item* over; False, and it is dropped, where too much waits."""
        if len(self._items) >= self._most:
            self.dropped += 1
            return False
        self._items.append(item)
        self.ring()
        return True

    def put_surely(self, item: Item) -> None:
        """Hand over what nobody would say again, however much waits; it must come seldom."""
        self._items.append(item)
        self.ring()

    def ring(self) -> None:
        """Make the owner look round."""
        with suppress(RuntimeError):  # it rings already
            self._bell.release()

    def take(self, seconds: float) -> list[Item]:
        """What has come, waiting at most so long for the first."""
        self._bell.acquire(timeout=seconds)
        found: list[Item] = []
        while len(found) < 2 * self._most:
            try:
                found.append(self._items.popleft())
            except IndexError:
                break
        return found
