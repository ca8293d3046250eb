"""The retention engine of a running recorder: by itself, on order, and never in anybody's way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.recorder.office_scene import QUALITY, START_NS, Box, WornClock, made
from tests.recorder.test_recorder_purge import codes, in_vault, is_whole, purged, recorded
from tests.stories.box import PAIR, command

from greffier.audit import verify
from greffier.clock import SECOND, pause
from greffier.control.board import Snapshot
from greffier.control.messages import Alarms, ClockState, Levels, Status, Storage
from greffier.errors import StorageFailed
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import mass, metadata, purge, purger, recovery
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.deletions import Deletions
from greffier.recorder.people import epoch_key
from greffier.recorder.persons import NotVouched, Persons
from greffier.recorder.purger import Freed, Purger
from greffier.seal.envelope import epoch_id
from greffier.store.index import Index
from greffier.store.shred import ShredStore
from greffier.store.shred_format import METADATA, Name

PARIS = ZoneInfo("Europe/Paris")
LONG = {"quality": (0, 180)}
TWO = Persons(("anne", "bruno"))


def nobody(row: object) -> bool:
    return False


@contextmanager
def running(folder: Path) -> Iterator[tuple[Box, Purger]]:
    """A recorder that writes in a thread of its own, and its purger."""
    with Box(folder) as box:
        with box.turn:
            box.archive.start_writer(30, 1 << 20)
        engine = Purger(box.archive, box.alarms, PARIS, nobody, 10_000)
        engine.start(box.board)
        bound = box.clock.lower_bound()
        clock = ClockState(bound.t_ns, bound.source)
        status = Status(box.device, "0" * 32, True, (), (), (), Storage(), clock)
        alarms = Alarms("0" * 32, 0, (), ())
        box.board.publish(Snapshot(status, Levels(()), alarms, 0))
        try:
            yield box, engine
        finally:
            engine.stop(30)
            with box.turn:
                box.archive.stop_writer(30)


def until(condition: Callable[[], bool]) -> None:
    for _turn in range(3000):
        if condition():
            return
        pause(0.01)
    raise AssertionError("it did not come about")


def by_socket(box: Box, *words: object) -> dict[str, Any]:
    said = command(*words, "--data", box.folder, "--socket", box.socket, "--json")
    assert said.code in (0, 1, 3), said.complaint
    found: dict[str, Any] = said.json
    return found


def test_a_running_recorder_is_asked_by_the_same_commands(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    ninety = {"quality": (0, 90)}  # so it is due, and not since yesterday
    due, held, kept = recorded(folder, 90, ninety, ninety, LONG)
    with running(folder) as (box, _engine):
        two = ("--by", "anne", "--by", "bruno")
        case = ("--reference", "A 1", "--mode", "floor")
        (placed,) = by_socket(box, "hold", "add", held, *case, *two)["done"]
        listed = by_socket(box, "hold", "list")["holds"]
        assert [one["id"] for one in listed] == [placed["id"]]
        dry = by_socket(box, "purge", "--dry-run")
        assert codes(dry["done"]) == {due: "DELETE_DUE"}
        assert codes(dry["refused"]) == {held: "KEEP_HOLD"}
        assert codes(dry["kept"]) == {kept: "KEEP"}
        assert dry["kept"][0]["due"].startswith("2027-07-14")
        assert in_vault(folder) == {due, held, kept}
        assert codes(by_socket(box, "purge")["done"]) == {due: "DELETE_DUE"}
        assert in_vault(folder) == {held, kept}
        box.seal()  # it records on
        assert by_socket(box, "hold", "release", placed["id"], *two)["refused"] == []
        assert codes(by_socket(box, "purge")["done"]) == {held: "DELETE_DUE"}
    assert is_whole(folder)


def test_the_recorder_of_another_directory_is_not_asked(tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    with running(made(tmp_path / "data")) as (box, _), Box(other):
        said = command("purge", "--data", other, "--socket", box.socket, "--json")
    assert said.code == 1


def test_who_wants_room_gets_it_without_waiting(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = recorded(folder, 1, QUALITY, QUALITY, received=1)
    freed: list[Freed] = []
    with running(folder) as (_box, engine):
        assert engine.want(10**9, freed.append)
        until(lambda: bool(freed))
        assert freed[0].parts == 1 and freed[0].octets > 0
        until(lambda: engine.want(10**9, freed.append))
        until(lambda: len(freed) == 2)
        assert freed[1] == Freed(0, 0)
    assert in_vault(folder) == {second} != {first}


def test_what_is_overdue_goes_soon_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    recorded(folder, 91, QUALITY)
    monkeypatch.setattr(purger, "LOOK_S", 0.01)
    with running(folder):
        until(lambda: in_vault(folder) == set())
    assert is_whole(folder)


class Sundial(WornClock):
    """A clock whose wall stands where it is put."""

    at_ns = 0

    def wall_ns(self) -> int:
        return self.at_ns or super().wall_ns()


def test_what_is_due_waits_for_the_quiet_hour(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    recorded(folder, 89, QUALITY)
    clock = Sundial()
    with Archive.open(folder, clock) as archive:
        recovery.recover(archive)
        midnight = START_NS - START_NS % DAY_NS + 100 * DAY_NS - 2 * 3600 * SECOND  # summer time
        clock.at_ns = midnight + 2 * 3600 * SECOND
        engine = Purger(archive, AlarmRoom(clock, "0" * 32), PARIS)
        engine._look()
        assert len(in_vault(folder)) == 1  # it is due, but not since yesterday, and it is two
        clock.at_ns = midnight + 3 * 3600 * SECOND
        engine._look()
        assert in_vault(folder) == set()


# --- too much at once ----------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts are many."""
    monkeypatch.setattr(purge, "MOST_PARTS", 3)


