"""The register of what data subjects asked: as the log tells it, and rebuilt from it at any time.

Give it every entry in order with :meth:`Register.read`, as :class:`greffier.audit.holds.Holds`
gets them. GDPR art. 12 and 15 to 18; rules: docs/requests.md. Any thread may call anything here.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.audit.grants import Grants

NOT_PROVED: Final = "none"
"""The word for an identity that nobody proved yet."""
PENDING: Final = "pending"
"""An outcome that is no end: something is still to be carried out."""
SOON_NS: Final = 7 * 86_400 * 1_000_000_000
"""So long before its deadline an open request becomes an alarm."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, by its *request* reference.

    *due_ns* is the deadline in force, *found* how many calls of the person were there when it was
    opened, *codes* why those of them that are not recorded are not. *outcome* is "" until there is
    an answer, whose codes are *answers*.
    """

    request: str
    kind: str
    party: str
    identity: str
    received_ns: int
    due_ns: int
    opened_ns: int
    recordings: tuple[str, ...] = ()
    found: int = 0
    codes: tuple[str, ...] = ()
    extended: str = ""
    outcome: str = ""
    answers: tuple[str, ...] = field(default=())
    answered_ns: int = 0
    letter: str = ""

    @property
    def is_open(self) -> bool:
        """Whether something is still owed to the person."""
        return self.outcome in ("", PENDING)

    def state(self, now_ns: int) -> str:
        """``answered``, or, still open, ``late``, ``pending`` or ``open``."""
        if not self.is_open:
            return "answered"
        if now_ns > self.due_ns:
            return "late"
        return self.outcome or "open"


class Register:
    """Every request there ever was, and what may not be used because of one."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._requests: dict[str, Request] = {}
        self._restricted: dict[str, dict[str, frozenset[str]]] = {}  # recording -> request -> names
        self._erased: dict[str, frozenset[str]] = {}
        self.grants = Grants()
        """Who may hear in which role; it has a lock of its own."""

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        self.grants.read(entry)
        if not entry.ev.startswith(("request.", "use.", "erasure.")):
            return
        data = entry.data
        with self._door:
            if entry.ev == "request.opened":
                self._requests.setdefault(data["request"], _opened(entry))
            elif entry.ev == "erasure.decided":
                known = self._erased.get(data["recording"], frozenset())
                self._erased[data["recording"]] = known | set(data.get("erased", ()))
            elif entry.ev == "use.restricted":
                here = self._restricted.setdefault(data["recording"], {})
                here[data["request"]] = frozenset(data["purposes"])
            elif entry.ev == "use.freed":
                self._restricted.get(data["recording"], {}).pop(data["request"], None)
            elif data["request"] in self._requests:
                known_one = self._requests[data["request"]]
                self._requests[data["request"]] = _moved(known_one, entry)

    def find(self, request: str) -> Request | None:
        """The request of this reference."""
        with self._door:
            return self._requests.get(request)

    def blocked(self, recording: str) -> frozenset[str]:
        """The purposes for which nobody may use *recording*: erased or restricted."""
        with self._door:
            found = self._erased.get(recording, frozenset())
            return found.union(*self._restricted.get(recording, {}).values())

    def restricted_by(self, recording: str, request: str) -> bool:
        """Whether *request* restricts the use of *recording* now."""
        with self._door:
            return request in self._restricted.get(recording, {})

    def __iter__(self) -> Iterator[Request]:
        """Every request, in the order in which they were opened."""
        with self._door:
            return iter(tuple(self._requests.values()))


def register_in(entries: Iterable[Entry]) -> Register:
    """What *entries*, a log in order, tell of."""
    found = Register()
    for entry in entries:
        found.read(entry)
    return found


def register_of(data: Path) -> Register:
    """That of the log of the data directory *data*. Raises IntegrityError."""
    return register_in(verify.entries(data))


def _opened(entry: Entry) -> Request:
    data = entry.data
    return Request(
        request=data["request"],
        kind=data["kind"],
        party=data["party"],
        identity=data["identity"],
        received_ns=data["received_ns"],
        due_ns=data["due_ns"],
        opened_ns=entry.t_ns,
        recordings=tuple(data.get("recordings", ())),
        found=data.get("found", 0),
        codes=tuple(data.get("codes", ())),
    )


def _moved(known: Request, entry: Entry) -> Request:
    data = entry.data
    if entry.ev == "request.identified":
        return replace(known, identity=data["identity"])
    if entry.ev == "request.extended":
        return replace(known, due_ns=data["due_ns"], extended=data["reason"])
    if entry.ev != "request.answered" or not known.is_open:
        return known
    return replace(
        known,
        outcome=data["outcome"],
        answers=tuple(data.get("codes", ())),
        answered_ns=entry.t_ns,
        letter=data.get("sha256", ""),
    )
