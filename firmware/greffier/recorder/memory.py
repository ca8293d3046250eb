"""Keeping what the recorder holds in memory off every disk: no swap, no core file.

Audio that waits for a verdict and keys lie all over a process, so the whole of it is locked
(design: before the verdict, audio is locked memory).
"""

import ctypes
import gc
import os
import resource
from pathlib import Path

_CURRENT, _FUTURE, _ONFAULT = 1, 2, 4  # <sys/mman.h>, Linux
_SET_DUMPABLE = 4  # <sys/prctl.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>, glibc
_YOUNG = 50_000  # objects more than were freed: some seconds of a thousand calls
_IPC_LOCK = 1 << 14  # capability 14, capabilities(7)


def forbid_core_files() -> None:
    """No core file, and nobody but root may read this process."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def lock_all() -> bool:
    """Lock every page from its first use on, now and later; False where the system refuses.

    Refused as well where a limit would let the lock succeed and then break an allocation later.
    """
    if not lockable():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_CURRENT | _FUTURE | _ONFAULT) == 0)


def lockable() -> bool:
    """Whether this process may lock all that it will ever use."""
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    return unlimited or _capable()


def may_swap() -> bool:
    """Whether this machine has swap at all, as far as we can see."""
    try:
        return len(Path("/proc/swaps").read_text("ascii").splitlines()) > 1
    except OSError:
        return True


def keep_what_is_freed() -> None:
    """Give no small change back to the system: each tick asks for as much as the last one freed.

    Where the C library has no such call (musl), nothing is done.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, 64 << 20)
        set_option(_TOP_PAD, 8 << 20)
        set_option(_MMAP_THRESHOLD, 4 << 20)


def look_rarely_for_cycles() -> None:
    """Let the collector of cycles look once in many ticks, and not some times in each.

    What a tick makes is freed by its count of references; only what calls leave behind may go in
    circles, and that is little.
    """
    gc.set_threshold(_YOUNG, 10, 10)


def _capable() -> bool:
    """Whether this process may lock what it likes."""
    for line in Path(f"/proc/{os.getpid()}/status").read_text("ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _IPC_LOCK)
    return False
