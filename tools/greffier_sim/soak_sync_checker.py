"""Looks from outside whether head office holds what it gave its word for.

A program of its own that shares nothing with the device's and head office's: it reads logs, vault,
catalogue, envelopes, objects and every signed note by the pages of docs/ alone (soak_sync_reader).
That an envelope opens and a part is whole it asks `tools/independent_reader.py`, which knows only
pages too.

`python -m greffier_sim.soak_sync_checker DATA OFFICE KEY` (the device's data directory, head
office's directory, its private key) takes one word a line, and answers each with a line of JSON:

    backlog    how many ended parts have no receipt in the device's log, and their bytes; how many
               entries the last cosigned checkpoint does not cover
    killed     something was killed: the device's log holds all that it held, and goes on
    cut        the box lost its power: its log may end earlier, and is no other one
    dead       head office was killed, and is still down: the same, and what lies there must hold
               every part that the device has a receipt of, and the log that was cosigned
    end        everything is at rest: each part of the device is there once, bit for bit
"""

import base64
import hashlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from greffier_sim.soak_sync_reader import (
    Log,
    Office,
    Part,
    rebuilt,
    receipt_faults,
    root_of,
    signatures,
    size_of,
)

READER = Path(__file__).parents[1] / "independent_reader.py"
_NO_FINAL = 19
"""What the reader says of a part that a power cut ended (part-format.md, refusals)."""


