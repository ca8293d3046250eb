"""How much each user may ask in a second: who asks more waits, and nobody else does. Pure.

A user that is in wrong hands may ask for ever; what that costs the recorder's process is bounded
here, in requests and in octets of both directions. Times are monotonic nanoseconds.
"""

from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND

MOST_USERS: Final = 64
"""So many are remembered; whoever owes nothing is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """*requests* and *octets* a second; twice as much may come at once after a rest."""

    requests: int = 400
    octets: int = 8 << 20


class Account:
    """What one user has left. One owner."""

    def __init__(self, allowance: Allowance, now_ns: int) -> None:
        self._allowance = allowance
        self._requests = 2.0 * allowance.requests
        self._octets = 2.0 * allowance.octets
        self._at_ns = now_ns

    def spend(self, requests: int, octets: int, now_ns: int) -> None:
        """So much was asked or handed over. It may go below nothing: then its user waits."""
        self._earn(now_ns)
        self._requests -= requests
        self._octets -= octets

    def wait_ns(self, now_ns: int) -> int:
        """How long its user has to wait; 0: not at all."""
        self._earn(now_ns)
        owed = max(
            -self._requests / self._allowance.requests, -self._octets / self._allowance.octets
        )
        return max(0, round(owed * SECOND))

    def is_full(self, now_ns: int) -> bool:
        """Whether its user has all that can be had."""
        self._earn(now_ns)
        most = 2.0 * self._allowance.requests, 2.0 * self._allowance.octets
        return (self._requests, self._octets) == most

    def _earn(self, now_ns: int) -> None:
        seconds = max(0, now_ns - self._at_ns) / SECOND
        self._at_ns = max(now_ns, self._at_ns)
        allowed = self._allowance
        self._requests = min(2.0 * allowed.requests, self._requests + seconds * allowed.requests)
        self._octets = min(2.0 * allowed.octets, self._octets + seconds * allowed.octets)


class Budget:
    """The accounts of all users but those who are *free*. One owner: the server's thread."""

    def __init__(self, allowance: Allowance, free: frozenset[int]) -> None:
        self._allowance = allowance
        self._free = free
        self._accounts: dict[int, Account] = {}

    def spend(self, uid: int, requests: int, octets: int, now_ns: int) -> None:
        """As :meth:`Account.spend`, for the user *uid*."""
        if uid not in self._free:
            self._of(uid, now_ns).spend(requests, octets, now_ns)

    def wait_ns(self, uid: int, now_ns: int) -> int:
        """As :meth:`Account.wait_ns`, for the user *uid*."""
        return 0 if uid in self._free else self._of(uid, now_ns).wait_ns(now_ns)

    def _of(self, uid: int, now_ns: int) -> Account:
        if uid not in self._accounts:
            if len(self._accounts) >= MOST_USERS:
                self._forget(now_ns)
            self._accounts[uid] = Account(self._allowance, now_ns)
        return self._accounts[uid]

    def _forget(self, now_ns: int) -> None:
        """Forget those who have all they can have: a new account would say the same."""
        kept = {uid: one for uid, one in self._accounts.items() if not one.is_full(now_ns)}
        self._accounts = kept
