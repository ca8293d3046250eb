"""The index made anew from the files, with what only the log knows of them."""

from greffier.audit import verify
from greffier.audit.holds import Holds
from greffier.durable import Disk
from greffier.recorder.deletions import Deletions
from greffier.recorder.settled import Ids
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import Rebuilt, rebuild
from greffier.store.shred import ShredStore


def reindex(directory: DataDirectory, disk: Disk, shred: ShredStore) -> Rebuilt:
    """Make the index of *directory* anew; the lock must be held.

    Raises StorageFailed, and then the old index stays; IntegrityError.
    """
    holds, deletions, received = Holds(), Deletions(), Ids()
    for entry in verify.entries(directory.path):
        holds.read(entry)
        deletions.read(entry)
        if entry.ev == "part.received":
            received.add(entry.data["part"])
    return rebuild(directory, disk, shred, holds.standing, received, deletions.forgotten)
