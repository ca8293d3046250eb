"""What may be asked on the control socket, and what is answered. Every record is frozen.

No message carries audio, keys, digits, numbers or names of callers: calls and parts are ids, lines
and taps are names of the configuration.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from greffier.control.desks import Acted, AskCalls, AskInstructions, Calls, Instructions
from greffier.control.facts import FactTaken, Tell
from greffier.control.fields import (
    Count,
    Device,
    Id,
    Millibel,
    Name,
    NameOrNone,
    Ns,
    SeverityName,
    State,
    Uid,
    Word,
)
from greffier.control.forms import Text, Whole
from greffier.control.governance import AdoptPolicy
from greffier.control.retention import (
    AskHolds,
    AskTold,
    Enter,
    Erase,
    HoldStates,
    PlaceHold,
    Purge,
    ReleaseHold,
    Ticket,
    Told,
)
from greffier.control.transfer import (
    AskEntries,
    AskLeaves,
    AskPart,
    AskSync,
    AskWork,
    Cosigned,
    EntriesHanded,
    PartHanded,
    Receipts,
    SyncNow,
    SyncPause,
    SyncReport,
    SyncState,
    Taken,
    Work,
)

VERSION: Final = 1
MOST_REPLAY_S: Final = 600

# --- requests -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskStatus:
    """What runs, what is committed, what is wrong."""


@dataclass(frozen=True, slots=True)
class AskLevels:
    """How loud each channel is."""


@dataclass(frozen=True, slots=True)
class AskAlarms:
    """The alarms that stand, and the notices after the serial number *after*."""

    after: Count = 0


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Somebody has seen the alarm with this number."""

    alarm: Count


@dataclass(frozen=True, slots=True)
class Pause:
    """Keep nothing of this call, or of those that run on this line. Exactly one is given.

    It lasts until it is resumed, or the call is over; what is said last is wiped from memory.
    """

    line: NameOrNone = ""
    call: Uid = ""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if bool(self.line) == bool(self.call):
            raise ValueError("either a line or a call")


@dataclass(frozen=True, slots=True)
class Resume:
    """The end of a pause. Exactly one is given."""

    line: NameOrNone = ""
    call: Uid = ""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if bool(self.line) == bool(self.call):
            raise ValueError("either a line or a call")


@dataclass(frozen=True, slots=True)
class Replay:
    """Play the last *seconds* of a line again: what was heard comes with the answer."""

    line: Name
    seconds: Annotated[int, Whole(1, MOST_REPLAY_S)]


@dataclass(frozen=True, slots=True)
class Stop:
    """End in good order."""


Request = (
    AskStatus
    | AskLevels
    | AskAlarms
    | Acknowledge
    | Pause
    | Resume
    | Replay
    | Tell
    | Stop
    | AskWork
    | AskPart
    | AskEntries
    | AskLeaves
    | Receipts
    | Cosigned
    | SyncReport
    | AskSync
    | SyncNow
    | SyncPause
    | Purge
    | PlaceHold
    | ReleaseHold
    | AskHolds
    | Erase
    | Enter
    | AskTold
    | AskCalls
    | AskInstructions
    | Acted
    | AdoptPolicy
)

REQUESTS: Final[dict[str, type[Request]]] = {
    "status": AskStatus,
    "levels": AskLevels,
    "alarms": AskAlarms,
    "acknowledge": Acknowledge,
    "pause": Pause,
    "resume": Resume,
    "replay": Replay,
    "fact": Tell,
    "stop": Stop,
    "work": AskWork,
    "part": AskPart,
    "entries": AskEntries,
    "leaves": AskLeaves,
    "receipts": Receipts,
    "cosigned": Cosigned,
    "sync_report": SyncReport,
    "sync": AskSync,
    "sync_now": SyncNow,
    "sync_pause": SyncPause,
    "purge": Purge,
    "hold_place": PlaceHold,
    "hold_release": ReleaseHold,
    "holds": AskHolds,
    "erase": Erase,
    "enter": Enter,
    "told": AskTold,
    "calls": AskCalls,
    "instructions": AskInstructions,
    "acted": Acted,
    "policy_adopt": AdoptPolicy,
}


