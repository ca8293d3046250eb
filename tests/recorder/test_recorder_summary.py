"""A start by a summary comes to the same as one that reads everything, whatever became of it."""

import json
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.recorder.office_scene import KEYS, RECEIPTS
from tests.stories.box import PAIR

from greffier.audit import receipt
from greffier.audit.receipt import Receipt
from greffier.audit.verify import verify
from greffier.clock import SystemClock
from greffier.durable import Disk, LinuxSystem
from greffier.errors import IntegrityError
from greffier.recorder import archive as archives
from greffier.recorder import recovery, summary
from greffier.recorder.archive import Archive
from greffier.recorder.numbers import journal_name
from greffier.recorder.recovery import Recovered
from greffier.recorder.settled import Settled
from greffier.recorder.tape import PartPlan, Tape
from greffier.store import layout
from greffier_sim.faults import Fault, FaultySystem, PowerCut

EVERY = 12
"""Entries after which a summary is due here."""
NOW = 1_800_000_000 * 10**9


@dataclass
class Run:
    """One run of a recorder that does what it is told; *step* is one word of :data:`STEPS`."""

    folder: Path
    system: LinuxSystem = field(default_factory=LinuxSystem)

    def __post_init__(self) -> None:
        self.archive = opened(self.folder, self.system)
        found = recovery.recover(self.archive)
        self.archive.open_epoch()
        self.archive.log.append("recorder.started", None, {"version": "0.1.0"})
        recovery.list_open(self.archive, [one for one in found.calls if one.ended is None])
        recovery.list_cut(self.archive, [one for one in found.calls if one.ended is not None])
        self.archive.tick()
        self.device = self.archive.data.identity.device
        self.numbers = dict(found.numbers)
        self.running = [one.uid for one in found.calls if one.ended is None]
        self.tapes: dict[str, Tape] = {}
        self.sealed: list[str] = []

    def step(self, word: str, choice: int) -> None:
        if word == "call":
            self.call(("desk", "accueil")[choice % 2])
        elif word == "tick":
            self.archive.tick()
        elif word == "day":
            self.archive.renew_epoch()
        elif word == "beat":
            self.cover("trunk", "trunk")
        elif word == "receive":
            self.receive()
        elif word == "shred":
            self.shred()
        elif self.running:
            getattr(self, word)(self.running[choice % len(self.running)])

    def call(self, line: str) -> None:
        self.numbers[line] = self.numbers.get(line, 0) + 1
        uid = f"{self.device}/{line}/{self.numbers[line]:010d}"
        data = {
            "uid": uid, "line": line, "record": "full", "codes": ["SAMPLED_IN"],
            "call": secrets.token_hex(32), "u": 5, "waits_ns": 7,
        }  # fmt: skip
        self.archive.log.append("call.decided", None, data)
        self.running.append(uid)
        self.tell(uid, {"end_ns": None, "end": "running"})

    def tell(self, uid: str, more: dict[str, Any]) -> None:
        clear = {
            "uid": journal_name(uid), "number": uid, "line": uid.split("/")[1],
            "start_ns": str(NOW), "recording": None, **more,
        }  # fmt: skip
        self.archive.write_call(clear, {"from": "+33123456789"})

    def link(self, uid: str) -> None:
        data = {"uid": uid, "flow": secrets.token_hex(32), "offer": len(self.sealed) % 2 == 0}
        self.archive.log.append("call.linked", None, data)

    def pause(self, uid: str) -> None:
        data = {"uid": uid, "at_ns": NOW, "from_ns": NOW, "source": "api"}
        self.archive.log.append("call.paused", None, data)

    def unpause(self, uid: str) -> None:
        self.pause(uid)
        self.archive.log.append("call.unpaused", None, {"uid": uid, "at_ns": NOW, "source": "api"})

    def settle(self, uid: str) -> None:
        self.cover(uid.split("/")[1], uid)

    def cover(self, line: str, channel: str) -> None:
        at = NOW + self.archive.log.accepted
        data = {"line": line, "channel": channel, "from_ns": at, "to_ns": at + 1, "state": "idle"}
        self.archive.log.append("coverage", None, data)

    def open(self, uid: str) -> None:
        if uid in self.tapes:
            return
        epoch = self.archive.epoch
        assert epoch is not None
        plan = PartPlan(
            self.device, uid.split("/")[1], uid, epoch.name, secrets.token_bytes(16), 0, None,
            {"quality": (0, 89)}, "original", NOW, NOW, False, "C",
        )  # fmt: skip
        self.tapes[uid] = Tape(plan, self.archive.recipients, {})
        self.archive.add(self.tapes[uid])

    def seal(self, uid: str) -> None:
        tape = self.tapes.pop(uid, None)
        if tape is not None:
            tape.finish("bye")
            self.sealed.append(tape.part.hex())

    def end(self, uid: str) -> None:
        self.seal(uid)
        self.archive.log.append("call.ended", None, {"uid": uid, "result": "ok"})
        self.tell(uid, {"end_ns": str(NOW + 1), "end": "bye"})
        self.settle(uid)
        self.running.remove(uid)

    def cut(self, uid: str) -> None:
        """Its end is in the log, and the record is never written."""
        self.archive.log.append("call.ended", None, {"uid": uid, "result": "ok"})
        self.running.remove(uid)

    def receive(self) -> None:
        self.archive.tick()
        self.archive.tick()
        found = self.archive.unconfirmed.listed(-1, 1, self.archive.log.checkpoint.size)[0]
        for one in found:
            told = Receipt(self.device, one.part, one.size, one.sha256, one.envelope, 1)
            self.archive.receive(receipt.read(told.signed(RECEIPTS), [RECEIPTS.log_key]))

    def shred(self) -> None:
        if self.sealed:
            self.archive.shred_logged([self.sealed.pop(0)], "due", "C")

    def let_go(self) -> None:
        """As a kill does."""
        for tape in self.tapes.values():
            tape.abandon()
        self.archive.abandon()


