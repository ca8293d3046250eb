"""The power goes after every single write of a purge: what it destroys is all there or all gone.

Purges of voluntary parts and of parts under a duty run on a real ext4 whose writes are on record.
Then, for each write of them, disks are made as a cut right after it may leave them: all writes so
far in order, and random shares of those since the last flush, reordered and torn. Where the key
lies in a TPM, its state is that of the same instant; a cut in the middle of a write into it is
tried with both. On each disk the archive starts. Of every commit, all entries of the shred store
are there, or none; no later commit is done where an earlier one is not; what was said to be gone is
gone, what was never to go is there. Then the purge goes on by itself, and files, index, shred store
and log tell one story.
"""

import argparse
import json
import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from greffier.audit import verify
from greffier.cli.audit import held_keys
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.purge import Verdict
from greffier.store import layout, shred, shred_format
from greffier.store.shred_format import PART
from greffier.trust import tpm as tpm_room
from greffier_sim import block_disk
from greffier_sim.block_disk import NOTE, WRITE, BlockDisk, Operation
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.filled_disk import BOX, TPM, FilledDisk, memory
from greffier_sim.many_calls import DUTY, VOLUNTARY, ManyCalls, plans
from greffier_sim.power_check import START_ERRORS
from greffier_sim.power_cuts import Shown, survivors
from greffier_sim.sickdisk import Unable
from greffier_sim.soak_missing import Missing

_PREFIX: Final = "greffier-purge-"
_PARTS: Final = 40
_MUTANT: Final = "mutant"


@dataclass
class Story:
    """The record of some purges. *batches* are the parts of each commit, in order, *others* stay;
    *chips* is the state of the TPM before the first write into it and after each."""

    image: bytes = b""
    operations: list[Operation] = field(default_factory=list)
    batches: list[frozenset[str]] = field(default_factory=list)
    others: frozenset[str] = frozenset()
    chips: list[bytes] = field(default_factory=list)


