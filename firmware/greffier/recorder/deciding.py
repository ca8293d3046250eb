"""The verdict on a call in time: at its number, at its answer, at each fact, at its end.

The sampled verdict is fixed with the call number. A duty records from the onset; everything else
waits for the answer, and for the facts that somebody is still to tell. Later facts only lower what
was sampled, but for an acceptance; a proof and a threat begin a part of their own from that
instant on, never before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from greffier.policy.facts import PENDING, Facts
from greffier.policy.verdict import Verdict
from greffier.recorder import plans
from greffier.recorder.hearing import Hearing
from greffier.recorder.live_facts import GIVEN, ONLY_LOWERS, Known, NotTaken, Said, raises, told
from greffier.recorder.notice_ear import NoticeEar
from greffier.recorder.pauses import Pauses
from greffier.recorder.plans import NOTHING, Plan
from greffier.recorder.recovery import CutCall, EarlierPart
from greffier.recorder.rules import Rules, instants
from greffier.recorder.tape import Tape

CONFIRMED: Final = "action_confirmed"
TOO_LATE: Final = "too_late"
_LIVE: Final = frozenset({("announce", "ok"), ("consent", "in")})
"""Facts that show, over a restart, that what is voluntary may go on."""
DESTROYED: Final = frozenset({"DISCARD_NOW", "MIXED_RECLASSIFIED_DELETE"})
"""Codes by which the law destroys also what a duty has."""
_NEVER_AFTER_REFUSAL: Final = frozenset({"quality", "training", "evidence"})


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one more fact would make of a call."""

    known: Known
    verdict: Verdict


