"""What the transfer to head office asks the recorder, and what it brings back."""

import base64
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.recorder.office_scene import (
    DUTY,
    KEYS,
    ME,
    QUALITY,
    RECEIPTS,
    START_NS,
    STRANGER,
    WITNESS,
    Box,
    made,
    opens,
    signer,
)

from greffier.audit import note, receipt, segments, verify
from greffier.audit.receipt import Receipt
from greffier.clock import SECOND
from greffier.control.client import ask, fetch
from greffier.control.messages import AskStatus, Done, Failure
from greffier.control.transfer import (
    TROUBLES,
    AskEntries,
    AskLeaves,
    AskPart,
    AskWork,
    Cosigned,
    EntriesHanded,
    PartHanded,
    Receipts,
    SyncReport,
    Work,
)
from greffier.control.wire import write_request
from greffier.errors import Refused
from greffier.recorder import head_office, recovery
from greffier.recorder.archive import Archive
from greffier.seal import envelope
from greffier.seal.keys import Role
from greffier.store.index import Index
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Name
from greffier.store.vault import Vault


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(made(tmp_path / "data")) as found:
        yield found


def word(box: Box, request: object) -> tuple[str, str]:
    """Code and reason of a refusal."""
    with pytest.raises(Refused) as refused:
        box.ask(request)  # type: ignore[arg-type]
    return str(refused.value.fields["code"]), str(refused.value.fields["word"])


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def until_closed(box: Box, before: int) -> None:
    """Wait until the server has noticed that clients are gone."""
    for _ in range(2000):
        if descriptors() <= before:
            return
        box.work()
    raise AssertionError("a descriptor stays open")


# --- work ---


def test_what_is_sealed_and_not_received_is_work(box: Box) -> None:
    assert box.work().parts == ()
    part, duty = box.seal(0), box.seal(1, DUTY)
    urgent = box.seal(2, QUALITY | {"emergency_fire": (0, 59)})
    found = box.work()
    assert [one.part for one in found.parts] == [part, duty, urgent]
    assert found.waiting == 3 and not found.more
    voluntary, kept, fire = found.parts
    assert voluntary.until_ns == START_NS + 89 * 86_400 * SECOND
    assert (kept.until_ns, kept.urgent) == (0, False)
    assert (fire.until_ns, fire.urgent) == (0, True)
    assert {one.created_ns for one in found.parts} == {START_NS}
    sealed = {entry.data["part"]: entry for entry in box.entries("part.sealed")}
    for one in found.parts:
        entry = sealed[one.part]
        assert (one.seq, one.size, one.sha256) == (
            entry.seq,
            entry.data["bytes"],
            entry.data["sha256"],
        )
        assert one.recording == entry.rec
    opened = note.open_checkpoint(
        found.checkpoint.encode(), box.archive._committer._log._signer.log_key
    )
    assert opened.checkpoint.size == found.log_size
    assert found.device == box.device


def test_work_comes_in_pages_in_the_order_of_the_log(box: Box) -> None:
    parts = [box.seal(number) for number in range(7)]
    seen: list[str] = []
    after, more = 0, True
    while more:
        page = box.ask(AskWork(after, 2))
        assert isinstance(page, Work)
        assert len(page.parts) <= 2
        seen += [one.part for one in page.parts]
        after, more = page.parts[-1].seq, page.more
    assert seen == parts


def test_an_end_that_is_not_durable_is_no_work(box: Box) -> None:
    with box.turn:
        tape = box.tape()
        box.archive.add(tape)
        box.archive.tick()
        tape.finish("ended")
        box.archive.tick()  # the file is whole, its entry comes with the next commit
        assert box.work().parts == ()
        assert word(box, AskPart(tape.part.hex())) == ("refused", "no_such_part")
        box.archive.tick()
        assert [one.part for one in box.work().parts] == [tape.part.hex()]


# --- descriptors ---