def seen(box: Box, now_ns: int) -> None:
    """A witness says what time it is, and the retention engine looks."""
    box.clock.witnessed(now_ns, "cosignature")
    box.archive.pace.now(box.clock)


def lived(box: Box, days: int) -> None:
    """The box runs until *days* after the start."""
    box.clock.witnessed(START_NS + days * DAY_NS, "cosignature")
    mono_ns = box.clock.monotonic_ns() + days * DAY_NS
    bound = box.clock.lower_bound()
    box.archive.pace.look(box.clock.boot_id, mono_ns, bound.t_ns, bound.source)


@pytest.mark.usefixtures("few")
def test_a_clock_that_was_set_destroys_nothing_before_two_persons_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Box(made(folder)) as box:
        with box.turn:
            seen(box, START_NS)
        names = {box.seal(number) for number in range(5)}
        with box.turn:
            seen(box, START_NS + 200 * DAY_NS)
            found = purge.plan(box.archive, 0, nobody)
            assert (found.doomed, found.aborted, found.all_parts) == ((), 5, 5)
            assert mass.note(box.archive, found) and mass.note(box.archive, found)
            with pytest.raises(NotVouched):
                mass.confirm(box.archive, nobody, Persons(("a", "a")), box.clock.wall_ns())
            box.archive.tick()
        assert len(box.entries("deletion.aborted")) == 1
    assert codes(purged(folder, expect=3)["refused"]) == dict.fromkeys(names, "DELETE_MASS_ABORTED")
    one = command("purge", "--confirm", "--by", "anne", "--data", folder, "--json")
    assert one.code == 1 and one.json["refused"][0]["code"] == "TWO_PERSONS_NEEDED"
    assert in_vault(folder) == names
    found = purged(folder, "--confirm", "--by", "anne", "--by", "bruno")
    assert codes(found["done"]) == dict.fromkeys(names, "DELETE_DUE")
    assert is_whole(folder)


