"""Who may hear in which role, as the log tells it: granted and revoked by two persons.

Persons are pseudonyms. Rules: docs/access.md. Any thread may call anything here.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from greffier.audit.entry import Entry


@dataclass(frozen=True, slots=True)
class Grant:
    """A *role* that a *person* has, since *since_ns*.

    *team*: whose calls a team lead hears; *agent*: who the person is on the telephone; *country*:
    where they sit ("" nobody said). *declared*: the two who granted it proved nothing.
    """

    person: str
    role: str
    team: str
    agent: str
    country: str
    since_ns: int
    declared: bool


class Grants:
    """The grants that stand, and what the compliance officer agreed to."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._grants: dict[tuple[str, str], Grant] = {}
        self._agreed: dict[tuple[str, str], int] = {}  # recording, person -> until
        self._ever = False
        self._broken_ns = 0

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        data = entry.data
        if entry.ev == "role.granted":
            grant = Grant(
                person=data["person"],
                role=data["role"],
                team=data.get("team", ""),
                agent=data.get("agent", ""),
                country=data.get("country", ""),
                since_ns=entry.t_ns,
                declared=data["proof"] == "declared",
            )
            with self._door:
                self._ever = True
                self._grants[grant.person, grant.role] = grant
        elif entry.ev == "role.revoked":
            with self._door:
                self._grants.pop((data["person"], data["role"]), None)
        elif entry.ev == "access.broken_glass":
            with self._door:
                self._broken_ns = max(self._broken_ns, entry.t_ns)
        elif entry.ev == "access.agreed":
            with self._door:
                self._agreed[data["recording"], data["person"]] = data["until_ns"]

    @property
    def ever(self) -> bool:
        """Whether a role was ever granted here: from then on everybody needs one."""
        with self._door:
            return self._ever

    @property
    def broken_ns(self) -> int:
        """When somebody last heard more than an instant replay in an emergency; 0: never."""
        with self._door:
            return self._broken_ns

    def find(self, person: str, role: str) -> Grant | None:
        """The grant of *role* to *person* (a pseudonym)."""
        with self._door:
            return self._grants.get((person, role))

    def agreed(self, recording: str, person: str, now_ns: int) -> bool:
        """Whether the compliance officer agreed that *person* hears *recording*, and it stands."""
        with self._door:
            return now_ns <= self._agreed.get((recording, person), -1)

    def __iter__(self) -> Iterator[Grant]:
        with self._door:
            return iter(tuple(self._grants.values()))
