"""What the crash rig lets happen on the disk that it watches: the recorder's archive at work.

Calls of several legs and codecs, voluntary and mandatory, with epochs, receipts, cosigned
checkpoints, purges, and a head office's catalogue on the same disk. After each commit that returned
the process says on the note file what is now promised (:class:`Promise`); only that counts. Runs as
``python -m greffier_sim.power_work FOLDER NOTE --seed N [--mutant NAME]``; FOLDER was filled by
:func:`prepare`.
"""

import argparse
import hashlib
import json
import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import note, receipt, segments
from greffier.audit.receipt import Receipt
from greffier.calls.events import CallStarted
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.merkle import HASH_BYTES
from greffier.policy import packs, rules
from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import archive as archives
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.purge import Verdict
from greffier.recorder.report import Report
from greffier.recorder.rules import Rules
from greffier.store import journal
from greffier.store.shred_format import PART, Name
from greffier_office import catalogue
from greffier_office.catalogue import Catalogue
from greffier_sim import captures, power_mutants
from greffier_sim.captures import MS, PCMA, PCMU, Plan

CALLS: Final = 12
TICK_MS: Final = 500
BOX: Final = "box"
CATALOGUE: Final = "catalogue.sqlite"
MANDATORY: Final = "desk"
"""Call-IDs begin with the name of their line."""
_LINES = (("vente", "fr-retail.toml"), (MANDATORY, "paris-desk.toml"))


def _signer(name: str, number: int) -> note.Signer:
    return note.Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


_RECEIPTS, _WITNESS = _signer("siege/receipt", 1), _signer("siege", 2)


