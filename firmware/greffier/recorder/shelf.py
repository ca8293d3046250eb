"""Where recordings are opened: an archive of one's own, or beside a recorder that has it.

Beside a recorder everything is only read, and the log's entries are the recorder's: it is asked to
write them, and they are durable before anything is opened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from greffier.durable import Disk
from greffier.errors import NotFound
from greffier.recorder.archive import Archive
from greffier.recorder.persons import pseudonym
from greffier.store.layout import DataDirectory
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Name
from greffier.store.shred_names import Blocks, blocks_in
from greffier.store.vault import Vault

MOST_NAMED: Final = 250
"""Parts that an entry names, at the most: a request to the recorder is short."""
Note = Callable[[str, str | None, Mapping[str, Any], str | None], None]
"""Write an entry (kind, recording, data, who), durably. Raises StorageFailed."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What opening a recording needs. One thread owns it."""

    data: DataDirectory
    vault: Vault
    shred: ShredStore | Blocks
    note: Note

    def block_of(self, part: str, day: str) -> bytes | None:
        """The envelopes of a part; None where they are destroyed."""
        try:
            return self.shred.get(Name(PART, bytes.fromhex(part)), day).block
        except NotFound:
            return None


def of_archive(archive: Archive) -> Shelf:
    """That of an archive which is one's own."""

    def note(kind: str, recording: str | None, data: Mapping[str, Any], by: str | None) -> None:
        who = pseudonym(archive.data, by) if by else None
        archive.learn(archive.log.append(kind, recording, {**data, "by": who}))
        archive.log.commit()

    return Shelf(archive.data, archive.vault, archive.shred, note)


def beside(data: DataDirectory, note: Note) -> Shelf:
    """That of a directory which a recorder has; it writes what *note* asks for.

    Raises TpmFailed, TpmLost, IntegrityError.
    """
    return Shelf(data, data.vault(Disk()), Blocks(blocks_in(data.shred, PART)), note)
