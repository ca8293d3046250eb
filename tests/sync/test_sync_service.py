"""The whole process against a real broker, a recorder's socket and a head office in memory."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.sync.office_double import OfficeDouble
from tests.sync.recorder_double import RecorderDouble

from greffier import canonical
from greffier.clock import SystemClock
from greffier.config import recorder as configuration
from greffier.control.client import ask
from greffier.control.transfer import AskSync, SyncNow, SyncState
from greffier.sync.service import Service
from greffier_sim.broker import HOST, free_port
from greffier_sim.head_office import Box, HeadOffice
from greffier_sim.uplink import Uplink

WAIT_S = 60.0


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
        until(self.socket.exists)
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()
        self.thread.join(30)
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
        assert sync.state().queued == 1 and office.offers == []
        with Uplink((HOST, head.broker.port), listen=(HOST, port), rate=1 << 30, delay_ms=0):
            ask(sync.socket, SyncNow())
            until(lambda: set(recorder.received) == data)
    assert len(office.offers) == 1