def test_a_part_comes_as_a_file_that_can_only_be_read_with_head_office_s_envelope(box: Box) -> None:
    part = box.seal()
    before = descriptors()
    answer, fd = fetch(box.socket, AskPart(part))
    assert isinstance(answer, PartHanded)
    one = box.waiting(part)
    data = os.pread(fd, 1 << 20, 0)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (one.size, one.sha256)
    with pytest.raises(OSError):
        os.write(fd, b"x")
    os.close(fd)
    block = base64.b64decode(answer.envelope)
    (opened,) = box.entries("part.opened")
    assert hashlib.sha256(block).hexdigest() == opened.data["envelope"]
    assert [record.role for record in envelope.parse_block(block)] == [Role.OFFICE]
    assert len(opens(block, part)) == 32
    until_closed(box, before)


def test_the_log_comes_as_files(box: Box) -> None:
    box.seal()
    size = box.work().log_size
    answer, fd = fetch(box.socket, AskEntries(size - 1))
    assert answer == EntriesHanded(0)
    frames = list(segments.frames(os.pread(fd, 1 << 20, 0)))
    os.close(fd)
    assert len(frames) == size
    done, fd = fetch(box.socket, AskLeaves())
    assert done == Done()
    assert os.fstat(fd).st_size == 32 * size
    os.close(fd)
    assert word(box, AskEntries(size)) == ("refused", "no_such_entry")


def test_what_is_not_there_is_refused_in_words(box: Box) -> None:
    assert word(box, AskPart("0" * 32)) == ("refused", "no_such_part")
    with box.turn:
        tape = box.tape()
        box.archive.add(tape)
        box.archive.tick()
    assert word(box, AskPart(tape.part.hex())) == ("refused", "no_such_part")
    part, cut, other = box.seal(1), box.seal(2), box.seal(3)
    before = descriptors()
    with box.turn:
        box.archive.shred.destroy([Name(PART, bytes.fromhex(part))])
    assert word(box, AskPart(part)) == ("refused", "destroyed")
    path = box.archive.vault.path_of(cut)
    path.write_bytes(path.read_bytes()[:-1])
    assert word(box, AskPart(cut)) == ("refused", "altered")
    path = box.archive.vault.path_of(other)
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))
    assert word(box, AskPart(other)) == ("refused", "no_such_part")
    path.unlink()
    os.mkfifo(path)
    assert word(box, AskPart(other)) == ("refused", "no_such_part")
    path.unlink()
    assert word(box, AskPart(other)) == ("refused", "no_such_part")
    until_closed(box, before)


def test_a_client_that_goes_or_never_reads_leaks_no_descriptor(box: Box) -> None:
    part = box.seal()
    box.work()
    before = descriptors()
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(box.socket))
            client.sendall(write_request(AskPart(part)) * 3)
    hanging = socket.socket(socket.AF_UNIX)
    hanging.connect(str(box.socket))
    hanging.sendall(write_request(AskPart(part)) * 8)
    assert ask(box.socket, AskPart(part)) is not None
    hanging.close()
    until_closed(box, before)


def test_a_stalled_disk_delays_only_who_waits_for_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = box.seal()
    stalled, goes_on = threading.Event(), threading.Event()
    path_of = Vault.path_of

    def stall(self: Vault, part_id: str) -> Path:
        stalled.set()
        assert goes_on.wait(300)
        return path_of(self, part_id)

    monkeypatch.setattr(Vault, "path_of", stall)
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(box.socket))
        client.sendall(write_request(AskPart(part)))
        assert stalled.wait(120)
        # The server, the loop and its commits go on; what waits for the same disk is bounded.
        assert [one.part for one in box.work().parts] == [part]
        assert box.seal(1)
        assert box.ask(SyncReport(True, 0, 0, 0, ())) == Done()
        replies: list[object] = []
        for _ in range(20):
            reply = box.board.serve(AskPart(part), ME, 0, lambda _: None)
            replies.append(reply)
        assert replies.count(Failure("busy", "too_many_orders")) == 12
        goes_on.set()
        client.settimeout(120)
        assert client.recv(1 << 16)


