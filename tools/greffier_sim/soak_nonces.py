"""No key seals two texts under one nonce, whatever the disk does: random schedules of failures.

A schedule is a few ticks of the recorder's archive (parts that grow and end, calls, epochs, purges)
on a disk of which any call may err, done, half done or not done, or be the last before the power
goes; then, or when it likes, the process begins again on what is left. Everything that seals in
Python is watched at the cipher. What the C core seals is watched where it is written: one part has
one key and its frames one order, so two different octets at one place of a part, ever, are two
texts under one nonce.
"""

import argparse
import errno
import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import archive as archives
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.purge import Verdict
from greffier.recorder.tape import PartPlan, Tape
from greffier.seal import header, keys
from greffier.seal.frames import Meta
from greffier.seal.keys import PublicKey, Role
from greffier.store import journal, layout, shred_format
from greffier_sim.faults import CALLS, Fault, FaultySystem, PowerCut

A_BOX: Final = 40
"""Schedules over one data directory, which grows with each."""
_START: Final = 1_700_000_000_000_000_000
_AGAIN: Final = 0.3
"""An error seldom comes alone: the chance of the call after one that failed."""
_FAULTS: Final = tuple(Fault)
_NUMBERS: Final = (errno.EIO, errno.ENOSPC)
_MOST_FAILURES: Final = 6


@dataclass
class Seen:
    """What was sealed: under which key and nonce which text, and which octets of a part where."""

    sealed: dict[bytes, bytes] = field(default_factory=dict)
    parts: dict[str, bytearray] = field(default_factory=dict)
    messages: int = 0
    octets: int = 0
    repeated: int = 0

    def encrypted(self, key: bytes, nonce: bytes, text: bytes) -> None:
        """*text* (with what it is bound to) was sealed."""
        self.messages += 1
        name = hashlib.sha256(key + nonce).digest()[:16]
        digest = hashlib.sha256(text).digest()[:8]
        self.repeated += self.sealed.setdefault(name, digest) != digest

    def written(self, part: str, offset: int, data: bytes) -> None:
        """*data* was given to the disk as a piece of *part*."""
        known = self.parts.setdefault(part, bytearray())
        if offset > len(known):
            raise ValueError("a part is written without a hole")
        self.octets += len(data)
        again = min(len(data), len(known) - offset)
        self.repeated += bytes(known[offset : offset + again]) != data[:again]
        known += data[again:]


def watch(seen: Seen) -> Callable[[], None]:
    """Have every cipher made in Python from now on tell *seen*; what returned ends that."""

    class Watched:
        """A cipher that tells what it seals."""

        def __init__(self, key: bytes) -> None:
            self._key, self._cipher = bytes(key), ChaCha20Poly1305(key)

        def encrypt(self, nonce: bytes, data: bytes, bound: bytes | None) -> bytes:
            seen.encrypted(self._key, bytes(nonce), bytes(data) + b"\0" + bytes(bound or b""))
            return self._cipher.encrypt(nonce, data, bound)

        def decrypt(self, nonce: bytes, data: bytes, bound: bytes | None) -> bytes:
            return self._cipher.decrypt(nonce, data, bound)

    rooms = (journal, shred_format, header)
    for room in rooms:
        vars(room)["ChaCha20Poly1305"] = Watched

    def unwatch() -> None:
        for room in rooms:
            vars(room)["ChaCha20Poly1305"] = ChaCha20Poly1305

    return unwatch


class ChanceSystem(FaultySystem):
    """Calls that err by chance, as *draw* says, and tell *seen* what is written into parts."""

    def __init__(self, draw: random.Random, seen: Seen, chance: float) -> None:
        super().__init__()
        self._draw, self._seen, self._chance = draw, seen, chance
        self._paths: dict[int, str] = {}
        self.faults: dict[str, int] = {}
        self._ill = False
        self.gone = False
        """Whether the process is: whoever closes files then removes nothing any more."""

    def _fall_ill(self, name: str) -> None:
        chance = _AGAIN if self._ill else self._chance
        self._ill = name in CALLS and self._draw.random() < chance
        if self._ill:
            self.at, self.fault = self.count + 1, self._draw.choice(_FAULTS)
            self.number = self._draw.choice(_NUMBERS)
            self.faults[self.fault.name] = self.faults.get(self.fault.name, 0) + 1

    def _do(self, name: str, effect: Callable[[], int | None]) -> int | None:
        if name != "write":
            self._fall_ill(name)
        return super()._do(name, effect)

    def open(self, path: str, flags: int, mode: int) -> int:
        fd = super().open(path, flags, mode)
        self._paths[fd] = os.path.basename(path)  # noqa: PTH119 - a hundred times a schedule
        return fd

    def unlink(self, path: str) -> None:
        if not self.gone:
            super().unlink(path)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        self._fall_ill("write")
        name = self._paths.get(fd, "")
        if ".gpart" in name:
            self._seen.written(name.lstrip(".")[:32], offset, bytes(data))
        return super().write(fd, data, offset)


