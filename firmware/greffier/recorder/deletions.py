"""What the log says of deletions: begun and not reported done, aborted, confirmed.

A picture in memory like :mod:`greffier.recorder.unconfirmed`: it is given every entry, in order.
Any thread may call anything here; a lock is held for moments.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final, Self

from greffier.audit.entry import Entry
from greffier.policy.lifecycle import DAY_NS
from greffier.trust import DeletionClass

_NO_END: Final = 2**63 - 1


_TOLD: Final = (
    *("parts", "epochs", "opened", "caps", "epoch"),
    *("running", "writing", "aborted", "confirmed_ns"),
)


class Deletions:
    """Give it every entry, in order, with :meth:`read`."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._parts: dict[
            str, DeletionClass
        ] = {}  # whose destruction began and is not done -> the class
        self._epochs: dict[str, str] = {}
        self._destroyed: set[str] = set()  # epochs whose key the log gave up
        self._opened: dict[str, int] = {}  # epochs that have a key, and when they were opened
        self._caps: dict[str, int] = {}  # epoch -> the end of the longest purpose of a call in it
        self._epoch = ""  # the one that runs
        self._running: dict[str, tuple[str, int]] = {}  # recording -> its epoch, its longest end
        self._writing: dict[str, str] = {}  # parts that are being written -> their recording
        self._aborted = False
        self._confirmed_ns = 0

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        data = entry.data
        with self._door:
            if entry.ev == "key.shredded":
                parts, epochs = data.get("parts", ()), data.get("epochs", ())
                if data.get("outcome") == "done":
                    for part in parts:
                        self._parts.pop(part, None)
                        self._writing.pop(part, None)
                    for epoch in epochs:
                        self._epochs.pop(epoch, None)
                else:
                    self._parts |= dict.fromkeys(parts, data["class"])
                    self._epochs |= dict.fromkeys(epochs, data["class"])
                    self._destroyed.update(epochs)
                    for epoch in epochs:
                        self._opened.pop(epoch, None)
            elif entry.ev == "epoch.opened":
                # No earlier than the wall said, nor than is certain: a day is counted in full.
                self._epoch = data["epoch"]
                self._opened[self._epoch] = max(entry.t_ns, entry.t_lb_ns)
            elif entry.ev == "part.opened":
                epoch, end = self._running.get(data["recording"], (self._epoch, 0))
                self._running[data["recording"]] = epoch, max(end, data.get("until_ns", _NO_END))
                self._writing[data["part"]] = data["recording"]
            elif entry.ev in ("part.sealed", "part.recovered"):
                self._writing.pop(data["part"], None)
            elif entry.ev == "call.ended" and "recording" in data:
                self._cap(*self._running.pop(data["recording"], ("", _NO_END)))
            elif entry.ev == "deletion.aborted":
                self._aborted = True
            elif entry.ev == "deletion.confirmed":
                self._aborted, self._confirmed_ns = False, entry.t_lb_ns

    def dump(self) -> dict[str, Any]:
        """All of it as JSON values, for :meth:`load`."""
        with self._door:
            told = {name: getattr(self, f"_{name}") for name in _TOLD}
            told = {name: dict(one) if isinstance(one, dict) else one for name, one in told.items()}
            return {**told, "destroyed": sorted(self._destroyed)}

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        made = cls()
        for name in _TOLD:
            setattr(made, f"_{name}", type(getattr(made, f"_{name}"))(told[name]))
        made._destroyed = set(told["destroyed"])
        made._running = {one: (at[0], at[1]) for one, at in made._running.items()}
        return made

    def become(self, other: "Deletions") -> None:
        """Hold what *other* holds, which nobody changes meanwhile."""
        copied = Deletions.load(other.dump())
        with self._door:
            self._destroyed = copied._destroyed
            for name in _TOLD:
                setattr(self, f"_{name}", getattr(copied, f"_{name}"))

    def _cap(self, epoch: str, end: int) -> None:
        for one in {epoch, self._epoch} if end < _NO_END else ():
            self._caps[one] = min(end, self._caps.get(one, _NO_END))

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Parts whose key is to be destroyed by the log, which does not say that it was."""
        with self._door:
            return tuple(self._parts)

    def class_of(self, part: str) -> DeletionClass:
        """What the destruction of a part is worth, of which the log says only that it begins."""
        with self._door:
            found: DeletionClass = self._parts.get(part, "C")
            return found

    @property
    def unfinished_epochs(self) -> tuple[str, ...]:
        """The same of metadata keys, by the name of the epoch."""
        with self._door:
            return tuple(self._epochs)

    def epochs_due(self, now_ns: int, days: int) -> list[str]:
        """Epochs that ended and whose metadata key is not to be kept at *now_ns*.

        It stays *days* since the epoch began, and no longer than the longest purpose of any
        recorded call that it tells of.
        """
        with self._door:
            return [
                epoch
                for epoch, opened in self._opened.items()
                if epoch != self._epoch
                and now_ns >= min(opened + days * DAY_NS, self._caps.get(epoch, _NO_END))
            ]

    @property
    def forgotten(self) -> frozenset[str]:
        """Every epoch whose metadata key the log gave up."""
        with self._door:
            return frozenset(self._destroyed)

    def is_running(self, recording: str) -> bool:
        """Whether a part of *recording* is being written."""
        with self._door:
            return recording in self._writing.values()

    @property
    def aborted(self) -> bool:
        """Whether a deletion was aborted, and nobody has confirmed it since."""
        with self._door:
            return self._aborted

    @property
    def confirmed_ns(self) -> int:
        """Up to which trusted time two persons have confirmed what is due; 0: never."""
        with self._door:
            return self._confirmed_ns