@pytest.mark.usefixtures("few")
def test_what_a_day_brings_goes_on_beside_what_is_too_much(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        with box.turn:
            seen(box, START_NS)
        grown = box.seal(0)
        box.seal(1, LONG)
        for number in range(2, 7):
            box.seal(number, {"quality": (0, 150)})
        with box.turn:
            lived(box, 90)
            seen(box, START_NS + 170 * DAY_NS)
            found = purge.plan(box.archive, 0, nobody)
        assert [one.row.part_id for one in found.doomed] == [grown] and found.aborted == 5


@pytest.mark.usefixtures("few")
def test_a_month_off_is_no_incident(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        with box.turn:
            seen(box, START_NS)
        for number in range(5):
            box.seal(number)
        with box.turn:
            lived(box, 60)
            seen(box, START_NS + 91 * DAY_NS)
            found = purge.plan(box.archive, 0, nobody)
        assert len(found.doomed) == 5 and not found.aborted


@pytest.mark.usefixtures("few")
def test_a_policy_of_a_day_is_an_incident(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        for number in range(5):
            box.seal(number, {"quality": (0, 1)})
        with box.turn:
            box.clock.witnessed(START_NS + DAY_NS + SECOND, "cosignature")
            assert purge.plan(box.archive, 0, nobody).aborted == 5
            assert mass.confirm(box.archive, nobody, TWO, box.clock.wall_ns()) == 5
            assert len(purge.plan(box.archive, 0, nobody).doomed) == 5


# --- names and numbers ---------------------------------------------------------------------------


def called(box: Box, number: int) -> None:
    """A call ended of which only names and numbers are kept."""
    clear = {
        "uid": f"{number:032x}", "line": "desk", "start_ns": str(START_NS), "end_ns": str(START_NS),
        "recording": None, "call_id": "a@b", "legs": [{"source": "10.0.0.1:4000", "lost": 0}],
    }  # fmt: skip
    box.archive.write_call(clear, {"from": "0612345678"})
    box.archive.tick()


def test_names_and_numbers_go_at_their_day_and_the_row_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Box(made(folder)) as box:
        with box.turn:
            called(box, 1)
            assert box.archive.epoch is not None
            old = box.archive.epoch.name
            box.archive.renew_epoch()
            box.archive.tick()
            called(box, 2)
            new = box.archive.epoch.name
            opened = box.clock.wall_ns()
            box.clock.witnessed(opened + 88 * DAY_NS, "statement")
            assert metadata.plan(box.archive, 89).epochs == ()
            box.clock.witnessed(opened + 90 * DAY_NS, "statement")
            found = metadata.plan(box.archive, 89)
            assert found.epochs == (old,)  # the one that runs stays
            metadata.carry_out(box.archive, found.epochs)
            assert epoch_key(box.archive.shred, old, PAIR) is None
            assert epoch_key(box.archive.shred, new, PAIR) is not None
            rows = {row.epoch: row.clear for row in box.archive.index.calls()}
        assert rows[old]["forgotten"] and rows[old]["call_id"] is None
        assert rows[old]["legs"] == [{"source": None, "lost": 0}]
        assert rows[new]["call_id"] == "a@b"
        before, after = box.entries("key.shredded")
        assert before.data["epochs"] == [old] and before.data["reason"] == "metadata"
        assert after.data["outcome"] == "done"
    assert command("index", "rebuild", "--data", folder, "--json").code == 0
    with Archive.open(folder, WornClock()) as archive:
        assert {row.epoch: row.clear for row in archive.index.calls()} == rows
        recovery.recover(archive)
        assert metadata.plan(archive, 89).epochs != (old,)


def test_metadata_stays_no_longer_than_the_longest_purpose_of_a_call(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        with box.turn:
            tape = box.tape(0, {"quality": (0, 28)})
            box.archive.add(tape)
            tape.finish("ended")
            assert box.archive.epoch is not None
            old = box.archive.epoch.name
            ended = {
                "uid": tape.plan.uid, "result": "ok", "recording": tape.recording.hex(),
            }  # fmt: skip
            recording = tape.recording.hex()
            box.archive.learn(box.archive.log.append("call.ended", recording, ended))
            box.archive.renew_epoch()
            box.archive.tick()
            deletions = Deletions()
            for entry in verify.entries(box.folder):
                deletions.read(entry)
        for known in (box.archive.deletions, deletions):
            assert known.epochs_due(START_NS + 28 * DAY_NS - 1, 10_000) == []
            assert known.epochs_due(START_NS + 28 * DAY_NS, 10_000) == [old]


# --- cut anywhere --------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("kind", "method"), [(ShredStore, "destroy"), (Index, "rewrite_epoch")])
def test_what_a_failure_left_of_metadata_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, method: str, done: bool
) -> None:
    folder = tmp_path / "data"
    with Box(made(folder)) as box, box.turn:
        called(box, 1)
        assert box.archive.epoch is not None
        old = box.archive.epoch.name
        box.archive.renew_epoch()
        box.archive.tick()
        real = getattr(kind, method)

        def fail(self: object, *words: object) -> None:
            if done:
                real(self, *words)
            raise StorageFailed(path="-", reason="a test")

        with monkeypatch.context() as changed:
            changed.setattr(kind, method, fail)
            with pytest.raises(StorageFailed):
                metadata.carry_out(box.archive, (old,))
        assert box.archive.deletions.unfinished_epochs == (old,)
        metadata.carry_out(box.archive, metadata.plan(box.archive, 10_000).epochs)
        assert box.archive.deletions.unfinished_epochs == ()
        assert box.archive.shred.day_of(Name(METADATA, epoch_id(old))) is None


def test_an_order_that_a_dying_recorder_did_not_do_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    recorded(folder, 90, QUALITY)
    with Box(folder) as box:
        with box.turn:
            box.archive.start_writer(30, 1 << 20)
            writer = box.archive.writer
            assert writer is not None
            gate = threading.Event()
            waiter = threading.Thread(target=writer.perform, args=(gate.wait,))
            waiter.start()
            gate.set()
            waiter.join()
            box.archive.stop_writer(30)
        with pytest.raises(StorageFailed):
            writer.perform(lambda: None)
