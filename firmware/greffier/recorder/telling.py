"""Facts about calls: who told what, what is logged, what changes, and when it is answered.

There is one inlet, however a fact came: over the control socket (:meth:`Telling.obey`), or from
inside the recorder (:meth:`Telling.tell`). The entry is accepted by the log first, then the call
hears of it; no frame that the fact allows or forbids reaches a file, and no key goes, before the
entry is durable, since every tick writes the log first. The answer waits until it is durable.
"""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from greffier import canonical
from greffier.audit.entry import Entry
from greffier.calls.events import CallStarted
from greffier.clock import SECOND
from greffier.config.records import Config
from greffier.control.board import Order, Reply
from greffier.control.facts import FactTaken, Tell
from greffier.policy.combination import insurance_days, mifid_days
from greffier.policy.facts import PENDING
from greffier.policy.purposes import MANDATORY, VOLUNTARY
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.recorder.agent_draws import AgentDraws
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.deciding import DESTROYED, reason_of
from greffier.recorder.live_facts import GIVEN, NotTaken, Said, checked
from greffier.recorder.pausing import Pausing
from greffier.recorder.plans import NOTHING
from greffier.recorder.promises import Promises
from greffier.recorder.tellings import WAITS
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source
from greffier.trust import DeletionClass, load_log_key

AHEAD_NS: Final = 5 * SECOND
"""By how much the clock of who tells may be ahead of ours."""
REACH_NS: Final = 2 * SECOND
"""How far back a proof or a threat may begin: what a key or a message takes on its way."""
NO_CALL: Final = "no_such_call"
NO_LINE: Final = "no_such_line"
SEVERAL: Final = "several_calls"
OTHER: Final = "other_content"
FUTURE: Final = "in_the_future"
SECOND_PERSON: Final = "second_person_needed"
PROOF: Final = "proof_needed"
_BY_A_PERSON: Final = ("desk", "console", "gpio")
_UNCLASSIFIED_NS: Final = 24 * 3600 * SECOND


class Late(Protocol):
    """What a fact does to what is in the vault already. It returns at once."""

    def take(self, request: Tell, content: str, done: Callable[[Reply], None]) -> None:
        """A fact about no running call, and the keyed hash of its content; any thread answers."""

    def discard(self, parts: Collection[str], reason: str) -> None:
        """Destroy these parts, of which the log has told."""


