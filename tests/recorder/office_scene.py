"""A recorder as head office's transfer meets it: an archive, its loop in a thread, a socket."""

import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.stories.box import PAIR

from greffier.audit import note, verify
from greffier.audit.entry import Entry
from greffier.audit.receipt import Receipt
from greffier.clock import SystemClock
from greffier.control.access import Access
from greffier.control.board import Board
from greffier.control.client import ask
from greffier.control.messages import Answer, Request
from greffier.control.server import Server
from greffier.control.transfer import AskWork, Receipts, Sealed, SyncReport, Taken, Work
from greffier.durable import Disk
from greffier.durable.system import System
from greffier.recorder import archive as archives
from greffier.recorder import recovery
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.head_office import HeadOffice
from greffier.recorder.tape import PartPlan, Tape
from greffier.recorder.troubles import Troubles
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier.store import layout

ME = os.geteuid()
START_NS = 1_800_000_000 * 10**9
QUALITY = {"quality": (0, 89)}
DUTY = {"regulatory": (1827, 1857)}


def signer(name: str, number: int) -> note.Signer:
    seed = bytes([number]) * 32
    return note.Signer(name, Ed25519PrivateKey.from_private_bytes(seed))


RECEIPTS = signer("siege/receipt", 1)
WITNESS = signer("siege", 2)
STRANGER = signer("siege/receipt", 3)
KEYS = f"# head office\n{RECEIPTS.log_key.text}\n{WITNESS.witness_key.text}\n"


class WornClock(SystemClock):
    """A clock whose wall shows *behind_ns* less than it is."""

    behind_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() - self.behind_ns


def made(folder: Path) -> Path:
    """A data directory that is enrolled."""
    archives.create(folder, WornClock(), PAIR.public.format().encode())
    (folder / "keys" / "head-office.pub").write_text(KEYS)
    return folder


class Box:
    """One run over a data directory, from its opening to the end of the ``with``."""

    def __init__(self, folder: Path, system: System | None = None) -> None:
        self.folder = folder
        self.clock = WornClock()
        self.archive = Archive(layout.open(folder), self.clock, Disk(system))
        self.device = self.archive.data.identity.device
        found = recovery.recover(self.archive)
        self.archive.open_epoch()
        self.alarms = AlarmRoom(self.clock, "0" * 32)
        self.troubles = Troubles(self.alarms, self.clock)
        self.board = Board()
        self.office = HeadOffice(self.archive, self.board, self.troubles)
        self.office.meet(found.trusted)
        self.archive.tick()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._loop)
        self.turn = threading.Lock()
        """Held by the loop while it works; a test that holds it has the archive for itself."""
        self.socket = folder.parent / f"{folder.name}.s"
        self.server = Server(self.socket, self.board, Access(frozenset({ME})), self.clock)

    def _loop(self) -> None:
        while not self.over.wait(0.002):
            with self.turn:
                self.step()

    def step(self) -> None:
        """What the recorder's loop does."""
        for order in self.board.take():
            assert isinstance(order.request, SyncReport)
            self.office.report(order.request, order)
        if self.office.step() or self.office._cosigned:
            self.archive.tick()
            self.office.answer()
        self.office.watch()
        self.troubles.calm()

    def __enter__(self) -> Self:
        self.server.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.server.stop()
        self.office.leave()
        self.archive.close()

    def seal(self, number: int = 0, purposes: Mapping[str, tuple[int, int]] = QUALITY) -> str:
        """Record a part; its id. It is durable, and so is the log's entry of it."""
        return self.seal_at(number, purposes, START_NS)

    def seal_at(self, number: int, purposes: Mapping[str, tuple[int, int]], at_ns: int) -> str:
        """Record a part that begins at *at_ns*."""
        with self.turn:
            tape = self.tape(number, purposes, at_ns)
            self.archive.add(tape)
            self.archive.tick()
            tape.finish("ended")
            self.archive.tick()
            self.archive.tick()
        return tape.part.hex()

    def tape(
        self,
        number: int = 0,
        purposes: Mapping[str, tuple[int, int]] = QUALITY,
        at_ns: int = START_NS,
    ) -> Tape:
        """A part in the making."""
        epoch = self.archive.epoch
        assert epoch is not None
        plan = PartPlan(
            device=self.device,
            line="desk",
            uid=f"{self.device}/desk/{number + 1:010d}",
            epoch=epoch.name,
            recording=secrets.token_bytes(16),
            number=number,
            previous=None,
            purposes=purposes,
            kind="opus24",
            origin_ns=at_ns,
            start_ns=at_ns,
            in_file=False,
            deletion=self.archive.shred.class_name,
        )
        return Tape(plan, self.archive.recipients, {})

    def ask(self, request: Request) -> Answer:
        """The answer on the socket."""
        return ask(self.socket, request, 30)

    def work(self) -> Work:
        """What head office has not confirmed."""
        found = self.ask(AskWork(0, 256))
        assert isinstance(found, Work)
        return found

    def receipt(self, part: str, /, **change: object) -> Receipt:
        """Head office's word that it holds *part*, with some of it changed."""
        one = self.waiting(part)
        found = self.archive.unconfirmed.find(part)
        assert found is not None
        facts: dict[str, object] = {
            "device": self.device, "part": part, "size": one.size, "sha256": one.sha256,
            "envelope": found.envelope, "time_s": 1_795_400_000,
        }  # fmt: skip
        return Receipt(**(facts | change))  # type: ignore[arg-type]

    def waiting(self, part: str) -> Sealed:
        """The part among those that wait."""
        (found,) = (one for one in self.work().parts if one.part == part)
        return found

    def bring(self, *receipts: bytes) -> list[str]:
        """What becomes of *receipts*."""
        answer = self.ask(Receipts(tuple(one.decode() for one in receipts)))
        assert isinstance(answer, Taken)
        return list(answer.results)

    @property
    def standing(self) -> set[str]:
        """The names of the alarms that stand."""
        return {alarm.name for alarm in self.alarms.view().alarms}

    def entries(self, kind: str) -> list[Entry]:
        """The durable entries of a kind."""
        return [entry for entry in verify.entries(self.folder) if entry.ev == kind]


def sealed_again(folder: Path, target: Path) -> Path:
    """A copy of a data directory, as a kill would leave it."""
    return Path(shutil.copytree(folder, target))


def opens(block: bytes, part: str) -> bytes:
    """The content key in an envelope block."""
    return envelope.open_block(block, What.PART, bytes.fromhex(part), PAIR)
