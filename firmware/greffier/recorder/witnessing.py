"""Head office's cosignature over an epoch's commitment: waited for at a start, and logged.

docs/sampling.md section 1. Recording waits for nobody: a start waits a bounded time, before it
looks at what the kernel has caught for it meanwhile, and goes on. The recorder's thread owns a
Witnessing.
"""

import threading
from collections.abc import Callable
from typing import Final

from greffier.audit.entry import Entry
from greffier.clock import SECOND
from greffier.policy.purposes import SAMPLED
from greffier.policy.site import Policy
from greffier.recorder.archive import Archive

WAIT_NS: Final = 3 * SECOND
"""The transfer asks a recorder that was away every two seconds; a tap holds frames for ten."""
_LOOK_S: Final = 0.02


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

    def wait(self, step: Callable[[], object], stop: threading.Event) -> None:
        """Give head office at most :data:`WAIT_NS` to cosign what was opened before any draw.

        *step* takes what comes from it, and makes it durable. Where head office never cosigned
        anything there is none, and nothing is waited for. Raises StorageFailed.
        """
        if self._archive.log.cosigned is None:
            return
        until_ns = self._archive.clock.monotonic_ns() + WAIT_NS
        while not self.watch() and self._archive.clock.monotonic_ns() < until_ns:
            if stop.wait(_LOOK_S):
                return
            step()


def may_wait(policy: Policy) -> bool:
    """Whether a start may wait: something is drawn, and no line is recorded by duty."""
    lines = policy.lines.values()
    drawn = any(one in SAMPLED for line in lines for one in line.voluntary)
    return drawn and not any(line.duty or line.emergency for line in lines)
