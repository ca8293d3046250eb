"""The only code that opens files for writing: what it returns from survives a power cut.

The comment above each function is the list of system calls of its happy path; BUG notes admit the
sad path that is left. The calls go through a :class:`System`, so a test can make the n-th one fail.
After a failed sync nothing is tried again on that file: Linux marks the pages clean and forgets the
error (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

SQLite writes the index by itself; that file may be lost at any time (see greffier.store.index).
"""

from greffier.durable.appender import FIRST_RESERVE, Appender, commit
from greffier.durable.disk import DIR_MODE, FILE_MODE, Disk, Draft, Lock
from greffier.durable.system import LinuxSystem, System
from greffier.durable.turns import Turns

__all__ = [
    "DIR_MODE",
    "FILE_MODE",
    "FIRST_RESERVE",
    "Appender",
    "Disk",
    "Draft",
    "LinuxSystem",
    "Lock",
    "System",
    "Turns",
    "commit",
]
