"""What kills left at head office: objects without rows, rows without parts, claims that expired.

Nothing of it does harm, it only lies there; so it is looked for slowly, a part of the objects at a
time. What is removed may be wanted at this very moment: a block is *doomed* first, in the catalogue
(:func:`greffier_office.deletions.doom`), and no part is stored with a doomed block.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final, Self

from greffier.clock import SECOND
from greffier.durable import Disk
from greffier_office import claims, deletions
from greffier_office.catalogue import Catalogue
from greffier_office.envelopes import Envelopes, Key
from greffier_office.objects import AUDIT, BLOCKS, Listed, Objects
from greffier_office.place import Office

YOUNG_NS: Final = 86_400 * SECOND
"""An object without a row, or an envelope without a part, is on its way for so long at most."""
UNFINISHED_NS: Final = 30 * YOUNG_NS
"""Blocks of a part that never became whole: so long its box may still send the rest."""
SLICES: Final = 256
DAY_S: Final = 86_400
NEXT: Final = "sweep"
"""In ``keeping``, and in a file outside the catalogue: the next slice, counted on and on."""
BATCH: Final = 256


class Sweeping:
    """One thread owns it."""

    def __init__(
        self,
        rows: Catalogue,
        envelopes: Envelopes,
        objects: Objects,
        counter: Path,
        disk: Disk,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """*counter* is the file that tells a catalogue that was put back from the true one."""
        self._counter = counter
        self._disk = disk
        self._rows = rows
        self._envelopes = envelopes
        self._objects = objects
        self._now_ns = now_ns
        self._done_s = -DAY_S / SLICES

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
            office.deletions / "sweep",
            disk,
            now_ns,
        )

    def close(self) -> None:
        """Let the files go."""
        self._rows.close()
        self._envelopes.close()

    def step(self, beat: Callable[[], None] = lambda: None) -> int:
        """The next of the slices, if it is time: all of them take a day. How much was removed.

        Nothing while the catalogue is older than the counter beside it: it was put back, and an
        object that it does not name may be the only copy of a part that came since.
        """
        now_s = time.monotonic()
        if now_s - self._done_s < DAY_S / SLICES:
            return 0
        self._done_s = now_s
        if self.is_put_back:
            return 0
        number = deletions.kept(self._rows.db, NEXT)
        count = self.sweep(number % SLICES, beat)
        self._count_to(number + 1)
        return count

    @property
    def is_put_back(self) -> bool:
        """Whether the catalogue is of a backup, and nobody has vouched for it since."""
        return deletions.kept(self._rows.db, NEXT) < self._counted()

    def everything(self) -> int:
        """All slices, at a person's word, who vouches for the catalogue. How much was removed."""
        count = sum(self.sweep(number) for number in range(SLICES))
        self._count_to(max(self._counted(), deletions.kept(self._rows.db, NEXT)) + 1)
        return count

    def _counted(self) -> int:
        try:
            text = self._counter.read_text("ascii").strip()
        except OSError:
            return 0
        return int(text) if text.isdigit() and len(text) < 16 else 0

    def _count_to(self, number: int) -> None:
        """In the catalogue first: a kill between the two is no catalogue that was put back."""
        with self._rows.transaction() as db:
            deletions.keep(db, NEXT, number)
        self._disk.make_dirs(self._counter.parent)
        self._disk.write_file(self._counter, f"{number}\n".encode())

    def sweep(self, number: int, beat: Callable[[], None] = lambda: None) -> int:
        """Slice *number* of the blocks; with the first one also everything else.

        Raises StorageFailed, BadDatabase, IntegrityError.
        """
        count = self._blocks(f"{number:02x}", beat)
        if number == 0:
            count += self._entries(beat)
            count += self._stray_envelopes(beat)
            count += self._envelopes.remove_strays(self._now_ns() / SECOND)
            self._claims()
        return count

    def _blocks(self, prefix: str, beat: Callable[[], None]) -> int:
        now_ns = self._now_ns()
        young_s = (now_ns - YOUNG_NS) / SECOND
        count = 0
        for some in _chunks(self._objects.listed(f"{BLOCKS}/{prefix}")):
            beat()
            old = [one.name for one in some if one.written_s < young_s]
            with self._rows.transaction() as db:
                for name in old:
                    sha256 = PurePosixPath(name).name
                    known = db.execute("SELECT 1 FROM blocks WHERE object = ?", (name,)).fetchone()
                    if known is None:
                        db.execute(
                            "INSERT OR REPLACE INTO gone_blocks VALUES (?, ?, ?, NULL)",
                            (sha256, name, now_ns),
                        )
        count += self._objects.remove_partial(f"{BLOCKS}/{prefix}", young_s)
        with self._rows.transaction() as db:
            unfinished = db.execute(
                "SELECT sha256 FROM blocks AS b WHERE sha256 >= ? AND sha256 < ? AND stored_ns < ?"
                " AND NOT EXISTS (SELECT 1 FROM part_blocks AS p WHERE p.sha256 = b.sha256)",
                (prefix, prefix + "g", now_ns - UNFINISHED_NS),
            ).fetchall()
            deletions.doom(db, [row["sha256"] for row in unfinished], now_ns)
        while gone := deletions.doomed_objects(self._rows.db, BATCH):
            beat()
            self._objects.remove([one.object for one in gone])
            with self._rows.transaction() as db:
                deletions.removed(db, gone, now_ns)
            count += len(gone)
        if deletions.any_to_forget(self._rows.db, now_ns):
            with self._rows.transaction() as db:
                deletions.forget(db, now_ns)
        return count

    def _entries(self, beat: Callable[[], None]) -> int:
        """Objects of entries below a log's size that no batch names: its log went on without."""
        count = 0
        young_s = (self._now_ns() - YOUNG_NS) / SECOND
        for some in _chunks(self._objects.listed(AUDIT)):
            beat()
            left = [one.name for one in some if one.written_s < young_s and self._is_left(one)]
            if left:
                self._objects.remove(left)
            count += len(left)
        return count

    def _is_left(self, one: Listed) -> bool:
        _folder, device, name = one.name.split("/", 2)
        end = name.split("-")[1] if name.count("-") == 2 else ""
        if not end.isdigit() or int(end) > self._rows.log(device).size:
            return False
        found = self._rows.db.execute(
            "SELECT 1 FROM batches WHERE device = ? AND object = ?", (device, one.name)
        ).fetchone()
        return found is None

    def _stray_envelopes(self, beat: Callable[[], None]) -> int:
        """Envelopes of parts that never were stored: the commit of the row did not follow."""
        now_ns = self._now_ns()
        old = (
            key
            for key, stored_ns in self._envelopes.ages()
            if stored_ns < now_ns - YOUNG_NS and not self._is_stored(key)
        )
        stray = list(islice(old, 10 * BATCH))
        beat()
        if stray:
            self._envelopes.destroy(stray, now_ns, before_ns=now_ns - YOUNG_NS)
        return len(stray)

    def _is_stored(self, key: Key) -> bool:
        found = self._rows.db.execute(
            "SELECT stored_ns FROM parts WHERE device = ? AND part = ?", key
        ).fetchone()
        # What the log of a restored catalogue does not name yet will be named again.
        return found is None or found["stored_ns"] is not None

    def _claims(self) -> None:
        """The keys of claims that have expired, as the commands of enrolment erase them."""
        claims.open_with_care(self._rows.db)
        with self._rows.transaction() as db:
            erased = claims.erase_expired(db, self._now_ns())
        if erased:
            claims.let_go(self._rows.db)


def _chunks(found: Iterable[Listed]) -> Iterator[list[Listed]]:
    rest = iter(found)
    while some := list(islice(rest, BATCH)):
        yield some
