"""A data directory as years leave it: made in minutes, by the writers that a recorder has.

Every envelope, log entry, part, journal record and row comes from :class:`Archive`, as in a
recorder; only the calls are invented, the disk is not waited for, and the clock runs ahead.

The mix, at 2,740 calls a day (a million a year): each call has a decision, three links, an interval
of coverage and an end in the log, a record at its beginning and one at its end in the journal, and
a row; a line's heartbeat is an interval a minute. One call in ten is recorded: its part is opened,
sealed and received in the log. Those of the last 91 days are there: a file of one second of G.711
and an envelope each. Older ones were destroyed: their keys are in no store, and the log says so.
"""

import random
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import receipt
from greffier.audit.intervals import Interval
from greffier.audit.note import Signer
from greffier.audit.receipt import Receipt
from greffier.clock import SECOND, CaptureClock, SystemClock, format_time
from greffier.durable import Disk, LinuxSystem
from greffier.encode.codecs import by_name
from greffier.encode.timeline import Placed
from greffier.recorder import archive as archives
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.numbers import journal_name
from greffier.recorder.tape import PartPlan, Tape
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout

A_DAY: Final = 2_740
KEPT_DAYS: Final = 91
LINES: Final = ("accueil", "desk", "sav", "vente", "urgence", "compta", "stock", "atelier")
_DAY_NS: Final = 86_400 * SECOND
_A_TICK: Final = 500  # calls
_PCMA: Final = by_name("PCMA")
_PAYLOAD: Final = bytes(160)
_AGENTS: Final = 40
_VERDICTS: Final = (
    # record, codes, weight: of a hundred
    ("none", ("SAMPLED_OUT",), 62),
    ("none", ("INTERNAL_OFF",), 14),
    ("none", ("OUTSIDE_WINDOW",), 8),
    ("none", ("NOTICE_PENDING", "ANNOUNCE_FAILED"), 4),
    ("none", ("OBJECTED",), 2),
    ("full", ("SAMPLED_IN",), 7),
    ("full", ("MANDATORY_MIFID",), 3),
)


