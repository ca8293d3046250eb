"""Looks from outside whether a recorder that is killed keeps what it said it had.

A program of its own that imports nothing of the recorder's: it follows the control socket
(docs/control-protocol.md), reads part files as bytes, and the log by docs/audit-format.md. What it
believes is only what the recorder *published* as committed.

`python soak_checker.py SOCKET DATA` takes one word a line, and answers each with a line of JSON:

    killed     the process is dead: each committed part has its bytes; remember their SHA-256
    started    it is armed again: the same bytes are there, with the same SHA-256; the log goes on
    end JSON   the same for every part of the whole run, and the sums of the coverage;
               {"outages": [[killed_ns, spawned_ns], ...]}
"""

import hashlib
import itertools
import json
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAUSE_S = 0.02
_MOST = 2 << 20


def ask_status(path: str) -> dict[str, Any] | None:
    """The body of the recorder's status, or None while nobody answers."""
    body = json.dumps({"body": {}, "is": "status", "v": 1}, separators=(",", ":")).encode()
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(2)
            peer.connect(path)
            peer.sendall(struct.pack(">I", len(body)) + body)
            (length,) = struct.unpack(">I", _exactly(peer, 4))
            answer = json.loads(_exactly(peer, min(length, _MOST)))
    except (OSError, EOFError):
        return None
    found: dict[str, Any] = answer["body"]
    return found if answer["is"] == "status" else None


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Watch(threading.Thread):
    """Asks all the time, and remembers the most that was ever committed of each part."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._lock = threading.Lock()  # guards the two below
        self._committed: dict[str, int] = {}
        self._recent: set[str] = set()
        self.answers = 0

    def run(self) -> None:
        while True:
            found = ask_status(self._path)
            if found is not None:
                self.answers += 1
                with self._lock:
                    for part in found["committed"]:
                        name, size = part["part"], part["bytes"]
                        self._committed[name] = max(size, self._committed.get(name, 0))
                        self._recent.add(name)
            time.sleep(PAUSE_S)

    def committed(self) -> dict[str, int]:
        """Of every part so far."""
        with self._lock:
            return dict(self._committed)

    def recent(self) -> set[str]:
        """Parts heard of since this was asked last."""
        with self._lock:
            found, self._recent = self._recent, set()
            return found


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """The entries that the log's checkpoint covers, in order. Raises ValueError."""
    lines = (folder / "audit" / "checkpoint").read_text().splitlines()
    size = int(lines[1])
    files = sorted((folder / "audit").glob("entries-*.glog"), key=_place)
    firsts = [_place(path)[0] for path in files] + [size]
    seen = 0
    for path, after in zip(files, firsts[1:], strict=True):
        data, at = path.read_bytes(), 0
        while seen < after:
            length, crc = struct.unpack_from(">II", data, at)
            entry = data[at + 8 : at + 8 + length]
            if zlib.crc32(data[at : at + 4] + entry) != crc:
                raise ValueError(f"entry {seen} is damaged")
            found: dict[str, Any] = json.loads(entry)
            if found["seq"] != seen:
                raise ValueError(f"entry {seen} says that it is {found['seq']}")
            found["hash"] = hashlib.sha256(entry).digest()
            yield found
            at += 8 + length
            seen += 1


def _place(path: Path) -> tuple[int, int]:
    first, _, attempt = path.name.removeprefix("entries-").removesuffix(".glog").partition(".")
    return int(first), int(attempt or 0)


