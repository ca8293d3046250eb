"""A running recorder that is asked as fast as can be by its transfer, killed, and believed."""

import hashlib
import os
import threading
from pathlib import Path

import pytest
from tests.recorder.office_scene import KEYS, RECEIPTS, STRANGER, WITNESS
from tests.stories.live import Box, wire
from tests.stories.test_story_live import captures_of, check_whole, listed

from greffier.audit import note, verify
from greffier.audit.receipt import Receipt
from greffier.control.client import ask, fetch
from greffier.control.transfer import (
    AskEntries,
    AskLeaves,
    AskPart,
    AskWork,
    Cosigned,
    PartHanded,
    Receipts,
    Sealed,
    Taken,
    Work,
)
from greffier.errors import GreffierError


class Asker:
    """Asks all there is to ask, again and again, in a thread; it never gives a receipt."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.parts: dict[str, str] = {}
        self.asked = 0

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._ask()
            except GreffierError:  # killed, stopping, or busy: ask again
                continue

    def _ask(self) -> None:
        work = ask(self._socket, AskWork(0, 256))
        assert isinstance(work, Work)
        for one in work.parts:
            self.parts[one.part] = self._digest(one)
        for request in (AskEntries(max(work.log_size - 1, 0)), AskLeaves()):
            os.close(fetch(self._socket, request)[1])
        self.asked += 1

    def _digest(self, one: Sealed) -> str:
        answer, fd = fetch(self._socket, AskPart(one.part))
        assert isinstance(answer, PartHanded) and answer.envelope
        with os.fdopen(fd, "rb") as file:
            data = file.read()
        assert hashlib.sha256(data).hexdigest() == one.sha256
        return one.sha256


def receipts_of(box: Box, work: Work) -> list[bytes]:
    """Head office's receipts of all that waits: it keeps a copy of the log."""
    envelopes = {
        entry.data["part"]: entry.data["envelope"]
        for entry in verify.entries(box.data)
        if entry.ev == "part.opened"
    }
    return [
        Receipt(
            work.device, one.part, one.size, one.sha256, envelopes[one.part], 1_795_400_000
        ).signed(RECEIPTS)
        for one in work.parts
    ]


def bring(box: Box, *receipts: bytes) -> list[str]:
    taken = ask(box.socket, Receipts(tuple(one.decode() for one in receipts)))
    assert isinstance(taken, Taken)
    return list(taken.results)


@pytest.mark.story
def test_it_records_while_it_is_asked_and_keeps_what_it_was_told_over_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wire() as namespace, Box(tmp_path, namespace, "paris-desk.toml", "desk") as box:
        (box.data / "keys" / "head-office.pub").write_text(KEYS)
        box.start()
        with Asker(box.socket) as asker:
            (capture,) = captures_of(tmp_path, 4, 2000)
            assert box.replay(capture).wait(timeout=300) == 0
            box.wait_for(lambda status: status.office.waiting == 4 and not status.committed)
            work = ask(box.socket, AskWork())
            assert isinstance(work, Work) and len(work.parts) == 4
            good = receipts_of(box, work)
            forged = Receipt(work.device, work.parts[0].part, 1, "0" * 64, "0" * 64, 5)
            assert bring(box, forged.signed(STRANGER), good[0], good[1]) == [
                "unsigned",
                "received",
                "received",
            ]
            signed = work.checkpoint.encode()
            head = note.parse_checkpoint(note.parse(signed).text)
            ask(box.socket, Cosigned((signed + WITNESS.cosign(head, 1_795_400_000)).decode()))
            assert asker.asked > 0
            box.kill()
            box.start()
            status = box.wait_for(lambda status: status.armed)
            assert (status.office.waiting, status.office.received) == (2, 2)
            assert status.office.cosigned_size == work.log_size
            assert bring(box, *good) == ["known", "known", "received", "received"]
            assert set(asker.parts) >= {one.part for one in work.parts}
        box.stop()
    calls = listed(box, capsys)
    assert [part["synced"] for call in calls for part in call["parts"]] == [True] * 4  # type: ignore[attr-defined]
    for call in calls:
        accounted = call["accounted"]
        assert isinstance(accounted, dict)
        assert accounted["received"] == accounted["recorded"] == 200
    check_whole(box)
    assert len([one for one in verify.entries(box.data) if one.ev == "part.received"]) == 4
    assert verify.verify(box.data).cosigned_size == work.log_size