class Unwaited(LinuxSystem):
    """The real calls, but nobody waits for the medium."""

    def fsync(self, fd: int) -> None:
        pass

    def fdatasync(self, fd: int) -> None:
        pass

    def syncfs(self, fd: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Made:
    """What was made: *calls*, entries of the log, parts that are there with their envelopes."""

    calls: int
    entries: int
    parts: int


class Years:
    """Makes one; :meth:`make` is all of it. *kept_days* may be more than a year: all parts stay.

    *share* is how many calls of a hundred are recorded (None: the mix above).
    """

    def __init__(
        self, folder: Path, calls: int, *, kept_days: int = KEPT_DAYS, share: int | None = None
    ) -> None:
        self._folder = folder
        self._calls = calls
        self._days = max(1, -(-calls // A_DAY))
        self._kept_days = kept_days
        self._share = share
        self._draw = random.Random(7)
        self._key = Signer("siege/receipt", Ed25519PrivateKey.generate())
        self._numbers = dict.fromkeys(LINES, 0)
        self._parts = 0
        self._unsent: list[str] = []  # parts whose receipt is due
        machine = SystemClock()
        self._now_ns = machine.wall_ns() - self._days * _DAY_NS
        self._clock = CaptureClock(self._now_ns, machine)
        self._office = keys.generate(Role.OFFICE).public

    def make(self) -> Made:
        """All of it. Raises AlreadyThere."""
        archives.create(self._folder, self._clock, self._office.format().encode())
        (self._folder / "keys" / "head-office.pub").write_text(self._key.log_key.text + "\n")
        left = self._calls
        opened = Archive(layout.open(self._folder), self._clock, Disk(Unwaited()))
        with opened as archive:
            recovery.recover(archive)
            archive.index._db.execute("PRAGMA synchronous = OFF")
            archive.open_epoch()
            archive.log.append("recorder.started", None, {"version": "0.1.0"})
            for day in range(self._days):
                if day:
                    self._clock.move_to(self._now_ns)
                    archive.renew_epoch()
                some = min(A_DAY, left)
                self._a_day(archive, day, some)
                left -= some
            entries = archive.log.accepted
        return Made(self._calls, entries, self._parts)

    def _a_day(self, archive: Archive, day: int, calls: int) -> None:
        begun = self._now_ns
        recent = self._days - day <= self._kept_days
        doomed: list[str] = []
        for number in range(calls):
            at_ns = begun + number * (_DAY_NS // A_DAY)
            while self._now_ns + 60 * SECOND <= at_ns:
                self._beat(archive)
            self._clock.move_to(at_ns)
            gone = self._a_call(archive, at_ns, recent)
            doomed += [gone] if gone else []
            if number % _A_TICK == _A_TICK - 1:
                self._tick(archive)
        while self._now_ns + 60 * SECOND <= begun + _DAY_NS:
            self._beat(archive)
        if doomed:
            for outcome in (None, "done"):
                archive.shred_logged(doomed, "due", archive.shred.class_name, outcome)
        self._tick(archive)
        archive.tick()
        self._now_ns = begun + _DAY_NS

    def _tick(self, archive: Archive) -> None:
        """Twice: files are written and on record, so head office can have them."""
        archive.tick()
        archive.tick()
        for part in self._unsent:
            waiting = archive.unconfirmed.find(part)
            assert waiting is not None  # noqa: S101 - it was sealed
            self._receive(archive, part, waiting.size, waiting.sha256, waiting.envelope)
        self._unsent.clear()

    def _beat(self, archive: Archive) -> None:
        after = self._now_ns + 60 * SECOND
        one = Interval("trunk", "trunk", self._now_ns, after, "idle")
        archive.log.append("coverage", None, one.data)
        self._now_ns = after

    def _a_call(self, archive: Archive, at_ns: int, recent: bool) -> str | None:
        """One call; the id of its part, where that is not there any more."""
        draw = self._draw
        line = draw.choices(LINES, (30, 25, 15, 12, 1, 8, 6, 3))[0]
        self._numbers[line] += 1
        device = archive.data.identity.device
        uid = f"{device}/{line}/{self._numbers[line]:010d}"
        record, codes = self._verdict()
        length_ns = draw.randrange(5, 900) * SECOND
        call = {"uid": uid, "line": line, "record": record, "codes": list(codes)}
        self._decided(archive, call, at_ns)
        recording = secrets.token_hex(16) if record == "full" else None
        told = self._told(call, at_ns, recording)
        people = _people(draw)
        archive.write_call({**told, "end_ns": None, "end": "running"}, people)
        gone = self._a_part(archive, call, at_ns, recording, recent) if recording else None
        interval = Interval(
            line, uid, at_ns, at_ns + length_ns,
            "recorded" if recording else "not_recorded", None if recording else codes[0],
        )  # fmt: skip
        archive.log.append("coverage", recording, interval.data)
        ended = {"result": "ok", "recording": recording, "reason": "bye", "legs": 2, "lost": 0}
        archive.log.append("call.ended", recording, {**call, **ended, "packets": 4000})
        done: dict[str, Any] = {"end_ns": str(at_ns + length_ns), "end": "bye"}
        done["legs"] = _legs(draw)
        done["duration_ms"] = length_ns // 1_000_000
        archive.write_call({**told, **done, "accounted": _accounted()}, people)
        return gone

    def _verdict(self) -> tuple[str, tuple[str, ...]]:
        if self._share is not None:
            full = self._draw.random() * 100 < self._share
            return ("full", ("SAMPLED_IN",)) if full else ("none", ("SAMPLED_OUT",))
        one = self._draw.choices(_VERDICTS, [weight for _, _, weight in _VERDICTS])[0]
        return one[0], one[1]

    def _decided(self, archive: Archive, call: dict[str, Any], at_ns: int) -> None:
        epoch = archive.epoch
        sha256 = "5e" * 32
        more = {
            "call": secrets.token_hex(32), "at_ns": at_ns, "u": self._draw.getrandbits(53),
            "stratum": f"{call['line']}/in", "epoch": None if epoch is None else epoch.name,
            "policy": "years", "policy_version": 1, "policy_sha256": sha256,
        }  # fmt: skip
        archive.log.append("call.decided", None, {**call, **more})
        for offer in (True, None, None):
            link = {"uid": call["uid"], "flow": secrets.token_hex(32), "offer": offer}
            archive.log.append("call.linked", None, link)

    def _told(self, call: dict[str, Any], at_ns: int, recording: str | None) -> dict[str, Any]:
        return {
            "uid": journal_name(call["uid"]),
            "number": call["uid"],
            "line": call["line"],
            "direction": self._draw.choices(("in", "out", "int"), (70, 20, 10))[0],
            "start_ns": str(at_ns),
            "recording": recording,
            "call_id": f"{secrets.token_hex(8)}@pbx",
            "start": format_time(at_ns),
            "answered": format_time(at_ns + 3 * SECOND),
            "duration_ms": None,
            "result": "ok",
            "record": call["record"],
            "codes": call["codes"],
            "warnings": [],
            "legs": [],
        }

    def _a_part(
        self, archive: Archive, call: dict[str, Any], at_ns: int, recording: str, recent: bool
    ) -> str | None:
        if recent:
            self._a_file(archive, call, at_ns, recording)
            return None
        part, sha256, envelope = (secrets.token_hex(n) for n in (16, 32, 32))
        opened = {
            "part": part, "recording": recording, "number": 0, "uid": call["uid"],
            "line": call["line"], "purposes": ["quality"], "class": "C", "commitment": "00" * 32,
            "envelope": envelope, "created_ns": at_ns,
        }  # fmt: skip
        sealed = {
            "part": part, "recording": recording, "number": 0, "bytes": 8400, "sha256": sha256,
            "root": "00" * 32, "commitment": "00" * 32, "frames": 5, "end": "bye",
        }  # fmt: skip
        for kind, data in (("part.opened", opened), ("part.sealed", sealed)):
            archive.unconfirmed.read(archive.log.append(kind, recording, data))
        self._receive(archive, part, 8400, sha256, envelope)
        return part

    def _a_file(self, archive: Archive, call: dict[str, Any], at_ns: int, recording: str) -> None:
        assert archive.epoch is not None  # noqa: S101 - one was opened
        plan = PartPlan(
            device=archive.data.identity.device,
            line=call["line"],
            uid=call["uid"],
            epoch=archive.epoch.name,
            recording=bytes.fromhex(recording),
            number=0,
            previous=None,
            purposes={"quality": (0, 90)},
            kind="original",
            origin_ns=at_ns,
            start_ns=at_ns,
            in_file=False,
            deletion=archive.shred.class_name,
        )
        tape = Tape(plan, archive.recipients, {"call_id": "years"})
        archive.add(tape)
        sound = [Placed(at * 160, 160, 0, _PCMA, 8, at, _PAYLOAD) for at in range(50)]
        tape.take(0, {"source": "10.0.0.1:4000", "side": "ours"}, sound)
        tape.finish("bye")
        self._unsent.append(tape.part.hex())
        self._parts += 1

    def _receive(self, archive: Archive, part: str, size: int, sha256: str, envelope: str) -> None:
        time_s = self._clock.wall_ns() // SECOND
        told = Receipt(archive.data.identity.device, part, size, sha256, envelope, time_s)
        archive.receive(receipt.read(told.signed(self._key), [self._key.log_key]))


def _people(draw: random.Random) -> dict[str, Any]:
    number = f"+336{draw.randrange(10**8):08d}"
    return {
        "call_id": None, "origin_us": 0, "from": number, "to": "201",
        "from_uri": f"sip:{number}@pbx", "to_uri": "sip:201@pbx",
        "names": {"from": "", "to": f"Poste {draw.randrange(_AGENTS)}"},
    }  # fmt: skip


def _legs(draw: random.Random) -> list[dict[str, Any]]:
    leg = {
        "source": "10.0.0.1:4000", "destination": "10.0.0.2:5000", "codec": "PCMA",
        "ssrc": f"0x{draw.getrandbits(32):08x}", "packets": 2000, "lost": 0, "duplicates": 0,
        "reordered": 0, "milliseconds": 40_000, "dtmf_events": 0, "side": "ours",
    }  # fmt: skip
    return [leg, {**leg, "side": "theirs", "ssrc": f"0x{draw.getrandbits(32):08x}"}]


def _accounted() -> dict[str, int]:
    return {
        "received": 4000, "recorded": 0, "not_recorded": 4000, "masked": 0, "silent": 0,
        "duplicates": 0, "lost": 0,
    }  # fmt: skip