def test_an_envelope_is_read_while_the_store_waits_for_its_disk(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = box.seal()
    stalled, goes_on = threading.Event(), threading.Event()
    append = ShredStore._append

    def stall(self: ShredStore, *words: object) -> None:
        stalled.set()
        assert goes_on.wait(300)
        append(self, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(ShredStore, "_append", stall)
    thread = threading.Thread(target=box.seal, args=(1,))
    thread.start()
    assert stalled.wait(120)
    _, fd = fetch(box.socket, AskPart(part))
    os.close(fd)
    goes_on.set()
    thread.join()


# --- receipts ---


def test_a_receipt_is_kept_whole_and_the_part_waits_no_more(box: Box) -> None:
    part, other = box.seal(0), box.seal(1)
    told = box.receipt(part)
    data = told.signed(RECEIPTS)
    assert box.bring(data) == ["received"]
    (entry,) = box.entries("part.received")
    assert receipt.rebuild(box.device, entry.data) == data
    assert entry.rec == box.entries("part.opened")[0].rec
    assert [one.part for one in box.work().parts] == [other]
    assert box.bring(data, data) == ["known", "known"]
    assert box.bring(data, box.receipt(other).signed(RECEIPTS)) == ["known", "received"]
    assert len(box.entries("part.received")) == 2
    assert list(box.archive.index.unsynced()) == []
    assert box.standing == set()
    assert verify.verify(box.folder).ok


def test_a_receipt_twice_in_one_request_is_one_entry(box: Box) -> None:
    data = box.receipt(box.seal()).signed(RECEIPTS)
    assert box.bring(data, data) == ["received", "known"]
    assert len(box.entries("part.received")) == 1


def test_every_reason_against_a_receipt(box: Box) -> None:
    part = box.seal()
    good = box.receipt(part)
    data = good.signed(RECEIPTS)
    forged = data.replace(b"time 1795400000", b"time 1795400001")
    wrong: list[tuple[bytes, str, bool]] = [
        (b"nonsense", "garbled", False),
        (data.replace(b"bytes ", b"bytes 0"), "garbled", False),
        (box.receipt(part, time_s=2**34).signed(RECEIPTS), "garbled", False),
        (good.signed(STRANGER), "unsigned", True),
        (good.signed(signer("ailleurs/receipt", 1)), "unsigned", True),
        (forged, "forged", True),
        (box.receipt(part, device="box-2").signed(RECEIPTS), "foreign", True),
        (box.receipt(part, part="0" * 32).signed(RECEIPTS), "unknown", False),
        (box.receipt(part, size=good.size + 1).signed(RECEIPTS), "other", True),
        (box.receipt(part, sha256="0" * 64).signed(RECEIPTS), "other", True),
        (box.receipt(part, envelope="0" * 64).signed(RECEIPTS), "other", True),
    ]
    for sent, reason, alarming in wrong:
        assert box.bring(sent) == [reason], reason
        assert ("sync.forged" in box.standing) == alarming
        box.troubles.leave()
    assert box.entries("part.received") == []
    assert [one.part for one in box.work().parts] == [part]
    # A good one among them counts all the same, and later ones of the part must be the same.
    assert box.bring(forged, data, forged) == ["forged", "received", "forged"]
    assert box.bring(Receipt(
        good.device, good.part, good.size, "0" * 64, good.envelope, 5
    ).signed(RECEIPTS)) == ["other"]  # fmt: skip


def test_a_forgery_is_not_forgotten_by_a_report_that_all_is_well(box: Box) -> None:
    assert box.bring(box.receipt(box.seal()).signed(STRANGER)) == ["unsigned"]
    for _ in range(2):
        box.ask(SyncReport(True, 0, 0, 0, ()))
        assert box.standing == {"sync.forged"}


def test_receipts_survive_a_kill_between_the_entry_and_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Box(made(tmp_path / "data")) as box:
        part, other = box.seal(0), box.seal(1)
        with monkeypatch.context() as changed:
            changed.setattr(Index, "mark_synced", lambda self, ids: None)
            assert box.bring(box.receipt(part).signed(RECEIPTS)) == ["received"]
        assert sorted(box.archive.index.unsynced()) == sorted([part, other])
    with Box(tmp_path / "data") as box:
        assert list(box.archive.index.unsynced()) == [other]
        assert [one.part for one in box.work().parts] == [other]
    (tmp_path / "data" / "index.sqlite").unlink()
    with Box(tmp_path / "data") as box:
        assert list(box.archive.index.unsynced()) == [other]


def test_an_answer_waits_for_the_disk(box: Box) -> None:
    part = box.seal()
    data = box.receipt(part).signed(RECEIPTS)
    replies: list[object] = []
    with box.turn:
        box.board.serve(Receipts((data.decode(),)), ME, 0, replies.append)
        while not box.office.step():  # until the librarian has found it
            pass
        box.office.answer()
        assert replies == []
        assert box.entries("part.received") == []
        box.archive.tick()
        box.office.answer()
        assert len(replies) == 1
        assert len(box.entries("part.received")) == 1


# --- whom it believes ---


def test_whom_it_believes_is_in_the_log_at_a_start_and_when_it_changes(tmp_path: Path) -> None:
    folder = made(tmp_path / "data")
    path = folder / "keys" / "head-office.pub"
    path.unlink()
    with Box(folder) as box:
        assert box.entries("office.trusted") == []
        data = box.receipt(box.seal()).signed(RECEIPTS)
        assert box.bring(data) == ["unsigned"]
        path.write_text(KEYS)  # it is enrolled: what is unsigned makes it look
        assert box.bring(data) == ["received"]
        (entry,) = box.entries("office.trusted")
        assert entry.data["sha256"] == hashlib.sha256(KEYS.encode()).hexdigest()
        assert entry.data["keys"] == [
            RECEIPTS.log_key.key_id.hex(),
            WITNESS.witness_key.key_id.hex(),
        ]
        path.write_text("nonsense\n")
        box.office.beat()
        while "sync.keys" not in box.standing:
            box.work()
        assert box.bring(box.receipt(box.seal(1)).signed(RECEIPTS)) == ["unsigned"]
    with Box(folder) as box:
        assert len(box.entries("office.trusted")) == 2
        assert "sync.keys" in box.standing
    path.write_text(KEYS)
    for count in (3, 3):
        with Box(folder) as box:
            box.seal(count)
            assert len(box.entries("office.trusted")) == count
            assert box.standing == set()


def test_a_key_whose_name_the_log_cannot_hold_is_not_believed(tmp_path: Path) -> None:
    folder = made(tmp_path / "data")
    odd = signer("siège/0123456789", 1)
    (folder / "keys" / "head-office.pub").write_text(odd.log_key.text + "\n")
    with Box(folder) as box:
        assert "sync.keys" in box.standing
        assert box.bring(box.receipt(box.seal()).signed(odd)) == ["unsigned"]


# --- cosigned checkpoints ---


def cosigned(box: Box, time_s: int, by: note.Signer = WITNESS) -> Cosigned:
    checkpoint, signed = box.archive.log.signed
    return Cosigned((signed + by.cosign(checkpoint, time_s)).decode())


def test_a_cosigned_checkpoint_is_kept_and_its_time_is_a_bound(box: Box) -> None:
    now_s = box.clock.wall_ns() // SECOND
    request = cosigned(box, now_s - 5)
    assert box.ask(request) == Done()
    kept = (box.folder / "audit" / "cosigned").read_text()
    assert kept == request.checkpoint
    bound = box.clock.lower_bound()
    assert bound.source == "cosignature"
    assert now_s - 5 <= bound.t_ns // SECOND <= now_s + 60
    assert box.ask(request) == Done(changed=False)
    report = verify.verify(box.folder)
    assert report.ok and report.cosigned_size == box.archive.log.cosigned.size  # type: ignore[union-attr]


def test_the_bound_survives_a_restart(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        box.ask(cosigned(box, box.clock.wall_ns() // SECOND - 5))
        box.seal()
        bound = box.entries("part.sealed")[-1].t_lb_ns
    with Box(tmp_path / "data") as box:
        found = box.clock.lower_bound()
        assert found.source == "persisted"
        assert bound <= found.t_ns <= box.clock.wall_ns()


def test_a_witness_s_time_beyond_our_own_is_believed_as_far_as_ours(box: Box) -> None:
    far_s = box.clock.wall_ns() // SECOND + 10 * 365 * 86_400
    assert box.ask(cosigned(box, far_s)) == Done()
    assert box.clock.lower_bound().t_ns <= box.clock.wall_ns()
    assert box.standing == {"clock.differs"}
    box.seal()
    assert box.ask(cosigned(box, box.clock.wall_ns() // SECOND)) == Done()
    assert box.standing == set()


def test_every_reason_against_a_cosigned_checkpoint(box: Box) -> None:
    box.seal()
    log = box.archive.log
    head, signed = log.signed
    own = log._signer
    fork = note.Checkpoint(head.origin, head.size, bytes(32))
    ahead = note.Checkpoint(head.origin, head.size + 1, head.root)
    theirs = note.Checkpoint("greffier/" + "e0" * 16, head.size, head.root)
    wrong = {
        b"nonsense": ("garbled", None),
        signed: ("unsigned", "sync.forged"),
        signed + signer("siege", 9).cosign(head, 5): ("unsigned", "sync.forged"),
        signed + WITNESS.cosign(fork, 5): ("forged", "sync.forged"),
        signer(theirs.origin, 7).sign(theirs.text) + WITNESS.cosign(theirs, 5): (
            "foreign",
            "sync.forged",
        ),
        own.sign(fork.text) + WITNESS.cosign(fork, 5): ("forked", "sync.forked"),
        own.sign(ahead.text) + WITNESS.cosign(ahead, 5): ("beyond", "sync.forked"),
    }
    for data, (reason, alarm) in wrong.items():
        assert word(box, Cosigned(data.decode())) == ("refused", reason)
        assert box.standing == ({alarm} if alarm else set())
        box.troubles.leave()
    assert log.cosigned is None


# --- reports ---


def test_a_report_sets_the_alarms_that_it_names_and_clears_the_others(box: Box) -> None:
    for named in (("sync.offline", "sync.backlog"), ("sync.backlog",), (), ("sync.new_word",)):
        assert box.ask(SyncReport(False, 1, 2, 3, named)) == Done()
        assert box.standing == ({"sync.other"} if "sync.new_word" in named else set(named))
    box.ask(SyncReport(False, 0, 0, 0, TROUBLES))
    assert box.standing == set(TROUBLES)


def test_silence_is_an_alarm_once_there_was_a_report(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_office, "SILENT_NS", 1)
    box.office.watch()
    assert box.standing == set()
    box.ask(SyncReport(True, 0, 0, 0, ()))
    while box.standing != {"sync.silent"}:
        box.work()
    monkeypatch.setattr(head_office, "SILENT_NS", 120 * SECOND)
    box.ask(SyncReport(True, 0, 0, 0, ()))
    while box.standing:
        box.work()


# --- its end ---


def test_nothing_of_an_archive_is_answered_before_it_is_recovered_or_after_its_end(
    tmp_path: Path,
) -> None:
    with Box(made(tmp_path / "data")) as box:
        part = box.seal()
        with box.turn:
            box.office.leave()
        for request in (AskWork(), AskPart(part), AskLeaves(), AskEntries(0)):
            assert word(box, request) == ("busy", "starting")
        with pytest.raises(Refused):
            box.ask(AskStatus())


def test_a_start_after_any_number_of_ticks_knows_the_same(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        parts = [box.seal(number) for number in range(4)]
        box.bring(box.receipt(parts[1]).signed(RECEIPTS))
        before = box.archive.unconfirmed.listed(0, 99, 10**9)
        totals = box.archive.unconfirmed.totals
    with Archive.open(tmp_path / "data", box.clock) as archive:
        recovery.recover(archive)
        assert archive.unconfirmed.listed(0, 99, 10**9) == before
        assert archive.unconfirmed.totals == totals
