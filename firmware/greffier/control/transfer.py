"""What is asked and answered between the recorder and the transfer to head office.

The transfer is a process of its own (docs/sync-protocol.md); it has no other way to anything that
the recorder keeps. Like all messages these carry no sound, keys, digits or names of callers.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from greffier.control.fields import (
    Base64OrNone,
    Count,
    Device,
    Hash,
    Id,
    NoteText,
    Ns,
    Receipt,
    SyncTrouble,
)
from greffier.control.forms import Text, Whole

MOST_RECEIPTS: Final = 4
"""Receipts in one request."""
TROUBLES: Final = (
    "sync.offline",
    "sync.no_collector",
    "sync.refused",
    "sync.forked",
    "sync.broker_denied",
    "sync.certificate",
    "sync.too_large",
    "sync.backlog",
    "sync.storage",
    "sync.paused",
)
"""The alarms that a report may name; any other one becomes ``sync.other``."""


# --- what it asks the recorder -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskWork:
    """The log's head, and sealed parts that head office has not confirmed.

    Those whose end is an entry numbered above *after*, in that order, at most *most*: 0 asks for
    all, since the first entry is the end of no part.
    """

    after: Count = 0
    most: Annotated[int, Whole(1, 256)] = 64


@dataclass(frozen=True, slots=True)
class AskPart:
    """A sealed part: its file comes as a descriptor, head office's envelope in the answer."""

    part: Id


@dataclass(frozen=True, slots=True)
class AskEntries:
    """The log's file that holds the entry *seq*, as a descriptor."""

    seq: Count


@dataclass(frozen=True, slots=True)
class AskLeaves:
    """The log's leaf hashes, as a descriptor."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Head office's receipts (docs/sync-protocol.md section 7), as they came."""

    receipts: tuple[Receipt, ...]

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < len(self.receipts) <= MOST_RECEIPTS:
            raise ValueError("no receipt, or too many")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint of this log that head office cosigned, as it came."""

    checkpoint: NoteText


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How it goes; *troubles* are the alarms that stand for it, by name (``sync.…``).

    What waits are *parts* of *size* octets, the oldest sealed at *oldest_ns* (0: none waits).
    """

    online: bool
    parts: Count
    size: Count
    oldest_ns: Ns
    troubles: tuple[SyncTrouble, ...]


# --- what the command line asks it ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskSync:
    """How the transfer to head office goes."""


@dataclass(frozen=True, slots=True)
class SyncNow:
    """End a pause, forget waits, and try at once; *part*, where given, goes first."""

    part: Annotated[str, Text(r"(?:[0-9a-f]{32})?")] = ""


@dataclass(frozen=True, slots=True)
class SyncPause:
    """Send no parts until then (the log still goes). It always ends by itself."""

    until_ns: Ns


# --- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed part that head office has not confirmed; its end is entry number *seq*.

    *urgent*: an emergency, or under a hold. *until_ns* is when it is destroyed, confirmed or not
    (0: it is not).
    """

    part: Id
    recording: Id
    seq: Count
    size: Count
    sha256: Hash
    created_ns: Ns
    until_ns: Ns
    urgent: bool


@dataclass(frozen=True, slots=True)
class Work:
    """The latest durable *checkpoint*, a signed note over *log_size* entries, and the parts.

    *more*: there are others behind the last one. *waiting* counts all that are not confirmed.
    """

    device: Device
    log_size: Count
    checkpoint: NoteText
    waiting: Count
    parts: tuple[Sealed, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class PartHanded:
    """The part's file is the descriptor that came with this; *envelope* is base64.

    The envelope block holds head office's record and no other.
    """

    envelope: Base64OrNone


@dataclass(frozen=True, slots=True)
class EntriesHanded:
    """The descriptor that came with this is the file of the entries from number *first* on."""

    first: Count


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of each receipt: received, known, or the reason why not (in their order)."""

    results: tuple[
        Annotated[str, Text("received|known|garbled|unsigned|forged|foreign|unknown|other")], ...
    ]


@dataclass(frozen=True, slots=True)
class SyncState:
    """How the transfer goes. *state* is one of the six words that a person is shown.

    Counts are of parts. *rate_bps* is what was sent lately, *limit_bps* the cap of this hour (0:
    none). Times are 0 where it never happened; *cosign_ms* is how long the last cosignature took,
    from its batch to its coming back. *trouble* is a word, "" where all is well.
    """

    device: Device
    state: Annotated[str, Text("not_enrolled|offline|connecting|idle|sending|paused")]
    queued: Count
    offered: Count
    sending: Count
    waiting: Count
    refused: Count
    size: Count
    oldest_ns: Ns
    rate_bps: Count
    limit_bps: Count
    log_size: Count
    head_size: Count
    cosigned_size: Count
    last_receipt_ns: Ns
    last_cosigned_ns: Ns
    cosign_ms: Count
    received: Count
    pause_until_ns: Ns
    trouble: Annotated[str, Text(r"(?:[a-z][a-z0-9_.]{0,47})?")]
    clock_ns: Ns
