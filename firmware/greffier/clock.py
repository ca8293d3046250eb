"""Time in one place: a clock is an object that is handed in; nobody else asks what time it is.

Three times, never mixed: the *wall* (what people read, may jump), the *monotonic* time since boot
(for distances), and a *lower bound of trusted time* (what deletion believes: it may run late, never
early). Times are integer nanoseconds since the Unix epoch, written as RFC 3339 with an offset.
"""

import re
import secrets
import time
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Literal, Protocol

SECOND = 1_000_000_000
# No true clock can show less than the day this release was made: 2026-11-22T00:00:00Z.
BUILT_NS = 1_795_305_600 * SECOND
# A board's quartz is off by 100 parts in a million at worst: elapsed time counts that much less.
DRIFT_PPM = 100

Source = Literal["build", "persisted", "cosignature", "statement"]


class BadTime(ValueError):
    """A text is not an RFC 3339 time with an offset, or lies outside the years 1970 to 2261."""


class BadZone(ValueError):
    """A name is not a time zone of this machine's tz database."""


@dataclass(frozen=True, slots=True)
class LowerBound:
    """It is certainly not earlier than this, and who says so."""

    t_ns: int
    source: Source


class Clock(Protocol):
    """What every clock can be asked."""

    @property
    def boot_id(self) -> str:
        """32 hex digits that are the same until the machine boots again."""

    def wall_ns(self) -> int:
        """The time that people read; it may jump either way."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; it never falls and counts sleep."""

    def lower_bound(self) -> LowerBound:
        """The lower bound of trusted time; within one run it never falls."""

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Someone trusted signed *t_ns*, now or earlier; an older bound changes nothing."""


class SystemClock:
    """The clock of the machine.

    *persisted_ns* is the bound that the last run left behind (0 when there is none).
    ``witnessed`` raises the bound by a time that someone else signed. Between two statements the
    bound advances with the boot clock, less the worst drift. The wall clock never moves it.
    """

    def __init__(self, persisted_ns: int = 0) -> None:
        source: Source = "persisted" if persisted_ns > BUILT_NS else "build"
        # The bound, and when it was so: replaced as one, because any thread asks.
        self._anchor = LowerBound(max(persisted_ns, BUILT_NS), source), self.monotonic_ns()
        self._boot_id = _boot_id()

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return steady_ns()

    def lower_bound(self) -> LowerBound:
        anchor, anchored_at = self._anchor
        elapsed = self.monotonic_ns() - anchored_at
        credited = elapsed - elapsed * DRIFT_PPM // 1_000_000
        return LowerBound(anchor.t_ns + credited, anchor.source)

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Someone trusted signed *t_ns*, now or earlier; an older bound changes nothing."""
        if t_ns > self.lower_bound().t_ns:
            self._anchor = LowerBound(t_ns, source), self.monotonic_ns()


def steady_ns() -> int:
    """A clock that only goes on, to tell how long something took, ns."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def pause(seconds: float) -> None:
    """Let *seconds* pass: for what asks to be asked again later."""
    time.sleep(seconds)


def thread_cpu_ns() -> int:
    """The processor time that the calling thread has had, ns."""
    return time.thread_time_ns()


class CaptureClock:
    """A clock whose wall is the time inside a capture file; trusted time stays the machine's.

    ``move_to`` sets the wall to a record's time. The monotonic time is the sum of the forward
    steps, so records out of order never make it fall.
    """

    def __init__(self, start_ns: int, machine: Clock) -> None:
        self._wall = start_ns
        self._elapsed = 0
        self._latest = start_ns
        self._machine = machine

    @property
    def boot_id(self) -> str:
        return self._machine.boot_id

    def wall_ns(self) -> int:
        return self._wall

    def monotonic_ns(self) -> int:
        return self._elapsed

    def lower_bound(self) -> LowerBound:
        """The machine's: a capture may carry any time, so it proves none."""
        return self._machine.lower_bound()

    def witnessed(self, t_ns: int, source: Source) -> None:
        self._machine.witnessed(t_ns, source)

    def move_to(self, t_ns: int) -> None:
        """The record at hand was captured at *t_ns*."""
        self._wall = t_ns
        self._elapsed += max(0, t_ns - self._latest)
        self._latest = max(self._latest, t_ns)


def _boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    try:
        text = path.read_text("ascii").strip().replace("-", "").lower()
    except FileNotFoundError:
        return secrets.token_hex(16)  # no Linux: a process then counts as a boot
    return text


def zone(name: str) -> zoneinfo.ZoneInfo:
    """The time zone *name* ("Europe/Paris"). Raises BadZone."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise BadZone(f"{name!r} is not a time zone") from None


def local(t_ns: int, at: tzinfo = UTC) -> datetime:
    """The civil time at *t_ns* in *at*, aware, cut to microseconds. Raises BadTime."""
    seconds, rest = divmod(t_ns, SECOND)
    try:
        whole = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)
        return whole.astimezone(at)
    except (OverflowError, ValueError, OSError):
        raise BadTime("a time beyond the calendar") from None


def day_of(t_ns: int, at: tzinfo = UTC) -> str:
    """The civil day at *t_ns* in *at*, ``YYYY-MM-DD``. Raises BadTime."""
    return local(t_ns, at).date().isoformat()


def format_time(t_ns: int, at: tzinfo = UTC, digits: int = 6) -> str:
    """*t_ns* as RFC 3339 in *at*, cut (not rounded) to 0..9 decimals; UTC reads ``+00:00``.

    Raises BadTime.
    """
    moment = local(t_ns, at)
    fraction = f".{t_ns % SECOND:09d}"[: digits + 1] if digits else ""
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:5]}"


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


def parse_time(text: str) -> int:
    """Nanoseconds of an RFC 3339 *text* (section 5.6). Raises BadTime.

    An offset is demanded; a leap second is refused.
    """
    found = _RFC3339.fullmatch(text)
    if not found:
        raise BadTime("not an RFC 3339 time with an offset")
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    offset = timedelta()
    if found[8]:
        offset = timedelta(hours=int(found[9]), minutes=int(found[10]))
        if int(found[9]) > 23 or int(found[10]) > 59:
            raise BadTime("the offset is not one")
    try:
        moment = datetime(
            year, month, day, hour, minute, second,
            tzinfo=timezone(-offset if found[8] == "-" else offset),
        )  # fmt: skip
        seconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except (ValueError, OverflowError):
        raise BadTime("no such day or hour") from None
    if not 0 <= seconds < 2**63 // SECOND:
        raise BadTime("a time before 1970 or after 2261")
    return seconds * SECOND + int((found[7] or "").ljust(9, "0"))
