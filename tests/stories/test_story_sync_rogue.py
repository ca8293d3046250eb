"""A rogue with the keys of broker and collector, but not those of receipts and cosignatures.

It hears everything that a box says and says what it likes. It deletes nothing, nothing of what it
says is accepted, the box raises an alarm where it is lied to, and goes on recording.
"""

import base64
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from greffier.audit import verify
from greffier.audit.note import Checkpoint, Signer, open_checkpoint
from greffier.audit.receipt import Receipt
from greffier.control import client
from greffier.control.forms import BadMessage
from greffier.control.transfer import AskWork, Receipts, Sealed, Taken, Work
from greffier.errors import GreffierError
from greffier.sync import chunk, messages, topics
from greffier.sync.messages import Fork, Have, Later, Need, Offer, Offered, Range, Refused
from greffier.trust import LogKey, load_log_key
from greffier_sim.mqtt_party import Credentials, Party
from greffier_sim.service import wait_until
from greffier_sim.soak_missing import Missing
from greffier_sim.sync_lab import SyncLab, fill, lab

pytestmark = pytest.mark.story
PARTS = 3


@dataclass
class Scene:
    """A box that records, its sync, a broker, and the rogue in the place of the collector."""

    lab: SyncLab
    rogue: Party

    @property
    def device(self) -> str:
        """The box."""
        return self.lab.device

    def work(self) -> tuple[Sealed, ...]:
        """What the recorder says that head office has not confirmed."""
        found = client.ask(self.lab.box.socket, AskWork())
        assert isinstance(found, Work)
        return found.parts

    def receipt(self, sealed: Sealed) -> Receipt:
        """What head office would sign of it."""
        opened = next(
            one.data
            for one in verify.entries(self.lab.box.data)
            if one.ev == "part.opened" and one.data["part"] == sealed.part
        )
        envelope = str(opened["envelope"])
        return Receipt(
            self.device, sealed.part, sealed.size, sealed.sha256, envelope, 1_795_400_000
        )

    def taken(self, *receipts: bytes) -> tuple[str, ...]:
        """What the recorder says of them when they come from sync's socket."""
        texts = tuple(one.decode("utf-8") for one in receipts)
        try:
            found = client.ask(self.lab.box.socket, Receipts(texts))
        except (GreffierError, BadMessage):
            return ("garbled",) * len(texts)  # the socket itself takes no such text
        assert isinstance(found, Taken)
        return found.results

    @property
    def asks(self) -> bool:
        """Whether the box has said anything of its log: then it listens too."""
        return any(one.topic.endswith("/up/audit") for one in self.rogue.heard)

    def say(self, what: str, payload: bytes) -> None:
        """Speak as head office."""
        assert self.rogue.say(topics.down(self.device, what), payload) == "Success"

    def received(self) -> set[str]:
        """The parts of which the log says that they are at head office."""
        return {
            str(one.data["part"])
            for one in verify.entries(self.lab.box.data)
            if one.ev == "part.received"
        }

    def alarms(self) -> set[str]:
        """The names of the alarms that stand."""
        status = self.lab.box.status()
        return {one.name for one in status.alarms} if status else set()

    def offered(self) -> dict[str, Offered]:
        """Every part that the box has offered until now."""
        found: dict[str, Offered] = {}
        for one in self.rogue.heard:
            if one.topic == topics.up(self.device, "offer"):
                message = messages.read(one.payload)
                assert isinstance(message, Offer)
                found |= {part.part: part for part in message.parts}
        return found

    def chunks(self) -> list[chunk.Chunk]:
        """Every chunk that it has sent."""
        prefix = topics.chunks(self.device, "")
        heard = [one for one in self.rogue.heard if one.topic.startswith(prefix)]
        return [chunk.decode(one.payload) for one in heard]

    def files(self) -> set[Path]:
        """Every part on the box's disk."""
        return set((self.lab.box.data / "vault" / "parts").rglob("*.gpart"))

    def draw_out(self) -> None:
        """Say that the log has come, until the box offers its parts."""

        def look() -> bool:
            work = client.ask(self.lab.box.socket, AskWork())
            assert isinstance(work, Work)
            self.say("audit", messages.write(Have(work.log_size, "")))
            return len(self.offered()) >= PARTS

        wait_until(look, "the box offers its parts", every_s=0.5)

    def alarm(self, name: str) -> None:
        """Wait until the alarm *name* stands."""
        wait_until(lambda: name in self.alarms(), f"the alarm {name}")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three parts wait, calls are recorded, and the rogue listens."""
    try:
        with lab(tmp_path) as place:
            fill(place.box, PARTS, 4)
            place.box.start()
            with place.talking(2) as talking:
                place.sync.start()
                office = place.head.office
                who = Credentials(office.ca_certificate, *office.collector())
                with Party(place.head.broker.port, who, ["greffier/1/+/up/#"]) as rogue:
                    made = Scene(place, rogue)
                    wait_until(lambda: made.asks, "the box speaks to the rogue")
                    files = made.files()
                    yield made
                    assert talking.poll() is None
                    goes_on(place)
                    assert files <= made.files()  # nothing was deleted
    except Missing as error:
        pytest.skip(str(error))


def goes_on(place: SyncLab) -> None:
    """What is recorded grows."""
    before = {one.part: one.bytes for one in place.box.wait_for(lambda s: s.armed).committed}
    place.box.wait_for(
        lambda s: s.armed and any(one.bytes > before.get(one.part, 0) for one in s.committed)
    )


def end_honestly(scene: Scene) -> None:
    """The rogue leaves, the real collector comes: every part that waits gets its receipt."""
    scene.rogue.leave()
    scene.lab.office.start()
    scene.lab.wait_for(lambda state: state.received >= PARTS, "head office confirms all", 90)
    assert len(scene.received()) >= PARTS


def test_no_receipt_but_the_true_one_is_accepted(scene: Scene) -> None:
    head = scene.lab.head.office
    first, second, third = scene.work()[:PARTS]
    true = scene.receipt(first)
    signer = head.receipt_signer()
    signed = true.signed(signer)
    stranger = LogKey.new(signer.name)
    other_key = Signer(signer.name, stranger.private)
    forged = true.signed(other_key)
    # A signature by another key under the key id of the true one.
    own_line = signed.splitlines()[-1].split(b" ")[2]
    lies = {
        "another key": forged,
        "no signature": true.text.encode(),
        "the witness's key": true.signed(head.witness_signer()),
        "the log's own key": true.signed(log_signer(scene.lab)),
        "signature of another part": signed.replace(first.part.encode(), second.part.encode()),
        "another device": replace(true, device="box-00000000").signed(signer),
        "unknown part": replace(true, part=secrets.token_hex(16)).signed(signer),
        "another length": replace(true, size=true.size + 1).signed(signer),
        "another hash": replace(true, sha256="0" * 64).signed(signer),
        "an earlier life": replace(true, envelope="0" * 64).signed(signer),
        "hash of another part": replace(true, sha256=third.sha256).signed(signer),
        "two signatures": signed + signed.splitlines(keepends=True)[-1],
        "more behind it": signed + b"x",
        "too long": signed + b"\n" * 3000,
        "nothing": b"",
    }
    assert own_line not in forged
    for payload in lies.values():
        scene.say("receipt", payload)
    scene.alarm("sync.forged")
    for name, payload in lies.items():
        if 0 < len(payload) <= 2048:
            assert "received" not in scene.taken(payload), name
    for at in range(len(signed)):
        for bit in (1, 0x20):
            changed = signed[:at] + bytes([signed[at] ^ bit]) + signed[at + 1 :]
            try:
                changed.decode()
            except UnicodeDecodeError:
                continue
            assert scene.taken(changed)[0] not in ("received", "known"), at
    assert scene.received() == set()
    # The same words with the right signature are believed, once: so the others were not refused
    # for another reason.
    scene.say("receipt", signed)
    wait_until(lambda: scene.received() == {first.part}, "the true receipt is accepted")
    scene.say("receipt", signed)
    assert scene.taken(signed) == ("known",)
    end_honestly(scene)


def log_signer(place: SyncLab) -> Signer:
    """The box's own key."""
    key = load_log_key(place.box.data / "keys" / "log.key")
    return Signer(key.name, key.private)


