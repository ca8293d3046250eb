"""What this program reads of entries that its forerunner only kept, as rows of the catalogue.

A box that was updated first writes kinds of entries that head office does not know yet. They are
part of the log and cosigned; here their time has come.
"""

from collections.abc import Callable, Iterable, Sequence

from greffier.audit import entry as entries
from greffier.audit.entry import Entry, UnreadEntry
from greffier.audit.kinds import KINDS
from greffier_office import narration
from greffier_office.catalogue import BatchRow, Catalogue, Unread


def read_again(
    catalogue: Catalogue, octets: Callable[[BatchRow], Sequence[bytes]], alive: Callable[[], None]
) -> dict[str, int]:
    """How many entries of each device were read that had not been.

    From the first of them on the log is narrated again, so that what came later has the last word,
    as it had. *octets* are the entries of a batch; *alive* is called before each. Killed at any
    instant it begins again. Raises StorageFailed, IntegrityError, BadDatabase.
    """
    done = {}
    for device, unread in catalogue.unread().items():
        readable = _readable(catalogue, device, unread, octets, alive)
        if not readable:
            continue
        for row in catalogue.batches(device, readable[0], catalogue.log(device).size):
            alive()
            told = [one for one in _read(octets(row)) if one.seq >= readable[0]]
            with catalogue.transaction() as db:
                narration.narrate(db, device, told)
        with catalogue.transaction() as db:
            db.executemany(
                "DELETE FROM unread WHERE device = ? AND seq = ?",
                [(device, seq) for seq in readable],
            )
        done[device] = len(readable)
    return done


def _readable(
    catalogue: Catalogue,
    device: str,
    unread: Sequence[Unread],
    octets: Callable[[BatchRow], Sequence[bytes]],
    alive: Callable[[], None],
) -> list[int]:
    """The numbers of those of *unread* that this program can read, in order."""
    wanted = {one.seq for one in unread if one.ev in KINDS}
    if not wanted:
        return []
    found = []
    for row in catalogue.batches(device, min(wanted), max(wanted) + 1):
        alive()
        found += [one.seq for one in _read(octets(row)) if one.seq in wanted]
    return found


def _read(octets: Iterable[bytes]) -> list[Entry]:
    found = []
    for one in octets:
        try:
            found.append(entries.decode(one))
        except UnreadEntry:
            continue
    return found
