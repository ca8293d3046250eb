"""Instant replay: who gets what, through the socket, while neither loop nor disk moves."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.recorder import card_scene
from tests.recorder.live_scene import NOON_NS, Scene
from tests.stories.box import SDIS, coded

from greffier.audit.log import Log
from greffier.capture.datagram import Address, Datagram
from greffier.clock import SECOND, SystemClock
from greffier.control import client
from greffier.control.access import Access
from greffier.control.messages import Done, Failure, Replay
from greffier.control.server import Server
from greffier.encode.codecs import by_name
from greffier.encode.decoders import TABLES
from greffier.encode.timeline import Placed
from greffier.errors import NotAllowed, Refused
from greffier.policy import rules
from greffier.recorder import recall as recall_module
from greffier.recorder.recall import Recall
from greffier_sim import captures
from greffier_sim.captures import MS, Plan, Side

FIRE = '[[match]]\nline = "admin"\nvlans = [7]\n[[match]]\nline = "l18"\n'
ME = os.geteuid()
Samples = NDArray[np.int16]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An emergency line, of which ten minutes are kept."""
    made = Scene(tmp_path, "sdis18.toml", FIRE)
    yield made
    made.stop()


def plan(number: int = 0, **words: object) -> Plan:
    return replace(
        Plan(
            call_id=f"fire-{number}@sim",
            start_ns=NOON_NS + 1_000 * MS,
            talk_ms=8_000,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        ),
        **words,  # type: ignore[arg-type]
    )


def spoken(one: Plan, side: Side, indexes: range, lost: range = range(0)) -> Samples:
    """What that side said in the packets *indexes*; those of *lost* are silent."""
    silence = np.zeros(160, np.int16)
    pieces = [
        silence
        if index in lost
        else TABLES["PCMA"].take(np.frombuffer(captures.tagged(one.call_id, side, index), np.uint8))
        for index in indexes
    ]
    return np.concatenate(pieces)


def until(datagrams: list[Datagram], time_ns: int) -> list[Datagram]:
    return [one for one in datagrams if one.time_ns < time_ns]


def played(
    scene: Scene | card_scene.Scene, seconds: int, line: str = "l18"
) -> tuple[Samples, int] | str:
    """What a replay holds, and its rate; or why there is none."""
    handed = scene.live.recall.play(Replay(line, seconds), 1000)
    if isinstance(handed.answer, Failure):
        assert handed.fd is None
        return handed.answer.reason
    assert handed.answer == Done()
    assert handed.fd is not None
    with os.fdopen(handed.fd, "rb") as file:
        pcm, rate = soundfile.read(file, dtype="int16", always_2d=True)
    return pcm, int(rate)


def sound(scene: Scene | card_scene.Scene, seconds: int, line: str = "l18") -> Samples:
    found = played(scene, seconds, line)
    assert not isinstance(found, str), found
    assert found[1] == 8000
    return found[0]


@contextmanager
def serving(scene: Scene, access: Access | None = None) -> Iterator[Path]:
    path = scene.folder / "s"
    everyone = access or Access(frozenset({ME}))
    with Server(path, scene.board, everyone, SystemClock()):
        yield path


# --- what is heard ---


def test_the_last_seconds_of_a_running_call_are_there_sample_for_sample(scene: Scene) -> None:
    one = plan()
    lost = range(200, 210)
    datagrams = captures.in_order(
        [
            *captures.opening(one),
            *captures.speech(one, "caller", count=lost.start),
            *captures.speech(one, "caller", first=lost.stop, count=400 - lost.stop),
            *captures.speech(one, "callee"),
        ]
    )
    scene.hear(datagrams)
    end = scene.clock.now + 20 * MS  # of the sound of the last packet
    scene.wait(0.25)
    now = scene.clock.now
    found = sound(scene, 5)
    length = 5 * 8000 - (now - end) * 8 // MS
    assert found.shape == (length, 2)
    assert np.array_equal(found[:, 0], spoken(one, "caller", range(400), lost)[-length:])
    assert np.array_equal(found[:, 1], spoken(one, "callee", range(400))[-length:])
    assert np.array_equal(sound(scene, 600)[:, 1], spoken(one, "callee", range(400)))
    scene.tick()
    first, second = scene.told("replay")
    (uid,) = [entry["uid"] for entry in scene.told("call.decided")]
    assert first == {
        "line": "l18",
        "user": 1000,
        "at_ns": now,
        "from_ns": now - 5 * SECOND,
        "to_ns": end,
        "calls": [uid],
    }
    assert second["from_ns"] == end - 8 * SECOND


