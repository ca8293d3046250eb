"""Whose the blocks of an ext4 are: what was written to it, told apart by structure and by file.

Reads with ``debugfs`` and ``dumpe2fs`` from the image of a file system that is not mounted. What
was written into a block counts for who has it at the end; blocks of files that are gone by then (of
a file that was replaced, say) are ``freed``.
"""

import re
import subprocess
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from greffier_sim.block_disk import WRITE, Operation
from greffier_sim.sickdisk import Unable

BLOCK: Final = 4096
JOURNAL: Final = "journal"
_JOURNAL_INODE: Final = 8
_SPANS: Final = (
    (r"Block bitmap at (\d+)(?:-(\d+))?", "bitmaps"),
    (r"Inode bitmap at (\d+)(?:-(\d+))?", "bitmaps"),
    (r"Inode table at (\d+)(?:-(\d+))?", "inodes"),
    (r"superblock at (\d+)(?:-(\d+))?", "superblock"),
    (r"Group descriptors at (\d+)(?:-(\d+))?", "superblock"),
)
_EXTENT: Final = re.compile(r"\((?:ETB\d+|IND|[\d-]+)\):(\d+)(?:-(\d+))?")
_ENTRY: Final = re.compile(r"/(\d+)/(\d{6})/\d+/\d+/([^/]*)/")


def _said(program: str, *words: str) -> str:
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unable(f"needs {program}") from error
    if done.returncode:
        raise Unable(f"{program}: {done.stderr.strip()}")
    return done.stdout


class DiskMap:
    """Who has which block of *image*; *kind* names the owner of a file from its path.

    Raises Unable: a tool of e2fsprogs is missing, or *image* is no ext4 of 4 KiB blocks.
    """

    def __init__(self, image: Path, kind: Callable[[str], str]) -> None:
        self._image = image
        self._kind = kind
        spans: list[tuple[int, int, str]] = []
        shown = _said("dumpe2fs", str(image))
        if f"Block size:               {BLOCK}\n" not in shown:
            raise Unable("the file system has not blocks of 4 KiB")
        for pattern, name in _SPANS:
            spans += _found(re.compile(pattern), shown, name)
        spans += self._of_inode(_JOURNAL_INODE, JOURNAL)
        self._folder(2, "", spans)
        spans.sort()
        self._firsts = [first for first, _, _ in spans]
        self._spans = spans

    def owner(self, block: int) -> str:
        """Whose *block* is."""
        at = bisect_right(self._firsts, block) - 1
        if at >= 0 and block <= self._spans[at][1]:
            return self._spans[at][2]
        return "freed"

    def tally(self, operations: Iterable[Operation]) -> Counter[str]:
        """How many octets of the WRITEs among *operations* went to whom."""
        found: Counter[str] = Counter()
        for one in operations:
            if one.kind == WRITE:
                for at in range(one.offset, one.offset + len(one.data), BLOCK):
                    octets = min(BLOCK, one.offset + len(one.data) - at)
                    found[self.owner(at // BLOCK)] += octets
        return found

    def _of_inode(self, inode: int, name: str) -> list[tuple[int, int, str]]:
        return _found(_EXTENT, _said("debugfs", "-R", f"stat <{inode}>", str(self._image)), name)

    def _folder(self, inode: int, path: str, spans: list[tuple[int, int, str]]) -> None:
        spans += self._of_inode(inode, "folders")
        listed = _said("debugfs", "-R", f"ls -p <{inode}>", str(self._image))
        for number, mode, name in _ENTRY.findall(listed):
            if name in ("", ".", ".."):
                continue
            if mode.startswith("04"):
                self._folder(int(number), f"{path}/{name}", spans)
            elif mode.startswith("10"):
                spans += self._of_inode(int(number), self._kind(f"{path}/{name}"))


def _found(pattern: "re.Pattern[str]", text: str, name: str) -> list[tuple[int, int, str]]:
    return [(int(one[1]), int(one[2] or one[1]), name) for one in pattern.finditer(text)]