class Deciding:
    """The half of a call that decides. Owned by the call's thread."""

    facts: Facts
    known: Known
    verdict: Verdict
    pauses: Pauses
    hearing: Hearing | None
    start_ns: int
    heard_from_ns: int
    answer_ns: int | None
    recording: bytes | None
    left_out: bool
    told_before: tuple[str, int] | None
    earlier: tuple[EarlierPart, ...]
    _rules: Rules
    _plans: list[Plan]
    _tapes: list[Tape]
    _earlier_parts: int
    _duties_only: bool
    notice_ear: NoticeEar | None

    if TYPE_CHECKING:  # the other halves'

        def _drain(self) -> None: ...
        def _drop_voluntary(self) -> None: ...
        def _give_up(self, tapes: Mapping[Tape, bool], reason: str) -> None: ...
        def _settle_held(self) -> None: ...

    # --- as time goes by ---

    def decide_at_start(self, facts: Facts) -> Verdict:
        """The verdict with the call number; a duty begins to record."""
        self._know(Known(facts))
        self.verdict = self._rules.at_start(facts)
        full = self._rules.at_answer(facts)
        if full.mandatory:
            self.verdict = full
            when = instants(facts, self.start_ns, self.start_ns)
            self._plans += plans.at_onset(full, when)
        return self.verdict

    def decide_at_answer(self, time_ns: int) -> Verdict:
        """The verdict with the answer, once; what is voluntary may begin, or is waited for."""
        if self.answer_ns is not None:  # bare RTP, or a call of before a restart
            return self.verdict
        self.answer_ns = time_ns
        if self.left_out:
            return self.verdict
        self.verdict = self._rules.at_answer(self.facts)
        self._plans += plans.at_answer(self.verdict, self._when(time_ns))
        if self._duties_only:
            self._drop_voluntary()
        self._mute_card(time_ns)
        return self.verdict

    def _mute_card(self, time_ns: int) -> None:
        """A call of which it is known that card data is said in it is paused from its answer on."""
        if self.verdict.pause == "sad_mute" and "card" not in self.known.times:
            self.pauses.begin(time_ns)

    def join_late(self) -> Verdict:
        """The verdict of a call whose beginning was not heard and of which no verdict is on record.

        A duty holds from now on; nothing voluntary may begin, since nobody knows what was said.
        """
        self.answer_ns = self.start_ns
        self._plans = [plan for plan in self._plans if plan.duty]
        if not self.verdict.mandatory:
            self.verdict = Verdict(codes=("JOINED_LATE",))
            self.left_out = True
        self._mute_card(self.start_ns)
        return self.verdict

    def resume(self, facts: Facts, cut: CutCall, since_ns: int) -> None:
        """Go on after a restart, since *since_ns*: the verdict on record, and new parts.

        What was told of it before holds.
        """
        self._know(Known(facts))
        self.start_ns = cut.start_ns
        self.recording = bytes.fromhex(cut.recording) if cut.recording else None
        self._earlier_parts = cut.parts
        self.earlier = cut.begun
        self.told_before = cut.about
        self.heard_from_ns = since_ns
        self.notice_ear = None  # what was said before the restart nobody knows any more
        self.answer_ns = since_ns
        self.pauses.restore(cut.pauses)
        if self.hearing is not None:
            self.hearing.keypad.connected()  # what was dialled was dialled long ago
        for one in cut.facts:
            self._remember(one)
        # A part that was begun shows that the answer had come, and what it allowed.
        begun = cut.record not in NOTHING or cut.parts
        if not begun and not cut.facts:
            self.verdict = Verdict(record=cut.record, codes=cut.codes)
            return
        self.verdict = self._rules.at_answer(self.facts)
        when = {name: max(at, since_ns) for name, at in self._when(since_ns).items()}
        self._plans = plans.at_onset(self.verdict, when) + plans.at_answer(self.verdict, when)
        lives = any((one["fact"], one.get("value")) in _LIVE for one in cut.facts)
        if not begun and not lives:  # that the rest is lawful nobody knows
            self._plans = [plan for plan in self._plans if plan.duty or _of_its_own(plan)]
            if not self._plans and self.verdict.record not in NOTHING:
                self.verdict = Verdict(codes=cut.codes)
        self._mute_card(since_ns)

    def _remember(self, data: Mapping[str, Any]) -> None:
        """A fact that was told before a restart, as the log says it."""
        if data["state"] != "taken":
            return
        value = data.get("value") or self._rules.name_of(data.get("agent", ""))
        said = Said(data["fact"], value, data["at_ns"], bool(data.get("captured")))
        try:
            self._know(self._after(said))
        except NotTaken:
            return  # it was taken by other rules

    def decide_at_end(self) -> Verdict:
        """The last verdict: what a call still waited for when it ended never came."""
        if self.answer_ns is None and not self.verdict.mandatory and not self.left_out:
            self.verdict = self._rules.never_answered(self.facts)
        elif self.verdict.waiting is not None and not self.left_out:
            self.verdict = self._rules.ended(self.facts)
        if self.pauses.all and self.verdict.record not in NOTHING:
            logged = ("GAP_LOGGED",) if self.verdict.mandatory else ()
            self.verdict = self.verdict.with_codes("PAUSE_SAD", *logged)
        return self.verdict

    # --- as facts come ---

    @property
    def rules(self) -> Rules:
        """What the call stands under."""
        return self._rules

    @property
    def captured(self) -> bool:
        """Whether anything of it was captured."""
        return bool(self._tapes) or bool(self._earlier_parts)

    @property
    def needs_acceptance(self) -> bool:
        """Whether what is voluntary of it needs a proof that the outside party accepts."""
        facts = replace(self.facts, consent=PENDING, announce="ok", private=False)
        return self._rules.at_answer(facts).waiting == "CONSENT_PENDING"

    @property
    def holding(self) -> bool:
        """Whether its sound is held in memory until a fact comes, and nothing of it is kept."""
        return (
            bool(self._rules.pending)
            and self.answer_ns is not None
            and self.verdict.waiting is not None
            and not self._plans
            and not self.left_out
        )

    def weigh(self, said: Said) -> Weighed:
        """What would come of the fact *said*; nothing changes yet. Raises NotTaken."""
        if said.fact == "consumer" and said.captured:
            raise NotTaken(TOO_LATE)  # what is captured says already how long it may be kept
        known = self._after(said)
        verdict = self._rules.at_answer(known.facts)
        if raises(self._rules.at_answer(self.facts), verdict, said.fact):
            raise NotTaken(ONLY_LOWERS)
        if verdict.action == "end_call" and CONFIRMED not in known.times:
            # Nobody has said that the call was ended: a duty records on.
            known = replace(known, facts=replace(known.facts, action_confirmed=False))
            verdict = self._rules.at_answer(known.facts)
        if self.left_out:
            verdict = self.verdict
        elif self.answer_ns is None and not verdict.mandatory:
            verdict = self._rules.at_start(known.facts)
        return Weighed(known, verdict)

    def heed(self, weighed: Weighed, now_ns: int) -> None:
        """Let what was weighed be so: parts end, are destroyed, or begin."""
        self._know(weighed.known)
        self.verdict = weighed.verdict
        if self.left_out:
            return
        self._end_plans()
        self._begin_plans(now_ns)
        if self._duties_only:
            self._drop_voluntary()
        self._settle_held()

    def _after(self, said: Said) -> Known:
        known = told(self.known, said)
        if said.fact == "agent" and self._rules.of_agent is not None:
            drawn = self._rules.of_agent(said.value, self.start_ns)
            known = replace(known, facts=replace(known.facts, **drawn))  # type: ignore[arg-type]
        return known

    def _know(self, known: Known) -> None:
        self.known, self.facts = known, known.facts

    def _when(self, answer_ns: int) -> dict[str, int]:
        """When each thing happened that a part may begin with."""
        when = instants(self.facts, self.start_ns, answer_ns)
        for name in ("threat", "transfer"):
            when[name] = self.known.times.get(name, when[name])
        if not self._rules.pending and not self.known.times:
            return when
        return {name: at if name == "onset" else max(at, answer_ns) for name, at in when.items()}

    def _end_plans(self) -> None:
        """Parts that the verdict does not name any more."""
        wanted = () if self.verdict.record in NOTHING else self.verdict.purposes
        over = [
            number
            for number, plan in enumerate(self._plans)
            if not any(name in wanted for name in plan.purposes)
        ]
        # What a duty had is only ever destroyed where the law says so in so many words.
        destroyed = bool(DESTROYED & {*self.verdict.codes})
        if any(self._plans[number].duty and not destroyed for number in over):
            self._drain()
        doomed: dict[Tape, bool] = {}
        for number in reversed(over):
            plan = self._plans.pop(number)
            if number < len(self._tapes):
                doomed[self._tapes.pop(number)] = destroyed or not plan.duty
        if doomed:
            self._give_up(doomed, reason_of(self.verdict))

    def _begin_plans(self, now_ns: int) -> None:
        """Parts that the verdict names, and the call does not have yet."""
        answer_ns = self.answer_ns
        if answer_ns is None and not self.verdict.mandatory:
            return
        have = {name for plan in self._plans for name in plan.purposes}
        when = self._when(self.start_ns if answer_ns is None else answer_ns)
        if answer_ns is not None:
            when["onset"] = now_ns  # its onset is over
        found = plans.at_onset(self.verdict, when)
        found += plans.at_answer(self.verdict, when) if answer_ns is not None else []
        for plan in found:
            purposes = {name: days for name, days in plan.purposes.items() if name not in have}
            refused = self.facts.consent == "out" and _NEVER_AFTER_REFUSAL & purposes.keys()
            if purposes and not refused:
                self._plans.append(replace(plan, purposes=purposes))
        begun = len(self._tapes)
        self._plans[begun:] = sorted(self._plans[begun:], key=lambda plan: plan.start_ns)


def _of_its_own(plan: Plan) -> bool:
    """Whether it began with something that somebody did, and not with the draw."""
    return plan.purposes.keys() <= {"evidence", "incident"}


def reason_of(verdict: Verdict) -> str:
    """Why what a call had is destroyed, in a word."""
    if "MIXED_RECLASSIFIED_DELETE" in verdict.codes:
        return "reclassified"
    return "private" if "PRIVATE_MODE" in verdict.codes else "refused"


__all__ = ["CONFIRMED", "GIVEN", "TOO_LATE", "Deciding", "Weighed", "reason_of"]
