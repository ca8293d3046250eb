"""Reads what a device and its head office keep, by the pages of docs/ alone, for soak_sync_checker.

docs/audit-format.md, docs/sync-protocol.md and docs/office-directory.md; nothing is shared with the
programs that wrote it, and nothing is changed.
"""

import base64
import hashlib
import json
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

BLOCK = 4_194_304
_FRAME = struct.Struct(">II")
_ENDS = ("part.sealed", "part.recovered")


def envelope_block(folder: Path, row: sqlite3.Row) -> bytes:
    """The envelope block of a row of head office's table; none where its key does not open it."""
    if "key" not in row.keys() or row["key"] is None:  # noqa: SIM118 - a Row has no keys to test
        return bytes(row["block"])
    bound = f"greffier/office-envelope@v1\0{row['device']}\0{row['part']}".encode()
    for copy in ("a", "b"):
        path = folder / "envelope-keys" / copy / row["key"]
        if path.exists():
            cipher = ChaCha20Poly1305(path.read_bytes()[16:48])
            with suppress(InvalidTag):
                return cipher.decrypt(row["block"][:12], row["block"][12:], bound)
    return b""


# --- signed notes (c2sp.org/signed-note) --------------------------------------------------------


def signatures(note: str, vkey: str) -> tuple[str, list[bytes]]:
    """The text of *note*, and what the key of the line *vkey* signed it with: all that verify.

    Of a witness's signature (type 04) the first eight bytes are a time. Raises ValueError where a
    signature by the key does not hold.
    """
    text, _, lines = note.partition("\n\n")
    text += "\n"
    name, _, material = vkey.strip().split("+", 2)
    raw = base64.b64decode(material, validate=True)
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    public = Ed25519PublicKey.from_public_bytes(raw[1:])
    found = []
    for line in lines.splitlines():
        dash, signer, blob = line.split(" ")
        bytes_ = base64.b64decode(blob, validate=True)
        if dash != "—" or signer != name or bytes_[:4] != key_id:
            continue
        signed, body = bytes_[4:], text.encode()
        if raw[0] == 4:
            time_s = int.from_bytes(signed[:8])
            body = f"cosignature/v1\ntime {time_s}\n{text}".encode()
        try:
            public.verify(signed[-64:], body)
        except InvalidSignature:
            raise ValueError("a signature does not hold") from None
        found.append(signed)
    return text, found


def receipt_faults(note: str, vkey: str, wanted: dict[str, str]) -> str:
    """Why *note* is no receipt by *vkey* that says *wanted*; "" where it is one."""
    try:
        text, found = signatures(note, vkey)
    except ValueError as error:
        return str(error)
    title, *lines = text.splitlines()
    said = dict(line.split(" ", 1) for line in lines)
    keys = ["device", "part", "bytes", "sha256", "envelope", "time"]
    if title != "greffier/receipt@v1" or list(said) != keys or len(found) != 1:
        return "it is no receipt with one signature of head office"
    wrong = [key for key, value in wanted.items() if said[key] != value]
    return f"it says another {' and '.join(wrong)}" if wrong else ""


def rebuilt(device: str, said: dict[str, Any]) -> str:
    """The receipt that the data of an entry `part.received` are made of, as it came."""
    blob = base64.b64encode(bytes.fromhex(said["key"] + said["signature"])).decode()
    return (
        f"greffier/receipt@v1\ndevice {device}\npart {said['part']}\nbytes {said['bytes']}\n"
        f"sha256 {said['sha256']}\nenvelope {said['envelope']}\n"
        f"time {int(said['at_ns']) // 10**9}\n\n— {said['by']} {blob}\n"
    )


# --- the log ------------------------------------------------------------------------------------


def frames(data: bytes, at: int = 0) -> Iterator[tuple[bytes, int]]:
    """Entries of *data* from *at* on, and where each ends. Raises ValueError at a torn one."""
    while at < len(data):
        length, crc = _FRAME.unpack_from(data, at) if at + 8 <= len(data) else (0, 0)
        entry = data[at + 8 : at + 8 + length]
        if not entry or len(entry) != length or zlib.crc32(data[at : at + 4] + entry) != crc:
            raise ValueError(f"the frame at byte {at} is damaged")
        at += 8 + length
        yield entry, at