# --- answers --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineState:
    """What a line does now; *calls* are running."""

    line: Name
    state: State
    calls: Count = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """A part that is being written: this much of it survives a power cut.

    ``last_sample`` is the position behind the last durable sample, at the leg's rate.
    """

    part: Id
    bytes: Count
    last_sample: Count


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. ``subject`` is a line, tap, card or output by name, or "".

    ``count``: how often it was raised since ``since_ns``; ``last_ns``: when it was last.
    """

    id: Count
    name: Word
    subject: NameOrNone
    severity: SeverityName
    acknowledged: bool
    count: Count
    since_ns: Ns
    last_ns: Ns


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to an alarm. *serial* grows by one with each."""

    serial: Count
    what: Annotated[str, Text("raised|acknowledged|cleared")]
    at_ns: Ns
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Storage:
    """Space of the data directory; hours None where nothing would be lost, or nobody knows.

    *step* is that of the space ladder. *mirror* says how it stands with the second medium, on which
    *mirror_missing* parts are not; "" where there is none.
    """

    free_bytes: Count | None = None
    total_bytes: Count | None = None
    hours_to_first_unsynced_loss: Count | None = None
    step: Annotated[str, Text("(?:normal|alarm|refuse|duties)?")] = ""
    mirror: Annotated[str, Text("[a-z]{0,16}")] = ""
    mirror_missing: Count = 0


@dataclass(frozen=True, slots=True)
class ClockState:
    """The lower bound of trusted time, and who says so."""

    lower_bound_ns: Ns
    source: Word


@dataclass(frozen=True, slots=True)
class OfficeState:
    """What head office has not confirmed: *waiting* parts of *size* octets, the oldest created at
    *oldest_ns* (0: none waits); *received* parts that it has. *unnamed* parts cannot be offered.

    The log was cosigned up to *cosigned_size* entries (0: it never was).
    """

    waiting: Count = 0
    size: Count = 0
    oldest_ns: Ns = 0
    received: Count = 0
    unnamed: Count = 0
    cosigned_size: Count = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What the recorder published last; ``age_ms`` ago. *deletion*: its class, "" if unknown.

    *operators*: on what their keys hang, ``tpm``, ``passphrase``, ``key-file``, with ``+`` between
    several; "" where nobody can replay on the box, or nothing is known.
    """

    device: Device
    run: Id
    armed: bool
    lines: tuple[LineState, ...]
    committed: tuple[Committed, ...]
    alarms: tuple[Alarm, ...]
    storage: Storage
    clock: ClockState
    age_ms: Count = 0
    office: OfficeState = OfficeState()
    deletion: Annotated[str, Text("[ABC]?")] = ""
    operators: Annotated[str, Text("[a-z+-]{0,32}")] = ""


@dataclass(frozen=True, slots=True)
class Level:
    """Of one leg or channel since the last snapshot; *clipped* samples at full scale."""

    line: Name
    channel: Annotated[str, Text(r"[A-Za-z0-9_./-]{1,130}")]
    rms_mb: Millibel
    peak_mb: Millibel
    clipped: Count


@dataclass(frozen=True, slots=True)
class Levels:
    """Every channel's level."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms that stand, and what happened to alarms since the serial that was asked for.

    *run* tells one start of the recorder from the next: serials begin again. *missed* notices were
    too old to be kept.
    """

    run: Id
    serial: Count
    alarms: tuple[Alarm, ...]
    notices: tuple[Notice, ...]
    missed: Count = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The order was carried out; not *changed* where it was so already."""

    changed: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """It was not; *code* says which kind, *reason* which case of it."""

    code: Annotated[str, Text("bad_request|not_allowed|refused|busy")]
    reason: Word


Answer = (
    Status
    | Levels
    | Alarms
    | Done
    | Failure
    | FactTaken
    | Work
    | PartHanded
    | EntriesHanded
    | Taken
    | SyncState
    | Ticket
    | Told
    | HoldStates
    | Calls
    | Instructions
)

ANSWERS: Final[dict[str, type[Answer]]] = {
    "status": Status,
    "levels": Levels,
    "alarms": Alarms,
    "done": Done,
    "failure": Failure,
    "fact_taken": FactTaken,
    "work": Work,
    "part": PartHanded,
    "entries": EntriesHanded,
    "taken": Taken,
    "sync": SyncState,
    "ticket": Ticket,
    "told": Told,
    "holds": HoldStates,
    "calls": Calls,
    "instructions": Instructions,
}
