"""Names and numbers go at their day: the metadata keys of epochs, and what rows say of a party.

The sealed halves of the calls journal are noise from then on, whoever kept a copy of them.
"""

from dataclasses import dataclass
from typing import Final

from greffier.recorder.archive import Archive
from greffier.recorder.purge import BATCH, Hands, many, settle
from greffier.seal.envelope import epoch_id
from greffier.store.rebuild import redacted
from greffier.store.shred_format import METADATA, Name

REASON: Final = "metadata"


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Epochs whose metadata key is to go, and how many stay because nobody knows why so many."""

    epochs: tuple[str, ...]
    aborted: int = 0


def plan(archive: Archive, days: int) -> Forgetting:
    """What is to be forgotten now, where metadata is kept *days*."""
    deletions, bound = archive.deletions, archive.clock.lower_bound()
    credible_ns = archive.pace.now(archive.clock)
    unfinished = deletions.unfinished_epochs
    due = deletions.epochs_due(bound.t_ns, days)
    explained = set(deletions.epochs_due(max(credible_ns, deletions.confirmed_ns), days))
    sudden = [epoch for epoch in due if epoch not in explained]
    if not many(len(sudden), len(deletions.forgotten) + len(due)):
        return Forgetting((*unfinished, *due))
    return Forgetting((*unfinished, *(one for one in due if one in explained)), len(sudden))


def carry_out(archive: Archive, epochs: tuple[str, ...], hands: Hands | None = None) -> None:
    """Destroy the metadata keys of *epochs*; the log says it before and after.

    Raises StorageFailed: what the log said is done the next time.
    """
    deletion = archive.shred.class_name
    for at in range(0, len(epochs), BATCH):
        batch = epochs[at : at + BATCH]
        archive.shred_logged(batch, REASON, deletion, kind="epochs")

        def work(batch: tuple[str, ...] = batch) -> None:
            archive.shred.destroy(Name(METADATA, epoch_id(epoch)) for epoch in batch)
            for epoch in batch:
                archive.index.rewrite_epoch(epoch, redacted)

        settle(archive, batch, REASON, deletion, work, hands, kind="epochs")
