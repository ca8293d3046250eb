"""Parts that a fact takes away while they are being written: keys, envelopes, files.

From the fact on nothing more of them is handed over. The log says that they go; then, with the same
commit, go the key in memory, the envelopes in the shred store and the file; then the log says that
they are gone. What a kill leaves of it the next start finishes, before anything else is recovered.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from greffier.audit.entry import Entry
from greffier.audit.log import Log
from greffier.recorder.batch import Doom
from greffier.store.index import Index
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Name
from greffier.store.vault import Vault
from greffier.trust import DeletionClass


class Destroyer:
    """Carries dooms out. The thread that commits owns it."""

    def __init__(
        self, log: Log, learn: Callable[[Entry], Entry], shred: ShredStore, vault: Vault
    ) -> None:
        self._log = log
        self._learn = learn
        self._shred = shred
        self._vault = vault
        self._waiting: list[Doom] = []

    def take(self, dooms: Iterable[Doom]) -> None:
        """Destroy these with the next :meth:`carry_out`, once the log says so durably."""
        self._waiting += dooms

    def carry_out(self, index: Index) -> None:
        """Destroy what was taken, all of it; the log hears of it.

        Raises StorageFailed: then ask again. What is done already is not there the second time.
        """
        if not self._waiting:
            return
        for doom in self._waiting:
            doom.forget()
        days = {doom.part.hex(): doom.day for doom in self._waiting}
        erase(self._shred, self._vault, days)
        index.remove_parts(days)
        told: dict[tuple[str, DeletionClass], list[str]] = {}
        for doom in self._waiting:
            told.setdefault((doom.reason, doom.deletion), []).append(doom.part.hex())
        self._waiting = []
        for (reason, deletion), parts in told.items():
            data: dict[str, Any] = {"reason": reason, "class": deletion, "parts": parts}
            done = {"outcome": "done", "generation": self._shred.generation}
            self._learn(self._log.append("key.shredded", None, data | done))


def erase(shred: ShredStore, vault: Vault, days: Mapping[str, str]) -> None:
    """Destroy the envelopes of the parts *days* (id -> day, "" unknown), and remove their files.

    Raises StorageFailed.
    """
    places = {Name(PART, bytes.fromhex(part)): day for part, day in days.items() if day}
    shred.destroy([Name(PART, bytes.fromhex(part)) for part in days], places)
    vault.remove(days, days)
