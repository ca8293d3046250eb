"""The thread that keeps a second medium like the vault: copies what is sealed, removes what went.

A copy is only ciphertext. What the log calls destroyed is removed, at the latest when the medium is
back; that a file of the vault is missing is no reason. A medium that is away, full, read-only, slow
or broken holds this thread and nobody else: it is one alarm, and what was missed is caught up.
"""

import errno
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from greffier.clock import SECOND, Clock
from greffier.durable import Disk
from greffier.errors import GreffierError, IntegrityError, NoMedium, StorageFailed
from greffier.recorder.unconfirmed import Unconfirmed
from greffier.store import medium
from greffier.store.layout import DataDirectory
from greffier.store.medium import Medium, names_in

EVERY_S: Final = 30.0
STUCK_NS: Final = 120 * SECOND
"""A medium that takes longer for one part does not answer."""
BATCH: Final = 512
_ONE = threading.Lock()
"""Held while a medium is looked at: a thread that was left behind stuck must have gone first."""
_SETTLED_NS: Final = 2 * SECOND  # a folder that changed later may change again at the same instant
_WORDS: Final = {errno.ENOSPC: "full", errno.EDQUOT: "full", errno.EROFS: "readonly"}


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How it stands with the medium since *at_ns*, monotonic.

    *word*: ``ok``, ``starting``, ``away``, ``foreign``, ``full``, ``readonly``, ``failed`` (it has
    errors, or gives back something else), ``stuck``. *copied* parts since the start, *missing* of
    those that the last look found, *damaged* ones of the vault that are not what the log says.
    """

    word: str = "starting"
    at_ns: int = 0
    copied: int = 0
    missing: int = 0
    damaged: int = 0


class Mirror:
    """Mirrors the vault of *data* to *folder* from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        data: DataDirectory,
        folder: Path,
        unconfirmed: Unconfirmed,
        clock: Clock,
        disk: Disk | None = None,
    ) -> None:
        self._data = data
        self._folder = folder
        self._unconfirmed = unconfirmed
        self._clock = clock
        self._disk = disk or Disk()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        # The mirror's thread alone: what is on the medium, by day, while it is the same one.
        self._mirror = ""
        self._there: dict[str, set[str]] = {}
        self._done: dict[str, int] = {}  # days that are alike, and when the vault's changed last
        # Replaced whole by the mirror's thread; any thread reads.
        self._state = MirrorState(at_ns=clock.monotonic_ns())
        self._busy_since_ns: int | None = None

    @property
    def state(self) -> MirrorState:
        """How it stands; ``stuck`` where the medium does not answer."""
        state, since = self._state, self._busy_since_ns
        if since is not None and self._clock.monotonic_ns() - since > STUCK_NS:
            return replace(state, word="stuck")
        return state

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for an end, and do not wait for it: a copy that is half made is made again."""
        self._stopping.set()

    # --- its own thread ---

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            self.look()
            pause = EVERY_S

    def look(self) -> None:
        """Make the medium like the vault once, as far as it goes. Its own thread, or a test."""
        self._busy_since_ns = self._clock.monotonic_ns()
        while not _ONE.acquire(timeout=EVERY_S):
            if self._stopping.is_set():
                self._busy_since_ns = None
                return
        try:
            with medium.opened(self._folder, self._data.identity.device) as found:
                if found.mirror != self._mirror:
                    self._there, self._done = found.days(), {}
                    self._mirror = found.mirror
                self._follow(found)
        except NoMedium as error:
            self._gone(str(error.fields["reason"]))
        except StorageFailed as error:
            number = error.fields.get("number")
            self._gone(_WORDS.get(number, "failed") if isinstance(number, int) else "failed")
        except (GreffierError, OSError):
            self._gone("failed")
        finally:
            _ONE.release()
            self._busy_since_ns = None

    def _gone(self, word: str) -> None:
        self._mirror = ""  # what is on it is read again
        self._say(word=word)

    def _say(self, **words: object) -> None:
        self._state = replace(self._state, at_ns=self._clock.monotonic_ns(), **words)  # type: ignore[arg-type]

    def _follow(self, found: Medium) -> None:
        """Remove first: that may make the room for the rest."""
        days = {day.name: day.stat().st_mtime_ns for day in _folders(self._data.parts)}
        kept = {
            day: names_in(self._data.parts / day)
            for day, changed in days.items()
            if self._done.get(day) != changed
        }
        for day in [*kept, *(day for day in self._there if day not in days)]:
            self._remove(found, day, self._there.get(day, set()) - kept.get(day, set()))
        wanted = [
            (day, part)
            for day in sorted(kept)
            for part in sorted(kept[day] - self._there.get(day, set()))
        ]
        self._say(missing=len(wanted), damaged=0)
        left = self._copy_all(found, wanted)
        settled_ns = self._clock.wall_ns() - _SETTLED_NS
        alike = set(kept) - {day for day, _part in left}
        self._done |= {day: days[day] for day in alike if days[day] < settled_ns}
        self._say(word="ok", missing=len(left))

    def _remove(self, found: Medium, day: str, parts: set[str]) -> None:
        gone = [part for part in sorted(parts) if self._unconfirmed.is_destroyed(part)]
        for at in range(0, len(gone), BATCH):
            batch = gone[at : at + BATCH]
            self._disk.remove([found.path_of(day, part) for part in batch])
            self._there[day] -= set(batch)
            self._busy_since_ns = self._clock.monotonic_ns()

    def _copy_all(self, found: Medium, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Copy *wanted*; which of them are not there yet."""
        left: list[tuple[str, str]] = []
        for at, (day, part) in enumerate(wanted):
            if self._stopping.is_set():
                return left + wanted[at:]
            self._busy_since_ns = self._clock.monotonic_ns()
            if self._unconfirmed.is_begun(part):
                left.append((day, part))  # it is still being written
            elif not self._unconfirmed.is_destroyed(part) and not self._copy(found, day, part):
                left.append((day, part))
        return left

    def _copy(self, found: Medium, day: str, part: str) -> bool:
        """Copy one part; False where the vault's own file cannot be copied."""
        source, target = self._data.parts / day / f"{part}.gpart", found.path_of(day, part)
        waiting = self._unconfirmed.find(part)
        try:
            medium.copy(source, target, self._disk, waiting.sha256 if waiting else None)
        except FileNotFoundError:  # it was deleted meanwhile
            return True
        except IntegrityError as error:
            if error.fields.get("what") != source:
                raise
            self._say(damaged=self._state.damaged + 1)
            return False
        self._there.setdefault(day, set()).add(part)
        self._say(copied=self._state.copied + 1, missing=max(0, self._state.missing - 1))
        if self._unconfirmed.is_destroyed(part):  # while it was copied
            self._remove(found, day, {part})
        return True


def _folders(path: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return [one for one in path.iterdir() if one.is_dir()]
    return []