def root_of(leaves: list[bytes]) -> bytes:
    """The root of the tree over leaf hashes (RFC 6962 section 2.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = leaves
    while len(level) > 1:  # an odd one moves up
        paired = [
            hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest()
            for i in range(0, len(level) - 1, 2)
        ]
        level = paired + level[2 * len(paired) :]
    return level[0]


@dataclass(slots=True)
class Part:
    """What the device's log says of a part that ended."""

    size: int
    sha256: str
    end: str
    """The kind of entry that ended it."""
    envelope: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    """The entries of its receipts."""


class Log:
    """The device's log, read on from where it was read last."""

    def __init__(self, data: Path) -> None:
        self._audit = data / "audit"
        self.leaves: list[bytes] = []
        self.parts: dict[str, Part] = {}
        self._envelopes: dict[str, str] = {}
        self._at: dict[Path, int] = {}

    def follow(self) -> int:
        """Read what its checkpoint covers by now; returns the size. Raises ValueError, OSError."""
        size = int((self._audit / "checkpoint").read_text().splitlines()[1])
        files = sorted(self._audit.glob("entries-*.glog"), key=_place)
        firsts = [_place(path)[0] for path in files] + [size]
        for path, after in zip(files, firsts[1:], strict=True):
            if len(self.leaves) >= min(after, size):
                continue
            at = self._at.get(path, 0)
            for entry, end in frames(path.read_bytes(), at):
                self._take(entry)
                self._at[path] = end
                if len(self.leaves) >= min(after, size):
                    break
        if len(self.leaves) < size:
            raise ValueError(f"entries from {len(self.leaves)} on are missing, of {size}")
        return size

    def _take(self, raw: bytes) -> None:
        entry = json.loads(raw)
        if entry["seq"] != len(self.leaves):
            raise ValueError(f"entry {len(self.leaves)} says that it is {entry['seq']}")
        self.leaves.append(hashlib.sha256(b"\0" + raw).digest())
        said, kind = entry["data"], entry["ev"]
        if kind == "part.opened":
            self._envelopes[said["part"]] = said.get("envelope", "")
        elif kind in _ENDS and said["bytes"]:
            envelope = self._envelopes.get(said["part"], "")
            self.parts[said["part"]] = Part(said["bytes"], said["sha256"], kind, envelope)
        elif kind == "part.received":
            said["entry_ns"] = int(entry["t_ns"])
            self.parts[said["part"]].received.append(said)

    @property
    def checkpoint(self) -> str:
        """The latest, as it lies there."""
        return (self._audit / "checkpoint").read_text()

    @property
    def cosigned(self) -> str:
        """The latest that head office cosigned; "" while there is none."""
        path = self._audit / "cosigned"
        return path.read_text() if path.exists() else ""


def _place(path: Path) -> tuple[int, int]:
    first, _, attempt = path.name.removeprefix("entries-").removesuffix(".glog").partition(".")
    return int(first), int(attempt or 0)


def size_of(checkpoint: str) -> int:
    return int(checkpoint.splitlines()[1]) if checkpoint else 0


# --- head office --------------------------------------------------------------------------------


