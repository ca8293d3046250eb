"""Head office's cosignature over an epoch's commitment: when it came is logged.

docs/sampling.md section 1. Recording waits for nobody, so it may come after the first draws. The
recorder's thread owns a Witnessing.
"""

from greffier.audit.entry import Entry
from greffier.recorder.archive import Archive


class Witnessing:
    """Of the epochs of *archive*."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._opened: Entry | None = None
        self._said = True
        self._began_ns = 0  # when the epoch was opened, monotonic
        self._decided = 0  # calls that had been decided then

    def watch(self) -> bool:
        """Say in the log, once an epoch, when head office had cosigned its commitment.

        Returns whether it has.
        """
        opened, log = self._archive.opened, self._archive.log
        if opened is None:
            return False
        if opened is not self._opened:
            self._opened, self._said = opened, False
            self._began_ns = self._archive.clock.monotonic_ns()
            self._decided = self._archive.agents.decided
        kept = log.cosigned
        if kept is None or kept.size <= opened.seq:
            return False
        if not self._said:
            self._said = True
            told = {
                "epoch": opened.data["epoch"],
                "size": kept.size,
                "draws": self._archive.agents.decided - self._decided,
                "waited_ns": self._archive.clock.monotonic_ns() - self._began_ns,
            }
            log.append("epoch.witnessed", None, told)
        return True
