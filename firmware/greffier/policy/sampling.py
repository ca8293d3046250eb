"""A draw that nobody can steer and head office can check.

The draw depends only on a secret key of the epoch, the stratum and the call's number. The key is
committed to in the audit log when the epoch opens and revealed when it ends, so each decision can
be computed again; nobody at the site can predict or choose one.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from greffier.policy.site import Policy

KEY_BYTES = 32
DRAW_BITS = 53
_PREFIX = b"callpolicy/1|"


@dataclass(frozen=True, slots=True)
class Draw:
    """``u`` = ``numerator`` / 2**53, exactly; the numerator is what a log keeps."""

    numerator: int

    @property
    def u(self) -> float:
        """The draw as a number, 0 <= u < 1."""
        return self.numerator / (1 << DRAW_BITS)


@dataclass(frozen=True, slots=True)
class Slot:
    """One random instant: the agent's first eligible call after it is recorded.

    ``second``: local seconds since midnight of ``day``.
    """

    day: date
    second: int


def commit(epoch: str, key: bytes) -> str:
    """The commitment to *key* (32 bytes) of the epoch named *epoch*: 64 hexadecimal digits."""
    return hashlib.sha256(_PREFIX + f"commit|{epoch}|".encode() + _checked(key)).hexdigest()


def draw(key: bytes, stratum: str, call_uid: str) -> Draw:
    """The draw of the call *call_uid* (``device/line/counter`` of 10 digits) in *stratum*."""
    return Draw(_first_64_bits(key, f"sample|{stratum}|{call_uid}") >> (64 - DRAW_BITS))


def call_uid(device: str, line: str, counter: int) -> str:
    """The name of call number *counter* of *line*; it holds no time, so no clock redraws it."""
    return f"{device}/{line}/{counter:010d}"


def stratum(policy: Policy, queue: str, direction: str) -> str:
    """The stratum of a call: the site's strata in the fixed order queue, direction."""
    parts = {"queue": queue, "direction": direction}
    return "/".join(parts[name] for name in parts if name in policy.sampling.strata)


def agents_key(secret: bytes, month: str) -> bytes:
    """The key of the pseudonyms of *month* (``YYYY-MM``), from 32 octets of the device."""
    return hmac.digest(
        hmac.digest(secret, b"greffier/agents@v1", "sha256"), month.encode(), "sha256"
    )


def agent_pseudonym(key: bytes, agent: str) -> str:
    """The name of *agent* in the log, 32 hexadecimal digits; *key* is the month's."""
    return hmac.digest(_checked(key), _PREFIX + f"agent|{agent}".encode(), "sha256").hex()[:32]


def month_of(day: date) -> str:
    """The month of *day*, as the log and the slots name it: ``YYYY-MM``."""
    return f"{day.year:04d}-{day.month:02d}"


def working_days(policy: Policy, year: int, month: int) -> list[date]:
    """The days of the month on which a window opens (Monday to Friday where none is named)."""
    day = date(year, month, 1)
    found = []
    while day.month == month:
        open_day = any(window.on(day) for window in policy.windows)
        if open_day or (not policy.windows and day.weekday() < 5):
            found.append(day)
        day += timedelta(days=1)
    return found


def slots(
    key: bytes,
    agent: str,
    days: Sequence[date],
    *,
    count: int,
    window_start: int,
    day_length: int,
) -> list[Slot]:
    """One random instant in each of *count* equal groups of working *days* of one month.

    *key* is the month's; *window_start* and *day_length* are local seconds. A group without a day
    (fewer days than groups) gives no slot.
    """
    found = []
    for index in range(count):
        group = days[index * len(days) // count : (index + 1) * len(days) // count]
        if not group:
            continue
        value = _first_64_bits(key, f"slot|{agent}|{month_of(group[0])}|{index}")
        day, second = divmod(value % (len(group) * day_length), day_length)
        found.append(Slot(group[day], window_start + second))
    return found


def slot_instants(policy: Policy, key: bytes, month: str, agent: str) -> list[int]:
    """The slots of *agent* in *month* (``YYYY-MM``) under *key*, ns since 1970, the first first.

    A day lasts from the earliest beginning of a window to the latest end of one.
    """
    days = working_days(policy, *map(int, month.split("-")))
    start, end = _day_bounds(policy)
    found = slots(
        key,
        agent,
        days,
        count=policy.sampling.slots_month,
        window_start=start,
        day_length=end - start,
    )
    zone = policy.timezone
    begun = [
        datetime.combine(slot.day, time(), zone) + timedelta(seconds=slot.second) for slot in found
    ]
    return [int(one.timestamp()) * 1_000_000_000 for one in begun]


def _day_bounds(policy: Policy) -> tuple[int, int]:
    """Local seconds since midnight; a window over midnight makes it the whole day."""
    windows = policy.windows
    if not windows or any(one.start >= one.end for one in windows):
        return 0, 86_400
    return 60 * min(one.start for one in windows), 60 * max(one.end for one in windows)


def _first_64_bits(key: bytes, message: str) -> int:
    digest = hmac.digest(_checked(key), _PREFIX + message.encode(), "sha256")
    return int.from_bytes(digest[:8], "big")


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("a sampling key has 32 bytes")
    return key
