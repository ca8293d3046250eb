"""Parts that may go, and how they go: the log's entry, the key, the file, the outcome.

Which may go is the pure rule of :func:`greffier.policy.lifecycle.disposal`, by the lower bound of
trusted time and by the receipts in the log. Who purges has opened the archive and recovered it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from greffier.errors import StorageFailed
from greffier.policy import lifecycle
from greffier.policy.lifecycle import DELETE_DUE, DELETE_SPACE, KEEP
from greffier.recorder.archive import Archive
from greffier.store.index import PartRow
from greffier.store.shred_format import PART, Name
from greffier.trust import DeletionClass

BATCH: Final = 512
"""Parts of one entry: it stays below 65,535 bytes and the 1,024 values of a list."""
RESUMED: Final = "DELETE_RESUMED"
"""The log says that its key was to be destroyed, and something of it is still here."""
_REASONS: Final = {DELETE_DUE: "due", DELETE_SPACE: "space", RESUMED: "resumed"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a part: a code of the rule."""

    row: PartRow
    code: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, oldest first, and what stays although it was due or asked for, and why."""

    doomed: tuple[Verdict, ...]
    refused: tuple[Verdict, ...]

    @property
    def octets(self) -> int:
        """How many bytes of parts go."""
        return sum(one.row.size for one in self.doomed)


def plan(archive: Archive, space: int, blocked: Callable[[PartRow], bool]) -> Plan:
    """What a purge does now, where at least *space* bytes are wanted (0: only what is due).

    *blocked* says of a part whether a visa of the archives is missing. Raises StorageFailed,
    IntegrityError.
    """
    archive.origins.look(archive.clock)
    now_ns = archive.clock.lower_bound().t_ns
    rows = sorted(archive.index.parts(), key=lambda row: (row.created_ns, row.part_id))
    due: list[Verdict] = []
    rest: list[tuple[PartRow, str]] = []
    for row in rows:
        if archive.unconfirmed.is_destroyed(row.part_id):
            due.append(Verdict(row, RESUMED))
            continue
        code = _judged(archive, row, now_ns, blocked(row), space=False)
        if code == DELETE_DUE:
            due.append(Verdict(row, code))
        else:
            rest.append((row, code))
    missing = space - sum(one.row.size for one in due)
    refused: list[Verdict] = []
    for row, code in rest:
        wanted = code
        if missing > 0 and code == KEEP:
            wanted = _judged(archive, row, now_ns, blocked(row), space=True)
        if wanted == DELETE_SPACE:
            due.append(Verdict(row, wanted))
            missing -= row.size
        elif wanted != KEEP:
            refused.append(Verdict(row, wanted))
    return Plan(tuple(due), tuple(refused))


def _judged(archive: Archive, row: PartRow, now_ns: int, blocked: bool, *, space: bool) -> str:
    created_ns = archive.origins.created_ns(row.part_id, row.created_ns)
    return lifecycle.disposal(
        0 if created_ns is None else now_ns - created_ns,
        row.purposes,
        received=archive.unconfirmed.is_received(row.part_id),
        held=bool(row.holds),
        blocked=blocked,
        space=space,
    )


def carry_out(archive: Archive, doomed: Sequence[Verdict]) -> None:
    """Destroy the keys of *doomed* and remove their files, a batch at a time.

    Of each batch the log says it before, durably, and what became of it after. Raises
    StorageFailed: what the log said is done by the next purge.
    """
    for reason, deletion, batch in _batches(doomed, archive.shred.class_name):
        names = [row.part_id for row in batch]
        archive.shred_logged(names, reason, deletion)
        archive.tick()
        try:
            archive.shred.destroy(Name(PART, bytes.fromhex(name)) for name in names)
            archive.vault.remove(names)
            archive.index.remove_parts(names)
        except StorageFailed:
            archive.shred_logged(names, reason, deletion, "failed")
            with suppress(StorageFailed):  # the first failure is the one to tell
                archive.tick()
            raise
        archive.shred_logged(names, reason, deletion, "done")
        archive.tick()


def _batches(
    doomed: Sequence[Verdict], of_store: DeletionClass
) -> Iterator[tuple[str, DeletionClass, list[PartRow]]]:
    """(reason, deletion class, parts) of each: a duty's part has a lower class than its store."""
    for code, reason in _REASONS.items():
        by_class: dict[DeletionClass, list[PartRow]] = {}
        for one in doomed:
            if one.code == code:
                worth = of_store if one.row.deletion == of_store else "C"
                by_class.setdefault(worth, []).append(one.row)
        for deletion, rows in by_class.items():
            for at in range(0, len(rows), BATCH):
                yield reason, deletion, rows[at : at + BATCH]
