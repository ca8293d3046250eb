"""What is committed survives every fault; what is not was never promised; nothing is half."""

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymerkle import InmemoryTree
from tests.audit.faulty import KEPT, LOST, FaultySystem
from tests.audit.scene import SIGNER, WITNESS, log_of, new_log, open_log, signer, story

from greffier import merkle
from greffier.audit import note, segments
from greffier.audit.entry import BadEntry, Entry, decode
from greffier.audit.log import Log
from greffier.audit.verify import entries, verify
from greffier.audit.witness import BadCosigned, Cosigned
from greffier.durable import Disk
from greffier.errors import AlreadyThere, IntegrityError, StorageFailed


def say(log: Log, number: int) -> Entry:
    interval = {"from_ns": number, "to_ns": number + 1, "state": "idle"}
    return log.append("coverage", None, {"line": "l1", "channel": "l1", **interval})


def stored(folder: Path) -> list[bytes]:
    """Every whole frame in the entries files of an undamaged log."""
    return [
        entry
        for segment in segments.listed(folder)
        for _, entry in segments.frames((folder / segment.name).read_bytes())
    ]


def test_a_new_log_is_empty_and_verifies(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    assert log.checkpoint.size == 0 and log.cut is None
    assert verify(tmp_path).ok
    with pytest.raises(AlreadyThere):
        Log.create(Disk(), tmp_path / "audit", SIGNER, log._clock)


def test_what_is_not_committed_is_gone_and_leaves_no_trace(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    story(log, 2)
    log.commit()
    say(log, 1)
    log.close()
    again = open_log(tmp_path)
    assert again.cut is not None and again.cut.bytes == 0
    assert again.accepted == again.checkpoint.size == 11


def test_a_refused_entry_changes_nothing(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    with pytest.raises(BadEntry):
        log.append("coverage", None, {"line": "l1"})
    with pytest.raises(BadEntry):
        log.append("access", "no id", {"what": "export"})
    assert log.accepted == 0 and log.commit().size == 0


def test_the_log_goes_on_after_each_restart(tmp_path: Path) -> None:
    new_log(tmp_path).close()
    written = []
    for number in range(20):
        log = open_log(tmp_path)
        written.append(say(log, number))
        log.commit()
        log.close()
    assert list(entries(tmp_path)) == written
    assert [entry.seq for entry in written] == list(range(20))
    assert verify(tmp_path).ok


def test_roots_and_proofs_agree_with_pymerkle(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    oracle = InmemoryTree(algorithm="sha256")
    roots = {0: merkle.empty_root()}
    for number in range(40):
        say(log, number)
        roots[number + 1] = log.commit().root
    raw = stored(tmp_path / "audit")
    for data in raw:
        oracle.append_entry(data)
    for size in range(1, 41):
        assert oracle.get_root(size) == roots[size]
        for seq in range(size):
            leaf = merkle.leaf_hash(raw[seq])
            assert merkle.verify_inclusion(
                leaf, seq, size, log.inclusion(seq, size), roots[size]
            )  # fmt: skip
        for old in range(size + 1):
            proof = log.consistency(old, size)
            assert merkle.verify_consistency(old, size, proof, roots[old], roots[size])
    with pytest.raises(ValueError, match="fewer"):
        log.inclusion(0, 41)


def test_threads_lose_nothing_and_number_without_gaps(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    done = threading.Event()

    def append(first: int) -> None:
        for number in range(200):
            say(log, first + number)

    def commit() -> None:
        while not done.is_set():
            log.commit()

    writers = [threading.Thread(target=append, args=(first,)) for first in (0, 1000, 2000)]
    committer = threading.Thread(target=commit)
    for thread in (committer, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    committer.join()
    log.commit()
    found = list(entries(tmp_path))
    assert [entry.seq for entry in found] == list(range(600))
    assert {entry.data["from_ns"] for entry in found} == {
        first + number for first in (0, 1000, 2000) for number in range(200)
    }
    assert [entry.mono_ns for entry in found] == sorted(entry.mono_ns for entry in found)
    assert verify(tmp_path).ok


def test_a_new_file_begins_every_65536_entries(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for number in range(65_530):
        say(log, number)
    log.commit()
    for number in range(10):
        say(log, number)
    log.commit()
    log.close()
    names = [segment.name for segment in segments.listed(tmp_path / "audit")]
    assert names == ["entries-0000000000.glog", "entries-0000065536.glog"]
    assert len(stored(tmp_path / "audit")) == 65_540
    again = open_log(tmp_path)
    say(again, 1)
    assert again.commit().size == 65_541
    report = verify(tmp_path)
    assert (report.ok, report.entries, report.size) == (True, 65_541, 65_541)


@pytest.mark.parametrize("name", ["entries-0000000000.glog", "leaves"])
def test_a_tail_cut_at_any_byte_is_cut_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    """Beyond the checkpoint any prefix of the next entries may have reached the medium."""
    base = tmp_path / "base"
    log = new_log(base)
    story(log, 1)
    log.commit()
    before = (base / "audit" / name).stat().st_size
    checkpoint = (base / "audit" / "checkpoint").read_bytes()
    log.append("access", None, {"what": "export"})
    say(log, 2)
    log.commit()
    log.close()
    whole = (base / "audit" / name).read_bytes()
    (base / "audit" / "checkpoint").write_bytes(checkpoint)
    for size in range(before, len(whole) + 1, 1 if name == "leaves" else 7):
        copy = tmp_path / f"{size}"
        shutil.copytree(base, copy)
        (copy / "audit" / name).write_bytes(whole[:size])
        assert not verify(copy).ok
        again = open_log(copy)
        assert again.checkpoint.size == 7
        again.commit()
        report = verify(copy)
        assert report.ok and report.entries in (7, 8)
        shutil.rmtree(copy)


def test_the_cut_is_counted_and_logged(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    story(log, 1)
    log.commit()
    path = tmp_path / "audit" / "entries-0000000000.glog"
    whole = path.read_bytes()
    path.write_bytes(whole + segments.frame(b"never promised") + b"torn")
    log.close()
    again = open_log(tmp_path)
    assert again.cut is not None
    assert (again.cut.entries, again.cut.bytes) == (1, 26)
    again.commit()
    assert list(entries(tmp_path))[-1].ev == "log.recovered"


def damages(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(file, altered content) for every file: each byte class, each removal."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for at in range(0, len(data), 1 + len(data) // 25):
            yield path.name, data[:at] + bytes([data[at] ^ 0x04]) + data[at + 1 :]
            yield path.name, data[:at]
            yield path.name, data[:at] + data[at + 1 :]


def test_damage_inside_the_checkpoint_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    log_of(tmp_path / "base", 30)
    for number, (name, data) in enumerate(damages(tmp_path / "base" / "audit")):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "base", copy)
        (copy / "audit" / name).write_bytes(data)
        before = {path.name: path.read_bytes() for path in (copy / "audit").iterdir()}
        with pytest.raises(IntegrityError):
            open_log(copy)
        assert before == {path.name: path.read_bytes() for path in (copy / "audit").iterdir()}
        shutil.rmtree(copy)


@pytest.mark.parametrize("name", ["entries-0000000000.glog", "leaves", "checkpoint"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    log_of(tmp_path, 10)
    (tmp_path / "audit" / name).unlink()
    with pytest.raises(IntegrityError):
        open_log(tmp_path)
    assert not verify(tmp_path).ok


def test_an_older_disk_than_the_witness_saw_is_refused(tmp_path: Path) -> None:
    log = new_log(tmp_path / "now")
    story(log, 1)
    log.commit()
    shutil.copytree(tmp_path / "now", tmp_path / "old")
    say(log, 1)
    head = log.commit()
    assert log.keep(cosigned_of(log, head))
    trust = [SIGNER.log_key, WITNESS.witness_key]
    assert verify(tmp_path / "now", trust).cosigned_size == 8
    say(log, 2)
    log.commit()
    report = verify(tmp_path / "now", trust)
    assert (report.ok, report.size, report.cosigned_size) == (True, 9, 8)
    cosigned = (tmp_path / "now" / "audit" / "cosigned").read_bytes()
    (tmp_path / "old" / "audit" / "cosigned").write_bytes(cosigned)
    with pytest.raises(IntegrityError):
        open_log(tmp_path / "old")
    assert "rewound" in {one.code for one in verify(tmp_path / "old", trust).problems}


def test_a_cosigned_checkpoint_must_be_ours_and_cosigned(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    story(log, 1)
    head = log.commit()
    fork = note.Checkpoint(head.origin, head.size, bytes(32))
    ahead = note.Checkpoint(head.origin, head.size + 1, head.root)
    theirs = note.Checkpoint("greffier/" + "e0" * 16, head.size, head.root)
    good = SIGNER.sign(head.text) + WITNESS.cosign(head, 5)
    wrong = {
        "garbled": [b"", good + b"x", b"\n" * 5000],
        "unsigned": [
            SIGNER.sign(head.text),
            head.text.encode() + b"\n" + WITNESS.cosign(head, 5),
            SIGNER.sign(head.text) + signer("office.example", bytes(32)).cosign(head, 5),
        ],
        "forged": [SIGNER.sign(head.text) + WITNESS.cosign(fork, 5)],
        "foreign": [signer(theirs.origin, bytes(32)).sign(theirs.text) + WITNESS.cosign(theirs, 5)],
        "forked": [SIGNER.sign(fork.text) + WITNESS.cosign(fork, 5)],
        "beyond": [SIGNER.sign(ahead.text) + WITNESS.cosign(ahead, 5)],
    }
    for code, notes in wrong.items():
        for data in notes:
            with pytest.raises(BadCosigned) as refused:
                log.believed(data, [WITNESS.witness_key])
            assert refused.value.code == code
    assert log.cosigned is None


def test_of_cosigned_checkpoints_the_newest_is_kept_and_known_after_a_start(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    heads = []
    for number in range(6):
        say(log, number)
        heads.append(log.commit())
    assert log.keep(cosigned_of(log, heads[2]))
    assert not log.keep(cosigned_of(log, heads[1]))
    assert not log.keep(cosigned_of(log, heads[2]))
    log.close()
    log = open_log(tmp_path)
    assert log.cosigned == heads[2]
    # Of this run it knows one root only; the others are computed, forwards and backwards.
    for head in (heads[4], heads[3], heads[5], heads[0]):
        assert cosigned_of(log, head).checkpoint == head
        fork = note.Checkpoint(head.origin, head.size, bytes(32))
        with pytest.raises(BadCosigned) as refused:
            cosigned_of(log, fork)
        assert refused.value.code == "forked"
    assert log.keep(cosigned_of(log, heads[5]))
    assert log.signed[1] == (tmp_path / "audit" / "checkpoint").read_bytes()
    log.close()


def test_every_fault_while_a_cosigned_checkpoint_is_kept_leaves_the_old_or_the_new(
    tmp_path: Path,
) -> None:
    for mode in (LOST, KEPT):
        for number in range(1, 6):
            folder = tmp_path / f"{number}{mode}"
            system = FaultySystem()
            log = new_log(folder, Disk(system))
            say(log, 0)
            first = log.commit()
            assert log.keep(cosigned_of(log, first))
            say(log, 1)
            second = log.commit()
            believed = cosigned_of(log, second)
            system.arm(number, mode)
            try:
                log.keep(believed)
            except StorageFailed:
                assert log.cosigned == first
                system.disarm()
                assert log.keep(believed)
            assert log.cosigned == second
            log.close()
            assert open_log(folder).cosigned == second


def cosigned_of(log: Log, head: note.Checkpoint) -> Cosigned:
    data = SIGNER.sign(head.text) + WITNESS.cosign(head, 5)
    return log.believed(data, [WITNESS.witness_key])


class Rig:
    """A log on a faulty disk, and the promises that it has made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.system = FaultySystem()
        self.data = root / "data"
        self.log = new_log(self.data, Disk(self.system))
        self.accepted: list[Entry] = []
        self.promised = 0
        self.cuts = 0

    def append(self, count: int) -> None:
        for _ in range(count):
            self.accepted.append(say(self.log, len(self.accepted)))

    def commit(self) -> bool:
        try:
            self.log.commit()
        except StorageFailed:
            return False
        self.promised = len(self.accepted)
        return True

    def after_a_power_cut(self) -> Path:
        """What survives must be a log that opens, and holds at least what was promised."""
        self.cuts += 1
        copy = self.root / f"cut{self.cuts}"
        self.system.cut_power(copy / "audit")
        shutil.copytree(self.data / "keys", copy / "keys")
        again = open_log(copy)
        again.commit()
        again.close()
        report = verify(copy)
        assert report.ok, report.problems
        kept = [entry for entry in entries(copy) if entry.ev == "coverage"]
        assert len(kept) >= self.promised
        assert kept == self.accepted[: len(kept)]
        return copy


@pytest.mark.parametrize("mode", [LOST, KEPT])
def test_every_fault_of_a_commit_leaves_a_whole_log(tmp_path: Path, mode: str) -> None:
    """The n-th system call fails, for every n until none is left; then the power is cut."""
    for at in range(1, 100):
        rig = Rig(tmp_path / str(at))
        rig.append(5)
        assert rig.commit()
        rig.append(3)
        rig.system.arm(at, mode)
        rig.commit()
        rig.system.disarm()
        shutil.rmtree(rig.after_a_power_cut())
        rig.append(2)
        assert rig.commit() or rig.commit()
        rig.after_a_power_cut()
        report = verify(rig.data)
        assert report.ok, report.problems
        assert [entry.data for entry in entries(rig.data) if entry.ev == "coverage"] == [
            entry.data for entry in rig.accepted
        ]
        if not rig.system.hit:
            assert at > 10
            return
        shutil.rmtree(rig.root)
    raise AssertionError("the commit never ends")


@pytest.mark.parametrize("seed", range(25))
def test_a_failing_disk_never_breaks_a_promise(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT", 6)
    draw = random.Random(seed)
    rig = Rig(tmp_path)
    for _ in range(25):
        rig.append(draw.randint(0, 4))
        rig.system.arm(draw.randint(1, 16), draw.choice([LOST, KEPT]))
        rig.commit()
        if draw.random() < 0.3:
            shutil.rmtree(rig.after_a_power_cut())
    rig.system.disarm()
    rig.append(1)
    assert rig.commit()
    rig.log.close()
    assert verify(rig.data).ok
    again = open_log(rig.data)
    say(again, 0)
    again.commit()
    assert verify(rig.data).ok


def test_an_abandoned_file_is_named_in_the_log(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.append(2)
    assert rig.commit()
    rig.append(2)
    rig.system.arm(3, LOST)  # the entries file is written out
    assert not rig.commit()
    rig.system.disarm()
    assert rig.commit()
    last = list(entries(rig.data))[-1]
    assert last.ev == "log.file_abandoned"
    assert last.data["file"] == "entries-0000000000.glog"
    names = [segment.name for segment in segments.listed(rig.data / "audit")]
    assert names == ["entries-0000000000.glog", "entries-0000000002.glog"]
    assert verify(rig.data).ok
    path = rig.data / "audit" / "entries-0000000000.glog"
    assert decode(segments.frame_at(path.read_bytes(), last.data["bytes"])).seq == 2
    path.write_bytes(path.read_bytes()[: last.data["bytes"] - 1])
    assert not verify(rig.data).ok
