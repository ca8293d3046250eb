"""What keys mean during one call: consent, card data, star codes. Pure.

The outside party agrees and refuses with the policy's two keys; our side speaks in star codes;
three digits in a row are card data. A leg of which nobody knows whose it is (an analogue line, bare
RTP) counts as both.

A key of consent may also be the first digits of a card. So it means something only when it is clear
that no burst goes through it, and none while a card is entered: then keys are ignored (policy
document, 4.5). What is pending is forgotten as soon as that is clear.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from greffier.calls.keys import KeyPressed
from greffier.policy.site import Policy

Whose = Literal["outside", "ours", "unknown"]

BURST: Final = 3
"""So many digits ..."""
BURST_NS: Final = 4_000_000_000
"""... within so much time are card data."""
ENTRY_NS: Final = 20_000_000_000
"""A card is being entered until so long after the last digit; a duty's mute ends then."""
STAR_NS: Final = 4_000_000_000
"""Between a star and the digit of its code."""
DIALLED_NS: Final = 5_000_000_000
"""On a line on which we dial, digits up to the first pause of this length are the number."""
_DIALS_FROM_NS: Final = 20_000_000_000  # the first digit of a number comes before this
_DIGITS: Final = "0123456789"

Deed = Literal["accept", "refuse", "private", "proof", "threat", "pause", "resume"]
STARS: Final[tuple[Deed, ...]] = ("private", "proof", "threat", "pause", "resume")


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody meant, at *at_ns* (when its last key went down)."""

    deed: Deed
    at_ns: int


@dataclass(frozen=True, slots=True)
class CardEntered:
    """Card data: *from_ns* is its first digit, *at_ns* the one that made it clear."""

    from_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a line listens for. ``stars``: the digit behind the star -> what it means.

    ``accept``, ``refuse``: "" where no key of consent means anything. ``dials``: numbers are
    dialled by tones on the line itself.
    """

    accept: str = field(default="", repr=False)
    refuse: str = field(default="", repr=False)
    cards: bool = False
    stars: Mapping[str, Deed] = field(default_factory=dict)
    dials: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the line needs no keys."""
        return not (self.accept or self.refuse or self.cards or self.stars)

    def wants(self, whose: Whose) -> bool:
        """Whether keys of this side mean anything."""
        if whose == "ours":
            return self.cards or bool(self.stars)
        return not self.nothing


@dataclass(slots=True)
class _Digit:
    """A digit of one side that may belong to a burst, and perhaps is one of consent."""

    key: str = field(repr=False)
    at_ns: int
    consent: Deed | None


class Keypad:
    """The keys of one call, which began at *start_ns*. Its thread owns it.

    Keys of one side come in about their order; time only goes on.
    """

    def __init__(self, plan: KeyPlan, start_ns: int) -> None:
        self.plan = plan
        self._start_ns = start_ns
        self._digits: dict[Whose, list[_Digit]] = {}
        self._star_ns: dict[Whose, int] = {}
        self._entry_ns: int | None = None  # the last digit of the card entry
        self._dialled_ns: int | None = None  # the last digit of the number; None: it is dialled
        if plan.dials:
            self._dialled_ns = start_ns + _DIALS_FROM_NS - DIALLED_NS

    @property
    def last_digit_ns(self) -> int | None:
        """The last digit of the card data that was entered last; None where there was none."""
        return self._entry_ns

    def entering(self, at_ns: int) -> bool:
        """Whether a card is being entered at *at_ns*."""
        return self._entry_ns is not None and at_ns < self._entry_ns + ENTRY_NS

    def press(self, key: KeyPressed, whose: Whose) -> list[Meant | CardEntered]:
        """What *key* brings about at once; the rest comes by :meth:`advance`."""
        digit = key.digit in _DIGITS
        starred = self._starred(key, whose)
        if starred is not None:
            return [starred] if starred.deed == "resume" or not self.entering(key.at_ns) else []
        if whose != "outside" and self.plan.stars and key.digit == "*":
            self._star_ns[whose] = key.at_ns
        if not digit or self._dials(key.at_ns):
            return []
        if self.entering(key.at_ns):
            self._entry_ns = max(self._entry_ns or 0, key.at_ns)
            return []
        consent = self._consent(key.digit, whose)
        if not self.plan.cards:
            return [Meant(consent, key.at_ns)] if consent else []
        self._digits.setdefault(whose, []).append(_Digit(key.digit, key.at_ns, consent))
        return self._burst(whose)

    def advance(self, now_ns: int) -> list[Meant]:
        """What is clear now that time has passed until *now_ns*, of which every key was given."""
        found: list[Meant] = []
        for run in self._digits.values():
            while run and now_ns - run[0].at_ns > BURST_NS:
                one = run.pop(0)
                if one.consent is not None:
                    found.append(Meant(one.consent, one.at_ns))
        return sorted(found, key=lambda one: one.at_ns)

    def finish(self) -> list[Meant]:
        """The call is over: what was pending is clear."""
        return self.advance(1 << 62)

    def connected(self) -> None:
        """Nobody dials any more: what comes are keys of the call."""
        self._dialled_ns = None

    def forget(self) -> None:
        """No card is being entered any more: somebody said so."""
        self._entry_ns = None

    def _starred(self, key: KeyPressed, whose: Whose) -> Meant | None:
        star_ns = self._star_ns.pop(whose, None)
        if star_ns is None or not 0 <= key.at_ns - star_ns <= STAR_NS:
            return None
        deed = self.plan.stars.get(key.digit)
        return None if deed is None else Meant(deed, key.at_ns)

    def _consent(self, digit: str, whose: Whose) -> Deed | None:
        if digit == self.plan.refuse and whose != "ours":
            return "refuse"
        return "accept" if digit == self.plan.accept and whose != "ours" else None

    def _burst(self, whose: Whose) -> list[Meant | CardEntered]:
        """Card data, where the last digit makes it clear; what it goes through means no consent."""
        run = self._digits[whose]
        last = run[-1].at_ns
        recent = [one for one in run if last - one.at_ns <= BURST_NS]
        if len(recent) < BURST or all(one.consent for one in recent):
            return []
        clear = [Meant(one.consent, one.at_ns) for one in run[: -len(recent)] if one.consent]
        self._digits.clear()
        self._entry_ns = last
        return [*clear, CardEntered(recent[0].at_ns, last)]

    def _dials(self, at_ns: int) -> bool:
        """Whether a digit at *at_ns* is one of the number that we call."""
        if self._dialled_ns is not None and at_ns - self._dialled_ns <= DIALLED_NS:
            self._dialled_ns = at_ns
            return True
        self._dialled_ns = None
        return False


def plan_of(policy: Policy, line: str, stars: Mapping[str, str], *, dials: bool) -> KeyPlan:
    """What *line* listens for under *policy*; *stars*: what is meant -> the digit of its code.

    Nothing on lines that are never recorded, on those that the policy does not name, and on
    emergency lines, where no key changes anything.
    """
    rules = policy.lines.get(line)
    if rules is None or rules.never or rules.emergency:
        return KeyPlan()
    pausable = policy.backdate_s(line) > 0
    able = {
        "private": True,
        "proof": "evidence" in rules.purposes,
        "threat": "incident" in rules.purposes,
        "pause": pausable and "agent_key" in policy.pause.sources,
        "resume": pausable and "agent_key" in policy.pause.sources,
    }
    return KeyPlan(
        accept=policy.consent.accept_key,
        refuse=policy.consent.refuse_key,
        cards=pausable and "dtmf" in policy.pause.sources,
        stars={stars[deed]: deed for deed in STARS if stars.get(deed) and able[deed]},
        dials=dials,
    )