def cosigned(checkpoint: bytes, witness: Signer, time_s: int) -> str:
    """*checkpoint* with the line of *witness* under it."""
    text = checkpoint.decode()
    lines = text.splitlines()
    head = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2]))
    return text + witness.cosign(head, time_s).decode()


def test_no_cosignature_but_the_witness_s_is_kept(scene: Scene) -> None:
    path = scene.lab.box.data / "audit" / "cosigned"
    current = (scene.lab.box.data / "audit" / "checkpoint").read_bytes()
    witness = scene.lab.head.office.witness_signer()
    stranger = Signer(witness.name, LogKey.new(witness.name).private)
    box = log_signer(scene.lab)
    size = int(current.splitlines()[1])
    forked = box.sign(Checkpoint(box.name, size, os.urandom(32)).text)
    beyond = box.sign(Checkpoint(box.name, size + 10_000, os.urandom(32)).text)
    other = LogKey.new("greffier/box-00000000")
    foreign = Signer(other.name, other.private).sign(
        Checkpoint(other.name, size, os.urandom(32)).text
    )
    lies = [
        cosigned(current, stranger, 1_795_400_000),
        cosigned(current, box, 1_795_400_000),
        current.decode(),
        cosigned(forked, stranger, 1_795_400_000),
        cosigned(foreign, stranger, 1_795_400_000),
        # The keys of the witness in a rogue's hands: a head that the log never had is refused all
        # the same.
        cosigned(forked, witness, 1_795_400_000),
        cosigned(beyond, witness, 1_795_400_000),
        cosigned(foreign, witness, 1_795_400_000),
        "x" * 3000,
    ]

    def lied() -> bool:  # of several that come at once the box hands its recorder the last alone
        for text in lies:
            scene.say("audit", messages.write(Have(size, text)))
        return "sync.forged" in scene.alarms()

    wait_until(lied, "the alarm sync.forged", every_s=1.0)
    assert not path.exists()
    state = scene.lab.state()
    assert state is not None
    assert state.cosigned_size == 0
    # The true witness's word of a far future: the head is kept, the time is not believed.
    true = (scene.lab.box.data / "audit" / "checkpoint").read_bytes()
    future = cosigned(true, witness, 4_102_444_800)
    scene.say("audit", messages.write(Have(int(true.splitlines()[1]), future)))
    wait_until(path.exists, "the true cosignature is kept")
    scene.alarm("clock.differs")
    status = scene.lab.box.wait_for(lambda status: status.armed)
    assert status.clock.lower_bound_ns <= time.time_ns()
    end_honestly(scene)
    scene.lab.wait_for(lambda state: state.cosigned_size > 0, "the log is cosigned")
    keys = [scene.lab.head.office.public_keys()[1]]
    opened = open_checkpoint(path.read_bytes(), box.log_key, keys)
    assert opened.cosignatures


