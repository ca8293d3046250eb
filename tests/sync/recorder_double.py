"""A recorder as sync sees it: a control socket, a real log, files of parts, and nothing else."""

import base64
import hashlib
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from greffier.audit import note, receipt, segments
from greffier.audit.log import Log
from greffier.clock import SystemClock
from greffier.control.access import Access
from greffier.control.board import Desk, Handed, Reply
from greffier.control.messages import Done, Failure
from greffier.control.server import Server
from greffier.control.transfer import (
    AskEntries,
    AskLeaves,
    AskPart,
    AskWork,
    Cosigned,
    EntriesHanded,
    PartHanded,
    Receipts,
    Sealed,
    SyncReport,
    Taken,
    Work,
)
from greffier.durable import Disk
from greffier.trust import LogKey


@dataclass
class RecorderDouble:
    """``add`` seals a part; ``received`` holds the receipts that it believed."""

    folder: Path
    key: LogKey
    device: str
    keys: tuple[note.VerifierKey, ...] = ()
    parts: dict[str, Sealed] = field(default_factory=dict)
    received: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    cosigned: list[str] = field(default_factory=list)
    reports: list[SyncReport] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.signer = note.Signer(self.key.name, self.key.private)
        self.log = Log.create(Disk(), self.folder / "audit", self.signer, SystemClock())
        self.lock = threading.Lock()
        self.server: Server | None = None
        self.say()

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    def start(self) -> None:
        desk = Desk(
            {
                AskWork: self._work,
                AskPart: self._part,
                AskEntries: self._entries,
                AskLeaves: lambda request, uid: Handed(Done(), self._open("leaves")),
                Receipts: self._receipts,
                Cosigned: self._cosigned,
                SyncReport: self._report,
            }
        )
        access = Access(frozenset({0, os.geteuid()}))
        self.server = Server(self.socket, desk, access, SystemClock())
        self.server.start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None

    def __enter__(self) -> "RecorderDouble":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.close()

    def add(self, data: bytes, *, urgent: bool = False) -> str:
        """Seal a part of these octets; its id."""
        part = secrets.token_hex(16)
        (self.folder / part).write_bytes(data)
        envelope = secrets.token_bytes(40)
        (self.folder / f"{part}.envelope").write_bytes(envelope)
        rec = secrets.token_hex(16)
        with self.lock:
            self.log.append("part.opened", rec, {"part": part, "recording": rec, "number": 1})
            sha256 = hashlib.sha256(data).hexdigest()
            entry = self.log.append(
                "part.recovered",
                rec,
                {"part": part, "bytes": len(data), "sha256": sha256, "frames": 1},
            )
            self.log.commit()
            self.parts[part] = Sealed(
                part, rec, entry.seq, len(data), sha256, time.time_ns(), 0, urgent
            )
        return part

    def say(self) -> int:
        """Another entry in the log; its number."""
        with self.lock:
            rec = secrets.token_hex(16)
            data = {"part": rec, "recording": rec, "number": 1}
            entry = self.log.append("part.opened", rec, data)
            self.log.commit()
        return entry.seq

    def _open(self, name: str) -> int:
        return os.open(self.folder / "audit" / name, os.O_RDONLY)

    def _work(self, request: AskWork, uid: int) -> Reply:
        self.asked.append("work")
        with self.lock:
            checkpoint = (self.folder / "audit" / segments.CHECKPOINT).read_text()
            waiting = sorted(
                (one for key, one in self.parts.items() if key not in self.received),
                key=lambda one: one.seq,
            )
            page = [one for one in waiting if one.seq > request.after]
            size = self.log.checkpoint.size
        more = len(page) > request.most
        return Work(self.device, size, checkpoint, len(waiting), tuple(page[: request.most]), more)

    def _part(self, request: AskPart, uid: int) -> Reply:
        self.asked.append("part")
        if request.part not in self.parts:
            return Failure("refused", "no_such_part")
        envelope = (self.folder / f"{request.part}.envelope").read_bytes()
        fd = os.open(self.folder / request.part, os.O_RDONLY)
        return Handed(PartHanded(base64.b64encode(envelope).decode()), fd)

    def _entries(self, request: AskEntries, uid: int) -> Reply:
        found = segments.listed(self.folder / "audit")
        for segment, end in segments.ends(found, self.log.checkpoint.size):
            if segment.first <= request.seq < end:
                return Handed(EntriesHanded(segment.first), self._open(segment.name))
        return Failure("refused", "no_such_entry")

    def _receipts(self, request: Receipts, uid: int) -> Reply:
        results = []
        for text in request.receipts:
            try:
                found = receipt.read(text.encode(), self.keys).receipt
            except receipt.BadReceipt as error:
                results.append(error.code)
                self.refused.append(error.code)
                continue
            sealed = self.parts.get(found.part)
            if found.device != self.device:
                results.append("foreign")
            elif sealed is None:
                results.append("unknown")
            elif (found.size, found.sha256) != (sealed.size, sealed.sha256):
                results.append("other")
            elif found.part in self.received:
                results.append("known")
            else:
                self.received[found.part] = text
                results.append("received")
        return Taken(tuple(results))

    def _cosigned(self, request: Cosigned, uid: int) -> Reply:
        self.cosigned.append(request.checkpoint)
        return Done()

    def _report(self, request: SyncReport, uid: int) -> Reply:
        self.reports.append(request)
        return Done()