@dataclass
class Figures:
    """What the cuts showed. *old* and *new*: commits that were not done, and that were."""

    writes: int = 0
    cuts: int = 0
    commits: int = 0
    old: int = 0
    new: int = 0
    resumed: int = 0
    halves: int = 0
    failed_starts: int = 0
    other_faults: int = 0
    first: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--shuffled", type=int, default=3, help="random disks for each write")
    parser.add_argument("--every", type=int, default=1, help="only after every such write")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run both; the figures."""
    began = time.monotonic()
    found: dict[str, Figures] = {}
    try:
        block_disk.own_mounts()
        for letter in ("A", "C", _MUTANT):
            kind = _hasty() if letter == _MUTANT else nullcontext()
            with kind, tempfile.TemporaryDirectory(prefix=_PREFIX, dir=memory()) as name:
                found[letter] = cut_all(Path(name), words, letter)
            say(f"{letter}: {found[letter].cuts} cuts; {found[letter].first or 'nothing wrong'}")
    except Unable as error:
        raise Missing(str(error)) from error
    caught = bool(found.pop(_MUTANT).first)
    good = caught and all(
        one.cuts and one.old and one.new and not one.halves + one.failed_starts + one.other_faults
        for one in found.values()
    )
    spent = round(time.monotonic() - began, 1)
    told = {letter: vars(one) for letter, one in found.items()}
    return {**told, "mutants": 1, "mutants_caught": int(caught), "seconds": spent, "ok": good}


def cut_all(folder: Path, words: argparse.Namespace, kind: str) -> Figures:
    """Record the purges of one box, and cut them after each write; a mutant's to its first fault.

    *kind* is the class of the box, or that it is the mutant.
    """
    tpm = kind == "A"
    program = block_disk.build(folder)
    with FilledDisk(folder, program, _PARTS, tpm=tpm) as disk:
        story = record(disk)
    image = folder / "base.img"
    image.write_bytes(story.image)
    figures = Figures(commits=len(story.batches))
    figures.writes = sum(one.kind == WRITE for one in story.operations)
    draw = random.Random(f"purge {tpm}")
    chip = EmulatedTpm(folder / "again") if tpm else None
    with BlockDisk(program, image, None) as disk:
        shown = Shown(image, story.operations, disk)
        try:
            for at in range(1, len(story.operations) + 1):
                wanted = _is_write(story.operations[at - 1])
                if kind == _MUTANT and figures.first:
                    break
                if wanted and sum(map(_is_write, story.operations[:at])) % words.every == 0:
                    _cut(shown, at, story, chip, words.shuffled, draw, figures)
        finally:
            shown.close()
            if chip is not None:
                chip.stop()
    return figures


@contextmanager
def _hasty() -> Iterator[None]:
    """A shred store that puts its new key in place before the root that it opens is durable."""
    real = shred.ShredStore._write_root

    def write_root(self: Any, root: Any, files: dict[Path, bytes]) -> None:
        key = secrets.token_bytes(32)
        self._effaceable.replace(key)
        slot = shred_format.seal_root(root, key, secrets.token_bytes(32))
        for folder in self._folders:
            files[folder / f"root.{root.generation % 2}"] = slot
        self._disk.write_files(files)
        self._stale, self._root = False, root

    vars(shred)["ShredStore"]._write_root = write_root
    try:
        yield
    finally:
        vars(shred)["ShredStore"]._write_root = real


def record(disk: FilledDisk) -> Story:
    """Fill the box, and purge parts of it in three turns."""
    story = Story()
    with ManyCalls(disk.data) as box:
        for day in (0, 1):
            box.record(plans(VOLUNTARY, day, 12))
        box.record(plans(DUTY, 1, 5))
    story.image = disk.forget()
    with ManyCalls(disk.data) as box, _chip_on_record(disk, story):
        rows = box.rows(VOLUNTARY, (0, 1))
        due = box.rows(DUTY, (1,))
        everything = {row.part_id for row in rows + due}
        for turn in ([*rows[:4], *rows[14:17]], [*due[:3], *rows[5:8]], rows[8:12]):
            _say(disk, going=[row.part_id for row in turn])
            purge.carry_out(box.archive, [Verdict(row, DELETE_SPACE) for row in turn])
            _say(disk, gone=[row.part_id for row in turn])
        story.operations = disk.record
        story.batches = [
            frozenset(entry.data["parts"])
            for entry in verify.entries(disk.data)
            if entry.ev == "key.shredded" and "outcome" not in entry.data
        ]
    story.others = frozenset(everything.difference(*story.batches))
    return story


def _say(disk: FilledDisk, **said: Any) -> None:
    disk.note(json.dumps(said).encode())


@contextmanager
def _chip_on_record(disk: FilledDisk, story: Story) -> Iterator[None]:
    """Note every write into the TPM before and after, and keep its state."""
    real = tpm_room.TpmRoot._put

    def put(self: Any, *words: Any) -> None:
        _say(disk, chip="writes")
        real(self, *words)
        story.chips.append(disk.chip)
        _say(disk, chip="wrote")

    if disk.tpm is None:
        yield
        return
    story.chips.append(disk.chip)
    vars(tpm_room)["TpmRoot"]._put = put
    try:
        yield
    finally:
        vars(tpm_room)["TpmRoot"]._put = real


# --- cutting ---


def _is_write(one: Operation) -> bool:
    return one.kind == WRITE


def _cut(
    shown: Shown,
    at: int,
    story: Story,
    chip: EmulatedTpm | None,
    shuffled: int,
    draw: random.Random,
    figures: Figures,
) -> None:
    """Every disk that a cut right after the write before *at* leaves, as far as they are tried."""
    said = [json.loads(one.data) for one in story.operations[:at] if one.kind == NOTE]
    least = sum(one.get("chip") == "wrote" for one in said)
    most = sum(one.get("chip") == "writes" for one in said)
    ways: list[Callable[[list[Operation]], Iterable[Operation]]] = [lambda loose: loose]
    ways += [lambda loose: survivors(loose, draw)] * shuffled
    for number, survive in enumerate(ways):
        states = range(least, most + 1) if not number else (draw.randint(least, most),)
        for state in states if chip else (0,):
            shown.show(at, survive)
            if chip is not None:
                chip.kill()
                chip.put_state(story.chips[state])
                os.environ[TPM] = chip.start().words
            _look(shown.disk, story, said, figures)


def _look(disk: BlockDisk, story: Story, said: Sequence[dict[str, Any]], out: Figures) -> None:
    out.cuts += 1
    try:
        try:
            disk.mount()
        except OSError:  # a superblock that was torn: see docs/data-directory.md
            disk.mend()
            disk.mount()
        wrong = _start(disk.path / BOX, story, said, out)
    except START_ERRORS as error:
        out.failed_starts += 1
        wrong = [repr(error)]
    finally:
        disk.release()
        disk.unmount()
    out.first = out.first or "; ".join(wrong[:3])


def _start(data: Path, story: Story, said: Sequence[dict[str, Any]], out: Figures) -> list[str]:
    """Start on the disk, let the purge go on, compare; what is wrong."""
    wrong: list[str] = []
    gone = {part for one in said for part in one.get("gone", ())}
    going = {part for one in said for part in one.get("going", ())}
    with Archive.open(data, SystemClock()) as archive:
        names = _names(archive)
        done = [not batch & names for batch in story.batches]
        halves = [bool(batch & names) and not batch <= names for batch in story.batches]
        out.halves += sum(halves)
        out.new += sum(done)
        out.old += len(done) - sum(done)
        if any(halves) or done != sorted(done, reverse=True):
            wrong.append(f"commits are {done}, half {halves}")
        if gone & names:
            wrong.append("what was said to be gone is there")
        if not story.others <= names or not frozenset().union(*story.batches) - going <= names:
            wrong.append("what was not to go is gone")
        recovery.recover(archive)
        doomed = purge.plan(archive, 0, lambda _row: False).doomed
        if {one.row.part_id for one in doomed} - going:
            wrong.append("another part than was meant is to go")
        out.resumed += bool(doomed)
        purge.carry_out(archive, doomed)
        archive.tick()
        names = _names(archive)
        rows = {row.part_id for row in archive.index.parts()}
        files = {one.part_id for one in archive.vault.parts()}
        if not names == rows == files or not story.others <= names:
            wrong.append("store, index and files differ")
    wrong += _verified(data)
    out.other_faults += bool(wrong)
    return wrong


def _names(archive: Archive) -> set[str]:
    return {name.id.hex() for name in archive.shred.names() if name.what == PART}


def _verified(data: Path) -> list[str]:
    directory = layout.open(data)
    report = verify.verify(
        data,
        parts={
            one.part_id: (one.size, one.digest().sha256) for one in directory.vault(Disk()).parts()
        },
        held=held_keys(directory),
        origin=directory.identity.origin,
    )
    return [f"audit verify: {one}" for one in report.problems]
