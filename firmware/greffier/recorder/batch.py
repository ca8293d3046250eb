"""What one tick hands from the recorder's thread to whoever makes it durable: frozen bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from greffier.audit.witness import Cosigned
from greffier.trust import DeletionClass


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The journal of epoch *name* begins once *envelopes* of its metadata key are durable.

    *day* is the shred store's, *key* the 32-byte metadata key. *files* are durable before anything
    is sealed to what they hold.
    """

    name: str
    opened_ns: int
    day: str
    key: bytes = field(repr=False)
    envelopes: bytes
    files: tuple[tuple[Path, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """A new part: its file begins with *header* once *envelopes* are in the shred store.

    *part* is its 16-byte id. *digest*, where there is one, says the SHA-256 of all bytes that were
    handed over so far, in hex; then nobody hashes them a second time.
    """

    part: bytes
    day: str
    header: bytes
    envelopes: bytes
    digest: Callable[[], str] | None = None


class Piece(NamedTuple):
    """Sealed bytes of a part, which follow those handed over before.

    *last_sample* is the position behind the last sample that the file holds with them.
    """

    part: bytes
    data: bytes
    last_sample: int


@dataclass(frozen=True, slots=True)
class Ending:
    """The bytes of a part are complete; *sealed* is what the log says of it."""

    part: bytes
    sealed: Mapping[str, Any]


class Doom(NamedTuple):
    """A part that was being written is to be destroyed, of which the log has told.

    *deletion* is the class that its destruction has; *forget* drops its key in memory.
    """

    part: bytes
    day: str
    reason: str
    deletion: DeletionClass
    forget: Callable[[], None]


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A record for the journal of *epoch*: what is clear of a call, and what is sealed."""

    epoch: str
    clear: Mapping[str, Any]
    sealed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that was accepted since the batch before, but for the log, which has its own.

    *at_ns* is when it was handed over, monotonic. *received* are ids of parts of which the log has
    accepted a receipt; *cosigned* is the newest checkpoint that head office cosigned.
    """

    at_ns: int
    epochs: tuple[NewEpoch, ...] = ()
    openings: tuple[Opening, ...] = ()
    pieces: tuple[Piece, ...] = ()
    endings: tuple[Ending, ...] = ()
    calls: tuple[EndedCall, ...] = ()
    received: tuple[str, ...] = ()
    cosigned: Cosigned | None = None
    doomed: tuple[Doom, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it holds nothing, and only the log may have grown."""
        kept = self.epochs or self.openings or self.pieces or self.endings or self.calls
        return not (kept or self.received or self.cosigned or self.doomed)

    @property
    def octets(self) -> int:
        """How many bytes of audio it holds."""
        return sum(len(piece.data) for piece in self.pieces)
