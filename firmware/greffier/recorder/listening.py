"""What a call does about keys: it hides card data at once, and hands on what else was meant.

The entry that a pause begins is accepted by the log before anything is hidden, and durable before
any frame that the pause changes, as with an order (greffier.recorder.pausing). A pause that card
data began never ends by itself, but where a duty records: there only the legs that carry the card
are muted, and the mute ends some seconds after the last digit.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from greffier.calls.events import KeyTold, LegAdded, LegChanged, LegMedia, Side
from greffier.capture.rtp import Packet
from greffier.encode.ear import Ear, Samples
from greffier.policy.facts import Facts
from greffier.policy.keypad import ENTRY_NS, CardEntered, Meant, Whose, plan_of
from greffier.policy.verdict import Verdict
from greffier.recorder.archive import Archive
from greffier.recorder.hearing import Found, Hearing
from greffier.recorder.pauses import Pauses
from greffier.recorder.plans import Plan
from greffier.recorder.rules import Rules
from greffier.recorder.track import codec_of

CARD: Final = "dtmf"
KEY: Final = "agent_key"
"""What pauses that keys bring about count as, of the policy's sources of pauses."""
_MOST_MEANT: Final = 64  # of a call, that nobody took yet


class Listening:
    """The half of a call that listens for keys. Owned by the call's thread."""

    uid: str
    start_ns: int
    heard_from_ns: int
    waits_ns: int
    hurries = False
    """Whether a pause began by itself, and its entry is to be durable as soon as can be."""
    released_ns = 0
    """Up to when what had to wait was stored."""
    facts: Facts
    verdict: Verdict
    pauses: Pauses
    recording: bytes | None
    hearing: Hearing | None
    meant: deque[Meant]
    """What keys meant and nobody took yet: ``accept refuse private proof threat``."""
    card_sides: set[Side]
    """The sides whose legs bear the card that a pause hides, beside the outside party's."""
    _archive: Archive
    _rules: Rules
    _plans: list[Plan]
    _legs: dict[int, LegAdded | LegChanged]

    if TYPE_CHECKING:  # the other halves'

        @property
        def holding(self) -> bool: ...

    def pause(self, now_ns: int, since_ns: int | None = None, source: str = "") -> bool:
        raise NotImplementedError

    def bear(self, sides: Collection[Side], since_ns: int, now_ns: int) -> None:
        raise NotImplementedError

    def unpause(self, now_ns: int) -> bool:
        raise NotImplementedError

    def _begin_to_listen(self, number: int, channel: str) -> None:
        """Listen for keys, if the line needs any. On an analogue *channel* we dial by tones."""
        self.meant = deque(maxlen=_MOST_MEANT)
        self.card_sides = set()
        rules = self._rules
        dials = bool(channel) and rules.direction() != "in"
        plan = plan_of(rules.policy, rules.line, rules.stars, dials=dials)
        listens = not plan.nothing
        self.hearing = Hearing(plan, number, self.start_ns, self._whose) if listens else None

    def _whose(self, side: Side) -> Whose:
        if side == "unknown":
            return "unknown"
        outside = {"in": "caller", "out": "callee"}.get(self.facts.dir)
        return "outside" if side == outside else "ours"

    # --- what comes ---

    def _hear_keys(self, event: LegMedia, packets: Sequence[Packet]) -> None:
        """Hear *packets* of a leg, before their sound goes anywhere."""
        leg = self._legs[event.leg]
        if self.hearing is None or leg.encrypted:
            return
        kinds = {packet.payload_type for packet in packets}
        codecs = {kind: codec_of(event.codecs.get(kind), kind) for kind in kinds}
        self._heed(self.hearing.packets(event.leg, leg.side, packets, codecs))

    def _listen_to(self, leg: int, rate: int, pcm: Samples, end_ns: int) -> None:
        if self.hearing is not None:
            self._heed(self.hearing.samples(leg, "unknown", rate, pcm, end_ns))

    def told(self, event: KeyTold) -> None:
        """Signalling says that a key was pressed."""
        if self.hearing is not None:
            self._heed(self.hearing.told(event))

    def ear_of(self, leg: int, rate: int) -> Ear | None:
        """The ear with which the core is to hear a leg that it has; None: nobody listens."""
        if self.hearing is None or not self.hearing.wants(self._legs[leg].side):
            return None
        return self.hearing.ear(leg, rate)

    def collect_keys(self, leg: int, rate: int) -> None:
        """Take what the ear of a leg heard that the core has."""
        if self.hearing is not None:
            self._heed(self.hearing.collect(leg, self._legs[leg].side, rate))

    def _let_keys_pass(self, now_ns: int) -> None:
        """Time has passed until *now_ns*, of which everything was heard."""
        if self.hearing is None:
            return
        self._heed(list(self.hearing.keypad.advance(now_ns)))
        if not (self.verdict.mandatory and self.pauses.paused):
            return
        pause = self.pauses.windows[-1]
        last_ns = max(pause.from_ns, self.heard_from_ns, self.hearing.keypad.last_digit_ns or 0)
        if pause.source == CARD and now_ns >= last_ns + ENTRY_NS:
            self._resume_by(CARD, last_ns + ENTRY_NS)

    # --- what it means ---

    def _heed(self, found: Found) -> None:
        for one in found:
            if isinstance(one, CardEntered):
                self._hide_card(one)
            elif one.deed == "pause":
                self._pause_by(KEY, one.at_ns)
            elif one.deed == "resume":
                self._resume_by(KEY, one.at_ns)
            else:
                self.meant.append(one)

    def _hide_card(self, card: CardEntered) -> None:
        """Card data: hide it from its back-date on."""
        sides = self.hearing.sides_of(card) if self.hearing is not None else ()
        if self.pauses.paused:
            self.bear(sides, card.at_ns - self.waits_ns, card.at_ns)
            return
        self.card_sides |= set(sides)
        self._pause_by(CARD, card.at_ns)

    def _pause_by(self, source: str, at_ns: int) -> None:
        """Pause the call, from the line's back-date on as far as nothing of it is stored."""
        if not self.waits_ns or self.pauses.paused:
            return
        since_ns = max(at_ns - self.waits_ns, self.released_ns)
        if self._plans or self.holding:
            self.hurries = True
            legs = "card" if self.verdict.mandatory else "all"
            self._log("call.paused", source, at_ns, {"from_ns": since_ns, "legs": legs})
        self.pause(at_ns, since_ns, source)

    def _resume_by(self, source: str, at_ns: int) -> None:
        """End the pause, but nothing comes back of what was hidden already."""
        if not self.pauses.paused:
            return
        at_ns = max(at_ns, self.pauses.heard_ns)
        if self._plans or self.holding:
            self._log("call.unpaused", source, at_ns, {})
        self.unpause(at_ns)

    def _log(self, kind: str, source: str, at_ns: int, more: Mapping[str, Any]) -> None:
        recording = self.recording.hex() if self.recording else None
        data = {"uid": self.uid, "line": self._rules.line, "at_ns": at_ns, "source": source}
        self._archive.log.append(kind, recording, {**data, "recording": recording, **more})
