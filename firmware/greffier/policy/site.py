"""What a site's policy is: frozen records, made by :mod:`greffier.policy.rules` from its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from greffier.policy import purposes
from greffier.policy.windows import Window

PAUSING = frozenset({"api", "agent_key", "dtmf"})
"""Sources of pauses: an order over the control socket, a key of the agent's, card data itself."""
_LATEST = 253_370_764_800  # 9999-01-01: as far as the calendar of datetime goes


@dataclass(frozen=True, slots=True)
class Governance:
    """References of the site's paperwork, by name, and who signed the change."""

    references: Mapping[str, str]
    employee_notice_on: date | None
    changed_by: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether the reference *name* is given and not empty."""
        if name == "employee_notice_on":
            return self.employee_notice_on is not None
        return bool(self.references.get(name, "").strip())


@dataclass(frozen=True, slots=True)
class Consent:
    """How the outside party agrees or refuses; ``mode`` is a level of the consent lattice."""

    mode: int
    accept_key: str
    refuse_key: str
    discard_on_objection: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """The spoken notice: languages, the name of its text, what the site wants where it fails."""

    languages: tuple[str, ...]
    text_id: str
    on_failure: str


@dataclass(frozen=True, slots=True)
class Justification:
    """Why a rate above the soft cap is allowed; ``expires`` is None for a bare reference."""

    document: str
    expires: date | None

    def holds_on(self, day: date | None) -> bool:
        """Whether it still holds on *day*; an unknown day does not end it."""
        return bool(self.document.strip()) and not (self.expires and day and day > self.expires)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many calls are drawn, and how."""

    method: str
    rate: float
    justification: Justification | None
    agent_quota_month: int | None
    slots_month: int
    strata: tuple[str, ...]
    decide_at: str
    pre_roll_s: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Days by purpose (and ``derived``), as the site wrote them."""

    days: Mapping[str, int]
    metadata: int
    purge_grace: int
    hold_mode: str
    retention_ref: str


@dataclass(frozen=True, slots=True)
class AuthorityOrder:
    """An authority's order to keep longer."""

    active: bool
    days: int
    ref: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Card data: what may start a pause, and how far back it reaches."""

    sources: tuple[str, ...]
    backdate_s: int
    auto_resume: bool
    alarm_after_s: int


@dataclass(frozen=True, slots=True)
class Capture:
    """Continuous capture of emergency lines, and their instant replay."""

    continuous: bool
    pre_roll_s: int
    instant_replay_s: int


@dataclass(frozen=True, slots=True)
class Analytics:
    """What may be computed or captured beside the sound."""

    emotion_inference: bool
    screen_capture: str


@dataclass(frozen=True, slots=True)
class Sync:
    """The country of head office's storage, and whether it cannot be overwritten."""

    destination: str
    immutable: bool


@dataclass(frozen=True, slots=True)
class Agents:
    """Agents who are never recorded, lower rates of others, and who is in which team."""

    never: frozenset[str]
    rates: Mapping[str, float]
    teams: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Notice:
    """What is printed and written to people: the controller's name and address, where they write,
    the data protection officer, where the whole notice is. "" where the site has not said.
    """

    controller: str = ""
    contact: str = ""
    dpo: str = ""
    url: str = ""
    recipients: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``codec`` is "" where the site leaves the choice to the rules."""

    name: str
    sector: str
    purposes: tuple[str, ...]
    internal: bool
    mixed: bool
    codec: str
    prompt: str
    backdate_s: int

    @property
    def duty(self) -> str | None:
        """The purpose for which the law obliges this line to record, or None."""
        return purposes.DUTY_OF_SECTOR.get(self.sector)

    @property
    def voluntary(self) -> tuple[str, ...]:
        """The line's voluntary purposes."""
        return tuple(name for name in self.purposes if name in purposes.VOLUNTARY)

    @property
    def never(self) -> bool:
        """Whether nothing of this line may ever be kept."""
        return not self.purposes or self.sector == "private"

    @property
    def emergency(self) -> bool:
        """Whether this is an emergency line."""
        return self.sector in purposes.EMERGENCY


@dataclass(frozen=True, slots=True)
class Policy:
    """A site's policy. ``sha256`` is of the file's bytes, for the decision records."""

    id: str
    version: int
    controller: str
    employee: str
    device: str
    market: str
    timezone: ZoneInfo
    fail_mode: str
    governance: Governance
    windows: tuple[Window, ...]
    consent: Consent
    announce: Announce
    sampling: Sampling
    retention: Retention
    authority_order: AuthorityOrder
    pause: Pause
    listen_requires: str
    analytics: Analytics
    capture: Capture
    sync: Sync
    agents: Agents
    lines: Mapping[str, Line]
    device_law_memo: str
    conflict_ref: str
    sha256: str
    notice: Notice = Notice()

    def never_records(self, line: str) -> bool:
        """Whether *line* is a never-record line: no call number, no ledger entry of a call."""
        rules = self.lines.get(line)
        return rules is not None and rules.never

    def codec(self, line: str) -> str:
        """How the audio of *line* is coded: "opus", "original" or "flac".

        What the site wrote, else the packets as they came where the law demands recording, else
        Opus. An unknown line counts as one where recording is a duty.
        """
        rules = self.lines.get(line)
        if rules is not None and rules.codec:
            return rules.codec
        return "original" if rules is None or rules.duty else "opus"

    def backdate_s(self, line: str) -> int:
        """How far back, in seconds, a pause on *line* reaches; 0 where nothing can pause it.

        Emergency lines are never paused, nor is a line that the policy does not name, or one of a
        policy without sources of pauses.
        """
        rules = self.lines.get(line)
        if rules is None or rules.emergency or rules.never or not PAUSING & {*self.pause.sources}:
            return 0
        return rules.backdate_s

    def emergency(self, line: str) -> bool:
        """Whether *line* is an emergency line: no pause, and instant replay where it is set."""
        rules = self.lines.get(line)
        return self.fail_mode == "open" if rules is None else rules.emergency

    def replay_s(self, line: str) -> int:
        """How many seconds of *line* are kept for instant replay; 0 for none."""
        rules = self.lines.get(line)
        return self.capture.instant_replay_s if rules is not None and rules.emergency else 0

    def in_window(self, time_ns: int) -> bool:
        """Whether *time_ns* (ns since the Unix epoch) lies in a window announced to staff.

        A policy without windows has announced no limit: every time does.
        """
        local = self._local(time_ns)
        return not self.windows or any(window.holds(local) for window in self.windows)

    def local_day(self, time_ns: int) -> date:
        """The day of *time_ns* (ns since the Unix epoch) in the policy's time zone."""
        return self._local(time_ns).date()

    def _local(self, time_ns: int) -> datetime:
        seconds = min(max(time_ns // 1_000_000_000, 0), _LATEST)
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.timezone)


def in_window(policy: Policy, time_ns: int) -> bool:
    """Same as :meth:`Policy.in_window`."""
    return policy.in_window(time_ns)
