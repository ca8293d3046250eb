"""The desk's thread: what floods it is dropped and counted, and the rest is answered."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.office.in_process import Inside, Voice, enrol

from greffier.durable import Disk
from greffier.sync.messages import Have, Later, Need, Presence
from greffier.trust import LogKey
from greffier_office import desk as desks
from greffier_office import fleet, place
from greffier_office.audit_desk import MOST_BATCHES, AuditDesk
from greffier_office.catalogue import Catalogue
from greffier_office.committer import Heard, Item, OfferRefused
from greffier_office.desk import Desk
from greffier_office.log_keeper import Answer
from greffier_office.objects import Objects
from greffier_office.place import Office
from greffier_office.stored import Holdings
from greffier_office.uploads import Uploads
from greffier_sim.hand_box import HandBox, Held, offer
from greffier_sim.service import wait_until

DEVICE = "box-1a2b3c4d"


@dataclass
class Scene:
    """A desk whose thread runs when the test starts it."""

    office: Office
    held: Held
    voice: Voice = field(default_factory=Voice)
    put: list[Item] = field(default_factory=list)
    hears: bool = True

    def __post_init__(self) -> None:
        self.desk = Desk(
            lambda: Catalogue.open(self.office.catalogue, Disk()),
            Objects(self.office.objects, Disk()),
            Uploads("a1"),
            self.put.append,
            self.voice,
            lambda: self.hears,
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    office = place.create(tmp_path / "office", Disk(), time.time_ns())
    box = HandBox(LogKey.new(f"greffier/{DEVICE}"))
    enrol(office, box.key)
    held = box.hold(5000)
    inside = Inside(office)
    assert inside.audit(DEVICE, box.batch())
    inside.close()
    made = Scene(office, held)
    yield made
    made.desk.stop()
    if made.desk.is_alive():
        made.desk.join(120)
    assert not any(one.name == "desk" for one in threading.enumerate())


def test_a_flood_of_offers_is_dropped_beyond_a_bound(scene: Scene) -> None:
    payload = offer(scene.held.offered())
    for _many in range(desks.MOST_OFFERS + 50):
        scene.desk.offer(DEVICE, payload)
    scene.desk.offer(DEVICE, b"{}")
    assert scene.desk.counts == {"offers dropped": 50, "malformed": 1}
    scene.desk.start()
    wait_until(lambda: len(scene.voice.told) >= desks.MOST_OFFERS, "all are answered")
    assert isinstance(scene.voice.told[0][1], Need)


def test_a_stranger_is_not_answered_and_a_refusal_is_noted(scene: Scene) -> None:
    scene.desk.start()
    scene.desk.offer("box-ff", offer(scene.held.offered()))
    wrong = Held(scene.held.part, b"x" * 5000, scene.held.envelope)
    scene.desk.offer(DEVICE, offer(wrong.offered()))
    wait_until(lambda: bool(scene.put), "it is noted")
    assert scene.put == [OfferRefused(DEVICE, scene.held.part, "hash")]
    assert scene.desk.counts["strangers"] == 1
    assert [device for device, _ in scene.voice.told] == [DEVICE]


def test_nothing_is_asked_for_while_chunks_would_not_be_heard(scene: Scene) -> None:
    scene.hears = False
    scene.desk.start()
    scene.desk.offer(DEVICE, offer(scene.held.offered()))
    wait_until(lambda: bool(scene.voice.told), "it is answered")
    assert scene.voice.told == [(DEVICE, Later(scene.held.part, "busy", 1))]


def test_a_will_of_an_older_session_and_a_kept_message_change_nothing(scene: Scene) -> None:
    def says(online: bool, session: str, at_ns: int, now_s: float) -> None:
        inside = Inside(scene.office)
        inside.now_s = now_s
        said = Presence(online, session * 32, "0.1.0", 2, 1, 5000, 0, at_ns)
        inside.committer.commit([Heard(DEVICE, said)], inside.rows, inside.envelopes)
        inside.close()

    def seen() -> tuple[bool, str | None]:
        with Holdings.open(scene.office, Disk()) as held:
            (box,) = fleet.boxes(held, time.time_ns())
        return box["online"], box["heard"]

    says(True, "a", 1, 0.0)
    first = seen()
    says(True, "a", 1, 60.0)  # retained: the collector was restarted
    assert seen() == first and first[0]
    says(True, "b", 2, 120.0)
    second = seen()
    says(False, "a", 1, 180.0)
    assert seen() == second != first
    says(False, "b", 2, 240.0)
    assert seen()[0] is False


def test_a_fault_of_ours_at_one_box_leaves_the_others_served(scene: Scene) -> None:
    offer_of = scene.desk._uploads.offer
    calls = []

    def faulty(*words: object) -> object:
        calls.append(words)
        if len(calls) == 1:
            raise RuntimeError
        return offer_of(*words)  # type: ignore[arg-type]

    scene.desk._uploads.offer = faulty  # type: ignore[method-assign, assignment]
    scene.desk.start()
    for _time in range(2):
        scene.desk.offer(DEVICE, offer(scene.held.offered()))
    wait_until(lambda: bool(scene.voice.told), "the second is answered")
    assert isinstance(scene.voice.told[0][1], Need)
    assert scene.desk.counts["faults"] == 1


def test_a_fault_of_ours_at_one_log_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    taken: list[str] = []

    class Keeper:
        def take(self, device: str, _payload: bytes) -> Answer:
            taken.append(device)
            if device == "bad":
                raise ZeroDivisionError
            return Answer(device, Have(1, ""))

        def entries(self, _row: object) -> list[bytes]:
            raise AssertionError("there is nothing to be read again")

    office = place.create(tmp_path / "office", Disk(), time.time_ns())
    voice, told = Voice(), list[str]()
    desk = AuditDesk(
        lambda: (Keeper(), Catalogue.open(office.catalogue, Disk())),  # type: ignore[arg-type, return-value]
        voice,
        told.append,
    )
    for device in ("bad", "good"):
        desk.batch(device, b"")
    for _many in range(MOST_BATCHES):
        desk.batch("more", b"")
    assert desk.counts["batches dropped"] == 2
    desk.start()
    wait_until(lambda: ("good", Have(1, "")) in voice.told, "it goes on")
    desk.stop()
    desk.join(120)
    assert taken[:2] == ["bad", "good"]
    assert told == ["bad: ZeroDivisionError at a batch of its log"]
