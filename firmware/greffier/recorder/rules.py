"""What one import or one line is recorded under: policy, packs, line, and facts given from outside.

Facts that nobody gave and the capture does not show have their defaults, from the answer on; those
of which the line has a source (``pending``) are waited for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from greffier.audit.kinds import NAME
from greffier.calls.events import CallIdentified, CallStarted
from greffier.clock import SECOND
from greffier.config.lines import CallFacts
from greffier.policy import decision, numbering, sampling
from greffier.policy.facts import PENDING, Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.recorder.notice_ear import Prompt
from greffier.sip.address import Address

Instants = Mapping[str, int]


def number_of(party: Address | None) -> str | None:
    """The number (or name) of *party* as people know it: the user part, else the host."""
    if party is None or party.uri is None:
        return None
    return party.uri.number or party.uri.host or party.uri.text


def facts_of(call: CallStarted, tap: str) -> CallFacts:
    """What the configuration may look at of *call*, which *tap* saw, to name its line."""
    return CallFacts(
        tap=tap,
        caller=number_of(call.from_) or "",
        called=number_of(call.to) or "",
        caller_uri=call.from_.uri.text if call.from_ else "",
        called_uri=call.to.uri.text if call.to else "",
        source=call.source.host if call.source else "",
        destination=call.destination.host if call.destination else "",
        vlans=call.vlans,
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """*line* is None where none was named: every call is then on an unconfigured line.

    *given* are the facts from outside, by name; *fixed_draw* (or a given ``u``) replaces the
    epoch's draw (tests and acceptance only: it shows in each decision record). *pending* names the
    facts that somebody is expected to tell of a running call (:mod:`greffier.recorder.sources`).
    *of_agent* says what the draw of a call becomes once its agent is known: (agent, start of the
    call) to facts by name. *names* are agents by the pseudonym that the log has of them.
    *extension* is that of our side, "" where unknown. *stars* are the star codes of our telephones:
    what each means, and the digit behind its star. *prompt* is what our side is listened to for.
    """

    policy: Policy
    packs: Packs
    line: str
    given: Mapping[str, object] = field(default_factory=dict)
    fixed_draw: float | None = None
    pending: frozenset[str] = frozenset()
    of_agent: Callable[[str, int], Mapping[str, object]] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    extension: str = ""
    stars: Mapping[str, str] = field(default_factory=dict)
    prompt: Prompt | None = None

    @property
    def never(self) -> bool:
        """Whether nothing of this line may be kept, not even that a call took place."""
        return self.policy.never_records(self.line)

    @property
    def waits_ns(self) -> int:
        """How long sound of the line waits before it is stored, so that a pause reaches back."""
        return self.policy.backdate_s(self.line) * SECOND

    @property
    def hides_cards(self) -> bool:
        """Whether card data that is keyed in pauses the recording by itself."""
        return self.waits_ns > 0 and "dtmf" in self.policy.pause.sources

    @property
    def policy_name(self) -> str:
        """The policy's id as the log may hold it; one that looks like a number has no name there.

        Its SHA-256 stands beside it and tells which it is.
        """
        return self.policy.id if NAME.holds(self.policy.id) else "unnamed"

    def facts_of(
        self, call: CallStarted | CallIdentified, start_ns: int, stratum_draw: float
    ) -> Facts:
        """The facts of *call*: all of them known, but for those that are waited for."""
        items: dict[str, object] = {
            **dict.fromkeys(self.pending, PENDING),
            "window": self.policy.in_window(start_ns),
            "t_start": start_ns,
            "u": stratum_draw,
            **self.given,
            **({} if self.fixed_draw is None else {"u": self.fixed_draw}),
        }
        facts = Facts.parse(items, self.policy.timezone)
        outside = number_of(call.from_ if facts.dir == "in" else call.to)
        if facts.consumer is None and facts.dir != "int" and outside:
            facts = replace(facts, consumer=numbering.pack_of(outside))
        return facts

    @property
    def untold(self) -> list[str]:
        """The facts from outside that stand nowhere in the log, by name."""
        fixed = {"u"} if self.fixed_draw is not None else set()
        assumed = {"announce"} if self.notice == "assumed" else set()
        return sorted((set(self.given) | fixed) - {"dir", "agent", "consumer"} - assumed)

    @property
    def notice(self) -> str | None:
        """What stands for the notice of its calls: nobody listens, so it is "assumed"; "awaited";
        None where somebody said it.
        """
        if "announce" in self.pending:
            return "awaited"
        return "assumed" if self.given.get("announce") == "assumed_ok" else None

    def direction(self) -> str:
        """The direction of the calls: from outside, or the default."""
        return Facts.parse({"dir": self.given["dir"]}).dir if "dir" in self.given else "in"

    def stratum(self) -> str:
        """The stratum in which the calls of the line are drawn."""
        return sampling.stratum(self.policy, self.line, self.direction())

    def at_start(self, facts: Facts) -> Verdict:
        """The verdict when the call begins: what only an answer brings is still pending."""
        return decision.decide(self.policy, self.packs, self.line, self._waiting(facts))

    def at_answer(self, facts: Facts) -> Verdict:
        """The verdict once everything is known."""
        return decision.decide(self.policy, self.packs, self.line, facts)

    def never_answered(self, facts: Facts) -> Verdict:
        """The verdict of a call that ended before anybody answered."""
        return decision.settle_ended(self.policy, self.packs, self.line, self._waiting(facts))

    def ended(self, facts: Facts) -> Verdict:
        """The verdict of a call that was answered and has ended: what it waited for never came."""
        return decision.settle_ended(self.policy, self.packs, self.line, facts)

    def name_of(self, agent: str) -> str:
        """The agent whose pseudonym is *agent*, where the policy names him; else the pseudonym."""
        return self.names.get(agent, agent)

    @staticmethod
    def _waiting(facts: Facts) -> Facts:
        consent = PENDING if facts.consent != "none" else facts.consent
        announce = PENDING if facts.announce in ("ok", "assumed_ok") else facts.announce
        return replace(facts, announce=announce, consent=consent, proof=False, threat=False)


def instants(facts: Facts, start_ns: int, answer_ns: int) -> dict[str, int]:
    """When each thing happened that a part may begin with, nanoseconds since the epoch.

    A time below 1973 is counted from the start of the call.
    """

    def at(value: int | None) -> int:
        if value is None:
            return answer_ns
        return value if value > 100_000_000 * 1_000_000_000 else start_ns + value

    return {
        "onset": start_ns,
        "notice_end": at(facts.t_notice_end),
        "consent": at(facts.t_consent),
        "agent": at(facts.t_agent),
        "proof": at(facts.t_proof),
        "threat": answer_ns,
        "transfer": answer_ns,
    }
