"""Head office deletes: which parts, by its own clock and the boxes' logs; then how, step by step.

Order of one round: tombstones durable, rows (the part is nowhere any more), envelopes and their
keys, objects, a second record ``done``. Each step can be repeated; what a kill left is finished by
the next round, from the tombstones. One process at a time deletes (``deletions/lock``).
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Self

from greffier.clock import SECOND
from greffier.durable import Disk
from greffier.policy.lifecycle import KEEP
from greffier_office import deletions, disposal
from greffier_office.catalogue import Catalogue
from greffier_office.disposal import DELETING, NEVER, Claim, Subject
from greffier_office.envelopes import Envelopes
from greffier_office.objects import Objects
from greffier_office.place import Office
from greffier_office.tombstones import Deleted, Done, Tombstones

BATCH: Final = 256
MANY: Final = 4096
CLASS: Final = "C"
"""What a destruction at head office is worth: its keys are files (docs/office-directory.md)."""
LEAP_NS: Final = 8 * 86_400 * SECOND
"""A clock that went so far since the last round is not believed without a person."""
LOOKED: Final = "purge_ns"
"""In ``keeping``: head office's clock at the last round that was believed."""
_CANDIDATES: Final = """
SELECT p.device, p.part, p.recording, p.created_ns, p.purposes, p.until_ns, p.shredded,
       p.bytes, p.sha256, p.envelope, p.due_ns
FROM (
  SELECT device, part FROM parts WHERE stored_ns IS NOT NULL AND due_ns IS NULL
  UNION SELECT device, part FROM parts WHERE stored_ns IS NOT NULL AND due_ns BETWEEN 0 AND ?
  UNION SELECT device, part FROM parts WHERE stored_ns IS NOT NULL AND shredded IS NOT NULL
) AS c CROSS JOIN parts AS p USING (device, part)
ORDER BY p.device, p.part
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A part that is here, and the code of the rule."""

    device: str
    part: str
    recording: str
    code: str
    asked: str
    size: int
    sha256: str
    envelope: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, and what stays although its time came or its box asked for it.

    ``leap_ns``: how far the clock went since the last round, where that is not believed (else 0).
    """

    doomed: tuple[Verdict, ...]
    refused: tuple[Verdict, ...]
    leap_ns: int = 0


class Purging:
    """One thread owns it. *strike* is asked before each durable step, by its name (for tests)."""

    def __init__(
        self,
        rows: Catalogue,
        envelopes: Envelopes,
        objects: Objects,
        tombstones: Tombstones,
        now_ns: Callable[[], int] = time.time_ns,
        strike: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._rows = rows
        self._envelopes = envelopes
        self._objects = objects
        self._tombstones = tombstones
        self._now_ns = now_ns
        self._strike = strike

    @classmethod
    def of(
        cls,
        office: Office,
        disk: Disk,
        now_ns: Callable[[], int] = time.time_ns,
        writing: AbstractContextManager[bool] | None = None,
    ) -> Self:
        """Over the directory of *office*, with connections of its own; *writing* as of Catalogue.

        Raises BadDatabase, StorageFailed.
        """
        return cls(
            Catalogue.open(office.catalogue, disk, writing),
            office.open_envelopes(disk),
            Objects(office.store or office.objects, disk),
            office.tombstones(disk),
            now_ns,
        )

    def close(self) -> None:
        """Let the files go."""
        self._rows.close()
        self._envelopes.close()

    def replay(self) -> int:
        """Have the rows follow the tombstones; how many parts are to be finished.

        Before anything else is done with a directory that may have been restored from a backup: a
        part with a tombstone is not here afterwards, whatever the databases say. Raises
        IntegrityError (the tombstones are damaged), Busy, StorageFailed, BadDatabase.
        """
        with self._tombstones.lock():
            self._follow()
            self._look_for_revenants()
            (count,) = self._rows.db.execute(
                "SELECT count(*) FROM deletions WHERE done_ns IS NULL"
            ).fetchone()
            return int(count)

    def plan(self, visa: bool, *, believe: bool = False) -> Plan:
        """What goes now. *visa*: the archives agreed; *believe*: a person vouches for the clock."""
        now_ns = self._now_ns()
        rows = self._candidates(now_ns)
        subjects = [self._subject(row) for row in rows]
        self._note_due(rows, subjects)
        found = [
            _verdict(row, one, disposal.judge(one, now_ns, visa))
            for row, one in zip(rows, subjects, strict=True)
            if one.asked or NEVER < disposal.due_ns(one) <= now_ns
        ]
        last_ns = self._last_round_ns()
        leap_ns = now_ns - last_ns if last_ns and not believe else 0
        return Plan(
            tuple(one for one in found if one.code in DELETING),
            tuple(one for one in found if one.code not in DELETING and one.code != KEEP),
            leap_ns if leap_ns > LEAP_NS else 0,
        )

    def carry_out(self, plan: Plan, beat: Callable[[], None] = lambda: None) -> int:
        """Destroy what is doomed and finish what was begun before; how many parts are done.

        *beat* is called before each batch of parts. Nothing where the plan's clock is not
        believed. Raises Busy, StorageFailed, IntegrityError, BadDatabase: the next call goes on.
        """
        if plan.leap_ns:
            return 0
        with self._tombstones.lock():
            at = self._follow()
            for first in range(0, len(plan.doomed), BATCH):
                beat()
                at = self._bury(plan.doomed[first : first + BATCH], at)
            done = self._finish(at, beat)
            self._remove_objects(beat)
            self._remember_round()
        return done

    # --- which ---

    def _candidates(self, now_ns: int) -> list[sqlite3.Row]:
        return self._rows.db.execute(_CANDIDATES, (now_ns,)).fetchall()

    def _subject(self, row: sqlite3.Row) -> Subject:
        return Subject(
            row["created_ns"],
            disposal.terms_of(disposal.purposes_of(row["purposes"])),
            row["until_ns"],
            row["shredded"] or "",
            self._claims(row["device"], row["part"], row["recording"]),
        )

    def _claims(self, device: str, part: str, recording: str) -> tuple[Claim, ...]:
        rows = self._rows.db.execute(
            "SELECT DISTINCT h.mode, h.since_ns, h.until_ns FROM held JOIN holds AS h"
            " USING (device, hold) WHERE device = ? AND name IN (?, ?)",
            (device, part, recording),
        )
        found = [Claim(row["mode"], row["since_ns"], row["until_ns"]) for row in rows]
        strange = self._rows.db.execute(
            "SELECT 1 FROM unread WHERE device = ? AND ev GLOB 'hold.*'", (device,)
        ).fetchone()
        if strange:  # a hold of which only a newer program could say on what: it is on all
            found.append(Claim("floor", 0, None))
        return tuple(found)

    def _note_due(self, rows: Sequence[sqlite3.Row], subjects: Sequence[Subject]) -> None:
        """Parts whose end was not computed yet are looked at once, and then when it comes."""
        ends = [
            (min(max(disposal.due_ns(one), NEVER), 2**63 - 1), row["device"], row["part"])
            for row, one in zip(rows, subjects, strict=True)
            if row["due_ns"] is None
        ]
        if ends:
            with self._rows.transaction() as db:
                db.executemany("UPDATE parts SET due_ns = ? WHERE device = ? AND part = ?", ends)

    def _last_round_ns(self) -> int:
        """The clock's last reading that was believed; 0 where there is none."""
        return deletions.kept(self._rows.db, LOOKED)

    def _remember_round(self) -> None:
        with self._rows.transaction() as db:
            deletions.keep(db, LOOKED, self._now_ns())

    # --- how ---

    def _follow(self) -> int:
        """Bring the rows up to the end of the tombstones; where that is."""
        at = deletions.kept(self._rows.db, deletions.OFFSET)
        if at > self._tombstones.size:  # the file is older than the rows: they are said again
            at = self._say_again()
        records, end = self._tombstones.read(at)
        if records or end != at:
            with self._rows.transaction() as db:
                deletions.apply(db, records, self._now_ns())
                deletions.keep(db, deletions.OFFSET, end)
        return end

    def _say_again(self) -> int:
        """Append what the rows know and a file that was put back does not; where it ends then."""
        known, end = self._tombstones.read()
        there = {(one.device, one.part) for one in known}
        lost = [
            deletions.as_record(row)
            for row in self._rows.db.execute("SELECT * FROM deletions ORDER BY at_ns")
            if (row["device"], row["part"]) not in there
        ]
        if lost:
            end = self._tombstones.append(lost, end)
        with self._rows.transaction() as db:
            deletions.keep(db, deletions.OFFSET, end)
        return end

    def _look_for_revenants(self) -> None:
        """Envelopes of deleted parts: their table was restored, or a kill left them."""
        back = [key for key in self._envelopes.names() if deletions.is_deleted(self._rows.db, *key)]
        if back:
            with self._rows.transaction() as db:
                deletions.reopen(db, back)

    def _bury(self, doomed: Sequence[Verdict], at: int) -> int:
        """Say durably that they go, then have the rows say it; where the file ends.

        In one transaction with a last look at their holds: an entry of a log that comes meanwhile
        waits, so a hold is either seen, or younger than the tombstone.
        """
        now_ns = self._now_ns()
        with self._rows.transaction() as db:
            records = [
                Deleted(
                    *(one.device, one.part, one.recording, now_ns, one.code),
                    one.asked if one.code == disposal.DELETE_ASKED else "",
                    *(CLASS, one.size, one.sha256, one.envelope),
                )
                for one in doomed
                if not self._is_held(one)
            ]
            if not records:
                return at
            self._strike("tombstone")
            end = self._tombstones.append(records, at)
            self._strike("rows")
            deletions.apply(db, records, now_ns)
            deletions.keep(db, deletions.OFFSET, end)
        return end

    def _is_held(self, one: Verdict) -> bool:
        claims = self._claims(one.device, one.part, one.recording)
        return any(claim.until_ns is None for claim in claims)

    def _finish(self, at: int, beat: Callable[[], None]) -> int:
        """Destroy envelopes and objects of all that is pending; how many parts are done.

        Many at a time: what stays under a key is sealed anew once for all that leave it.
        """
        count = 0
        while names := deletions.pending(self._rows.db, MANY):
            beat()
            self._strike("envelopes")
            self._envelopes.destroy(names, self._now_ns())
            self._remove_objects(beat)
            now_ns = self._now_ns()
            records = [Done(*key, now_ns) for key in names]
            self._strike("done")
            at = self._tombstones.append(records, at)
            self._strike("done rows")
            with self._rows.transaction() as db:
                deletions.apply(db, records, now_ns)
                deletions.keep(db, deletions.OFFSET, at)
            count += len(names)
        return count

    def _remove_objects(self, beat: Callable[[], None]) -> None:
        """Many at a time: each folder of theirs is synced once."""
        while gone := deletions.doomed_objects(self._rows.db, MANY):
            beat()
            self._strike("objects")
            self._objects.remove([one.object for one in gone])
            with self._rows.transaction() as db:
                deletions.removed(db, gone, self._now_ns())
        if deletions.any_to_forget(self._rows.db, self._now_ns()):
            with self._rows.transaction() as db:
                deletions.forget(db, self._now_ns())


def _verdict(row: sqlite3.Row, subject: Subject, code: str) -> Verdict:
    return Verdict(
        row["device"],
        row["part"],
        row["recording"],
        code,
        subject.asked,
        row["bytes"],
        row["sha256"],
        row["envelope"],
    )