@contextmanager
def _copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of a database as it lies there, so that looking at it recovers nothing in place."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (one := Path(f"{path}{suffix}")).exists():
                shutil.copy(one, Path(folder) / one.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as db:
            db.row_factory = sqlite3.Row
            yield db


class Office:
    """What lies in head office's directory of one device, read while nobody writes it."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.vkey = (folder / "keys" / "receipt.pub").read_text().strip()
        self.witness = (folder / "keys" / "witness.pub").read_text().strip()
        with _copy(folder / "catalogue.sqlite") as db:
            self.rows = self._by_part(
                db, "SELECT * FROM parts WHERE device = ? AND stored_ns IS NOT NULL"
            )
            self.blocks = self._by_part(
                db,
                "SELECT part, number, sha256, size, object FROM part_blocks JOIN blocks USING"
                " (sha256) WHERE device = ? ORDER BY part, number",
            )
            self.batches = db.execute(
                "SELECT * FROM batches WHERE device = ? ORDER BY first", (device,)
            ).fetchall()
            reasons = db.execute(
                "SELECT reason, 'log' AS what FROM forks WHERE device = ?1 UNION ALL"
                " SELECT reason, 'part' FROM refusals WHERE device = ?1",
                (device,),
            )
            self.accused = [
                f"head office does not believe an honest {row['what']}: {row['reason']}"
                for row in reasons
            ]
            log = db.execute("SELECT * FROM logs WHERE device = ?", (device,)).fetchone()
        self.size: int = log["size"] if log else 0
        self.cosigned: int = log["cosigned_size"] if log else 0
        with _copy(folder / "envelopes.sqlite") as db:
            rows = self._by_part(db, "SELECT * FROM envelopes WHERE device = ?")
        self.envelopes = {
            part: [envelope_block(folder, row) for row in found] for part, found in rows.items()
        }

    def _by_part(self, db: sqlite3.Connection, words: str) -> dict[str, list[sqlite3.Row]]:
        found: dict[str, list[sqlite3.Row]] = {}
        for row in db.execute(words, (self.device,)):
            found.setdefault(row["part"], []).append(row)
        return found

    def object_of(self, name: str) -> Path:
        """Where the object of that name lies."""
        return self.folder / "objects" / name

    def log_faults(self, log: Log) -> list[str]:
        """Where its copy of the log is not the device's."""
        number, found = 0, []
        for row in self.batches:
            data = self.object_of(row["object"]).read_bytes()
            if row["first"] != number or hashlib.sha256(data).hexdigest() != row["sha256"]:
                found.append(f"head office's entries from {row['first']} on follow {number}")
                return found
            for raw, _ in frames(data):
                if log.leaves[number : number + 1] != [hashlib.sha256(b"\0" + raw).digest()]:
                    found.append(f"entry {number} of head office's copy of the log is another")
                    return found
                number += 1
        if number != self.size:
            found.append(f"head office holds {number} entries of {self.size}")
        if self.cosigned > self.size:
            found.append("head office cosigned more than it holds")
        if size_of(log.cosigned) > self.cosigned:
            found.append("the device has a cosignature that head office does not remember")
        return found

    def faults(self, part: str, said: Part) -> list[str]:
        """What is wrong with the copy of a part of which *said* is in the device's log."""
        rows = self.rows.get(part, [])
        if len(rows) != 1:
            return [f"part {part} has {len(rows)} catalogue rows"]
        found = []
        if (rows[0]["bytes"], rows[0]["sha256"]) != (said.size, said.sha256):
            found.append(f"part {part} has another length or SHA-256 in the catalogue")
        blocks = self.blocks.get(part, [])
        lengths = [min(BLOCK, said.size - at) for at in range(0, said.size, BLOCK)]
        if [row["number"] for row in blocks] != list(range(len(lengths))):
            return [*found, f"part {part} has {len(blocks)} of {len(lengths)} blocks"]
        for row, length in zip(blocks, lengths, strict=True):
            path = self.object_of(row["object"])
            data = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(data).hexdigest() != row["sha256"] or len(data) != length:
                found.append(f"block {row['number']} of part {part} is missing or not what it says")
        envelopes = self.envelopes.get(part, [])
        if [hashlib.sha256(one).hexdigest() for one in envelopes] != [said.envelope]:
            found.append(
                f"part {part} has {len(envelopes)} envelopes, or another than the log says"
            )
        wanted = self.wanted(part, said)
        if why := receipt_faults(rows[0]["receipt"] or "", self.vkey, wanted):
            found.append(f"head office's receipt of part {part}: {why}")
        return found

    def wanted(self, part: str, said: Part) -> dict[str, str]:
        """What a receipt of the part must say."""
        return {
            "device": self.device, "part": part, "bytes": str(said.size), "sha256": said.sha256,
            "envelope": said.envelope,
        }  # fmt: skip

    def content(self, part: str) -> bytes:
        """The part's file, put together from its objects."""
        rows = self.blocks[part]
        return b"".join(self.object_of(row["object"]).read_bytes() for row in rows)
