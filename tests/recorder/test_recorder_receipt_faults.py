"""A disk that fails while head office's word is being kept: answered means durable, once."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.recorder.office_scene import ME, RECEIPTS, WITNESS, Box, made

from greffier.audit import verify
from greffier.control.messages import Done, Failure
from greffier.control.transfer import Cosigned, Receipts, Taken
from greffier.errors import StorageFailed
from greffier.recorder import head_office
from greffier.store.index import Index
from greffier_sim.faults import Fault, FaultySystem, PowerCut

MOST_CALLS = 60


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A data directory with a part that waits, and the receipt of it."""
    folder = made(tmp_path_factory.mktemp("sealed") / "data")
    with Box(folder) as box:
        part = box.seal()
        return folder, box.receipt(part).signed(RECEIPTS)


class Still(Box):
    """A box whose loop the test turns by hand."""

    def __enter__(self) -> "Still":
        return self

    def __exit__(self, *_: object) -> None:
        self.office.leave()
        self.archive.abandon()

    def turn_once(self) -> None:
        """One turn of the loop, whatever the disk does."""
        self.office.step()
        try:
            self.archive.tick()
        except StorageFailed:
            return
        self.office.answer()

    def given(self, request: Any, after: Callable[[], None] = lambda: None) -> list[object]:
        """The replies to *request*, turning until there is one; *after* runs before each look."""
        replies: list[object] = []
        assert self.board.serve(request, ME, 0, replies.append) is None
        for _ in range(10_000):
            self.turn_once()
            after()
            if replies:
                return replies
        raise AssertionError("no answer")


def test_while_too_many_answers_wait_for_a_disk_no_more_is_taken(
    tmp_path: Path, sealed: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, data = sealed
    folder = tmp_path / "data"
    shutil.copytree(source, folder)
    monkeypatch.setattr(head_office, "MOST_OWED", 3)
    replies: list[object] = []
    with Still(folder) as box:
        size = box.archive.log.accepted
        for number in range(5):
            box.board.serve(Receipts((data.decode(),)), ME, 0, replies.append)
            while len(box.office._promises) < min(number + 1, 3) or len(replies) < number - 2:
                box.office.step()  # nothing is committed meanwhile
        assert replies == [Failure("busy", "no_disk")] * 2
        assert box.archive.log.accepted == size + 1
        box.turn_once()
        assert replies[2:] == [Taken(("received",)), Taken(("known",)), Taken(("known",))]


def entries(folder: Path) -> int:
    return sum(one.ev == "part.received" for one in verify.entries(folder))


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_receipt_is_answered_when_it_is_durable_whatever_fails(
    tmp_path: Path, sealed: tuple[Path, bytes], fault: Fault
) -> None:
    source, data = sealed
    for at in range(1, MOST_CALLS):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        system = FaultySystem()
        with Still(folder, system) as box:
            system.at, system.fault = system.count + at, fault
            replies = box.given(Receipts((data.decode(),)))
            assert replies == [Taken(("received",))]
            assert entries(folder) == 1
            assert box.given(Receipts((data.decode(),))) == [Taken(("known",))]
        with Box(folder) as again:
            assert again.work().parts == ()
            assert list(again.archive.index.unsynced()) == []
            assert again.bring(data) == ["known"]
        assert entries(folder) == 1
        assert verify.verify(folder).ok
        if system.count < system.at:
            return
    raise AssertionError("more calls than were tried")


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_AFTER])
def test_a_power_cut_keeps_a_receipt_or_leaves_the_part_waiting(
    tmp_path: Path, sealed: tuple[Path, bytes], fault: Fault
) -> None:
    source, data = sealed
    seen = set()
    for at in range(1, MOST_CALLS):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        system = FaultySystem()
        box = Still(folder, system)
        system.at, system.fault = system.count + at, fault
        replies: list[object] = []
        with suppress(PowerCut):
            replies = box.given(Receipts((data.decode(),)))
        box.office.leave()
        box.archive.lock.release()
        with Box(folder) as again:
            kept = again.archive.unconfirmed.totals.received == 1
            assert kept or not replies
            assert (list(again.archive.index.unsynced()) == []) == kept
            assert again.bring(data) == (["known"] if kept else ["received"])
        assert entries(folder) == 1
        assert verify.verify(folder).ok
        seen.add(kept)
        if replies:
            assert seen == {True, False}
            return
    raise AssertionError("more calls than were tried")


@pytest.mark.parametrize("done", [False, True])
def test_an_index_that_fails_is_tried_again(
    tmp_path: Path, sealed: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    source, data = sealed
    folder = tmp_path / "data"
    shutil.copytree(source, folder)
    real, failures = Index.mark_synced, [1, 2]

    def fail(self: Index, ids: Any) -> None:
        if done:
            real(self, ids)
        if failures:
            failures.pop()
            raise StorageFailed(path="-", reason="a test")
        real(self, ids)

    with Still(folder) as box:
        monkeypatch.setattr(Index, "mark_synced", fail)
        assert box.given(Receipts((data.decode(),))) == [Taken(("received",))]
        while failures:
            box.turn_once()
        box.turn_once()
        assert list(box.archive.index.unsynced()) == []


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_cosigned_checkpoint_is_answered_when_it_is_durable_whatever_fails(
    tmp_path: Path, sealed: tuple[Path, bytes], fault: Fault
) -> None:
    source, _ = sealed
    for at in range(1, MOST_CALLS):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        system = FaultySystem()
        with Still(folder, system) as box:
            box.turn_once()
            head, signed = box.archive.log.signed
            note = signed + WITNESS.cosign(head, 1_795_400_000)
            system.at, system.fault = system.count + at, fault
            assert box.given(Cosigned(note.decode())) == [Done()]
            assert (folder / "audit" / "cosigned").read_bytes() == note
        with Box(folder) as again:
            assert again.archive.log.cosigned == head
        if system.count < system.at:
            return
    raise AssertionError("more calls than were tried")
