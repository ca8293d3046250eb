"""What a killed process left behind: parts without FINAL, files without an entry.

Runs when the archive is opened for writing, before anything new begins. A torn tail is cut; what is
left of a part is named in the log by its length and SHA-256, because nobody on the device has
its key any more and no FINAL can be added.
"""

from dataclasses import dataclass

from greffier.audit import verify
from greffier.recorder.archive import Archive
from greffier.seal.header import BadPart
from greffier.seal.reader import Reader
from greffier.seal.structure import State
from greffier.store import journal
from greffier.store.rebuild import rebuild
from greffier.store.vault import StoredPart

TORN = "torn"
"""The end of a part that was cut: its whole frames count, there is no FINAL."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Parts that were cut and kept, parts that held nothing and went, records cut off journals."""

    parts: int
    empty: int
    journals: int


def recover(archive: Archive) -> Recovered:
    """Bring vault, journal, log and index to one story. Raises IntegrityError, StorageFailed."""
    told: set[str] = set()
    opened: set[str] = set()
    for entry in verify.entries(archive.data.path):
        if entry.ev in ("part.sealed", "part.recovered"):
            told.add(entry.data["part"])
        elif entry.ev == "part.opened":
            opened.add(entry.data["part"])
    kept = empty = 0
    for stored in archive.vault.parts():
        # A file that the log never opened is not ours: it stays, and a verification shows it.
        if stored.part_id in opened - told:
            if _recover_part(archive, stored):
                kept += 1
            else:
                empty += 1
            told.add(stored.part_id)
    for part in sorted(opened - told):  # its file never began, or was empty and has gone
        archive.log.append("part.recovered", None, _nothing(part))
    mended = journal.recover(archive.data.calls, archive.disk)
    if kept or empty or mended or opened - told or archive.index.fresh:
        archive.log.commit()
        archive.index.close()
        rebuild(archive.data, archive.disk, archive.shred)
        archive.reopen_index()
    return Recovered(kept, empty, len(mended))


def _nothing(part: str) -> dict[str, object]:
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    return {"part": part, "bytes": 0, "sha256": sha256, "frames": 0, "end": "empty"}


def _recover_part(archive: Archive, stored: StoredPart) -> bool:
    """Cut a part at its last whole frame and log it; whether anything is left of it."""
    try:
        with stored.path.open("rb") as file:
            reader = Reader(file)
            scan = reader.scan(0)  # nothing is known to have been committed: a break is a tear
            header = reader.header
    except BadPart:
        archive.disk.remove([stored.path])
        archive.log.append("part.recovered", None, _nothing(stored.part_id))
        return False
    if scan.good < stored.size:
        archive.disk.truncate_to(stored.path, scan.good)
    digest = archive.vault.digest(stored.part_id)
    archive.log.append(
        "part.recovered",
        header.recording_id.hex(),
        {
            "part": stored.part_id,
            "recording": header.recording_id.hex(),
            "number": header.number,
            "bytes": digest.size,
            "sha256": digest.sha256,
            "frames": scan.frames,
            "end": "complete" if scan.state is State.COMPLETE else TORN,
        },
    )
    return True
