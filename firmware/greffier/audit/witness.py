"""A checkpoint of this log that head office cosigned: who signed it, and what it says of the time.

Source: c2sp.org/tlog-cosignature. Pure, but for :class:`Roots`, which reads the leaves' file.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from greffier import merkle
from greffier.audit import note
from greffier.audit.note import BadNote, Checkpoint, VerifierKey

LARGEST: Final = 4096
"""Octets of a cosigned checkpoint, as head office may send it."""
MOST_ROOTS: Final = 4096
"""Roots of latest checkpoints that are kept in memory, some 150 bytes each."""
_LEAVES: Final = 4096  # read at a time
_CODES = {"origin": "foreign"}


class BadCosigned(ValueError):
    """Not to be kept. ``code`` is garbled, unsigned, forged, foreign, forked or beyond."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cosigned:
    """*checkpoint* was the head of the log at Unix second *time_s*, a witness says in *data*."""

    checkpoint: Checkpoint
    time_s: int
    data: bytes = field(repr=False)


def read(data: bytes, log_key: VerifierKey, witnesses: Sequence[VerifierKey]) -> Cosigned:
    """The checkpoint of the log of *log_key* in *data*, cosigned by at least one of *witnesses*.

    Where several cosigned, the earliest of their times counts. Raises BadCosigned (garbled,
    unsigned, forged, foreign); whether it agrees with the log is not looked at.
    """
    if len(data) > LARGEST:
        raise BadCosigned("garbled", "longer than 4096 octets")
    try:
        opened = note.open_checkpoint(data, log_key, witnesses)
    except BadNote as error:
        raise BadCosigned(_CODES.get(error.code, error.code), error.reason) from None
    if not opened.cosignatures:
        raise BadCosigned("unsigned", "no trusted witness cosigned this")
    time_s = min(one.time_s for one in opened.cosignatures)
    return Cosigned(opened.checkpoint, time_s, data)


class Roots:
    """The root of a log at any size it had. One thread at a time.

    Those of its latest checkpoints are remembered; another one is computed from the leaves, from
    where the last such computation ended if that is not beyond it.
    """

    def __init__(self, leaves: Path) -> None:
        self._path = leaves
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._walked = merkle.Frontier()

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember the root of *checkpoint*."""
        self._known[checkpoint.size] = checkpoint.root
        while len(self._known) > MOST_ROOTS:
            self._known.popitem(last=False)

    def known(self, size: int) -> bytes | None:
        """The root at *size*, if it is remembered."""
        return self._known.get(size)

    def computed(self, size: int) -> bytes:
        """The root over the first *size* leaves, read and hashed. Raises OSError, EOFError."""
        frontier = self._walked if self._walked.size <= size else merkle.Frontier()
        frontier = merkle.Frontier(frontier.size, frontier.peaks)
        with self._path.open("rb") as file:
            file.seek(frontier.size * merkle.HASH_BYTES)
            while frontier.size < size:
                count = min(_LEAVES, size - frontier.size)
                data = file.read(count * merkle.HASH_BYTES)
                if len(data) < count * merkle.HASH_BYTES:
                    raise EOFError("leaves are missing")
                for at in range(0, len(data), merkle.HASH_BYTES):
                    frontier.append(data[at : at + merkle.HASH_BYTES])
        self._walked = frontier
        return frontier.root()
