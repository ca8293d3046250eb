"""What the entries say must hold together: call numbers without gaps, every part opened and closed.

The Merkle tree shows that nothing was changed afterwards; these checks show that what was written
is whole. Rules and codes: docs/audit-format.md section 6.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greffier.audit import receipt
from greffier.audit.entry import Entry
from greffier.audit.held import Held
from greffier.audit.note import VerifierKey
from greffier.audit.vouching import Vouching
from greffier.seal.envelope import What, epoch_id

_RUN_ENDS = frozenset({"epoch.opened", "epoch.closed", "import.ended"})
_KEYS = frozenset(
    {"device.created", "epoch.opened", "console.key", "console.closed", "office.replaced"}
)
_ANOTHER_DAY = "day"
"""The reason of an epoch that was closed because another day began: its calls and parts go on."""
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
    envelope: str | None = None
    received: bool = False


@dataclass(frozen=True, slots=True)
class ListedCall:
    """What the last record of the calls journal says of a call, without any key.

    *interrupted*: a start ended the call; then what became of it is known from the vault.
    """

    record: str
    codes: tuple[str, ...]
    result: str
    recording: str | None
    interrupted: bool = False


@dataclass(slots=True)
class _Call:
    epoch: str | None
    ended: Entry | None = None


@dataclass(slots=True)
class Narrative:
    """Reads the entries in order; ``problems`` grows, ``finish`` adds what was never closed.

    One thread owns an instance.
    """

    problems: list[Problem] = field(default_factory=list)
    receipt_keys: Sequence[VerifierKey] = ()
    """Head office's, as far as they are known: receipts by others are not checked."""
    _device: str = ""
    _numbers: dict[str, int] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _calls: dict[str, _Call] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _shredded_epochs: set[str] = field(default_factory=set)
    _recipients: tuple[str | None, str | None] | None = None
    _vouching: Vouching = field(default_factory=Vouching)
    _held: Held = field(default_factory=Held)
    _run_ended: int = -1
    _epoch_closed: int = -1
    _renewed: bool = False

    def read(self, entry: Entry) -> None:
        """Take in the next entry."""
        if wrong := self._vouching.read(entry):
            self._problem("operator.unvouched", wrong, entry.seq)
        for part in self._held.read(entry):
            self._problem("part.held", f"part {part} was destroyed while it was held", entry.seq)
        if entry.ev == "call.decided":
            self._call(entry)
            self._calls[entry.data["uid"]] = _Call(entry.data.get("epoch"))
        elif entry.ev == "call.ended":
            self._calls.setdefault(entry.data["uid"], _Call(None)).ended = entry
        elif entry.ev in _KEYS:
            self._device = entry.data.get("device", self._device)
            self._keys(entry)
        elif entry.ev in ("part.opened", "part.sealed", "part.recovered"):
            self._part(entry)
        elif entry.ev == "part.received":
            self._receipt(entry)
        elif entry.ev == "key.shredded":
            for part in entry.data.get("parts", ()):
                self._parts.setdefault(part, _Part()).shredded = True
            self._shredded_epochs |= set(entry.data.get("epochs", ()))
        renewed = entry.ev == "epoch.closed" and entry.data.get("reason") == _ANOTHER_DAY
        if (
            entry.ev in _RUN_ENDS
            and not renewed
            and not (self._renewed and entry.ev == "epoch.opened")
        ):
            self._run_ended = entry.seq
        if entry.ev == "epoch.closed":
            self._epoch_closed = entry.seq
        self._renewed = renewed

    def finish(self) -> None:
        """No more entries: a part that an ended run opened must have been closed."""
        for part, one in self._parts.items():
            ended = one.closed is not None or one.shredded
            if one.opened is not None and not ended and one.opened < self._run_ended:
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

    def against_journal(self, journal: Mapping[str, ListedCall]) -> list[Problem]:
        """Compare with *journal*: call number -> what its last whole record says in clear.

        A record follows its entry: one that ended after the last epoch was closed may lack it.
        """
        found = []
        for uid, one in self._calls.items():
            listed = journal.get(uid)
            if one.ended is None or one.epoch in self._shredded_epochs:
                continue
            if listed is None and one.ended.seq < self._epoch_closed:
                text = f"call {uid} is not in the calls journal"
                found.append(Problem("call.missing", text, one.ended.seq))
            elif listed is not None and not _same(one.ended.data, listed):
                text = f"call {uid} is not in the journal as it is in the log"
                found.append(Problem("call.altered", text, one.ended.seq))
        found += [
            Problem("call.unknown", f"call {uid} is in the calls journal, not in the log")
            for uid in sorted(journal.keys() - self._calls.keys())
        ]
        return found

    def against_keys(self, held: Collection[tuple[int, bytes]]) -> list[Problem]:
        """Compare with *held*: (what, id) of every key that has an envelope (docs/shred-format.md).

        A key goes only where a ``key.shredded`` says so.
        """
        found = []
        for part, one in self._parts.items():
            kept = one.opened is not None and not one.shredded and (not one.closed or one.size)
            if kept and (What.PART, bytes.fromhex(part)) not in held:
                text = f"nothing opens part {part} any more, and its key was not shredded"
                found.append(Problem("key.lost", text, one.opened))
        for epoch, seq in self._epochs.items():
            name = (What.METADATA, epoch_id(epoch))
            if epoch not in self._shredded_epochs and name not in held:
                text = f"nothing opens the calls of epoch {epoch}, and its key was not shredded"
                found.append(Problem("key.lost", text, seq))
        return found

    def _keys(self, entry: Entry) -> None:
        """Everything is sealed to the keys that the log named before."""
        if entry.ev == "epoch.opened":
            self._epochs[entry.data["epoch"]] = entry.seq
        if entry.ev in ("console.key", "console.closed"):
            if self._recipients:
                self._recipients = (self._recipients[0], entry.data.get("key"))
            return
        if entry.ev == "office.replaced":
            if self._recipients:
                self._recipients = (entry.data["key"], self._recipients[1])
            return
        named = (entry.data.get("office_key"), entry.data.get("console_key"))
        if entry.ev == "device.created":
            self._recipients = named if named[0] else None
        elif self._recipients and named[0] and named != self._recipients:
            self._problem("key.changed", "sealed to other keys than the log names", entry.seq)

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
            known.envelope = entry.data.get("envelope")
            return
        if known.opened is None:
            self._problem("part.not_opened", f"part {part} was never opened", entry.seq)
        if known.closed is not None:
            self._problem("part.sealed_twice", f"part {part} was sealed before", entry.seq)
        known.closed = entry.seq
        known.size, known.sha256 = entry.data["bytes"], entry.data["sha256"]

    def _receipt(self, entry: Entry) -> None:
        """Head office's word is about a part that ended, once, and about this very part."""
        part, data = entry.data["part"], entry.data
        known = self._parts.setdefault(part, _Part())
        if known.closed is None:
            self._problem("part.received_unknown", f"part {part} was never sealed", entry.seq)
        elif (known.size, known.sha256, known.envelope) != (
            data["bytes"],
            data["sha256"],
            data["envelope"],
        ):
            self._problem("part.received_other", f"part {part} was sealed otherwise", entry.seq)
        if known.received:
            self._problem("part.received_twice", f"part {part} was received before", entry.seq)
        known.received = True
        known_key = any(
            (one.name, one.key_id.hex()) == (data["by"], data["key"]) for one in self.receipt_keys
        )
        if known_key and not _holds(self._device, data, self.receipt_keys):
            self._problem("receipt.forged", f"nobody signed that of part {part}", entry.seq)

    def _problem(self, code: str, detail: str, seq: int) -> None:
        self.problems.append(Problem(code, detail, seq))


def _holds(device: str, data: Mapping[str, Any], keys: Sequence[VerifierKey]) -> bool:
    try:
        receipt.read(receipt.rebuild(device, data), keys)
    except ValueError:
        return False
    return True


def _same(ended: Mapping[str, Any], listed: ListedCall) -> bool:
    decision = ended.get("record"), tuple(ended.get("codes", ()))
    if decision[0] is not None and decision != (listed.record, listed.codes):
        return False
    outcome = ended["result"], ended.get("recording")
    return listed.interrupted or outcome == (listed.result, listed.recording)


def cross_check(entries: Iterable[Entry], parts: Mapping[str, tuple[int, str]]) -> list[Problem]:
    """What differs between the log and the vault: parts missing, altered or unknown.

    *parts* maps each part id in the vault to (bytes, SHA-256 of the file in hex). A part whose key
    was shredded may be gone; one that is open may have any content.
    """
    narrative = Narrative()
    for entry in entries:
        narrative.read(entry)
    return narrative.against(parts)