STEPS = (
    "call", "tick", "day", "beat", "receive", "shred",
    "link", "pause", "unpause", "settle", "open", "seal", "end", "cut",
)  # fmt: skip


def opened(folder: Path, system: LinuxSystem | None = None) -> Archive:
    archive = Archive(layout.open(folder), SystemClock(), Disk(system or LinuxSystem()))
    archive.summary_every = EVERY
    return archive


def made(folder: Path) -> Path:
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    (folder / "keys" / "head-office.pub").write_text(KEYS)
    return folder


def after_a_kill(folder: Path, *, without: bool) -> Path:
    """A copy of *folder*, with no summary if *without*."""
    target = Path(tempfile.mkdtemp(dir=folder.parent)) / "box"
    shutil.copytree(folder, target)
    if without:
        shutil.rmtree(target / "summary", ignore_errors=True)
    return target


def state_of(folder: Path) -> tuple[dict[str, Any], bool]:
    """All that a start knows, and whether it went by a summary."""
    archive = opened(folder)
    by_summary = archive.past is not None
    found: Recovered = recovery.recover(archive)
    archive.log.commit()
    assert archive.picture is not None
    sections = archive.picture.dump()
    state = {
        "found": found,
        "picture": sections,
        "unconfirmed": archive.unconfirmed.dump(),
        "totals": archive.unconfirmed.totals,
        "calls": archive.index.calls(),
        "parts": archive.index.parts(),
        "accepted": archive.log.accepted,
        "cut": archive.log.cut,
    }
    archive.abandon()
    shutil.rmtree(folder.parent)
    return state, by_summary


def same(folder: Path, ruin: Callable[[Path], object] = lambda _box: None) -> bool:
    """Whether a start went by a summary; it must come to what one without it comes to.

    *ruin* is done to the box before.
    """
    short = after_a_kill(folder, without=False)
    ruin(short)
    whole, by_summary = state_of(after_a_kill(folder, without=True))
    assert not by_summary
    quick, by_summary = state_of(short)
    for told in (whole, quick):  # salts and times of the entries that the two starts wrote
        told["picture"] = timeless(told["picture"])
    assert quick == whole
    return by_summary


def timeless(sections: dict[str, bytes]) -> dict[str, Any]:
    story = json.loads(sections["story"])
    for name in ("last_ns", "bound_ns"):
        del story[name]
    story["parts"] = sorted(story["parts"].items())
    return {**sections, "story": story}