class Telling:
    """Owned by the recorder's thread; *sources* is the loop's own list.

    *late* takes what is told about calls that are over, and what a call has of before a restart.
    """

    def __init__(
        self,
        config: Config,
        archive: Archive,
        troubles: Troubles,
        sources: Sequence[Source],
        pausing: Pausing,
        late: Late,
    ) -> None:
        self._config = config
        self._archive = archive
        self._troubles = troubles
        self._sources = sources
        self._pausing = pausing
        self._late = late
        self._promises = Promises(archive.log)
        self._key = load_log_key(archive.data.log_key)
        self._draws = AgentDraws(archive, self._key)

    # --- the inlets ---

    def obey(self, request: Tell, order: Order) -> None:
        """Take a fact from the socket; its answer comes when its entry is durable."""
        content = self._content(request)
        before = self._archive.tellings.find(request.id)
        if before is not None:
            if before.content == content:
                self._promises.make(before.seq, order, FactTaken("known"))
            else:
                order.done(FactTaken("refused", OTHER))
            return
        found = self._meant(request)
        if found is None:
            self._late.take(request, content, order.done)
            return
        if isinstance(found, str):
            order.done(FactTaken("refused", found))
            return
        entry, answer = self._take(request, content, *found)
        if entry is None:
            order.done(answer)
        else:
            self._promises.make(entry.seq, order, answer)

    def tell(
        self, call: Call, fact: str, value: str, at_ns: int, source: str, actor: str = ""
    ) -> FactTaken:
        """Take a fact about the running *call* that the recorder itself, or a key, tells.

        *at_ns* is when it happened, wall clock. Nothing waits: the entry is durable with the next
        tick, before anything that it changes is.
        """
        request = Tell(
            secrets.token_hex(16), fact, value, source, call=call.uid, actor=actor, at_ns=at_ns
        )
        owner = next((one for one in self._sources if call in one.running), None)
        return self._take(request, self._content(request), owner, call)[1]

    def answer(self) -> None:
        """Answer what is durable by now."""
        self._promises.keep()

    def watch(self) -> None:
        """Raise the alarm of calls on mixed lines that nobody classifies, and clear it."""
        bound_ns = self._archive.clock.wall_ns() - _UNCLASSIFIED_NS
        late = self._archive.tellings.unclassified(bound_ns)
        self._troubles.set(bool(late), "mifid.unclassified")
        agents = len({one.agent for one in self._config.assignments})
        self._troubles.set(bool(self._archive.tellings.outliers(agents)), "agent.unpicks")

    # --- who is meant ---

    def _content(self, request: Tell) -> str:
        """A keyed hash of all that was said but the id."""
        told = {
            "call": request.call,
            "line": request.line,
            "recording": request.recording,
            "actor": request.actor,
            "source": request.source,
            "fact": request.fact,
            "value": request.value,
            "at_ns": str(request.at_ns),
        }
        return self._key.person("fact " + canonical.dump(told).decode())

    def _running(self) -> Iterator[tuple[Source, Call]]:
        for source in self._sources:
            for call in source.running:
                yield source, call

    def _meant(self, request: Tell) -> tuple[Source, Call] | str | None:
        """The running call, why there is none, or None where it may be over."""
        if request.line:
            known = {*self._config.lines, *(one.name for one in self._config.analogue)}
            if request.line not in known:
                return NO_LINE
        name = bytes.fromhex(request.recording) if request.recording else None
        found = [
            (source, call)
            for source, call in self._running()
            if (request.call and call.uid == request.call)
            or (request.line and request.line in (call.rules.line, channel_of(call)))
            or (name is not None and call.recording == name)
        ]
        if len(found) > 1:
            return SEVERAL
        if found:
            return found[0]
        return NO_CALL if request.line else None

    # --- what it changes ---

    def _take(
        self, request: Tell, content: str, source: Source | None, call: Call
    ) -> tuple[Entry | None, FactTaken]:
        """Log a fact about a running call, and let the call hear of it."""
        now = self._archive.clock.wall_ns()
        try:
            said = self._said(request, call, now)
            weighed = call.weigh(said)
        except NotTaken as error:
            return None, FactTaken("refused", error.code, call.verdict.codes)
        by = self._key.person(request.actor) if request.actor else None
        waits = is_alone(self._archive, said, call.uid, by)
        verdict = call.verdict if waits else weighed.verdict
        recording = call.recording.hex() if call.recording else None
        created_ns = max(call.start_ns, self._archive.clock.lower_bound().t_ns)
        least, most = longer(call.rules.policy, said, verdict.purposes) or (None, None)
        entry = self._archive.log.append(
            "call.fact",
            recording,
            {
                **entry_of(request, content, said, self._key.person),
                "uid": call.uid,
                "line": call.rules.line,
                "recording": recording,
                "agent": self._agent_of(call, said),
                "state": WAITS if waits else "taken",
                "record": verdict.record,
                "codes": list(verdict.codes),
                "min_days": least,
                "max_days": most,
                "from_ns": since_ns(said, created_ns) if least else None,
            },
        )
        self._archive.learn(entry)
        if said.fact == "agent":
            self._draws.count(call.uid, call.rules, weighed.known.facts, weighed.verdict)
        if waits:
            return entry, FactTaken("taken", SECOND_PERSON, verdict.codes)
        before = call.verdict
        if source is not None:
            source.fetch(call)
        call.heed(weighed, now)
        self._discard_earlier(call, gone(before, verdict))
        if said.fact == "card":
            self._pausing.change(call, begins=said.value == "true", source=request.source)
        return entry, FactTaken("taken", "", call.verdict.codes)

    def _agent_of(self, call: Call, said: Said) -> str | None:
        """The pseudonym of the agent whom the fact is, or is counted for."""
        agent = said.value if said.fact == "agent" else call.facts.agent
        counted = said.fact in ("agent", "private", "consent") and agent not in ("", PENDING)
        return self._key.person(agent) if counted else None

    def _discard_earlier(self, call: Call, lost: frozenset[str]) -> None:
        """Destroy what the call has of before a restart for the purposes *lost* alone."""
        doomed = [one for one in call.earlier if one.purposes and {*one.purposes} <= lost]
        if not doomed:
            return
        reason, names = reason_of(call.verdict), [one.part for one in doomed]
        for part in doomed:
            duty = any(name in MANDATORY for name in part.purposes)
            deletion: DeletionClass = "C" if duty else self._archive.shred.class_name
            self._archive.shred_logged([part.part], reason, deletion)
        call.earlier = tuple(one for one in call.earlier if one not in doomed)
        self._late.discard(names, reason)

    def _said(self, request: Tell, call: Call, now: int) -> Said:
        """The fact as it counts. Raises NotTaken."""
        value = checked(request.fact, request.value)
        at_ns = request.at_ns or now
        if at_ns > now + AHEAD_NS:
            raise NotTaken(FUTURE)
        at_ns = min(at_ns, now)
        if request.fact in ("proof", "threat", "transfer"):
            at_ns = max(at_ns, now - REACH_NS)
        accepts = request.fact == "consent" and value == "in"
        if accepts and request.source in _BY_A_PERSON and call.needs_acceptance:
            raise NotTaken(PROOF)
        if request.fact == "card" and (refusal := self._pausing.refusal(call)) is not None:
            raise NotTaken(refusal)
        return Said(request.fact, value, at_ns, call.captured)


