"""A box written from docs/sync-protocol.md for tests of head office: it does as it is told to."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from greffier.audit import receipt
from greffier.audit.note import VerifierKey
from greffier.audit.receipt import Receipt
from greffier.sync import messages, topics
from greffier.sync.messages import Have, Later, Message, Need, Offered, Refused
from greffier_sim.hand_box import HandBox, Held, offer
from greffier_sim.head_office import Box, HeadOffice
from greffier_sim.mqtt_party import Credentials, Party

PATIENCE_S = 120.0


class ScriptedBox:
    """Both connections of a box that head office let in."""

    def __init__(self, at: HeadOffice, box: Box, control: Party, bulk: Party) -> None:
        self.device = box.device
        self.hand = HandBox(box.log_key)
        self.control = control
        self.bulk = bulk
        self.keys: Sequence[VerifierKey] = at.office.public_keys()
        self._passed = 0

    def say(self, what: str, payload: bytes) -> str:
        """On ``up/what``; the broker's word for it."""
        return self.control.say(topics.up(self.device, what), payload)

    def hear(
        self, wanted: Callable[[Message | Receipt], bool], seconds: float = PATIENCE_S
    ) -> Message | Receipt:
        """The first message that is *wanted*, of those behind the last one that was."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            heard = self.control.heard
            while self._passed < len(heard):
                one = heard[self._passed]
                self._passed += 1
                read = self.read(one.topic, one.payload)
                if read is not None and wanted(read):
                    return read
            threading.Event().wait(0.0005)
        raise TimeoutError("the message did not come")

    def read(self, topic: str, payload: bytes) -> Message | Receipt | None:
        what = topic.rpartition("/")[2]
        if what == "receipt":
            return receipt.read(payload, self.keys).receipt
        return messages.read(payload) if what in ("audit", "need") else None

    def replicate(self) -> Have:
        """Bring the whole log to head office, asking first, and again where nothing is answered."""
        size = len(self.hand.log)
        have: Have | None = None
        for _attempt in range(20):
            first = have.size if have else 0
            end = min(size, first + 200) if have else 0
            if self.say("audit", self.hand.batch(first, end)) != "Success":
                threading.Event().wait(0.2)  # nobody listens yet
                continue
            try:
                found = self.hear(lambda one: isinstance(one, Have), 5.0)
            except TimeoutError:
                continue
            assert isinstance(found, Have)
            have = found
            if have.size >= size and (have.cosigned or not size):
                return have
        raise TimeoutError("the log does not arrive")

    def offer(self, *parts: Offered) -> None:
        """Offer them."""
        assert self.say("offer", offer(*parts)) == "Success"

    def answer(self, held: Held) -> Need | Later | Refused | Receipt:
        """What head office says next of *held*."""
        found = self.hear(lambda one: getattr(one, "part", None) == held.part)
        assert isinstance(found, Need | Later | Refused | Receipt)
        return found

    def send(self, held: Held, need: Need) -> None:
        """All that was asked for."""
        topic = topics.chunks(self.device, need.lane)
        for one in need.ranges:
            for payload in held.chunks(one.start, one.end):
                self.bulk.say(topic, payload)

    def deliver(self, held: Held) -> Receipt:
        """Offer it and send what is needed, until the receipt is here."""
        self.offer(held.offered())
        while True:
            found = self.answer(held)
            if isinstance(found, Receipt):
                return found
            if isinstance(found, Need):
                self.send(held, found)
            elif isinstance(found, Later):
                threading.Event().wait(min(found.after_s, 2))
                self.offer(held.offered())
            else:
                raise AssertionError(found)


@contextmanager
def scripted(at: HeadOffice, number: int = 1, box: Box | None = None) -> Iterator[ScriptedBox]:
    """A box that is let in and connected."""
    box = box or at.admit(number)
    folder = box.folder

    def party(bulk: bool, listens: Sequence[str]) -> Party:
        who = Credentials(folder.authority, folder.certificate(bulk), folder.key(bulk))
        return Party(at.broker.port, who, listens)

    with ExitStack() as stack:
        control = stack.enter_context(party(False, [topics.down(box.device, "+")]))
        bulk = stack.enter_context(party(True, []))
        yield ScriptedBox(at, box, control, bulk)
