"""The whole process against a real broker, a recorder's socket and a head office in memory."""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.sync.office_double import OfficeDouble
from tests.sync.recorder_double import RecorderDouble

from greffier import canonical
from greffier.clock import SECOND, SystemClock
from greffier.config import recorder as configuration
from greffier.control.client import ask
from greffier.control.messages import Done
from greffier.control.transfer import AskSync, Sealed, SyncNow, SyncPause, SyncState
from greffier.durable import Disk
from greffier.errors import NotRunning, Refused
from greffier.sync.outbox import Outbox
from greffier.sync.service import Service
from greffier_sim.broker import HOST, free_port
from greffier_sim.head_office import Box, HeadOffice
from greffier_sim.uplink import Uplink

WAIT_S = 180.0


def until(wanted: Callable[[], bool], seconds: float = WAIT_S) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


class Running:
    """A service in a thread of its own."""

    def __init__(self, folder: Path, box: Box, recorder: RecorderDouble, more: str = "") -> None:
        path = folder / "recorder.toml"
        path.write_text(
            f"""schema = "recorder/1"
data = "{folder}/data"
policy = "p.toml"
timezone = "UTC"
[taps.t]
interface = "lo"
[[match]]
line = "desk"
[control]
socket = "{recorder.socket}"
[sync]
folder = "{box.folder.path}"
socket = "{folder}/sync.sock"
{more}
"""
        )
        self.socket = folder / "sync.sock"
        self.said: list[str] = []
        self.service = Service(configuration.load(path), SystemClock(), self.said.append)
        self.thread = threading.Thread(target=self.service.run, daemon=True)

    def __enter__(self) -> "Running":
        self.thread.start()
        until(self._answers)
        return self

    def _answers(self) -> bool:
        assert self.thread.is_alive()
        try:
            self.state()
        except NotRunning:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self.service.stop()
        self.thread.join(120)
        assert not self.thread.is_alive()

    def state(self) -> SyncState:
        answer = ask(self.socket, AskSync())
        assert isinstance(answer, SyncState)
        return answer


@pytest.fixture(name="head")
def _head(tmp_path: Path) -> Iterator[HeadOffice]:
    with HeadOffice(tmp_path / "head") as head:
        yield head


@pytest.fixture(name="box")
def _box(head: HeadOffice) -> Box:
    return head.admit()


@pytest.fixture(name="recorder")
def _recorder(tmp_path: Path, head: HeadOffice, box: Box) -> Iterator[RecorderDouble]:
    keys = head.office.public_keys()
    with RecorderDouble(tmp_path / "rec", box.log_key, box.device, keys) as recorder:
        yield recorder


def test_everything_is_received_and_the_log_is_cosigned(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    sizes = [1, 16, 20_000, 112 * 1024, 1 << 20, 9_000_000]
    data = {recorder.add(os.urandom(size)) for size in sizes}
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: set(recorder.received) == data)
        until(lambda: sync.state().cosigned_size == recorder.log.checkpoint.size)
        later = recorder.add(os.urandom(300_000))
        until(lambda: later in recorder.received)
        until(lambda: sync.state().state == "idle")
        state = sync.state()
    assert office.problems == []
    assert office.unasked == 0
    assert sorted(office.offers) == sorted(set(office.offers)), "nothing was offered twice"
    assert office.octets == sum(sizes) + 300_000, "nothing was sent twice"
    assert (state.received, state.queued, state.size) == (7, 0, 0)
    assert state.trouble == ""


def test_without_a_way_for_chunks_nothing_is_offered_and_then_it_is_at_once(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    port = free_port()
    told = json.loads(box.folder.enrolment.read_text())
    told["bulk_brokers"] = [f"{HOST}:{port}"]
    box.folder.enrolment.write_bytes(canonical.dump(told))
    data = {recorder.add(os.urandom(200_000))}
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: sync.state().cosigned_size == recorder.log.checkpoint.size)
        until(lambda: sync.state().queued == 1)
        assert office.offers == []
        with Uplink((HOST, head.broker.port), listen=(HOST, port), rate=1 << 30, delay_ms=0):
            ask(sync.socket, SyncNow())
            until(lambda: set(recorder.received) == data)
    assert len(office.offers) == 1


