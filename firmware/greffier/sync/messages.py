"""The JSON messages between box and head office (docs/sync-protocol.md section 3). Pure."""

import base64
import binascii
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final

from greffier.control.forms import BadMessage, Text, Time, Whole
from greffier.control.wire import read_payload, write_payload
from greffier.sync.chunk import LARGEST_PART, MOST_BLOCKS, blocks_of
from greffier.sync.topics import LARGEST_PAYLOAD

MOST_PARTS: Final = 16
MOST_RANGES: Final = 64
MOST_ENVELOPE: Final = 2048

Id = Annotated[str, Text(r"[0-9a-f]{32}")]
Hash = Annotated[str, Text(r"[0-9a-f]{64}")]
Lane = Annotated[str, Text(r"[a-z0-9-]{1,32}")]
Count = Annotated[int, Whole()]
Octets = Annotated[int, Whole(1, LARGEST_PART)]
Ns = Annotated[int, Time()]
Base64 = Annotated[str, Text(r"[A-Za-z0-9+/]{2,2732}={0,2}")]
NoteOrNone = Annotated[str, Text(r"[^\x00-\x09\x0b-\x1f\x7f]{0,4096}")]
Version = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,31}")]


@dataclass(frozen=True, slots=True)
class Offered:
    """A sealed part: its file's length and SHA-256, those of its blocks, and the envelope."""

    part: Id
    size: Octets
    sha256: Hash
    blocks: tuple[Hash, ...]
    envelope: Base64
    urgent: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < len(self.blocks) <= MOST_BLOCKS or len(self.blocks) != blocks_of(self.size):
            raise ValueError("not as many blocks as octets need")
        if not 0 < len(self.envelope_block) <= MOST_ENVELOPE:
            raise ValueError("the envelope is too long")

    @property
    def envelope_block(self) -> bytes:
        """The envelope as bytes."""
        try:
            raw = base64.b64decode(self.envelope, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the envelope is not base64") from None
        if base64.b64encode(raw).decode() != self.envelope:
            raise ValueError("the envelope is not base64 in its one form")
        return raw


@dataclass(frozen=True, slots=True)
class Offer:
    """I hold these parts."""

    parts: tuple[Offered, ...]

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < len({one.part for one in self.parts}) == len(self.parts) <= MOST_PARTS:
            raise ValueError("no part, too many, or one twice")


@dataclass(frozen=True, slots=True)
class Range:
    """Octets *start* .. *end* - 1 of a part's file."""

    start: Count
    end: Octets

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.start >= self.end:
            raise ValueError("an empty range")


@dataclass(frozen=True, slots=True)
class Need:
    """Send these ranges of *part*, in order, at most *credit* octets, on *lane*, within *ttl_s*."""

    part: Id
    lane: Lane
    ranges: tuple[Range, ...]
    credit: Octets
    ttl_s: Annotated[int, Whole(1, 300)]

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < len(self.ranges) <= MOST_RANGES:
            raise ValueError("no range, or too many")
        if any(before.end >= after.start for before, after in pairwise(self.ranges)):
            raise ValueError("ranges out of order, or not apart")


@dataclass(frozen=True, slots=True)
class Later:
    """Offer *part* again after *after_s* seconds."""

    part: Id
    reason: Annotated[str, Text("log|busy|space")]
    after_s: Annotated[int, Whole(1, 3600)]


@dataclass(frozen=True, slots=True)
class Refused:
    """What was offered as *part* contradicts the log, or is no part; or it was deleted."""

    part: Id
    reason: Annotated[str, Text("hash|envelope|unknown|format|deleted")]


@dataclass(frozen=True, slots=True)
class Have:
    """Head office holds the first *size* entries; *cosigned* is a checkpoint, or ""."""

    size: Count
    cosigned: NoteOrNone = ""


@dataclass(frozen=True, slots=True)
class Fork:
    """The log contradicts what head office holds of it, up to *size* entries."""

    size: Count
    reason: Annotated[str, Text("forked|rewound|key|altered")]


@dataclass(frozen=True, slots=True)
class Presence:
    """A box is there, or (as a Will) not any more; *parts* wait, *size* octets, the oldest
    sealed at *oldest_ns* (0: none waits)."""

    online: bool
    session: Id
    version: Version
    log_size: Count
    parts: Count
    size: Count
    oldest_ns: Ns
    at_ns: Ns


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector is there, or (as a Will) not any more."""

    online: bool
    lane: Lane
    at_ns: Ns


Message = Offer | Need | Later | Refused | Have | Fork | Presence | Collector

KINDS: Final[dict[str, type[Message]]] = {
    "offer": Offer,
    "need": Need,
    "later": Later,
    "refused": Refused,
    "have": Have,
    "fork": Fork,
    "presence": Presence,
    "collector": Collector,
}


def write(message: Message) -> bytes:
    """The payload of *message*. Raises BadMessage where it has no form, or is too long."""
    try:
        return write_payload(message, KINDS, LARGEST_PAYLOAD)
    except ValueError as error:
        raise BadMessage(str(error)) from None


def read(payload: bytes) -> Message:
    """The message in *payload*. Raises BadMessage."""
    if len(payload) > LARGEST_PAYLOAD:
        raise BadMessage("too long", LARGEST_PAYLOAD)
    return read_payload(payload, KINDS)
