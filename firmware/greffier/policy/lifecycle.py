"""How long a recording stays, and what answer a request for erasure gets.

Days are whole days since the recording's creation (insurance, signed: since the signature), counted
by trusted time; the caller passes the largest number of days that is *certain* for a minimum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from greffier.policy.purposes import EMERGENCY, MANDATORY, VOLUNTARY

KEEP, KEEP_HOLD, KEEP_MANDATORY = "KEEP", "KEEP_HOLD", "KEEP_MANDATORY"
DELETE_DUE, BLOCKED_VISA = "DELETE_DUE", "DELETE_BLOCKED_ARCHIVES_VISA"
DELETE_SPACE, NOT_RECEIVED = "DELETE_SPACE", "NOT_RECEIVED"
MASS_ABORTED = "DELETE_MASS_ABORTED"
DAY_NS = 86_400 * 1_000_000_000

Days = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim on a recording: from day ``start`` until day ``end`` (None: not released)."""

    start: int
    end: int | None = None
    mode: str = "floor"

    def holds_on(self, day: int) -> bool:
        """Whether the hold is in force on *day*."""
        return self.start <= day and (self.end is None or day < self.end)


@dataclass(frozen=True, slots=True)
class Claim:
    """A hold on a part, in ns since the part's creation; *end_ns* None: it stands."""

    start_ns: int
    end_ns: int | None
    mode: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """The answer to a request: ``status`` erased | partial | refused | pending | nothing_held."""

    status: str
    purposes: Mapping[str, str]


def limits(purposes: Days, hold: Hold | None = None) -> tuple[int, int]:
    """The days (first on which it may go, last on which it may stay) of a whole recording.

    The bytes live as long as the longest purpose. A hold of mode "floor" moves the last day to its
    release; one of mode "suspend" adds the time of the claim to both.
    """
    low = max((pair[0] for pair in purposes.values()), default=0)
    high = max((pair[1] for pair in purposes.values()), default=0)
    if hold is None or hold.end is None:
        return low, high
    if hold.mode == "suspend":
        if hold.start > high:
            return low, high
        claim = max(0, hold.end - hold.start)
        return low + claim if low else 0, high + claim
    return low, max(high, hold.end)


def retention(
    day: int,
    purposes: Days,
    hold: Hold | None = None,
    *,
    public: bool = False,
    visa: bool = True,
) -> str:
    """What is due on *day* for a recording with *purposes*.

    *public*: its keeper is a French public body, whose archives go only with the archives
    administration's *visa* (Code du patrimoine L.212-2).
    """
    low, high = limits(purposes, hold)
    if day < low:
        return KEEP_MANDATORY
    if hold is not None and hold.holds_on(day):
        return KEEP_HOLD
    if day <= high:
        return KEEP
    return BLOCKED_VISA if public and not visa else DELETE_DUE


def space_floor(purposes: Days) -> int:
    """The first day on which lack of space may delete a recording.

    Voluntary purposes: any day. Duties: after their maximum, since nobody can record them again.
    """
    return max((high + 1 for name, (_, high) in purposes.items() if name in MANDATORY), default=0)


def terms(
    purposes: Mapping[str, tuple[int, int | None]], claims: Iterable[Claim] = ()
) -> tuple[int, int | None]:
    """Since its creation, ns: before which a part may not go, and when it must (None: never).

    What claims suspended is added to both.
    """
    low = max((least for least, _ in purposes.values()), default=0) * DAY_NS
    most = [high for _, high in purposes.values() if high is not None]
    if not purposes or len(most) < len(purposes):
        return low, None
    high = max(most) * DAY_NS
    added = suspended(claims, high)
    return low + added if low else 0, high + added


def suspended(claims: Iterable[Claim], high_ns: int) -> int:
    """How much later than *high_ns* a part must go: the time of released claims of mode "suspend".

    Each moment counts once, none before the creation; a claim that began when the part should have
    gone comes too late.
    """
    added = counted = 0
    spans = [(one.start_ns, one.end_ns) for one in claims if one.mode == "suspend"]
    for start, end in sorted((max(start, 0), end) for start, end in spans if end is not None):
        if start <= high_ns + added and end > max(start, counted):
            added += end - max(start, counted)
            counted = end
    return added


def disposal(
    elapsed_ns: int,
    purposes: Mapping[str, tuple[int, int | None]],
    *,
    received: bool,
    claims: Iterable[Claim] = (),
    held: bool = False,
    blocked: bool = False,
    space: bool = False,
) -> str:
    """What becomes of a part that was created *elapsed_ns* ago, as far as that is certain.

    *received*: head office's receipt is in the log. *claims* are its holds; *held*: there is
    another. *blocked*: it needs a visa that is not there. *space*: room is wanted. Where a duty is
    among the *purposes*, and where only room is the reason, it waits for the receipt; at its
    maximum a voluntary part goes, received or not. One whose purposes nobody knows stays, and for
    lack of space alone nothing under a duty goes.
    """
    claims = tuple(claims)
    low, high = terms(purposes, claims)
    due = high is not None and elapsed_ns >= high
    if not purposes or not (due or space):
        return KEEP if elapsed_ns >= low or not low else KEEP_MANDATORY
    voluntary = all(name in VOLUNTARY for name in purposes)
    # Nobody can record it again: for want of room alone what is under a duty never goes.
    if (low and elapsed_ns < low) or not (due or voluntary):
        return KEEP_MANDATORY
    if held or any(one.end_ns is None for one in claims):
        return KEEP_HOLD
    if not received and not (due and voluntary):
        return NOT_RECEIVED
    if blocked:
        return BLOCKED_VISA
    return DELETE_DUE if due else DELETE_SPACE


def erase(
    purposes: Days,
    *,
    hold: bool = False,
    contestable: bool = False,
    hold_after_request: bool = False,
    dpo_agreed: bool = False,
    reachable: bool = True,
) -> Erasure:
    """The answer to the person's request to erase a recording with *purposes*.

    GDPR art. 17(3): (b) legal obligation and public task, (e) legal claims. *contestable*: the
    contract that the evidence proves can still be disputed. A hold placed after the request counts
    only with the DPO's agreement. Not *reachable*: the box is offline and carries it out at the
    next contact.
    """
    held = hold and (dpo_agreed or not hold_after_request)
    answers = {name: _answer(name, held=held, contestable=contestable) for name in purposes}
    erased = [answer for answer in answers.values() if answer == "ERASED"]
    if not answers:
        status = "nothing_held"
    elif not erased:
        status = "refused"
    elif not reachable:
        status = "pending"
    else:
        status = "erased" if len(erased) == len(answers) else "partial"
    return Erasure(status, MappingProxyType(answers))


def _answer(purpose: str, *, held: bool, contestable: bool) -> str:
    if purpose in EMERGENCY:
        return "REFUSED_PUBLIC_TASK"
    if purpose in MANDATORY:
        return "REFUSED_LEGAL_OBLIGATION"
    if held or (purpose == "evidence" and contestable):
        return "REFUSED_LEGAL_CLAIM"
    return "ERASED"
