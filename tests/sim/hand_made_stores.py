"""A device's directory and head office's, made by hand from the documents, and faults in them."""

import base64
import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.reference import audit, part

DEVICE = "box-1a2b3c4d"
LOG, WITNESS, RECEIPT = bytes(32), b"w" * 32, b"r" * 32
PAIR = part.Pair(b"o" * 32)
SECOND = 10**9
START_NS = 1_795_305_600 * SECOND


@dataclass
class Made:
    """A part: its file, its envelope block, how its log says it ended."""

    name: str
    content: bytes
    envelope: bytes
    end: str = "part.sealed"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def receipt(self, **changes: str) -> str:
        """Head office's receipt of it, with some lines changed before it is signed."""
        said = {
            "device": DEVICE,
            "part": self.name,
            "bytes": str(len(self.content)),
            "sha256": self.sha256,
            "envelope": hashlib.sha256(self.envelope).hexdigest(),
            "time": str(START_NS // SECOND + 30),
        } | changes
        text = "greffier/receipt@v1\n" + "".join(f"{key} {one}\n" for key, one in said.items())
        return f"{text}\n{audit.log_line('siege/receipt', RECEIPT, text)}"


def a_part(number: int, *, seed: bytes = b"o" * 32, cut: bool = False) -> Made:
    """A small part that the pair of *seed* opens; *cut*: without its FINAL."""
    name = f"{number:032x}"
    key = hashlib.sha256(name.encode()).digest()
    before = part.header_before(
        part_id=bytes.fromhex(name), recording_id=b"R" * 16, salt=b"s" * 32, meta=b"{}"
    )
    speech = part.packet(0, 160, 0, bytes([number]) * 160)
    frames = [(part.AUDIO, 0, part.audio(0, 160, [speech]))]
    content = part.write_part(key, before, frames)
    if cut:
        content = part.closed_header(before, part.Keys(key, before).commitment)
        content += part.Keys(key, before).seal(0, *frames[0])
    info = part.envelope_info(1, 1, bytes.fromhex(name))
    sealed = part.seal_key(key, part.Pair(seed).public, info)
    envelope = b"\1" + part.record(1, 1, part.Pair(seed).key_id, sealed)
    return Made(name, content, envelope, "part.recovered" if cut else "part.sealed")


@dataclass
class Stores:
    """What both sides keep of some parts, all of them received; ``write`` puts it into files."""

    folder: Path
    block: int = 1 << 22
    parts: list[Made] = field(default_factory=lambda: [a_part(1), a_part(2), a_part(3, cut=True)])
    receipts: dict[str, str] = field(default_factory=dict)
    """Other receipts in the log than the right ones, by part."""
    copy: list[bytes] = field(default_factory=list)
    """Head office's entries, where they are not the device's."""
    entries: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "box"

    @property
    def office(self) -> Path:
        return self.folder / "office"

    @property
    def key(self) -> Path:
        return self.folder / "office.key"

    def write(self) -> "Stores":
        self.folder.mkdir(exist_ok=True)
        self.key.write_text(part.key_line("greffier-office-key-1", b"o" * 32) + "\n")
        for made in self.parts:
            opened = {"part": made.name, "recording": "52" * 16, "number": 0}
            opened["envelope"] = hashlib.sha256(made.envelope).hexdigest()
            self.say("part.opened", opened)
            ended = {"part": made.name, "bytes": len(made.content), "sha256": made.sha256}
            self.say(made.end, ended)
        for made in self.parts:
            self.say("part.received", kept_of(self.receipts.get(made.name, made.receipt())))
        self._write_device()
        self._write_office()
        return self

    def say(self, kind: str, data: dict[str, Any]) -> None:
        """One more entry of the log."""
        number = len(self.entries)
        now = START_NS + 3600 * SECOND * 1_000_000  # long after the files of this test
        told = {"seq": number, "boot": "b0" * 16, "mono_ns": number, "t_ns": now, "t_lb_ns": 0}
        told |= {"t_src": "build", "ev": kind, "rec": None, "salt": "5a" * 16, "data": data}
        self.entries.append(audit.entry_bytes(told))

    def sign(self, size: int | None = None, *, cosigned: bool = False) -> str:
        """The checkpoint over the log's first *size* entries."""
        size = len(self.entries) if size is None else size
        root = audit.tree([audit.leaf(one) for one in self.entries[:size]])
        text = audit.checkpoint_text(f"greffier/{DEVICE}", size, root)
        lines = audit.log_line(f"greffier/{DEVICE}", LOG, text)
        if cosigned:
            lines += audit.witness_line("siege", WITNESS, text, START_NS // SECOND + 60)
        return f"{text}\n{lines}"

    def _write_device(self) -> None:
        for name in ("audit", "keys", "vault/parts/2026-11-22"):
            (self.data / name).mkdir(parents=True, exist_ok=True)
        (self.data / "device.json").write_text(json.dumps({"device": DEVICE}))
        (self.data / "keys" / "log.pub").write_text(audit.vkey(f"greffier/{DEVICE}", 1, LOG))
        self.write_log()
        for made in self.parts:
            file = self.data / "vault/parts/2026-11-22" / f"{made.name}.gpart"
            file.write_bytes(made.content)

    def write_log(self) -> None:
        """The log's files anew, after its entries changed."""
        folder = self.data / "audit"
        frames = b"".join(audit.frame(one) for one in self.entries)
        (folder / "entries-0000000000.glog").write_bytes(frames)
        (folder / "checkpoint").write_text(self.sign())
        (folder / "cosigned").write_text(self.sign(cosigned=True))

    def _write_office(self) -> None:
        (self.office / "keys").mkdir(parents=True)
        (self.office / "keys" / "receipt.pub").write_text(audit.vkey("siege/receipt", 1, RECEIPT))
        (self.office / "keys" / "witness.pub").write_text(audit.vkey("siege", 4, WITNESS))
        with contextlib.closing(sqlite3.connect(self.office / "envelopes.sqlite")) as db, db:
            db.execute("CREATE TABLE envelopes (device, part, block)")
            for made in self.parts:
                row = (DEVICE, made.name, made.envelope)
                db.execute("INSERT INTO envelopes VALUES (?, ?, ?)", row)
        with contextlib.closing(sqlite3.connect(self.office / "catalogue.sqlite")) as db, db:
            for table in (
                "parts (device, part, bytes, sha256, stored_ns, receipt)",
                "blocks (sha256, size, object)",
                "part_blocks (device, part, number, sha256)",
                "batches (device, first, end, object, sha256)",
                "logs (device, size, cosigned_size)",
                "forks (device, reason)",
                "refusals (device, reason)",
            ):
                db.execute(f"CREATE TABLE {table}")
            for made in self.parts:
                self._store(db, made)
            self._replicate(db)

    def _store(self, db: sqlite3.Connection, made: Made) -> None:
        told = (DEVICE, made.name, len(made.content), made.sha256, START_NS, made.receipt())
        db.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)", told)
        for number, at in enumerate(range(0, len(made.content), self.block)):
            content = made.content[at : at + self.block]
            sha256 = hashlib.sha256(content).hexdigest()
            name = f"blocks/{sha256[:2]}/{sha256}"
            self._put(name, content)
            db.execute("INSERT INTO blocks VALUES (?, ?, ?)", (sha256, len(content), name))
            row = (DEVICE, made.name, number, sha256)
            db.execute("INSERT INTO part_blocks VALUES (?, ?, ?, ?)", row)

    def _replicate(self, db: sqlite3.Connection) -> None:
        entries, middle = self.copy or self.entries, 3
        for first, end in ((0, middle), (middle, len(entries))):
            frames = b"".join(audit.frame(one) for one in entries[first:end])
            sha256 = hashlib.sha256(frames).hexdigest()
            name = f"audit/{DEVICE}/{first:012}-{end:012}-{sha256[:16]}"
            self._put(name, frames)
            row = (DEVICE, first, end, name, sha256)
            db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)", row)
        db.execute("INSERT INTO logs VALUES (?, ?, ?)", (DEVICE, len(entries), len(entries)))

    def _put(self, name: str, content: bytes) -> None:
        path = self.office / "objects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def change(self, words: str, *values: object, base: str = "catalogue") -> None:
        """One statement on head office's database."""
        with contextlib.closing(sqlite3.connect(self.office / f"{base}.sqlite")) as db, db:
            db.execute(words, values)

    def block_files(self) -> list[Path]:
        return sorted((self.office / "objects" / "blocks").glob("??/*"))


def kept_of(receipt: str) -> dict[str, Any]:
    """The data of the entry `part.received` of a receipt."""
    text, _, line = receipt.partition("\n\n")
    said = dict(one.split(" ", 1) for one in text.splitlines()[1:])
    _, name, blob = line.strip().split(" ")
    raw = base64.b64decode(blob)
    return {
        "part": said["part"],
        "bytes": int(said["bytes"]),
        "sha256": said["sha256"],
        "envelope": said["envelope"],
        "at_ns": int(said["time"]) * SECOND,
        "by": name,
        "key": raw[:4].hex(),
        "signature": raw[4:].hex(),
    }


def strange_receipt(made: Made) -> str:
    """A receipt that somebody else signed in head office's name."""
    text = made.receipt().partition("\n\n")[0] + "\n"
    signed = Ed25519PrivateKey.from_private_bytes(b"x" * 32).sign(text.encode())
    key_id = audit.key_id("siege/receipt", 1, audit.public(RECEIPT))
    return f"{text}\n— siege/receipt {base64.b64encode(key_id + signed).decode()}\n"
