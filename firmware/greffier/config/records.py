"""What the recorder is told about its site. Frozen; :mod:`greffier.config.recorder` reads them."""

from collections.abc import Mapping
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
OutputKind = Literal["syslog", "led", "email", "webhook", "relay", "page"]
ALARM_KINDS = ("syslog", "led", "email", "webhook")
"""The kinds of outputs that tell people of alarms."""


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
    """*agent* works at *extension* from ``from_ns`` (inclusive) to ``until_ns`` (exclusive).

    In that time *agent* is in the *team* ("": in none that this table knows).
    """

    extension: str
    agent: str
    from_ns: int
    until_ns: int
    team: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """Where alarms of at least ``severity`` go, or what acts on calls, or both.

    Which fields are used depends on kind. ``address`` is a socket path (syslog), a file (led,
    relay) or a URL (webhook); secrets are files. ``actions`` are what it can do to calls of
    ``lines`` (all where none is named), in at most ``deadline_s``. A relay with a ``gpio`` is that
    line of the character device ``address``; it is switched on for ``pulse_ms``.
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
    actions: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    deadline_s: int = 10
    gpio: int | None = None
    pulse_ms: int = 500

    @property
    def tells_alarms(self) -> bool:
        """Whether alarms go there."""
        return self.kind in ALARM_KINDS

    def serves(self, line: str, action: str) -> bool:
        """Whether it can do *action* to calls of *line*."""
        return action in self.actions and (not self.lines or line in self.lines)

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
class Key:
    """A key on a desk, wired to an input: pressed, it tells *fact* of the call at *extension*.

    ``input`` is a file that begins with ``active`` while it is pressed, or, with a ``gpio``, the
    character device of which that is a line.
    """

    name: str
    extension: str
    fact: str
    input: Path
    active: str
    gpio: int | None


@dataclass(frozen=True, slots=True)
class Gate:
    """The process that takes facts and serves the desks' page: its folder and where it listens.

    ``listen`` are (host, port); ``url`` is how browsers reach it, "" where that follows from the
    first of these. Certificate and key are given both or neither.
    """

    folder: Path
    listen: tuple[tuple[str, int], ...]
    url: str = ""
    certificate: Path | None = None
    key: Path | None = None
    language: str = "fr"
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. ``sha256`` is of its bytes; ``star_codes`` are as in config.star_codes."""

    data: Path
    policy: Path
    policy_signature: Path
    policy_signers: Path
    notices: Path
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
    gate: Gate
    star_codes: Mapping[str, str]
    path: Path
    sha256: str
    agents_file: Path | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """Every policy line that a rule or a channel names, in order of the file, each once."""
        named = [one.line for one in self.analogue] + [one.line for one in self.matches]
        return tuple(dict.fromkeys(named))
