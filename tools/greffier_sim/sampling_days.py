"""Honest days of a sampled branch, as its log tells them: calls, agents, restarts, midnights.

No recorder runs here: a day takes milliseconds, and everything random hangs on its seed. Verdicts
are the product's rules, counts the recorder's own :class:`~greffier.recorder.agent_counts`.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from greffier.audit.entry import Entry
from greffier.clock import SECOND, day_of
from greffier.policy import decision, sampling
from greffier.policy.facts import PENDING, Facts
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.recorder.agent_counts import AgentCounts
from greffier.recorder.epoch import Epoch
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier_sim.sampling_story import AGENTS, DEVICE, PACKS, Said, Story, office, policies

_MINUTE: Final = 60 * SECOND


@dataclass(slots=True)
class _Call:
    uid: str
    line: str
    start_ns: int
    facts: Facts
    agent: str | None  # once it is known and logged
    verdict: Verdict
    recording: str | None = None
    answered: bool = False
    over: bool = False
    alive: bool = True
    covered: bool = False
    resumed: bool = True
    told: list[str] = field(default_factory=list)


class _Box:
    """One life: a heap of what is to happen, and what the log says of it."""

    def __init__(self, seed: int, *, facts: bool, policy: Policy) -> None:
        self.draw = random.Random(f"sampling day {seed}")
        self.policy = policy
        self.facts = facts
        self.said: list[Said] = []
        self.counts = AgentCounts()
        self.numbers: dict[str, int] = {}
        self.calls: list[_Call] = []
        self.epochs: dict[str, bytes] = {}
        self.epoch: Epoch | None = None
        self.run = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        day = 2 + self.draw.choice((0, 1, 2, 3, 4, 7, 8, 21, 24))
        self.begin_ns = int(datetime(2026, 3, day, 6, tzinfo=UTC).timestamp()) * SECOND
        self.now = self.begin_ns
        self.boot = self._hex(16)
        self.slots_key, self.agents_key = self._bytes(), self._bytes()
        self.month = "2026-03"

    # --- saying ---

    def _bytes(self) -> bytes:
        return self.draw.randbytes(32)

    def _hex(self, octets: int) -> str:
        return self.draw.randbytes(octets).hex()

    def say(self, ev: str, **data: Any) -> None:
        told = {key: value for key, value in data.items() if value is not None}
        one = Said(ev, told, self.now, self.now - self.begin_ns + _MINUTE, self.boot)
        self.counts.read(Entry(len(self.said), "", 0, self.now, 0, "", ev, None, "", told))
        self.said.append(one)

    def later(self, at_ns: int, deed: Callable[[], None], run: int | None = None) -> None:
        def still() -> None:
            if run is None or run == self.run:
                deed()

        heapq.heappush(self._due, (at_ns, next(self._serial), still))

    def live(self) -> None:
        while self._due:
            self.now, _, deed = heapq.heappop(self._due)
            deed()

    # --- runs and days ---

    def start(self) -> None:
        self.run += 1
        self.open_epoch()
        self.say("recorder.started", version="1.0.0")
        self.say(
            "policy.adopted",
            policy="retail",
            policy_version=7,
            policy_sha256=self.policy.sha256,
            signed=True,
        )
        for call in self.calls:
            if not call.over:
                call.alive = False
                if not call.covered:
                    self.cover(call, self.now - SECOND)
                again = self.draw.random() < 0.5
                deed = self.resume if again else self.cut
                wait = self.draw.randrange(1, 40) * SECOND
                self.later(self.now + wait, partial(deed, call), self.run)

    def open_epoch(self) -> None:
        name = f"{day_of(self.now)}.{self._hex(4)}"
        self.epoch = Epoch(name, self.now, self._bytes(), self._bytes())
        self.epochs[name] = self.epoch.sampling
        self.say(
            "epoch.opened",
            epoch=name,
            commit=self.epoch.commit,
            sampling=self.epoch.sampling_envelopes(office().public).hex(),
            office_key=office().public.key_id.hex(),
        )

    def renew(self) -> None:
        assert self.epoch is not None  # noqa: S101 - it runs
        self.say("epoch.closed", **self.epoch.revealed, reason="day")
        self.open_epoch()

    def stop(self, *, clean: bool) -> None:
        assert self.epoch is not None  # noqa: S101 - it runs
        if clean:
            for call in self.calls:
                if not call.over:
                    self.cover(call, self.now)
            self.say("recorder.stopped", reason="asked")
            self.say("epoch.closed", **self.epoch.revealed)
        self.run += 1  # what was to come does not come

    # --- calls ---

    def call(self) -> None:
        draw, policy = self.draw, self.policy
        line = draw.choice(("accueil", "accueil", "vente"))
        direction = draw.choices(("in", "out", "int"), (6, 3, 1))[0]
        number = self.numbers[line] = self.numbers.get(line, 0) + 1
        uid = sampling.call_uid(DEVICE, line, number)
        assert self.epoch is not None  # noqa: S101 - calls come while it runs
        stratum = sampling.stratum(policy, line, direction)
        drawn = sampling.draw(self.epoch.sampling, stratum, uid)
        consumer = draw.choice((None, "FR", "FR", "BE", "DE")) if direction != "int" else None
        agent = draw.choice(AGENTS) if draw.random() < 0.9 else None
        now_known = agent is not None and draw.random() < 0.5
        facts = Facts(
            dir=direction,
            consumer=consumer,
            window=policy.in_window(self.now),
            t_start=self.now,
            u=drawn.u,
            agent=PENDING if direction != "int" else "",
        )
        call = _Call(uid, line, self.now, facts, None, Verdict())
        told = self.agent(call, agent) if now_known and agent is not None else {}
        call.verdict = self.decide(call, replace(call.facts, announce=PENDING))
        self.calls.append(call)
        self.say(
            "call.decided",
            uid=uid,
            line=line,
            record=call.verdict.record,
            codes=list(call.verdict.codes),
            call=self._hex(32),
            at_ns=self.now - draw.randrange(0, 900) * 1_000_000,
            u=drawn.numerator,
            stratum=stratum,
            epoch=self.epoch.name,
            policy="retail",
            policy_version=7,
            policy_sha256=policy.sha256,
            dir=direction,
            consumer=consumer,
            **told,
        )
        self.say("call.linked", uid=uid, flow=self._hex(32))
        run = self.run
        end_ns = self.now + draw.randrange(3, 600) * SECOND
        if draw.random() < 0.85:
            self.later(self.now + draw.randrange(1, 15) * SECOND, lambda: self.answer(call), run)
            if agent is not None and not now_known:
                at = self.now + draw.randrange(2, 20) * SECOND
                self.later(at, lambda: self.count(call, agent), run)
            if self.facts and draw.random() < 0.15:
                at = self.now + draw.randrange(5, 300) * SECOND
                self.later(at, lambda: self.tell(call), run)
        self.later(end_ns, lambda: self.end(call), run)

    def decide(self, call: _Call, facts: Facts) -> Verdict:
        return decision.decide(self.policy, PACKS, call.line, facts)

    def agent(self, call: _Call, name: str) -> dict[str, Any]:
        """The agent is known: the facts, and what the log says of it."""
        at_ns = call.start_ns
        if self.counts.opened_ns(self.month) is None:
            self.open_month()
        pseudonym = sampling.agent_pseudonym(self.agents_key, name)
        used = self.counts.used(self.month, pseudonym, call.uid)
        call.agent = pseudonym
        call.facts = replace(call.facts, agent=name, quota_used=used)
        told: dict[str, Any] = {"agent": pseudonym, "month": self.month, "used": used}
        if self.policy.sampling.method == "slots":
            would = replace(call.facts, slot=True)
            if "SAMPLED_IN" in self.decide(call, would).codes:
                due = self.slot(name, self.counts.eligible_ns(self.month, pseudonym), at_ns)
                call.facts = replace(call.facts, slot=due)
                told["slot"] = due
        return told

    def slot(self, name: str, after_ns: int, at_ns: int) -> bool:
        found = sampling.slot_instants(self.policy, self.slots_key, self.month, name)
        return any(after_ns < one <= at_ns for one in found)

    def open_month(self) -> None:
        public, more = office().public, {}
        if self.policy.sampling.method == "slots":
            place = f"{self.month}.slots"
            sealed = envelope.seal(
                self.slots_key, What.SAMPLING, envelope.epoch_id(place), [public]
            )
            more = {"commit": sampling.commit(place, self.slots_key), "sampling": sealed.hex()}
        block = envelope.seal(
            self.agents_key, What.SAMPLING, envelope.epoch_id(self.month), [public]
        )
        key = public.key_id.hex()
        self.say("month.opened", month=self.month, agents=block.hex(), office_key=key, **more)

    def count(self, call: _Call, agent: str) -> None:
        if call.over:
            return
        told = self.agent(call, agent)
        announce = "ok" if call.answered else PENDING
        call.verdict = self.decide(call, replace(call.facts, announce=announce))
        self.say("call.counted", uid=call.uid, **told, codes=list(call.verdict.codes))
        self.record(call)

    def answer(self, call: _Call) -> None:
        if call.over:
            return
        call.answered = True
        call.verdict = self.decide(call, call.facts)
        self.record(call)

    def record(self, call: _Call) -> None:
        if not call.answered or call.recording or call.verdict.record == "none":
            return
        call.recording = self._hex(16)
        self.part(call)

    def part(self, call: _Call) -> None:
        self.say(
            "part.opened",
            part=self._hex(16),
            recording=call.recording,
            number=0,
            uid=call.uid,
            purposes=list(call.verdict.purposes),
        )

    def tell(self, call: _Call) -> None:
        if call.over or not call.answered:
            return
        kept = call.recording is not None
        fact, value, more = self.draw.choice(
            (
                ("consent", "out", {"consent": "out", "after_start": kept}),
                ("private", "true", {"private": True, "after_start": kept}),
                ("threat", "true", {"threat": True}),
            )
        )
        call.facts = replace(call.facts, **more)
        call.told.append(fact)
        call.verdict = self.decide(call, call.facts)
        self.say(
            "call.fact",
            uid=call.uid,
            id=self._hex(16),
            fact=fact,
            value=value,
            source="desk",
            at_ns=self.now,
            content=self._hex(16),
            state="taken",
            record=call.verdict.record,
            codes=list(call.verdict.codes),
        )
        self.record(call)

    def cover(self, call: _Call, to_ns: int) -> None:
        call.covered = True
        kept = call.verdict.record != "none"
        self.say(
            "coverage",
            line=call.line,
            channel=call.uid,
            from_ns=call.start_ns,
            to_ns=max(to_ns, call.start_ns + 1),
            state="recorded" if kept else "not_recorded",
            reason=None if kept else call.verdict.codes[0],
        )

    def end(self, call: _Call, reason: str = "bye") -> None:
        if call.over:
            return
        facts = call.facts if call.answered else replace(call.facts, announce=PENDING)
        if reason != "interrupted":
            call.verdict = decision.settle_ended(self.policy, PACKS, call.line, facts)
            self.cover(call, self.now)
        call.over = True
        self.say(
            "call.ended",
            uid=call.uid,
            line=call.line,
            record=call.verdict.record,
            codes=list(call.verdict.codes),
            result="ok",
            recording=call.recording,
            reason=reason,
        )

    def cut(self, call: _Call) -> None:
        self.end(call, "interrupted")

    def resume(self, call: _Call) -> None:
        self.say("call.resumed", uid=call.uid, at_ns=self.now, recording=call.recording)
        self.cover(call, self.now)
        if call.recording is not None and call.verdict.record != "none":
            self.part(call)
        wait = self.draw.randrange(5, 200) * SECOND
        self.later(self.now + wait, lambda: self.end(call), self.run)


def live(seed: int, calls: int = 60, *, facts: bool = True, under: int | None = None) -> Story:
    """The day of *seed*: some *calls*, a few restarts, a midnight.

    *under* is which of :func:`policies` holds (by its place); without it the seed decides.
    *facts* False: nobody tells anything of a call.
    """
    known = list(policies().values())
    policy = known[seed % len(known) if under is None else under]
    box = _Box(seed, facts=facts, policy=policy)
    draw = box.draw
    box.later(box.begin_ns, box.start)
    for _ in range(calls):
        box.later(box.begin_ns + draw.randrange(10, 12 * 3600) * SECOND, box.call)
    box.later(box.begin_ns + 18 * 3600 * SECOND, box.renew)  # midnight
    for _ in range(calls // 8):
        box.later(box.begin_ns + (18 * 3600 + draw.randrange(5, 3600)) * SECOND, box.call)
    for _ in range(draw.randrange(3)):
        at = box.begin_ns + draw.randrange(3600, 11 * 3600) * SECOND
        clean = draw.random() < 0.5
        box.later(at, partial(box.stop, clean=clean))
        box.later(at + SECOND, box.start)
    box.later(box.begin_ns + 20 * 3600 * SECOND, lambda: box.stop(clean=True))
    box.live()
    return Story(
        box.said,
        policy,
        box.epochs,
        box.slots_key,
        box.agents_key,
        box.month,
        day_of(box.begin_ns),
    )