def settled(sync: Running, recorder: RecorderDouble) -> bool:
    state = sync.state()
    waiting = state.queued + state.offered + state.sending + state.waiting
    return not waiting and state.cosigned_size == recorder.log.checkpoint.size


def test_kills_of_everything_lose_nothing(
    tmp_path: Path,
    head: HeadOffice,
    box: Box,
    recorder: RecorderDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greffier.sync.parts.WAITING_NS", 2 * SECOND)
    parts = {recorder.add(os.urandom(600_000)) for _ in range(4)}
    office = OfficeDouble(head, recorder.signer.log_key, credit=100_000)
    office.start()
    with Running(tmp_path, box, recorder) as sync:
        until(lambda: office.octets > 200_000)
        head.broker.restart()
        until(lambda: office.octets > 600_000)
        recorder.stop()
        parts.add(recorder.add(os.urandom(5)))
        recorder.start()
        until(lambda: office.octets > 900_000)
        office.stop()
        office.uploads.clear()
        office.start()
        until(lambda: set(recorder.received) == parts)
    with Running(tmp_path, box, recorder) as sync:
        until(lambda: settled(sync, recorder))
        parts.add(recorder.add(os.urandom(70_000)))
        until(lambda: set(recorder.received) == parts)
    office.stop()
    assert office.problems == []
    assert recorder.refused == []


def test_lost_messages_of_either_side_are_made_up_for(
    tmp_path: Path,
    head: HeadOffice,
    box: Box,
    recorder: RecorderDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greffier.sync.parts.ANSWER_NS", SECOND)
    monkeypatch.setattr("greffier.sync.parts.WAITING_NS", SECOND)
    monkeypatch.setattr("greffier.sync.logkeeper.ANSWER_NS", SECOND)
    parts = {recorder.add(os.urandom(300_000)) for _ in range(3)}
    chance = random.Random(7)
    with OfficeDouble(head, recorder.signer.log_key, credit=60_000) as office:
        office.drop = lambda topic: chance.random() < 0.1
        with Running(tmp_path, box, recorder):
            until(lambda: set(recorder.received) == parts)
    assert office.problems == []


def test_a_pause_sends_the_log_and_no_part(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: sync.state().state == "idle")
        until_ns = time.time_ns() + 3600 * SECOND
        assert ask(sync.socket, SyncPause(until_ns)) == Done()
        part = recorder.add(os.urandom(1000))
        until(lambda: sync.state().cosigned_size == recorder.log.checkpoint.size)
        until(lambda: sync.state().queued == 1)
        assert sync.state().state == "paused"
        assert sync.state().pause_until_ns == until_ns
        assert office.offers == []
        until(lambda: any("sync.paused" in one.troubles for one in recorder.reports))
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: sync.state().queued == 1)
        assert sync.state().pause_until_ns == until_ns, "it outlives the process"
        with pytest.raises(Refused):
            ask(sync.socket, SyncNow("0" * 32))
        assert ask(sync.socket, SyncPause(until_ns)) == Done()
        assert ask(sync.socket, SyncNow(part)) == Done()
        until(lambda: part in recorder.received)
        with pytest.raises(Refused):
            ask(sync.socket, SyncPause(time.time_ns() + 40 * 86_400 * SECOND))


def test_an_hour_whose_limit_is_off_sends_no_part(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    recorder.add(os.urandom(1000))
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder, 'limits = ["* off"]') as sync,
    ):
        until(lambda: sync.state().state == "paused")
        until(lambda: sync.state().cosigned_size == recorder.log.checkpoint.size)
        assert office.offers == []


