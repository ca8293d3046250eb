"""A box played by hand, on a real broker, before the real collector of a head office."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from greffier.audit import receipt
from greffier.audit.receipt import Signed
from greffier.sync import messages, topics
from greffier.sync.messages import Fork, Have, Later, Need, Refused
from greffier_sim.hand_box import HandBox, Held, offer
from greffier_sim.head_office import Box, HeadOffice
from greffier_sim.mqtt_party import Credentials, Heard, Party
from greffier_sim.service import Service, wait_until

Answer = Need | Later | Refused | Signed


def credentials(head: HeadOffice, box: Box, bulk: bool = False) -> Credentials:
    """What *box* got from its enrolment."""
    return Credentials(box.folder.authority, box.folder.certificate(bulk), box.folder.key(bulk))


@contextmanager
def collector(head: HeadOffice) -> Iterator[Service]:
    """``greffier-office serve``, killed at the end."""
    log = head.folder / "serve.log"
    serving = Service(["greffier-office", "serve", "--office", str(head.office.path)], log)
    serving.start()
    try:
        yield serving
    finally:
        serving.kill()


@dataclass
class Hand:
    """A box's two connections, and what it holds. ``device`` is whom it is enrolled as."""

    head: HeadOffice
    device: str
    box: HandBox
    control: Party
    bulk: Party

    def say(self, what: str, payload: bytes, device: str = "") -> str:
        """Publish on a topic of its own, or of *device*'s; the broker's answer."""
        return self.control.say(topics.up(device or self.device, what), payload)

    def told(self, since: int = 0) -> list[Heard]:
        """What head office said, without the first *since*."""
        return list(self.control.heard[since:])

    def log(self, payload: bytes) -> Have | Fork:
        """Say a batch; head office's answer."""
        since = len(self.control.heard)
        self.say("audit", payload)
        wanted = topics.down(self.device, "audit")

        def look() -> Have | Fork | None:
            for one in self.told(since):
                message = messages.read(one.payload) if one.topic == wanted else None
                if isinstance(message, Have | Fork):
                    return message
            return None

        return wait_until(look, "head office answers a batch")

    def replicate(self) -> Have:
        """Bring head office's copy of the log up to date."""
        have = self.log(self.box.batch(0, 0))
        while isinstance(have, Have) and have.size < len(self.box.log):
            have = self.log(self.box.batch(have.size, min(len(self.box.log), have.size + 50)))
        assert isinstance(have, Have), have
        assert have.cosigned
        return have

    def answer(self, part: str, since: int) -> Answer | None:
        """What head office said of *part* in what came behind *since*."""
        keys = self.head.office.public_keys()
        for one in self.told(since):
            if one.topic == topics.down(self.device, "receipt"):
                signed = receipt.read(one.payload, keys)
                if signed.receipt.part == part:
                    return signed
            elif one.topic == topics.down(self.device, "need"):
                message = messages.read(one.payload)
                if isinstance(message, Need | Later | Refused) and message.part == part:
                    return message
        return None

    def offer(self, held: Held, payload: bytes = b"", part: str = "") -> Answer:
        """Offer *held*, or say *payload* instead; head office's answer of *part*, or of its own."""
        since = len(self.control.heard)
        self.say("offer", payload or offer(held.offered()))
        part = part or held.part
        return wait_until(lambda: self.answer(part, since), "head office answers an offer")

    def send(self, held: Held, need: Need) -> Answer:
        """Send all that *need* asks for, of *held*, and as often as it asks; the answer in the end.

        A need that comes for the third time for the same octets is the answer.
        """
        asked: dict[tuple[int, int], int] = {}
        while True:
            since = len(self.control.heard)
            spent = 0
            for one in need.ranges:
                asked[one.start, one.end] = asked.get((one.start, one.end), 0) + 1
                for payload in held.chunks(
                    one.start, min(one.end, one.start + need.credit - spent)
                ):
                    self.bulk.say(topics.chunks(self.device, need.lane), payload)
                spent += min(one.end - one.start, need.credit - spent)
            found = wait_until(
                lambda since=since: self.answer(held.part, since), "head office answers chunks"
            )
            if not isinstance(found, Need) or max(asked.values()) > 4:
                return found
            need = found

    def deliver(self, held: Held) -> Signed:
        """Everything that an honest box does until it has the receipt."""
        self.replicate()
        found = self.offer(held)
        if isinstance(found, Need):
            found = self.send(held, found)
        assert isinstance(found, Signed), found
        return found


@contextmanager
def hand(head: HeadOffice, number: int) -> Iterator[Hand]:
    """Enrol box *number* and connect it."""
    box = head.admit(number)
    with ExitStack() as stack:
        topic = topics.down(box.device, "#")
        control = stack.enter_context(Party(head.broker.port, credentials(head, box), [topic]))
        bulk = stack.enter_context(Party(head.broker.port, credentials(head, box, bulk=True)))
        made = HandBox(box.log_key)
        made.say("device.created", None, device=box.device, version="1", **{"class": "C"})
        hand = Hand(head, box.device, made, control, bulk)
        # The broker reads its list in its own time, and the collector takes a moment to come:
        # both are there when somebody takes a message.
        wait_until(lambda: hand.say("audit", b"x") == "Success", "somebody listens to the box")
        yield hand


def objects(head: HeadOffice) -> list[Path]:
    """The objects that head office stored."""
    return sorted(path for path in (head.office.objects / "blocks").rglob("*") if path.is_file())