def test_a_call_that_is_over_and_the_next_one_stand_on_one_clock(scene: Scene) -> None:
    one = plan(talk_ms=2_000)
    scene.hear(captures.call(one))
    two = plan(1, start_ns=one.end_ns + 1_000 * MS, talk_ms=2_000)
    scene.hear(captures.call(two))
    found = sound(scene, 30)
    first, second = one.answer_ns + 10 * MS, two.answer_ns + 10 * MS
    gap = (second - first) * 8 // MS
    assert found.shape == (gap + 16_000, 2)
    for column, side in enumerate(("caller", "callee")):
        said = spoken(one, side, range(100)), spoken(two, side, range(100))  # type: ignore[arg-type]
        assert np.array_equal(found[:16_000, column], said[0])
        assert not found[16_000:gap, column].any()
        assert np.array_equal(found[gap:, column], said[1])


def test_no_leg_of_such_a_line_goes_where_nothing_is_kept(scene: Scene) -> None:
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    scene.wait(0.25)
    assert len(scene.source.armory) == 0  # type: ignore[attr-defined]
    other = plan(1, start_ns=scene.clock.now)
    scene.hear(until(captures.call(other), other.end_ns), vlans=(7,))
    assert played(scene, 30, "admin") == "no_emergency_line"
    assert scene.live.recall.held()[0] == 800


def test_an_analogue_line_is_heard_again_too(tmp_path: Path) -> None:
    scene = card_scene.Scene(tmp_path, coded(tmp_path, "flac", SDIS, "l18"), "l18")
    scene.hear(2, level=1)
    scene.hear(6, 0)
    found = sound(scene, 4)
    assert np.array_equal(found, scene.sent_to("a")[-4 * 8000 :, None])
    scene.miss(800)
    scene.hear(1, 0)
    assert np.array_equal(sound(scene, 4), scene.sent_to("a")[-4 * 8000 :, None])
    scene.stop()
    assert len(scene.told("replay")) == 2


# --- how long it is kept ---


def test_what_is_too_old_is_gone_and_so_is_its_memory(scene: Scene) -> None:
    one = plan(talk_ms=2_000)
    scene.hear(captures.call(one))
    items, octets = scene.live.recall.held()
    assert items == 200
    assert octets > 0
    scene.wait(599)
    assert played(scene, 600) != "nothing_kept"
    scene.wait(5)
    assert scene.live.recall.held() == (0, 0)
    assert played(scene, 600) == "nothing_kept"


def test_at_the_end_nothing_is_kept_nor_played(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "sdis18.toml", FIRE)
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    scene.stop()
    assert scene.live.recall.held() == (0, 0)
    assert played(scene, 30) == "stopping"


def test_a_line_that_is_no_emergency_keeps_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "paris-desk.toml", '[[match]]\nline = "desk"\n')
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    assert scene.live.recall.held() == (0, 0)
    assert played(scene, 30, "desk") == "no_emergency_line"
    assert played(scene, 30, "other") == "no_such_line"
    scene.stop()
    assert scene.told("replay") == []


def test_too_much_shortens_the_time_that_it_is_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = plan(talk_ms=8_000)
    scene.hear(captures.call(one))
    before = scene.live.recall.held()
    scene.wait(400)
    two = plan(1, start_ns=scene.clock.now, talk_ms=4_000)
    scene.hear(captures.call(two))
    monkeypatch.setattr(recall_module, "MOST_HELD", before[1])
    scene.tick()
    assert scene.live.recall.shortened == 1
    assert scene.live.recall.held()[0] == 400
    assert sound(scene, 600).shape == (4 * 8000, 2)


