"""What the entries say must hold together: call numbers without gaps, every part opened and closed.

The Merkle tree shows that nothing was changed afterwards; these checks show that what was written
is whole. Rules and codes: docs/audit-format.md section 6.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greffier.audit.entry import Entry

_RUN_ENDS = frozenset({"epoch.opened", "epoch.closed", "import.ended"})
_COUNTER = re.compile(r"(.+)/(\d{10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be: a code, where (entry number, file or both), and why."""

    code: str
    detail: str
    seq: int | None = None
    file: str | None = None


@dataclass(slots=True)
class _Part:
    opened: int | None = None
    closed: int | None = None
    size: int = 0
    sha256: str = ""
    shredded: bool = False


@dataclass(slots=True)
class Narrative:
    """Reads the entries in order; ``problems`` grows, ``finish`` adds what was never closed.

    One thread owns an instance.
    """

    problems: list[Problem] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _run_ended: int = -1

    def read(self, entry: Entry) -> None:
        """Take in the next entry."""
        if entry.ev == "call.decided":
            self._call(entry)
        elif entry.ev in ("part.opened", "part.sealed", "part.recovered"):
            self._part(entry)
        elif entry.ev == "key.shredded":
            for part in entry.data.get("parts", ()):
                self._parts.setdefault(part, _Part()).shredded = True
        if entry.ev in _RUN_ENDS:
            self._run_ended = entry.seq

    def finish(self) -> None:
        """No more entries: a part that an ended run opened must have been closed."""
        for part, one in self._parts.items():
            if one.opened is not None and one.closed is None and one.opened < self._run_ended:
                self._problem("part.not_sealed", f"part {part} was never sealed", one.opened)

    def against(self, vault: Mapping[str, tuple[int, str]]) -> list[Problem]:
        """Compare with *vault*: part id -> (bytes, SHA-256 in hex) of every part file there is."""
        found = []
        for part, one in self._parts.items():
            if one.closed is None or one.shredded:
                continue
            stored = vault.get(part)
            if stored is None and one.size == 0:
                continue  # recovered with nothing in it: its file was removed
            if stored is None:
                found.append(
                    Problem("part.missing", f"part {part} is not in the vault", one.closed)
                )
            elif stored != (one.size, one.sha256):
                found.append(Problem("part.altered", f"part {part} is not as sealed", one.closed))
        found += [
            Problem("part.unknown", f"part {part} is in the vault, not in the log")
            for part in sorted(vault.keys() - self._parts.keys())
        ]
        return found

    def _call(self, entry: Entry) -> None:
        match = _COUNTER.fullmatch(entry.data["uid"])
        if match is None:
            self._problem("call.number", "a call number has no counter", entry.seq)
            return
        line, number = match[1], int(match[2])
        expected = self._numbers.get(line, 0) + 1
        if number != expected:
            self._problem(
                "call.number", f"line {line}: number {number} where {expected} was due", entry.seq
            )
        self._numbers[line] = max(number, expected - 1)

    def _part(self, entry: Entry) -> None:
        part = entry.data["part"]
        known = self._parts.setdefault(part, _Part())
        if entry.ev == "part.opened":
            if known.opened is not None:
                self._problem("part.opened_twice", f"part {part} was opened before", entry.seq)
            known.opened = entry.seq
            return
        if known.opened is None:
            self._problem("part.not_opened", f"part {part} was never opened", entry.seq)
        if known.closed is not None:
            self._problem("part.sealed_twice", f"part {part} was sealed before", entry.seq)
        known.closed = entry.seq
        known.size, known.sha256 = entry.data["bytes"], entry.data["sha256"]

    def _problem(self, code: str, detail: str, seq: int) -> None:
        self.problems.append(Problem(code, detail, seq))


def cross_check(entries: Iterable[Entry], parts: Mapping[str, tuple[int, str]]) -> list[Problem]:
    """What differs between the log and the vault: parts missing, altered or unknown.

    *parts* maps each part id in the vault to (bytes, SHA-256 of the file in hex). A part whose key
    was shredded may be gone; one that is open may have any content.
    """
    narrative = Narrative()
    for entry in entries:
        narrative.read(entry)
    return narrative.against(parts)
