"""What the recorder is told about its site. Frozen; :mod:`greffier.config.recorder` reads them."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from greffier.config.bandwidth import Limit
from greffier.config.numbers import Numbering

Network = IPv4Network | IPv6Network
Direction = Literal["in", "out", "int"]
Severity = Literal["info", "warning", "critical"]
OutputKind = Literal["syslog", "led", "email", "webhook"]


@dataclass(frozen=True, slots=True)
class Tap:
    """One interface on which a mirrored port arrives. ``name`` is what match rules call it."""

    name: str
    interface: str
    promiscuous: bool
    ring_blocks: int
    block_kib: int
    retire_ms: int
    sip_ports: tuple[int, ...]
    blind_after_s: int


@dataclass(frozen=True, slots=True)
class Detection:
    """How the beginning and the end of a call on an analogue line are told.

    ``kind`` "off_hook" reads ``input`` (its content begins with ``active`` while the handset is
    off); "level" compares the level with ``start_dbfs`` for ``onset_ms`` and with ``end_dbfs`` for
    ``hang_over_s``; "both" begins with either and ends when both agree.
    """

    kind: Literal["level", "off_hook", "both"]
    input: Path | None
    active: str
    start_dbfs: float
    end_dbfs: float
    onset_ms: int
    hang_over_s: float
    longest_s: int


@dataclass(frozen=True, slots=True)
class AnalogueLine:
    """One channel of a sound card. ``name`` is the ledger's channel, ``line`` the policy's line.

    ``gain_percent`` None leaves the card's mixer alone.
    """

    name: str
    line: str
    pcm: str
    channel: int
    channels: int
    rate: int
    period_ms: int
    buffer_ms: int
    mixer: str
    card: str
    gain_percent: int | None
    direction: Direction
    extension: str
    detection: Detection


@dataclass(frozen=True, slots=True)
class Match:
    """A rule: every condition that is given must hold, and in a condition one value is enough.

    ``did`` is the number on our side (called on the way in, caller on the way out, either inside).
    """

    line: str
    tap: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    caller: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    vlans: tuple[int, ...] = ()
    direction: tuple[Direction, ...] = ()


@dataclass(frozen=True, slots=True)
class Inside:
    """Who is one of us: by number first, by address where the number says nothing."""

    numbers: tuple[str, ...]
    networks: tuple[Network, ...]
    otherwise: Direction


@dataclass(frozen=True, slots=True)
class Assignment:
    """*agent* works at *extension* from ``from_ns`` (inclusive) to ``until_ns`` (exclusive)."""

    extension: str
    agent: str
    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Output:
    """One place that alarms of at least ``severity`` go to; which fields are used depends on kind.

    ``address`` is a socket path (syslog), a file (led) or a URL (webhook); secrets are files.
    """

    name: str
    kind: OutputKind
    severity: Severity
    language: str
    address: str
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str
    sender: str
    recipients: tuple[str, ...]
    secret: Path | None
    on: str
    off: str

    @property
    def in_recorder(self) -> bool:
        """Whether the recorder's own process may serve it.

        Not what opens connections, and not a lamp, which must be lit when the recorder is dead.
        """
        return self.kind == "syslog"


@dataclass(frozen=True, slots=True)
class Control:
    """The control socket, and who besides root and the recorder's own user may do what.

    Each list holds names of users or their numbers.
    """

    socket: Path
    watch: tuple[str | int, ...]
    operate: tuple[str | int, ...]
    stop: tuple[str | int, ...]
    sync: tuple[str | int, ...] = ()
    retain: tuple[str | int, ...] = ()
    tell: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the recorder may use at most."""

    calls: int
    undecided_s: int
    stall_s: int
    encoder_threads: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The steps of the space ladder in percent of the medium, and of what it says when it is full.

    ``reserve_mib`` are kept for log and keys; ``rate_hours`` is the time over which the pace of
    writing is taken; ``mirror`` is the folder of a second medium, None without one.
    """

    alarm_percent: int = 85
    refuse_percent: int = 92
    duties_percent: int = 97
    reserve_mib: int = 64
    rate_hours: int = 24
    mirror: Path | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """The process that carries parts and log to head office: its folder, socket, and pace.

    Chunks have ``least_chunk_kib`` to ``most_chunk_kib``; ``alarm_hours`` without a receipt while
    parts wait are an alarm.
    """

    folder: Path
    socket: Path
    limits: tuple[Limit, ...]
    least_chunk_kib: int
    most_chunk_kib: int
    alarm_hours: int


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. ``sha256`` is of its bytes."""

    data: Path
    policy: Path
    policy_signature: Path
    policy_signers: Path
    packs: Path | None
    timezone: ZoneInfo
    tick_ms: int
    numbering: Numbering
    control: Control
    taps: tuple[Tap, ...]
    analogue: tuple[AnalogueLine, ...]
    matches: tuple[Match, ...]
    inside: Inside
    assignments: tuple[Assignment, ...]
    outputs: tuple[Output, ...]
    limits: Limits
    storage: Storage
    sync: Sync
    path: Path
    sha256: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Every policy line that a rule or a channel names, in order of the file, each once."""
        named = [one.line for one in self.analogue] + [one.line for one in self.matches]
        return tuple(dict.fromkeys(named))
