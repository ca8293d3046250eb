"""Every octet that a medium ever held, as blocks of 4 KiB, and what stands in them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import numpy as np

BLOCK: Final = 4096
KEY: Final = 32
MAGIC: Final = {
    "part": b"\x89GPT\r\n\x1a\n",
    "effaceable": b"\x89GSE\r\n\x1a\n",
    "root": b"\x89GSR\r\n\x1a\n",
    "bucket": b"\x89GSB\r\n\x1a\n",
}


class Medium:
    """Every block that was ever there, each content once, in the order in which it came."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self._known: dict[bytes, int] = {}
        self._at: dict[int, list[int]] = {}  # place -> contents that it had
        self._places: dict[int, list[int]] = {}

    def write(self, offset: int, data: bytes) -> None:
        """*data* came to stand at *offset*, which is that of a block."""
        for at in range(0, len(data), BLOCK):
            self._keep((offset + at) // BLOCK, data[at : at + BLOCK])

    def _keep(self, place: int, data: bytes) -> None:
        if not data.strip(b"\0"):
            return
        number = self._known.setdefault(data, len(self.blocks))
        if number == len(self.blocks):
            self.blocks.append(data)
        here = self._at.setdefault(place, [])
        if number not in here:
            here.append(number)
            self._places.setdefault(number, []).append(place)

    def beginning(self, kind: str) -> Iterator[int]:
        """Blocks that begin as a file of *kind* does."""
        magic = MAGIC[kind]
        return (number for number, data in enumerate(self.blocks) if data.startswith(magic))

    def near(self, number: int) -> dict[int, None]:
        """Blocks that ever stood right behind *number*."""
        return dict.fromkeys(
            other for place in self._places[number] for other in self._at.get(place + 1, ())
        )

    def longer(
        self, known: bytes, last: int, whole: Callable[[bytes], bool], size: int
    ) -> Iterator[tuple[bytes, int]]:
        """*known*, which ends with the block *last*, made *size* octets and more: with every block
        (by number) that makes it ``whole``; neighbours alone, if one of them does."""
        near = self.near(last)
        found = False
        for others in (near, (one for one in range(len(self.blocks)) if one not in near)):
            for other in others:
                data = known + self.blocks[other]
                if len(data) < size:  # a record of more than a block: the one behind it, and so on
                    for one, end in self.longer(data, other, whole, size) if other in near else ():
                        found = True
                        yield one, end
                elif whole(data):
                    found = True
                    yield data, other
            if found:
                return


def runs(image: bytes) -> Iterator[bytes]:
    """What stands between the empty blocks of *image*."""
    empty, begin = bytes(BLOCK), 0
    for at in range(0, len(image) + BLOCK, BLOCK):
        if at >= len(image) or image[at : at + BLOCK] == empty:
            if at > begin:
                yield image[begin:at]
            begin = at + BLOCK


def windows(*blobs: bytes) -> set[bytes]:
    """Every 32 octets in a row."""
    return {blob[at : at + KEY] for blob in blobs for at in range(len(blob) - KEY + 1)}


def find(needles: Collection[bytes], haystacks: Iterable[bytes]) -> set[bytes]:
    """Which of *needles* (6 octets or more) stand anywhere in *haystacks*."""
    by_head: dict[int, list[bytes]] = {}
    for needle in needles:
        if len(needle) < 6:
            raise ValueError("a needle is too short to mean anything")
        by_head.setdefault(int.from_bytes(needle[:6], "little"), []).append(needle)
    heads = np.array(sorted(by_head), dtype="<u8")
    found: set[bytes] = set()
    for hay in haystacks:
        padded = hay + bytes(16)
        for shift in range(8):
            count = (len(padded) - shift) // 8
            words = np.frombuffer(padded, "<u8", count, shift) & 0xFFFFFFFFFFFF
            places = np.searchsorted(heads, words)
            places[places == len(heads)] = 0
            for hit in np.nonzero(heads[places] == words)[0] if len(heads) else ():
                at = 8 * int(hit) + shift
                for needle in by_head[int(words[hit])]:
                    if hay[at : at + len(needle)] == needle:
                        found.add(needle)
    return found