def gone(before: Verdict, after: Verdict) -> frozenset[str]:
    """The purposes whose parts a verdict takes away: all but those that it names.

    Of a duty, only where the law says so in so many words.
    """
    kept = after.purposes if after.record not in NOTHING else {}
    destroyed = bool(DESTROYED & {*after.codes})
    lost = (name for name in before.purposes if name not in kept)
    return frozenset(name for name in lost if destroyed or name in VOLUNTARY)


def is_alone(archive: Archive, said: Said, uid: str, by: str | None) -> bool:
    """Whether *said* needs a second person, and *by* (a pseudonym) is the first.

    What takes a recording from a duty: that a call was no investment service.
    """
    if (said.fact, said.value) != ("mifid", "no"):
        return False
    first = archive.tellings.first_of(uid)
    return first is None or by is None or first in ("", by)


def longer(policy: Policy, said: Said, purposes: Collection[str]) -> tuple[int, int] | None:
    """The new term, in days from *said* on, of what a duty among *purposes* keeps; None: as it was.

    A signature begins the two years of a solicitation (Code des assurances R.112-7), an authority's
    order holds for what is there already too (MiFID II art. 16(7)).
    """
    if (said.fact, said.value) == ("contract", "signed") and "insurance" in purposes:
        return insurance_days(policy)
    if said.fact == "authority_order" and "regulatory" in purposes:
        return mifid_days(policy, ordered=True)
    return None


def since_ns(said: Said, created_ns: int) -> int:
    """From when on the new term counts: the signature, or the recording's creation, *created_ns*,
    before which nobody signed anything.
    """
    return max(said.at_ns, created_ns) if said.fact == "contract" else created_ns


def channel_of(call: Call) -> str:
    """The channel of an analogue line on which *call* runs; "" of a trunk's."""
    return call.started.channel if isinstance(call.started, CallStarted) else ""


def entry_of(
    request: Tell, content: str, said: Said, person: Callable[[str], str]
) -> Mapping[str, Any]:
    """What the log says of a fact, whatever it is about."""
    agent = said.fact == "agent"
    return {
        "id": request.id,
        "fact": said.fact,
        "source": request.source,
        "at_ns": said.at_ns,
        "content": content,
        "value": None if agent else GIVEN if said.fact == "consent_ref" else said.value,
        "agent": person(said.value) if agent else None,
        "by": person(request.actor) if request.actor else None,
        "captured": said.captured,
    }