def busy(folder: Path, steps: int = 60) -> Path:
    """A box that ran for a while, and was killed."""
    run = Run(made(folder))
    words = ("call", "open", "link", "tick", "settle", "seal", "tick", "beat", "receive", "end")
    for number in range(steps):
        run.step(words[number % len(words)], number)
    run.archive.tick()
    run.let_go()
    return folder


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), max_size=50),
        min_size=1,
        max_size=3,
    )
)
@example([[(word, 0) for word in ("call", "open", "tick", "seal", "tick", "receive") * 6]])
def test_the_same_comes_out_of_a_summary_and_of_everything(
    runs: list[list[tuple[str, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = made(Path(name) / "box")
        for steps in runs:
            run = Run(folder)
            for word, choice in steps:
                run.step(word, choice)
            run.let_go()
            went = same(folder)
            assert went or not len(list((folder / "summary").glob("*"))) > 1


def test_a_start_goes_by_the_summary_and_the_log_names_it(tmp_path: Path) -> None:
    folder = busy(tmp_path / "box")
    assert same(folder)
    assert verify(folder).ok
    assert 1 <= len(list((folder / "summary").iterdir())) <= 2


VECTORS = Path(__file__).parents[1] / "vectors" / "store" / "summary.json"


@pytest.mark.parametrize(
    "vector", json.loads(VECTORS.read_text()), ids=lambda vector: str(vector["name"])
)
def test_the_vectors_are_read_as_the_format_says(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["data"])
    if "refused" in vector:
        with pytest.raises(summary.BadSummary) as refused:
            summary.decode(data)
        assert refused.value.offset == vector["refused"]
        return
    found = summary.decode(data)
    told, known = vector["known"], found.known
    assert (known.size, known.open, known.offset) == (told["size"], told["open"], told["offset"])
    assert [peak.hex() for peak in known.peaks] == told["peaks"]
    assert known.closed == told["closed"] and list(found.sections) == vector["sections"]


def latest(folder: Path) -> Path:
    return max((folder / "summary").iterdir(), key=lambda path: int(path.stem))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("at", [0, 9, 11, 40, 300, -40, -1])
def test_a_flipped_bit_in_it_changes_nothing(tmp_path: Path, at: int) -> None:
    folder = busy(tmp_path / "box")
    same(folder, lambda box: flip(latest(box), at))
    for path in sorted((folder / "summary").iterdir()):
        flip(path, at)
    assert not same(folder)


def test_one_that_is_cut_or_empty_changes_nothing(tmp_path: Path) -> None:
    folder = busy(tmp_path / "box")
    for size in (0, 5, 11, 200, -1):

        def ruin(box: Path, size: int = size) -> None:
            for path in (box / "summary").iterdir():
                path.write_bytes(path.read_bytes()[:size])

        assert not same(folder, ruin)


def test_one_that_no_entry_names_changes_nothing(tmp_path: Path) -> None:
    folder = busy(tmp_path / "box")

    def invent(box: Path) -> None:
        path = latest(box)
        found = summary.decode(path.read_bytes())
        story = found.sections["story"].replace(b'"running":true', b'"running":false')
        path.write_bytes(summary.encode(found.known, {**found.sections, "story": story}))

    same(folder, invent)
    for path in sorted((folder / "summary").iterdir())[:-1]:
        path.unlink()
    assert not same(folder, invent)


def test_one_of_another_box_changes_nothing(tmp_path: Path) -> None:
    folder, other = busy(tmp_path / "box"), busy(tmp_path / "other")

    def swap(box: Path) -> None:
        shutil.rmtree(box / "summary")
        shutil.copytree(other / "summary", box / "summary")

    assert not same(folder, swap)


def test_what_it_left_out_is_read_when_a_closed_file_changed_its_length(tmp_path: Path) -> None:
    folder = busy(tmp_path / "box")
    run = Run(folder)  # another epoch: the file of the first is closed
    for word in ("call", "tick", "end", "tick") * 8:
        run.step(word, 0)
    run.let_go()
    assert same(folder)
    first = min(folder.glob("vault/calls/*.gcalls"), key=lambda path: path.stat().st_mtime_ns)
    with first.open("ab") as file:
        file.write(b"torn")
    state, by_summary = state_of(after_a_kill(folder, without=False))
    assert by_summary and state["found"].journals == 1


def test_a_log_that_was_cut_short_is_refused_as_without_it(tmp_path: Path) -> None:
    folder = busy(tmp_path / "box")
    entries = folder / "audit" / "entries-0000000000.glog"
    entries.write_bytes(entries.read_bytes()[:-100])
    for without in (True, False):
        with pytest.raises(IntegrityError):
            opened(after_a_kill(folder, without=without))


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.SHORT, Fault.CUT, Fault.CUT_AFTER])
def test_whatever_call_fails_while_it_is_written(tmp_path: Path, fault: Fault) -> None:
    base = busy(tmp_path / "base", 30)
    at = 0
    while True:
        at += 1
        folder = Path(shutil.copytree(base, tmp_path / str(at)))
        system = Counted(folder, at, fault)
        run = Run(folder, system)
        try:
            for number in range(12):
                run.step(("call", "tick", "end", "tick")[number % 4], 0)
            run.archive.tick()
        except PowerCut:
            pass
        system.off = False
        run.let_go()
        same(folder)
        if system.seen < at:
            break
    assert at > 3


class Counted(FaultySystem):
    """Of the calls that touch the summaries, the *nth* fails."""

    def __init__(self, folder: Path, nth: int, fault: Fault) -> None:
        super().__init__(fault=fault)
        self._folder = str(folder / "summary")
        self._nth = nth
        self._ours: set[int] = set()
        self.seen = 0

    def _aim(self, ours: bool) -> None:
        self.seen += ours
        self.at = self.count + 1 if ours and self.seen == self._nth else 0

    def open(self, path: str, flags: int, mode: int) -> int:
        self._aim(path.startswith(self._folder))
        fd = super().open(path, flags, mode)
        if path.startswith(self._folder):
            self._ours.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self._ours.discard(fd)
        super().close(fd)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        self._aim(fd in self._ours)
        return super().write(fd, data, offset)

    def fsync(self, fd: int) -> None:
        self._aim(fd in self._ours)
        super().fsync(fd)

    def rename(self, source: str, target: str) -> None:
        self._aim(target.startswith(self._folder))
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self._aim(path.startswith(self._folder))
        super().unlink(path)


def test_the_table_of_parts_is_what_a_mapping_would_be() -> None:
    table, plain = Settled(), {}
    for number in range(500):
        key, value = secrets.randbelow(97) << 40, secrets.randbelow(3)
        table.set(key, value)
        plain[key] = value
        if number % 61 == 0:
            table = Settled.load(table.dump())
        if number % 83 == 0:
            other = table.copy()
            other.merge()
            table.share(other)
    assert {key: table.get(key) for key in plain} == plain
    assert table.get(1) is None