class Checker:
    """Compares what was promised with what is there."""

    def __init__(self, data: Path, watch: Watch) -> None:
        self._data = data
        self._watch = watch
        self._sums: dict[str, tuple[int, str]] = {}
        self._told: list[bytes] = []  # the hashes of the log's entries
        self.bytes = 0

    def killed(self) -> list[str]:
        """Faults at a kill."""
        committed = self._watch.committed()
        recent = self._watch.recent()
        faults = []
        for part in sorted(recent):
            wanted = committed[part]
            found = self._prefix(part, wanted)
            if found is None:
                faults.append(f"part {part} has not the {wanted} bytes that were committed")
            else:
                self._sums[part] = (wanted, found)
                self.bytes += wanted
        self._recent = recent
        return faults

    def started(self) -> list[str]:
        """Faults after a restart."""
        return self._unchanged(self._recent) + self._log()

    def _unchanged(self, parts: set[str]) -> list[str]:
        faults = []
        for part in sorted(parts):
            if part not in self._sums:
                continue
            size, wanted = self._sums[part]
            found = self._prefix(part, size)
            if found is None:
                faults.append(f"part {part} lost committed bytes of {size}")
            elif found != wanted:
                faults.append(f"part {part} has other bytes than were committed")
        return faults

    def _prefix(self, part: str, size: int) -> str | None:
        """The SHA-256 of the first *size* bytes of a part, None where there are not as many."""
        if not size:
            return hashlib.sha256(b"").hexdigest()
        paths = list((self._data / "vault").rglob(f"{part}.gpart"))
        if len(paths) != 1 or paths[0].stat().st_size < size:
            return None
        with paths[0].open("rb") as file:
            return hashlib.sha256(file.read(size)).hexdigest()

    def _log(self) -> list[str]:
        try:
            told = list(entries(self._data))
        except (ValueError, OSError) as error:
            return [f"the log: {error}"]
        hashes = [entry["hash"] for entry in told]
        faults = []
        if hashes[: len(self._told)] != self._told:
            faults.append("the log lost or changed entries")
        self._told = hashes
        decided = [entry["data"] for entry in told if entry["ev"] == "call.decided"]
        lines: dict[str, int] = {}
        names: dict[str, str] = {}
        for one in decided:
            line, number = one["uid"].rsplit("/", 1)
            if int(number) != lines.get(line, 0) + 1:
                faults.append(f"call number {one['uid']} follows {lines.get(line, 0)}")
            lines[line] = int(number)
            if one["call"] in names:
                faults.append(f"{one['uid']} and {names[one['call']]} are one call, decided twice")
            names[one["call"]] = one["uid"]
        return faults

    def end(self, outages: list[list[int]]) -> tuple[list[str], dict[str, Any]]:
        """Faults of the whole run, and figures."""
        self._recent = set(self._watch.committed())
        faults = self.killed() + self._unchanged(set(self._sums)) + self._log()
        spans: dict[str, list[tuple[int, int, str]]] = {}
        for entry in entries(self._data):
            if entry["ev"] == "coverage":
                one = entry["data"]
                spans.setdefault(one["channel"], []).append(
                    (int(one["from_ns"]), int(one["to_ns"]), one["state"])
                )
        off = 0
        for channel, found in spans.items():
            found.sort()
            for (_, low, _), (high, _, _) in itertools.pairwise(found):
                if low != high:
                    what = "counted twice" if low > high else "not accounted for"
                    faults.append(f"{abs(high - low) / 1e9:.3f} s of {channel} are {what}")
            faults += _outages(channel, found, outages)
            if channel == "trunk":
                off = sum(high - low for low, high, state in found if state == "off")
        figures = {
            "parts": len(self._sums),
            "entries": len(self._told),
            "channels": len(spans),
            "off_s": round(off / 1e9, 1),
            "answers": self._watch.answers,
        }
        return faults, figures


def _outages(
    channel: str, spans: list[tuple[int, int, str]], outages: list[list[int]]
) -> list[str]:
    """The outages inside the time of *channel* that are not `off` from one end to the other."""
    faults = []
    first, last = spans[0][0], spans[-1][1]
    for killed, spawned in outages:
        if not (first < killed and spawned < last):
            continue
        covered = sum(
            min(high, spawned) - max(low, killed)
            for low, high, state in spans
            if state == "off" and low < spawned and high > killed
        )
        if covered != spawned - killed:
            missing = (spawned - killed - covered) / 1e9
            faults.append(f"{missing:.3f} s of an outage are not off on {channel}")
    return faults


def main() -> None:
    """Entry point."""
    watch = Watch(sys.argv[1])
    watch.start()
    checker = Checker(Path(sys.argv[2]), watch)
    figures: dict[str, Any] = {}
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        match word:
            case "killed":
                faults = checker.killed()
            case "started":
                faults = checker.started()
            case "end":
                faults, figures = checker.end(json.loads(rest)["outages"])
            case _:
                faults = [f"unknown word {word}"]
        print(json.dumps({"faults": faults, "bytes": checker.bytes, **figures}), flush=True)


if __name__ == "__main__":
    main()
