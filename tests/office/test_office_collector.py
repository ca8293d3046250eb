"""``greffier-office serve`` with a real broker: what is receipted is held, whatever is killed."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.office.scripted_box import scripted

from greffier.audit import note
from greffier.audit.receipt import Receipt
from greffier.cli.main import run
from greffier.sync import messages, topics
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Collector, Fork, Later, Need, Presence
from greffier_office.catalogue import Catalogue
from greffier_office.main import COMMANDS
from greffier_sim.hand_box import HandBox, offer
from greffier_sim.head_office import HeadOffice
from greffier_sim.held_parts import held_parts
from greffier_sim.mqtt_party import Credentials, Party
from greffier_sim.service import Service, wait_until


class Serve(Service):
    """``greffier-office serve``, ready when it says so."""

    def __init__(self, at: HeadOffice, *words: str) -> None:
        path = at.folder / f"serve{len(list(at.folder.glob('serve*')))}.log"
        self._lives = 0
        super().__init__(
            ["greffier-office", "serve", "--office", str(at.office.path), "--json", *words], path
        )

    def spawn(self) -> int:
        self._lives = self.said().count('"ready": true')
        return super().spawn()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ready(self) -> bool:
        return self.said().count('"ready": true') > self._lives


@contextmanager
def serving(at: HeadOffice, *words: str) -> Iterator[Serve]:
    """A collector that is ready."""
    one = Serve(at, *words)
    one.start()
    try:
        yield one
    finally:
        one.kill()


def test_parts_and_log_arrive_and_everything_is_signed(head_office: HeadOffice) -> None:
    with serving(head_office, "--lane", "a1") as serve, scripted(head_office) as box:
        box.hand.say("device.created", device=box.device, version="0.1.0")
        small, large = box.hand.hold(5000), box.hand.hold((9 << 20) + 17)
        have = box.replicate()
        witness = head_office.office.public_keys()[1]
        opened = note.open_checkpoint(
            have.cosigned.encode(), note.read_key(box.hand.key.public_line()), [witness]
        )
        assert (opened.checkpoint.size, len(opened.cosignatures)) == (5, 1)
        first = box.deliver(small)
        assert (first.device, first.part, first.size) == (box.device, small.part, 5000)
        assert box.deliver(large).sha256 == large.sha256
        assert box.deliver(small) == first  # a lost receipt is repaired by the same offer
        assert serve.stop() == 0
    both = {(box.device, small.part), (box.device, large.part)}
    assert held_parts(head_office.office) == both


def test_what_was_receipted_is_there_after_a_kill(head_office: HeadOffice) -> None:
    with serving(head_office) as serve, scripted(head_office) as box:
        parts = [box.hand.hold(3000 + number) for number in range(3)]
        box.replicate()
        receipts = []
        for part in parts:
            receipts.append(box.deliver(part))
            serve.kill()
            assert len(held_parts(head_office.office)) == len(receipts)
            serve.start()
        assert [box.deliver(part) for part in parts] == receipts
        assert box.replicate().size == len(box.hand.log)


def test_a_kill_in_the_middle_of_a_part_costs_what_was_not_a_whole_block(
    head_office: HeadOffice,
) -> None:
    with serving(head_office, "--lane", "a1") as serve, scripted(head_office) as box:
        held = box.hand.hold(3 * BLOCK + 9)
        box.replicate()
        box.offer(held.offered())
        first = box.answer(held)
        assert isinstance(first, Need)
        box.send(held, first)
        second = box.answer(held)
        assert isinstance(second, Need)
        for payload in held.chunks(second.ranges[0].start, BLOCK + 200_000):
            box.bulk.say(topics.chunks(box.device, second.lane), payload)
        rows = Catalogue.open(head_office.office.catalogue, head_office.disk)
        wait_until(lambda: rows.held(held.blocks) == {0}, "the first block is an object")
        rows.close()
        serve.kill()
        serve.start()
        box.offer(held.offered())
        need = box.answer(held)
        while isinstance(need, Later):
            box.offer(held.offered())
            need = box.answer(held)
        assert isinstance(need, Need) and need.ranges[0].start == BLOCK
        assert box.deliver(held).sha256 == held.sha256
    assert held_parts(head_office.office) == {(box.device, held.part)}


def test_a_full_disk_makes_every_part_wait_and_the_log_goes_on(head_office: HeadOffice) -> None:
    with serving(head_office, "--reserve", str(1 << 40)), scripted(head_office) as box:
        held = box.hand.hold(5000)
        assert box.replicate().size == 2
        for _until_seen in range(50):
            box.offer(held.offered())
            said = box.answer(held)
            if said == Later(held.part, "space", 60):
                break
        assert said == Later(held.part, "space", 60)


def test_two_collectors_share_the_boxes(tmp_path: Path) -> None:
    """One certificate for both: the broker of this test tells them apart by their own names."""
    names = {"use_username_as_clientid": "false"}
    with (
        HeadOffice(tmp_path / "head", names) as at,
        serving(at, "--lane", "a1"),
        serving(at, "--lane", "a2"),
        scripted(at) as box,
    ):
        parts = [box.hand.hold(2000 + number) for number in range(12)]
        box.replicate()
        lanes = set()
        for held in parts:
            box.offer(held.offered())
            said = box.answer(held)
            while isinstance(said, Later):  # the other collector took the log's last batch
                box.offer(held.offered())
                said = box.answer(held)
            assert isinstance(said, Need)
            lanes.add(said.lane)
            box.send(held, said)
            assert isinstance(box.answer(held), Receipt)
        assert lanes == {"a1", "a2"}
        assert held_parts(at.office) == {(box.device, one.part) for one in parts}


def test_forks_and_presence_are_in_the_fleet(
    head_office: HeadOffice, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(head_office) as serve, scripted(head_office) as box:
        box.hand.say("device.created", device=box.device, version="0.1.0")
        box.hand.say("recorder.stopped", reason="x")
        box.replicate()
        there = Presence(True, "a" * 32, "0.1.0", 2, 0, 0, 0, time.time_ns())
        assert box.say("p", messages.write(there)) == "Success"
        other = HandBox(box.hand.key, box.hand.log[:1])
        other.say("recorder.stopped", reason="other")
        box.say("audit", other.batch())
        assert box.hear(lambda one: isinstance(one, Fork)) == Fork(2, "forked")
        assert serve.stop() == 0
        assert '"alarm": "box-00000001: forked' in serve.said()
    words = ["fleet", "--office", str(head_office.office.path), "--json"]
    assert run("greffier-office", COMMANDS, words, "test") == 0
    (seen,) = json.loads(capsys.readouterr().out.splitlines()[-1])["boxes"]
    assert (seen["online"], seen["alarms"]) == (True, ["fork"])
    assert seen["said"]["log_size"] == 2


def test_a_collector_that_comes_and_goes_says_so(tmp_path: Path) -> None:
    with HeadOffice(tmp_path / "head", {"use_username_as_clientid": "false"}) as at:
        who = Credentials(at.office.ca_certificate, *at.office.collector())
        with Party(at.broker.port, who, [topics.collector("a1")]) as party:

            def heard(number: int) -> bool:
                return party.wait_for(lambda _one: len(party.heard) >= number) is not None

            def last() -> bool:
                said = messages.read(party.heard[-1].payload)
                assert isinstance(said, Collector) and said.lane == "a1"
                return said.online

            with serving(at, "--lane", "a1") as serve:
                assert heard(1) and last()
                serve.kill()  # its Will
                assert heard(2) and not last()
                serve.start()
                assert heard(3) and last()
                assert serve.stop() == 0
                assert heard(4) and not last()


def test_rubbish_changes_nothing(head_office: HeadOffice) -> None:
    with serving(head_office) as serve, scripted(head_office) as box:
        held = box.hand.hold(5000)
        box.replicate()
        for payload in (b"", b"{}", b"x" * 100_000, offer(held.offered())[:-1]):
            for what in ("offer", "audit", "p"):
                box.say(what, payload)
        assert box.deliver(held).size == 5000
        box.bulk.say(topics.chunks(box.device, "other"), b"x")
        assert serve.stop() == 0
        assert '"malformed"' in serve.said()


def test_a_broker_that_comes_back_finds_the_collector_again(head_office: HeadOffice) -> None:
    with serving(head_office) as serve:
        for number in (1, 2):
            with scripted(head_office, number) as box:
                held = box.hand.hold(5000)
                box.replicate()
                assert box.deliver(held).part == held.part
            head_office.broker.restart()
        serve.must_run()


def test_a_broker_that_drops_messages_is_an_alarm(tmp_path: Path) -> None:
    """The one of this test queues three messages for a listener that does not listen."""
    settings = {"max_queued_messages": "3", "max_inflight_messages": "1", "sys_interval": "1"}
    with HeadOffice(tmp_path / "head", settings) as at, serving(at) as serve, scripted(at) as box:
        serve.freeze()
        for _many in range(60):
            box.say("p", b"x" * 100_000)
        serve.thaw()
        serve.wait_until(lambda: "the broker dropped" in serve.said(), "it tells of it")
        assert serve.stop() == 0
