"""What a call is left of where there is no room for it: too many at once, or a disk nearly full."""

from greffier.policy.facts import Facts
from greffier.policy.verdict import Verdict
from greffier.recorder.archive import Archive
from greffier.recorder.outcome import OVER_CAPACITY, STORAGE_LOW
from greffier.recorder.plans import Plan
from greffier.recorder.rules import Rules
from greffier.recorder.tape import Tape

_NOTHING = ("none", "provisional_deleted")


class Curtailed:
    """The part of a :class:`greffier.recorder.call.Call` that gives way."""

    left_out: bool
    facts: Facts
    verdict: Verdict
    _archive: Archive
    _rules: Rules
    _plans: list[Plan]
    _tapes: list[Tape]
    _duties_only: bool

    def leave_out(self) -> Verdict:
        """The verdict of a call for which there is no room: counted and reported, not recorded."""
        full = self._rules.at_answer(self.facts)
        if full.record not in _NOTHING or full.waiting:
            self._plans = []
            self.left_out = True
            self.verdict = Verdict(codes=(OVER_CAPACITY,))
        return self.verdict

    def keep_duties(self) -> Verdict:
        """The verdict where the disk has room for duties alone: nothing voluntary is recorded."""
        full = self._rules.at_answer(self.facts)
        if full.record not in _NOTHING or full.waiting:
            self._duties_only = True
            self._drop_voluntary()
            if not full.mandatory:
                self.left_out = True
                self.verdict = Verdict(codes=(STORAGE_LOW,))
        return self.verdict

    def _drop_voluntary(self) -> None:
        kept = [plan for plan in self._plans if plan.duty]
        if len(kept) < len(self._plans):
            self.verdict = self.verdict.with_codes(STORAGE_LOW)
        self._plans = kept

    @property
    def writable(self) -> bool:
        """Whether any part of it takes more sound."""
        valves = [tape.valve for tape in self._tapes] or [self._archive.valve]
        return any(valve.open for valve in valves)
