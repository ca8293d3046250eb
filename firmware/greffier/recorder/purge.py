"""Parts that may go, and how they go: the log's entry, the key, the file, the outcome.

Which may go is the pure rule of :func:`greffier.policy.lifecycle.disposal`, by the lower bound of
trusted time, by the holds and by the receipts in the log. A plan only reads, in any thread; what it
says is carried out by the thread that owns the stores, a batch at a time. Rules: docs/retention.md.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from greffier.errors import StorageFailed
from greffier.policy import lifecycle
from greffier.policy.lifecycle import (
    DAY_NS,
    DELETE_DUE,
    DELETE_SPACE,
    KEEP,
    KEEP_MANDATORY,
    MASS_ABORTED,
)
from greffier.policy.purposes import VOLUNTARY
from greffier.recorder.archive import Archive
from greffier.store.ageing import Ageing, Kindred
from greffier.store.index import PartRow
from greffier.store.shred_format import PART, Name
from greffier.trust import DeletionClass

BATCH: Final = 512
"""Parts of one entry: it stays below 65,535 bytes and the 1,024 values of a list."""
RESUMED: Final = "DELETE_RESUMED"
"""The log says that its key was to be destroyed, and something of it is still here."""
MOST_PARTS: Final = 50
MOST_SHARE: Final = 5
"""More than so many parts, and more than the fifth of all, are many."""
FRESH_NS: Final = 2 * DAY_NS
"""What is younger did not grow old: somebody shortened its term."""
MOST_SHOWN: Final = 1000
"""Parts under their minimum that a plan lists."""
_REASONS: Final = {DELETE_DUE: "due", DELETE_SPACE: "space", RESUMED: "resumed"}

Blocked = Callable[[PartRow], bool]
Hands = Callable[[Callable[[], None]], None]
"""Lets the owner of the stores do something, once all that was accepted before is durable."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a part: a code of the rule. *at_ns*: when it is due (None: never)."""

    row: PartRow
    code: str
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, oldest first, and what stays although it was due or asked for, and why.

    *all_parts* is how many there are, where anything was aborted.
    """

    doomed: tuple[Verdict, ...]
    refused: tuple[Verdict, ...]
    all_parts: int = 0

    @property
    def octets(self) -> int:
        """How many bytes of parts go."""
        return sum(one.row.size for one in self.doomed)

    @property
    def aborted(self) -> int:
        """How many parts stay because too many would go and nobody knows why."""
        return sum(one.code == MASS_ABORTED for one in self.refused)


def plan(archive: Archive, space: int, blocked: Blocked) -> Plan:
    """What a purge does now, where at least *space* bytes are wanted (0: only what is due).

    *blocked* says of a part whether a visa of the archives is missing. For lack of space no more
    than a fifth of all parts goes (or 50): who wants more asks again. Raises StorageFailed,
    IntegrityError.
    """
    archive.origins.look(archive.clock)
    bound = archive.clock.lower_bound()
    credible_ns = archive.pace.now(archive.clock)
    with Ageing.open(archive.data.index) as ageing:
        resumed = [Verdict(row, RESUMED) for row in _resumed(archive, ageing)]
        gone = {one.row.part_id for one in resumed}
        due: list[Verdict] = []
        refused: list[Verdict] = []
        for row in _candidates(archive, ageing, bound.t_ns):
            if row.part_id not in gone:
                found = judge(archive, row, bound.t_ns, blocked=blocked(row))
                if found.code == DELETE_DUE:
                    due.append(found)
                elif found.code != KEEP:
                    refused.append(found)
        due.sort(key=lambda one: (one.row.created_ns, one.row.part_id))
        due, aborted, count = _without_masses(archive, ageing, due, bound.t_ns, credible_ns)
        missing = space - sum(one.row.size for one in (*resumed, *due))
        taken: list[Verdict] = []
        if missing > 0:
            known = gone | {one.row.part_id for one in (*due, *aborted, *refused)}
            taken, unable = _for_space(archive, ageing, known, missing, bound.t_ns, blocked)
            refused += unable
    return Plan((*resumed, *due, *taken), (*aborted, *refused), count)


def judge(
    archive: Archive, row: PartRow, now_ns: int, *, blocked: bool, space: bool = False
) -> Verdict:
    """What is to become of one part at *now_ns* of trusted time."""
    known_ns = archive.origins.created_ns(row.part_id, row.created_ns)
    created_ns = now_ns if known_ns is None else known_ns  # nobody knows how old it is
    claims = archive.holds.claims(row.part_id, row.recording, created_ns)
    code = lifecycle.disposal(
        now_ns - created_ns,
        row.purposes,
        received=archive.unconfirmed.is_received(row.part_id),
        claims=claims,
        held=archive.tellings.kept_until_ns(row.recording) > now_ns and not _is_voluntary(row),
        blocked=blocked,
        space=space,
    )
    _least, most = lifecycle.terms(row.purposes, claims)
    return Verdict(row, code, None if most is None or known_ns is None else created_ns + most)


def _is_voluntary(row: PartRow) -> bool:
    return all(name in VOLUNTARY for name in row.purposes)


def has_due(archive: Archive, now_ns: int, blocked: Blocked) -> bool:
    """Whether at *now_ns* of trusted time a part may go because it is due.

    Raises StorageFailed, IntegrityError.
    """
    with Ageing.open(archive.data.index) as ageing:
        return any(
            judge(archive, row, now_ns, blocked=blocked(row)).code == DELETE_DUE
            for row in _candidates(archive, ageing, now_ns)
        )


def upcoming(archive: Archive, blocked: Blocked, most: int = MOST_SHOWN) -> Iterator[Verdict]:
    """At most *most* parts that stay for now, oldest first, with rule and date."""
    now_ns = archive.clock.lower_bound().t_ns
    with Ageing.open(archive.data.index) as ageing:
        for row in ageing.oldest():
            found = judge(archive, row, now_ns, blocked=blocked(row))
            if found.code in (KEEP, KEEP_MANDATORY):
                if not most:
                    return
                most -= 1
                yield found


def _resumed(archive: Archive, ageing: Ageing) -> Iterator[PartRow]:
    """Parts of which something is here although the log gave their keys up."""
    names = set(archive.deletions.unfinished)
    names |= {name for name in ageing.ids() if archive.unconfirmed.is_destroyed(name)}
    for name in sorted(names):
        yield from (row for row in ageing.of(name) if row.part_id == name)


def _candidates(archive: Archive, ageing: Ageing, now_ns: int) -> Iterator[PartRow]:
    """The parts that may be due by what they say, or are older than they say; and the first that
    are under a minimum.
    """
    seen: set[str] = set()
    for name in archive.origins.moved():
        for row in ageing.of(name):
            seen.add(row.part_id)
            yield row
    for kindred in ageing.kindreds():
        for row in _at_term(ageing, kindred, now_ns):
            if row.part_id not in seen:
                yield row


def _at_term(ageing: Ageing, kindred: Kindred, now_ns: int) -> Iterator[PartRow]:
    """The parts of *kindred* that would be due but for holds, and the first under a minimum."""
    least, most = lifecycle.terms(kindred.purposes)
    until_ns = -1
    if most is not None:
        until_ns = now_ns - most
        yield from ageing.older(kindred, until_ns)
    if least:
        for count, row in enumerate(ageing.older(kindred, now_ns, max(until_ns, now_ns - least))):
            if count >= MOST_SHOWN:
                return
            yield row


def _without_masses(
    archive: Archive, ageing: Ageing, due: list[Verdict], now_ns: int, credible_ns: int
) -> tuple[list[Verdict], list[Verdict], int]:
    """Of *due* what goes, what is too much of what nothing explains, and of how many parts.

    Explained is what the box itself saw grow old (:mod:`greffier.audit.pace`), for two days at
    least, and what two persons confirmed.
    """
    if len(due) <= MOST_PARTS:
        return due, [], 0
    confirmed_ns = archive.deletions.confirmed_ns
    explained_ns = max(credible_ns, confirmed_ns)
    sudden = {
        one.row.part_id
        for one in due
        if explained_ns < now_ns
        and judge(archive, one.row, explained_ns, blocked=False).code != DELETE_DUE
    }
    fresh_ns = max(now_ns - FRESH_NS, confirmed_ns)
    fresh = {one.row.part_id for one in due if one.row.created_ns > fresh_ns}
    count = ageing.count()
    wrong: set[str] = set()
    if many(len(sudden), count):
        wrong |= sudden
    if many(len(fresh), ageing.count_since(fresh_ns)):
        wrong |= fresh
    stays = [replace(one, code=MASS_ABORTED) for one in due if one.row.part_id in wrong]
    return [one for one in due if one.row.part_id not in wrong], stays, count


def many(some: int, of: int) -> bool:
    """Whether *some* are many of all, so that somebody must know why."""
    return some > MOST_PARTS and some * MOST_SHARE > of


def _for_space(
    archive: Archive,
    ageing: Ageing,
    known: set[str],
    missing: int,
    now_ns: int,
    blocked: Blocked,
) -> tuple[list[Verdict], list[Verdict]]:
    taken: list[Verdict] = []
    refused: list[Verdict] = []
    most = max(MOST_PARTS, ageing.count() // MOST_SHARE)
    for row in ageing.oldest():
        if missing <= 0 or len(taken) >= most:
            break
        if row.part_id in known:
            continue
        found = judge(archive, row, now_ns, blocked=blocked(row), space=True)
        if found.code == DELETE_SPACE:
            taken.append(found)
            missing -= row.size
        elif found.code != KEEP and len(refused) < MOST_SHOWN:
            refused.append(found)
    return taken, refused


def carry_out(
    archive: Archive,
    doomed: Sequence[Verdict],
    hands: Hands | None = None,
    between: Callable[[], bool] = lambda: True,
) -> list[Verdict]:
    """Destroy the keys of *doomed* and remove their files, a batch at a time; what is done.

    Of each batch the log says it before, durably, and what became of it after. A part on which a
    hold was placed meanwhile stays. *between* is called before each batch but the first: it may
    take its time; False is the end. *hands* do what needs the owner of the stores (as who calls
    this is, without). Raises StorageFailed: what the log said is done by the next purge.
    """
    done: list[Verdict] = []
    for number, batch in enumerate(_batches(doomed, archive.shred.class_name)):
        if number and not between():
            break
        reason, deletion, verdicts = batch
        free = [one for one in verdicts if one.code == RESUMED or not _is_held(archive, one.row)]
        if free:
            destroy(archive, [one.row for one in free], reason, deletion, hands)
            done += free
    return done


def destroy(
    archive: Archive,
    rows: Sequence[PartRow],
    reason: str,
    deletion: DeletionClass,
    hands: Hands | None = None,
) -> None:
    """Destroy one batch, at most :data:`BATCH` parts, as :func:`carry_out` does."""
    names = [row.part_id for row in rows]
    days = {row.part_id: row.day for row in rows}
    archive.shred_logged(names, reason, deletion)

    def work() -> None:
        places = {Name(PART, bytes.fromhex(row.part_id)): row.day for row in rows}
        archive.shred.destroy(places, places)
        archive.vault.remove(names, days)
        archive.index.remove_parts(names)

    settle(archive, names, reason, deletion, work, hands)


def settle(
    archive: Archive,
    names: Sequence[str],
    reason: str,
    deletion: DeletionClass,
    work: Callable[[], None],
    hands: Hands | None = None,
    **kind: Any,
) -> None:
    """Let *work* be done, of which the log has told, and tell what became of it, durably."""
    hands = hands or archive.perform
    try:
        hands(work)
    except StorageFailed:
        archive.shred_logged(names, reason, deletion, "failed", **kind)
        with suppress(StorageFailed):  # the first failure is the one to tell
            hands(_nothing)
        raise
    archive.shred_logged(names, reason, deletion, "done", **kind)
    hands(_nothing)


def _nothing() -> None:
    """What is done when only the log is to become durable."""


def _is_held(archive: Archive, row: PartRow) -> bool:
    return bool(archive.holds.standing(row.part_id, row.recording))


def class_of(row: PartRow, of_store: DeletionClass) -> DeletionClass:
    """What its deletion is worth: a duty's part has a lower class than its store."""
    return of_store if row.deletion == of_store else "C"


def _batches(
    doomed: Sequence[Verdict], of_store: DeletionClass
) -> Iterator[tuple[str, DeletionClass, list[Verdict]]]:
    """(reason, deletion class, parts) of each."""
    for code, reason in _REASONS.items():
        by_class: dict[DeletionClass, list[Verdict]] = {}
        for one in doomed:
            if one.code == code:
                by_class.setdefault(class_of(one.row, of_store), []).append(one)
        for deletion, verdicts in by_class.items():
            for at in range(0, len(verdicts), BATCH):
                yield reason, deletion, verdicts[at : at + BATCH]