@dataclass
class Promise:
    """What was said to be committed: what must be there after any later cut.

    *parts* maps a part to (octets, SHA-256 of that many first octets of its file), *log* is the
    number of entries and the SHA-256 of their leaves, *keys* maps a part to the SHA-256 of its
    envelope, *gone* are purged parts. *heard_ns* is the capture time of the last packet that the
    recorder was given, *at_ns* that of the last one before the last commit.
    """

    parts: dict[str, tuple[int, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    log: tuple[int, str] = (0, "")
    cosigned: int = 0
    calls: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    heard_ns: int = 0
    at_ns: int = 0

    def take(self, note: bytes) -> None:
        """Add what a note says."""
        said = json.loads(note)
        self.heard_ns = said.get("heard_ns", self.heard_ns)
        self.at_ns = said.get("at_ns", self.at_ns)
        self.parts |= {
            part: (size, digest) for part, (size, digest) in said.get("parts", {}).items()
        }
        self.keys |= said.get("keys", {})
        size, digest = said.get("log", self.log)
        self.log = (size, digest)
        self.cosigned = said.get("cosigned", self.cosigned)
        for name in ("calls", "received", "gone", "rows"):
            getattr(self, name).update(said.get(name, ()))
        for part in said.get("going", ()):  # from here on either state is right
            self.parts.pop(part, None)
            self.keys.pop(part, None)


def prepare(folder: Path, office_public: bytes) -> None:
    """An enrolled data directory and a catalogue below *folder*."""
    made = archives.create(folder / BOX, SystemClock(), office_public)
    trusted = f"{_RECEIPTS.log_key.text}\n{_WITNESS.witness_key.text}\n"
    disk = Disk()
    disk.write_file(made.head_office, trusted.encode())
    Catalogue.open(folder / CATALOGUE, disk).close()


def plans(draw: random.Random, count: int) -> list[Plan]:
    """Calls that overlap, each on addresses of its own."""
    found = []
    start = 1_700_000_000_000 * MS
    for number in range(count):
        line = draw.choice(_LINES)[0]
        start += draw.randrange(40, 500) * MS
        coding = draw.choice((PCMA, PCMU))
        found.append(
            Plan(
                call_id=f"{line}-{number}@power",
                start_ns=start,
                ring_ms=draw.randrange(20, 200),
                talk_ms=20 * draw.randrange(10, 150),
                caller_media=Address(f"10.1.0.{number + 1}", 4000),
                callee_media=Address(f"10.2.0.{number + 1}", 5000),
                caller_ssrc=0x1000 + number,
                callee_ssrc=0x2000 + number,
                codings=(coding,),
            )
        )
    return found


def traffic(seed: int, count: int) -> list[Datagram]:
    """The datagrams of a run."""
    made = plans(random.Random(f"calls {seed}"), count)
    return captures.in_order([one for plan in made for one in captures.call(plan)])


class Worker:
    """One run over the data directory; every promise goes to *note_fd*."""

    def __init__(self, folder: Path, note_fd: int, seed: int, separator: bytes = b"") -> None:
        """*separator* ends each note, where a file takes them one behind the other."""
        self._draw = random.Random(f"work {seed}")
        self._note_fd = note_fd
        self._separator = separator
        self._clock = SystemClock()
        self._archive = Archive.open(folder / BOX, self._clock)
        self._rows = Catalogue.open(folder / CATALOGUE, Disk())
        recovery.recover(self._archive)
        self._archive.open_epoch()
        self._reports: list[Report] = []
        self._rules = {name: _rules(name, policy, self._draw) for name, policy in _LINES}
        numbers = Numbers.of(self._archive.data)
        self._intake = Intake(self._archive, self._rules_of, numbers, self._reports.append)
        self._said: dict[str, Any] = {"parts": {}, "keys": {}, "gone": set(), "calls": set()}

    def _rules_of(self, call: CallStarted) -> Rules:
        return self._rules[(call.call_id or "").split("-")[0]]

    def run(self, datagrams: list[Datagram], tick_ns: int = TICK_MS * MS) -> None:
        """Everything, with a commit every *tick_ns* of capture time."""
        tracker = Tracker()
        due = datagrams[0].time_ns + tick_ns
        heard = told = 0
        for datagram in datagrams:
            if datagram.time_ns >= due:
                self._commit(heard)
                due += tick_ns
            heard = datagram.time_ns
            self._intake.take(tracker.feed(datagram))
            if heard - told > 100 * MS:
                self._say({"heard_ns": heard})
                told = heard
        self._intake.take(tracker.finish(heard))
        self._commit(heard)
        self._commit(heard)
        self._archive.close()
        self._rows.close()

    def _commit(self, heard: int) -> None:
        chance = self._draw.random()
        if chance < 0.08:
            self._archive.renew_epoch()
        elif chance < 0.4:
            self._receive()
        elif chance < 0.6:
            self._witness()
        elif chance < 0.7:
            self._purge()
        self._archive.tick()
        self._say(self._promise() | {"at_ns": heard, "heard_ns": heard})
        for _ in range(self._draw.randrange(3)):
            self._store_row()

    # --- what else a recorder does ---

    def _receive(self) -> None:
        """Head office confirms a part."""
        waiting, _ = self._archive.unconfirmed.listed(0, 8, self._archive.log.checkpoint.size)
        if waiting:
            one = self._draw.choice(waiting)
            device = self._archive.data.identity.device
            said = Receipt(device, one.part, one.size, one.sha256, one.envelope, 1_795_400_000)
            keys = (_RECEIPTS.log_key,)
            self._archive.receive(receipt.read(said.signed(_RECEIPTS), keys))

    def _witness(self) -> None:
        """Head office cosigns the newest checkpoint."""
        checkpoint, signed = self._archive.log.signed
        data = signed + _WITNESS.cosign(checkpoint, 1_795_400_000)
        self._archive.keep_cosigned(self._archive.log.believed(data, (_WITNESS.witness_key,)))

    def _purge(self) -> None:
        """A part that head office has goes for its space."""
        rows = [row for row in self._archive.index.parts() if row.synced]
        if rows:
            row = self._draw.choice(rows)
            self._say({"going": [row.part_id]})
            purge.carry_out(self._archive, [Verdict(row, DELETE_SPACE)])
            self._said["gone"].add(row.part_id)
            self._say({"gone": [row.part_id]})

    def _store_row(self) -> None:
        """Head office says that it holds a block."""
        sha256 = self._draw.randbytes(32).hex()
        with self._rows.transaction() as db:
            catalogue.write_block(db, sha256, 1, f"blocks/{sha256}", 1)
        self._say({"rows": [sha256]})

    # --- what is promised ---

    def _say(self, said: dict[str, Any]) -> None:
        os.write(self._note_fd, json.dumps(said).encode() + self._separator)

    def _promise(self) -> dict[str, Any]:
        """What of all this is new."""
        data = self._archive.data
        parts, keys = {}, {}
        for path in data.parts.rglob("*.gpart"):
            part = path.stem
            told = self._archive.committed.get(bytes.fromhex(part))
            size = path.stat().st_size if told is None else told.size
            if size and self._said["parts"].get(part) != size:
                parts[part] = size, hashlib.sha256(path.read_bytes()[:size]).hexdigest()
                block = self._archive.shred.get(Name(PART, bytes.fromhex(part))).block
                keys[part] = hashlib.sha256(block).hexdigest()
                self._said["parts"][part] = size
        calls = {one.clear["uid"] for one in journal.everything(data.calls)} - self._said["calls"]
        self._said["calls"] |= calls
        size = self._archive.log.checkpoint.size
        leaves = (data.audit / segments.LEAVES).read_bytes()[: size * HASH_BYTES]
        cosigned = self._archive.log.cosigned
        return {
            "parts": parts,
            "keys": keys,
            "log": (size, hashlib.sha256(leaves).hexdigest()),
            "cosigned": cosigned.size if cosigned else 0,
            "calls": sorted(calls),
            "received": [row.part_id for row in self._archive.index.parts() if row.synced],
        }


def _rules(line: str, policy: str, draw: random.Random) -> Rules:
    found = rules.load(rules.builtin(policy))
    if draw.random() < 0.5:
        lines = dict(found.lines)
        lines[line] = replace(lines[line], codec="original")
        found = replace(found, lines=lines)
    return Rules(found, packs.load(), line, {"window": "true"}, 0.0)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("note", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--tick-ms", type=int, default=TICK_MS)
    parser.add_argument("--mutant", default=power_mutants.NONE)
    given = parser.parse_args()
    draw = random.Random(f"neighbours {given.seed}")
    power_mutants.install(given.mutant, given.folder / "neighbour", draw)
    note_fd = os.open(given.note, os.O_WRONLY)
    Worker(given.folder, note_fd, given.seed).run(
        traffic(given.seed, given.calls), given.tick_ms * MS
    )


if __name__ == "__main__":
    main()