@dataclass
class Figures:
    """What all schedules showed."""

    schedules: int = 0
    starts: int = 0
    failed_calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    octets: int = 0
    repeated: int = 0


class Player:
    """One data directory and the archive over it, through a row of schedules."""

    def __init__(self, folder: Path, public: PublicKey, draw: random.Random, seen: Seen) -> None:
        self._folder, self._draw, self._seen = folder, draw, seen
        archives.create(folder, SystemClock(), public.format().encode())
        self._system = ChanceSystem(draw, seen, 0)
        self._archive: Archive | None = None
        self._tapes: list[Tape] = []
        self.starts = 0

    def play(self, figures: Figures) -> None:
        """One schedule."""
        figures.schedules += 1
        try:
            archive = self._archive or self._start()
            for _ in range(self._draw.randrange(1, 4)):
                self._work(archive)
                self._commit(archive)
            if self._draw.random() < 0.15:
                self.leave()
        except (GreffierError, PowerCut):
            self.leave()
        for name, count in self._system.faults.items():
            figures.faults[name] = figures.faults.get(name, 0) + count
            figures.failed_calls += count
        self._system.faults = {}
        figures.starts, self.starts = figures.starts + self.starts, 0

    def _start(self) -> Archive:
        self.starts += 1
        self._system = ChanceSystem(self._draw, self._seen, self._draw.choice((0.002, 0.01, 0.05)))
        data = layout.open(self._folder)
        self._archive = archive = Archive(data, SystemClock(), Disk(self._system))
        found = recovery.recover(archive)
        archive.open_epoch()
        recovery.list_cut(archive, found.calls)
        return archive

    def leave(self) -> None:
        """The process is gone: its files close, and nothing else happens."""
        archive, self._archive, self._tapes = self._archive, None, []
        if archive is not None:
            self._system.gone = True
            archive.abandon()

    def _work(self, archive: Archive) -> None:
        draw = self._draw
        if len(self._tapes) < 3 or draw.random() < 0.2:
            self._tapes.append(tape := _tape(archive, draw))
            archive.add(tape)
        for tape in self._tapes:
            for _ in range(draw.randrange(3)):
                tape._put(Meta({"n": draw.getrandbits(40)}))
        if draw.random() < 0.3:
            self._tapes.pop(draw.randrange(len(self._tapes))).finish("ended")
        if draw.random() < 0.4:
            uid = draw.randbytes(16).hex()
            clear = {"uid": uid, "line": "desk", "start_ns": str(_START), "recording": None}
            archive.write_call(clear | {"end_ns": str(_START + 1)}, {"from": uid})
        if draw.random() < 0.05:
            archive.renew_epoch()
        if draw.random() < 0.05 and (rows := archive.index.parts()):
            purge.carry_out(archive, [Verdict(draw.choice(rows), DELETE_SPACE)])

    def _commit(self, archive: Archive) -> None:
        """As the live recorder does: the same again, until it is done or given up."""
        for _ in range(_MOST_FAILURES):
            try:
                archive.tick()
            except GreffierError:
                continue
            return
        self.leave()


def _tape(archive: Archive, draw: random.Random) -> Tape:
    assert archive.epoch is not None  # noqa: S101 - it was opened at the start
    device = archive.data.identity.device
    plan = PartPlan(
        device=device,
        line="desk",
        uid=f"{device}/desk/{draw.getrandbits(30):010d}",
        epoch=archive.epoch.name,
        recording=draw.randbytes(16),
        number=0,
        previous=None,
        purposes={"quality": (0, 30)},
        kind="original",
        origin_ns=_START,
        start_ns=_START,
        in_file=draw.random() < 0.3,
        deletion="C",
    )
    return Tape(plan, archive.recipients, {"call_id": "1"})


def run(count: int, seed: int, say: Callable[[str], None]) -> Figures:
    """*count* schedules, from *seed* on."""
    figures = Figures()
    public = keys.generate(Role.OFFICE).public
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - it is quicker
    with tempfile.TemporaryDirectory(prefix="greffier-nonces-", dir=memory) as folder:
        while figures.schedules < count:
            seen, box = Seen(), Path(folder) / "box"
            unwatch = watch(seen)
            try:
                player = Player(box, public, random.Random(f"{seed}/{figures.schedules}"), seen)
                for _ in range(min(A_BOX, count - figures.schedules)):
                    player.play(figures)
                player.leave()
            finally:
                unwatch()
            figures.messages += seen.messages
            figures.octets += seen.octets
            figures.repeated += seen.repeated
            shutil.rmtree(box)
            if figures.schedules % 2000 == 0:
                say(f"{figures.schedules} schedules of {count}, {figures.repeated} repeated")
    return figures


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--count", type=int, default=100_000, help="schedules")
    parser.add_argument("--seed", type=int, default=1)


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    began = time.monotonic()
    found = run(words.count, words.seed, say)
    return {
        **vars(found),
        "seconds": round(time.monotonic() - began, 1),
        "ok": found.repeated == 0,
    }