class Checker:
    """Compares the two, at each kill and at the end."""

    def __init__(self, data: Path, folder: Path, key: Path) -> None:
        self._data, self._folder, self._key = data, folder, key
        self.device = json.loads((data / "device.json").read_text())["device"]
        self._log = Log(data)
        self.figures: dict[str, Any] = {}

    def backlog(self) -> list[str]:
        """No faults; what waits, in figures."""
        size = self._log.follow()
        waiting = [said.size for said in self._log.parts.values() if not said.received]
        self.figures = {
            "waiting": len(waiting),
            "waiting_bytes": sum(waiting),
            "parts": len(self._log.parts),
            "entries": size,
            "not_cosigned": size - size_of(self._log.cosigned),
        }
        return []

    def killed(self) -> list[str]:
        """Faults of the device's log, which goes on from where it was."""
        known = self._log
        fresh = Log(self._data)
        fresh.follow()
        self._log = fresh
        if fresh.leaves[: len(known.leaves)] != known.leaves:
            return ["the device's log lost or changed entries"]
        return []

    def cut(self) -> list[str]:
        """Faults of the device's log after a power cut: what nobody was told may be gone.

        What head office had of it, it would miss: it calls the log forked then.
        """
        known = self._log
        fresh = Log(self._data)
        fresh.follow()
        self._log = fresh
        both = min(len(fresh.leaves), len(known.leaves))
        if fresh.leaves[:both] != known.leaves[:both]:
            return ["the device's log has other entries after a power cut"]
        return []

    def dead(self) -> list[str]:
        """Faults of what head office holds while it is down."""
        office = Office(self._folder, self.device)
        faults = self.killed() + office.accused + office.log_faults(self._log)
        parts = self._log.parts
        for part in office.rows:
            if part not in parts:
                faults.append(f"the catalogue has part {part}, which the log does not know")
        received = {part for part, said in parts.items() if said.received}
        for part in sorted(received | set(office.rows) & set(parts)):
            faults += office.faults(part, parts[part])
        for part in sorted(received):
            faults += self._received(office, part, parts[part])
        self.figures = {"received": len(received), "rows": len(office.rows)}
        return faults

    def _received(self, office: Office, part: str, said: Part) -> list[str]:
        """Faults of the receipt that the device's log keeps of a part."""
        faults = []
        if len(said.received) > 1:
            faults.append(f"part {part} was received {len(said.received)} times by the log")
        for entry in said.received:
            note = rebuilt(office.device, entry)
            if why := receipt_faults(note, office.vkey, office.wanted(part, said)):
                faults.append(f"the log's receipt of part {part}: {why}")
        blocks = [office.object_of(row["object"]) for row in office.blocks.get(part, [])]
        stored = max((path.stat().st_mtime_ns for path in blocks if path.exists()), default=0)
        if stored > said.received[0]["entry_ns"]:
            faults.append(f"part {part} was received before its last block was stored")
        return faults

    def end(self) -> list[str]:
        """Faults of everything, read again from nothing."""
        faults = self.dead()
        office, parts = Office(self._folder, self.device), self._log.parts
        faults += self._heads(office)
        for part, said in sorted(parts.items()):
            if not said.received:
                faults.append(f"part {part} has no receipt in the device's log")
            if part not in office.rows:
                faults.append(f"part {part} has 0 catalogue rows")
        whole = [part for part in sorted(parts) if not office.faults(part, parts[part])]
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda part: self._content(office, part, parts[part]), whole):
                faults += found
        named = {row["sha256"] for rows in office.blocks.values() for row in rows}
        lying = {path.name for path in (self._folder / "objects" / "blocks").glob("??/*")}
        self.figures = {
            "parts": len(parts),
            "recovered": sum(said.end == "part.recovered" for said in parts.values()),
            "bytes": sum(said.size for said in parts.values()),
            "blocks": sum(len(rows) for rows in office.blocks.values()),
            "entries": office.size,
            "catalogue_rows": sum(len(rows) for rows in office.rows.values()),
            "receipts_verified": sum(len(said.received) for said in parts.values()),
            "objects_of_no_part": len(lying - named),
        }
        return faults

    def _heads(self, office: Office) -> list[str]:
        """Faults of the log's head: signed by the device, cosigned by head office, whole."""
        log, faults = self._log, []
        if office.size != len(log.leaves):
            faults.append(f"head office has {office.size} of {len(log.leaves)} entries of the log")
        key = (self._data / "keys" / "log.pub").read_text()
        for name, note in (("last", log.checkpoint), ("cosigned", log.cosigned)):
            try:
                text, found = signatures(note, key)
                size, root = int(text.splitlines()[1]), text.splitlines()[2]
                _, cosigned = signatures(note, office.witness)
            except (ValueError, IndexError) as error:
                faults.append(f"the {name} checkpoint: {error}")
                continue
            if not found or base64.b64decode(root) != root_of(log.leaves[:size]):
                faults.append(f"the {name} checkpoint is not of this log")
            if name == "cosigned" and (size != len(log.leaves) or not cosigned):
                faults.append(f"head office cosigned {size} of {len(log.leaves)} entries")
        return faults

    def _content(self, office: Office, part: str, said: Part) -> list[str]:
        """Faults of a part's bytes: those of the device, opened by head office's key."""
        data = office.content(part)
        paths = list((self._data / "vault").rglob(f"{part}.gpart"))
        if len(paths) != 1 or paths[0].read_bytes() != data:
            return [f"part {part} is not at head office what it is on the device"]
        if hashlib.sha256(data).hexdigest() != said.sha256:
            return [f"part {part} has not the SHA-256 of the log"]
        with tempfile.TemporaryDirectory() as folder:
            file, envelope = Path(folder) / "part", Path(folder) / "envelope"
            file.write_bytes(data)
            envelope.write_bytes(office.envelopes[part][0])
            words = [str(file), "--key", str(self._key), "--envelope", str(envelope)]
            done = subprocess.run(
                [sys.executable, str(READER), *words], capture_output=True, text=True, check=False
            )
        cut = f"({_NO_FINAL}, {said.size}, 'part')"
        if done.returncode == 0 or (said.end == "part.recovered" and cut in done.stderr):
            return []
        return [f"part {part} does not open: {done.stderr.strip()[-200:]}"]


def main() -> None:
    """Entry point."""
    checker = Checker(*(Path(word) for word in sys.argv[1:4]))
    words: dict[str, Callable[[], list[str]]] = {
        name: getattr(checker, name) for name in ("backlog", "killed", "cut", "dead", "end")
    }
    for line in sys.stdin:
        try:
            faults = words[line.strip()]()
        except (ValueError, OSError, KeyError, sqlite3.Error) as error:
            faults = [f"{line.strip()}: {type(error).__name__}: {error}"]
        print(json.dumps({"faults": faults, **checker.figures}), flush=True)
        checker.figures = {}


if __name__ == "__main__":
    main()