def test_a_clock_that_is_set_costs_no_sound_and_keeps_none_too_long() -> None:
    clock = Moved()
    recall = Recall(rules.load(SDIS), ["l18"], clock)
    keeper = recall.of("l18", "box-1/l18/0000000001")
    assert keeper is not None
    codec = by_name("PCMA")
    origin = clock.wall

    def say(number: int, position: int) -> None:
        payload = bytes([number]) * 800
        placed = Placed(position, 800, 0, codec, 8, number, payload)
        keeper.keep(0, "caller", origin, 8000, [(clock.wall, placed)])
        clock.pass_time(SECOND // 10)

    for number in range(20):
        say(number, number * 800)
    clock.wall -= 3600 * SECOND  # positions only grow
    for number in range(20, 40):
        say(number, number * 800)
    handed = recall.play(Replay("l18", 600), 0)
    assert handed.fd is not None
    with os.fdopen(handed.fd, "rb") as file:
        pcm, _ = soundfile.read(file, dtype="int16")
    said = np.repeat(TABLES["PCMA"][np.arange(40)], 800)
    assert np.array_equal(pcm, said)
    clock.pass_time(602 * SECOND)
    recall.age()
    assert recall.held() == (0, 0)


def test_a_flood_of_tiny_packets_keeps_to_its_room_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recall_module, "_OCTETS_OF_SAMPLE", 1)
    clock = Moved()
    recall = Recall(rules.load(SDIS), ["l18"], clock)
    keeper = recall.of("l18", "box-1/l18/0000000001")
    assert keeper is not None
    codec = by_name("PCMA")
    origin = clock.wall
    for first in range(0, 96_000, 8_000):  # a packet a sample
        placed = [Placed(first + at, 1, 0, codec, 8, at, b"x") for at in range(8_000)]
        keeper.keep(0, "caller", origin, 8000, [(clock.wall, one) for one in placed])
        clock.pass_time(SECOND)
        recall.age()
    assert recall.shortened >= 1
    items, octets = recall.held()
    assert 8_000 <= items < 96_000
    assert octets <= 2 * 601 * 8000


class Moved(SystemClock):
    """A clock with two hands."""

    wall, monotonic = NOON_NS, 5 * SECOND

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    def pass_time(self, ns: int) -> None:
        self.wall += ns
        self.monotonic += ns


# --- the way to the client ---


def test_it_comes_through_the_socket_while_the_loop_and_the_disk_stand_still(
    scene: Scene,
) -> None:
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    scene.wait(0.25)
    durable = scene.archive.log.checkpoint.size
    with serving(scene) as path:
        # Nobody works the sources, takes orders or commits meanwhile.
        with client.replay(path, Replay("l18", 2)) as fd:
            with pytest.raises(PermissionError):
                os.pwrite(fd, b"x", 0)
            with pytest.raises(PermissionError):
                os.ftruncate(fd, 0)
            pcm, _ = soundfile.read(io.BytesIO(os.pread(fd, 1 << 20, 0)), dtype="int16")
        with pytest.raises(OSError):
            os.fstat(fd)
    assert np.array_equal(pcm[:, 0], spoken(one, "caller", range(400))[-len(pcm) :])
    assert 1.7 * 8000 < len(pcm) <= 2 * 8000
    assert scene.archive.log.checkpoint.size == durable
    assert scene.told("replay") == []
    scene.tick()
    (entry,) = scene.told("replay")
    assert entry["user"] == ME


def open_files() -> list[str]:
    """The memory files that this process has open."""
    found = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [str(path) for path in found if "memfd" in str(path)]


def test_a_client_that_expects_no_descriptor_leaks_none(scene: Scene) -> None:
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    with serving(scene) as path:
        assert client.ask(path, Replay("l18", 2)) == Done()
    assert open_files() == []


def test_refusals_have_no_descriptor_and_no_entry(scene: Scene) -> None:
    with serving(scene) as path:
        for line, said in (("l18", "rien"), ("l99", "ligne"), ("admin", "urgence")):
            with pytest.raises(Refused, match=said), client.replay(path, Replay(line, 2)):
                pass
    with (
        serving(scene, Access(frozenset(), watch=frozenset({ME}))) as path,
        pytest.raises(NotAllowed),
        client.replay(path, Replay("l18", 2)),
    ):
        pass
    scene.tick()
    assert scene.told("replay") == []


# --- what is owed to the log ---


def test_an_entry_that_a_log_did_not_take_is_owed_to_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = plan()
    scene.hear(until(captures.call(one), one.end_ns))
    recall = scene.live.recall
    sound(scene, 2)
    recall.detach()  # the disk is away before the next commit
    sound(scene, 3)
    said: list[object] = []

    class Next:
        """A log that accepts."""

        checkpoint = scene.archive.log.checkpoint

        def append(self, kind: str, rec: str | None, data: dict[str, object]) -> object:
            said.append(data)
            return scene.archive.log.append(kind, rec, data)

    recall.attach(Next())  # type: ignore[arg-type]
    assert len(said) == 2
    recall.attach(scene.archive.log)
    monkeypatch.setattr(recall_module, "MOST_OWED", 2)
    assert played(scene, 2) == "too_many_orders"
    scene.tick()
    recall.age()
    assert not isinstance(played(scene, 2), str)
    assert isinstance(scene.archive.log, Log)