def test_needs_that_ask_for_what_is_not_get_nothing(scene: Scene) -> None:
    scene.draw_out()
    one = next(iter(scene.offered().values()))
    never = secrets.token_hex(16)
    running = next(iter(scene.lab.box.wait_for(lambda s: bool(s.committed)).committed)).part
    whole = (Range(0, one.size),)
    wrong = [
        Need(one.part, "rogue", (Range(one.size, one.size + 100),), 1000, 30),
        Need(one.part, "rogue", (Range(0, one.size + 1),), chunk.LARGEST_PART, 30),
        Need(
            one.part,
            "rogue",
            (Range(chunk.LARGEST_PART - 1, chunk.LARGEST_PART),),
            chunk.LARGEST_PART,
            30,
        ),
        Need(never, "rogue", (Range(0, 1000),), chunk.LARGEST_PART, 30),
        Need(running, "rogue", (Range(0, 1000),), chunk.LARGEST_PART, 30),
    ]
    for need in wrong:
        scene.say("need", messages.write(need))
    right = Need(one.part, "rogue", whole, chunk.LARGEST_PART, 30)

    def sent() -> bool:  # asked again as head office would: between two offers a need is void
        scene.say("need", messages.write(right))
        return sum(len(part.data) for part in scene.chunks()) >= one.size

    wait_until(sent, "the part is sent", every_s=1.0)
    for part in scene.chunks():
        assert part.part.hex() == one.part
        assert part.offset + len(part.data) <= one.size
    for message in (Later(one.part, "busy", 1), Refused(one.part, "format"), Fork(0, "altered")):
        scene.say("need" if not isinstance(message, Fork) else "audit", messages.write(message))
    assert scene.received() == set()


def test_a_flood_of_nonsense_and_of_needs_stops_nothing(scene: Scene) -> None:
    scene.draw_out()
    one = next(iter(scene.offered().values()))
    again = messages.write(Need(one.part, "rogue", (Range(0, one.size),), chunk.LARGEST_PART, 300))
    nonsense: list[Callable[[], bytes]] = [
        lambda: os.urandom(200),
        lambda: b"{" * 50_000,
        lambda: b"",
        lambda: again,
        lambda: os.urandom(200_000),
    ]
    for make in nonsense:
        for what in ("need", "receipt", "audit", "cmd", "nothing-known"):
            scene.rogue.flood(topics.down(scene.device, what), [make() for _ in range(60)])
    goes_on(scene.lab)
    end_honestly(scene)
    pid = scene.lab.sync.pid
    peak = int(
        next(
            line.split()[1]
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    )
    assert peak < 200_000  # KiB
    os.kill(pid, signal.SIGTERM)