def test_a_limit_holds(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    first = recorder.add(os.urandom(1))
    with (
        OfficeDouble(head, recorder.signer.log_key),
        Running(tmp_path, box, recorder, 'limits = ["* 400k"]') as sync,
    ):
        until(lambda: first in recorder.received)
        assert sync.state().limit_bps == 400_000
        began = time.monotonic()  # before there is anything to send: the time is never too short
        part = recorder.add(os.urandom(240_000))
        until(lambda: part in recorder.received)
        seconds = time.monotonic() - began
    assert seconds + 1.5 >= 240_000 * 8 / 400_000, "a second's worth may go at once"


def test_what_is_not_enrolled_says_so_and_begins_when_it_is(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    part = recorder.add(os.urandom(1000))
    kept = box.folder.enrolment.rename(tmp_path / "kept.json")
    with (
        OfficeDouble(head, recorder.signer.log_key),
        Running(tmp_path, box, recorder) as sync,
    ):
        assert sync.state().state == "not_enrolled"
        assert sync.state().trouble == "not_enrolled"
        with pytest.raises(Refused):
            ask(sync.socket, SyncNow())
        kept.rename(box.folder.enrolment)
        until(lambda: part in recorder.received)


def test_a_part_whose_file_was_altered_is_never_offered(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    bad, good = recorder.add(os.urandom(5000)), recorder.add(os.urandom(5000))
    (recorder.folder / bad).write_bytes(os.urandom(5000))
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: good in recorder.received)
        until(lambda: sync.state().trouble == "altered")
    assert bad not in office.offers


def test_a_forged_receipt_and_a_forged_cosignature_are_told_and_end_nothing(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    rogue = HeadOffice(tmp_path / "rogue")
    part = recorder.add(os.urandom(5000))
    office = OfficeDouble(head, recorder.signer.log_key)
    honest = office.receipts
    office.receipts = rogue.office.receipt_signer()
    with office, Running(tmp_path, box, recorder) as sync:
        until(lambda: "unsigned" in recorder.refused)
        until(lambda: sync.state().trouble == "receipt")
        assert sync.state().received == 0
        assert part not in recorder.received
        office.receipts = honest
        assert ask(sync.socket, SyncNow()) == Done()
        until(lambda: part in recorder.received)


def test_presence_is_there_and_its_will_says_when_it_is_not(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    recorder.add(os.urandom(1000))
    with OfficeDouble(head, recorder.signer.log_key) as office:
        with Running(tmp_path, box, recorder):
            until(lambda: any(one.online for one in office.presences))
        until(lambda: not office.presences[-1].online)
        online = [one for one in office.presences if one.online]
        assert {one.session for one in online} == {office.presences[-1].session}


def test_a_dead_broker_is_one_line_and_after_a_minute_an_alarm(
    tmp_path: Path,
    head: HeadOffice,
    box: Box,
    recorder: RecorderDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greffier.sync.service._FLEETING_NS", SECOND)
    head.broker.kill()
    with Running(tmp_path, box, recorder) as sync:
        until(lambda: sync.state().trouble == "refused_connection")
        assert sync.state().state == "offline"
        until(lambda: any("sync.offline" in one.troubles for one in recorder.reports))
    assert len({line for line in sync.said if line}) <= 2


def test_an_outbox_that_cannot_be_written_stops_nothing(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    box.folder.outbox.mkdir()  # no database can be there
    (box.folder.outbox / "x").touch()
    parts = {recorder.add(os.urandom(1000)) for _ in range(5)}
    with (
        OfficeDouble(head, recorder.signer.log_key),
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: set(recorder.received) == parts)
        until(lambda: sync.state().trouble == "outbox")
        until(lambda: any("sync.storage" in one.troubles for one in recorder.reports))


def test_a_folder_that_was_enrolled_for_another_box_sends_nothing(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    recorder.add(os.urandom(1000))
    recorder.device = "box-ffffffff"
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: sync.state().trouble == "other_box")
        until(lambda: any(one.online for one in office.presences))
        until(lambda: recorder.asked.count("work") > 3)
    assert office.offers == []
    assert office.entries == []


def test_what_an_old_outbox_holds_and_the_recorder_does_not_is_forgotten(
    tmp_path: Path, head: HeadOffice, box: Box, recorder: RecorderDouble
) -> None:
    outbox = Outbox.open(box.folder.outbox, Disk(), 0, time.time_ns())
    outbox.sight([Sealed("ab" * 16, "ab" * 16, 0, 10, "0" * 64, 1, 0, False)], 1)
    outbox.close()
    part = recorder.add(os.urandom(1000))
    with (
        OfficeDouble(head, recorder.signer.log_key) as office,
        Running(tmp_path, box, recorder) as sync,
    ):
        until(lambda: part in recorder.received)
        until(lambda: sync.state().queued == 0 and sync.state().size == 0)
    assert office.offers == [part]
    assert recorder.asked.count("part") == 1
