"""The keys of one call while it runs: ears on its legs, one press of each key, what it means.

What a leg brings comes here before its sound goes anywhere, so that what is card data is hidden
before it is stored. Digits live in these objects for seconds, in no log and no file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from greffier.calls.events import KeyTold, Side
from greffier.calls.keys import KeyHeard, KeyMerger, heard_of
from greffier.capture.rtp import Packet
from greffier.encode.codecs import Codec
from greffier.encode.ear import RATES, Ear, Press, Samples
from greffier.policy.keypad import BURST_NS, CardEntered, Keypad, KeyPlan, Meant, Whose

_EVENTS_RATE: Final = 8000  # of the ear that takes the events of a leg, also where it has no sound

Found = list[Meant | CardEntered]


class Hearing:
    """Ears, and what they make of it. *whose* says of a side whose it is. One thread owns it."""

    def __init__(
        self, plan: KeyPlan, call: int, start_ns: int, whose: Callable[[Side], Whose]
    ) -> None:
        self.keypad = Keypad(plan, start_ns)
        self._call = call
        self._whose = whose
        self._merger = KeyMerger()
        self._ears: dict[tuple[int, int], Ear] = {}
        self._heard_ns: dict[
            Side, int
        ] = {}  # the last key that a side's legs carried, even as echo

    def wants(self, side: Side) -> bool:
        """Whether keys on a leg of *side* mean anything."""
        return self.keypad.plan.wants(self._whose(side))

    def packets(
        self, leg: int, side: Side, packets: Sequence[Packet], codecs: Mapping[int, Codec | None]
    ) -> Found:
        """What the next *packets* of a leg bring; *codecs*: what each payload type is."""
        if not self.wants(side):
            return []
        used: dict[int, Ear] = {}
        for packet in packets:
            codec = codecs.get(packet.payload_type)
            if codec is None:
                continue
            rate = _EVENTS_RATE if codec.purpose == "event" else codec.rate
            ear = self.ear(leg, rate)
            if ear is not None:
                ear.hear(packet, codec)
                used[rate] = ear
        return self._presses(leg, side, [one for ear in used.values() for one in ear.take()])

    def samples(self, leg: int, side: Side, rate: int, pcm: Samples, end_ns: int) -> Found:
        """What the next samples of a leg bring, the last of which was captured at *end_ns*."""
        ear = self.ear(leg, rate)
        if ear is None or not self.wants(side):
            return []
        ear.listen(pcm, end_ns)
        return self._presses(leg, side, ear.take())

    def told(self, told: KeyTold) -> Found:
        """What a key brings that signalling told of."""
        return self._key(heard_of(told)) if self.wants(told.side) else []

    def collect(self, leg: int, side: Side, rate: int) -> Found:
        """What the ear of a leg brings that the core has."""
        ear = self._ears.get((leg, rate))
        return [] if ear is None else self._presses(leg, side, ear.take())

    def ear(self, leg: int, rate: int) -> Ear | None:
        """The ear of a leg for sound at *rate*; None where there is none for that rate."""
        if rate not in RATES:
            return None
        if (leg, rate) not in self._ears:
            self._ears[leg, rate] = Ear(rate)
        return self._ears[leg, rate]

    def sides_of(self, card: CardEntered) -> set[Side]:
        """The sides whose legs carried keys since a card was begun to be entered."""
        return {side for side, at in self._heard_ns.items() if at >= card.from_ns - BURST_NS}

    def _presses(self, leg: int, side: Side, presses: Sequence[Press]) -> Found:
        found: Found = []
        for press in sorted(presses, key=lambda one: one.at_ns):
            way = "event" if press.event else "tone"
            if not press.event:
                self._heard_ns[side] = max(self._heard_ns.get(side, 0), press.at_ns)
            heard = KeyHeard(self._call, leg, press.digit, press.at_ns, side, way)  # type: ignore[arg-type]
            found += self._key(heard)
        return found

    def _key(self, heard: KeyHeard) -> Found:
        pressed = self._merger.take(heard)
        return [] if pressed is None else self.keypad.press(pressed, self._whose(heard.side))
