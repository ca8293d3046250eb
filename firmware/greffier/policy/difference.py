"""What differs between two policies, key by key, and by which of it more is recorded or kept.

docs/policy-signing.md section 6. Pure; it compares the tables as they were written, defaults
included where the reader fills them in: a key that is not there has the value that it counts as.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from greffier.policy import purposes
from greffier.policy.packs import CONSENT_LEVELS
from greffier.policy.windows import DAY_MINUTES, BadWindow, parse

LOOSER, STRICTER, OTHER = "looser", "stricter", "other"
_MISSING: Final = None
# A larger number is looser.
_LARGER: Final = frozenset(
    {"sampling.rate", "sampling.agent_quota_month", "sampling.slots_month", "retention.metadata"}
    | {"retention.purge_grace", "capture.pre_roll_s", "capture.instant_replay_s"}
    | {"sampling.pre_roll_s", "pause.alarm_after_s"}
    | {f"retention.{name}" for name in (*purposes.VOLUNTARY, "derived")}
)
_SMALLER: Final = frozenset({"pause.backdate_s"})
_TRUE: Final = frozenset({"capture.continuous", "analytics.emotion_inference", "pause.auto_resume"})
_LINE_TRUE: Final = frozenset({"internal", "mixed"})
_FEWER: Final = frozenset({"pause.sources", "agents.never"})
_COUNTED_AS: Final[Mapping[str, Any]] = {
    **{f"retention.{name}": days for name, days in purposes.SITE_DAYS.items()},
    "retention.metadata": purposes.METADATA_DAYS,
    "retention.purge_grace": purposes.PURGE_GRACE_DAYS,
    "sampling.rate": 0.0,
    "pause.backdate_s": 5,
    "pause.alarm_after_s": 180,
    "pause.sources": ["dtmf", "api"],
    "agents.never": [],
    "windows.recording": [],
    "sampling.slots_month": 4,
    **dict.fromkeys(("capture.pre_roll_s", "capture.instant_replay_s", "sampling.pre_roll_s"), 0),
    **dict.fromkeys(_TRUE, False),
}
_WEEK: Final = 7 * DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs; *before* or *after* is None where it is not written.

    ``effect``: looser (more is recorded, kept or allowed), stricter, or other.
    """

    key: str
    before: object
    after: object
    effect: str

    def as_json(self) -> dict[str, object]:
        """As the command prints it."""
        return {
            "key": self.key,
            "before": _plain(self.before),
            "after": _plain(self.after),
            "effect": self.effect,
        }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every key that differs between the tables of two policies, in the order of the alphabet."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        Change(key, old.get(key), new.get(key), _effect(key, old.get(key), new.get(key)))
        for key in sorted(old.keys() | new.keys())
        if _differs(old.get(key), new.get(key))
    ]


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _differs(one: object, other: object) -> bool:
    return type(one) is not type(other) or one != other


def _effect(key: str, before: Any, after: Any) -> str:
    counted = _COUNTED_AS.get(key)
    before = counted if before is _MISSING else before
    after = counted if after is _MISSING else after
    try:
        return _judged(key, before, after)
    except (TypeError, ValueError, BadWindow):  # a value that no policy may have
        return OTHER


def _judged(key: str, before: Any, after: Any) -> str:
    last = key.rsplit(".", 1)[-1]
    if key == "sampling.agent_quota_month":  # none is no cap
        cap = float("inf")
        return _by(cap if before is None else before, cap if after is None else after)
    if key in _LARGER or key.startswith("agents.rate."):
        return _by(1.0 if before is None else before, 1.0 if after is None else after)
    if key in _SMALLER:
        return _by(after, before)
    if key in _TRUE or (key.startswith("lines.") and last in _LINE_TRUE):
        return _by(bool(before), bool(after))
    if key == "consent.mode":
        return _by(CONSENT_LEVELS.index(after), CONSENT_LEVELS.index(before))
    if key in _FEWER:
        return _sets(set(after or ()), set(before or ()))
    if key.startswith("lines.") and last == "purposes":
        return _sets(set(before or ()), set(after or ()))
    if key == "windows.recording":
        return _sets(_minutes(before), _minutes(after))
    if key.startswith("governance.") and last.endswith(("_ref", "_memo", "_on")):
        return _by(bool(before), bool(after))
    if key in ("sampling.rate_justification_ref", "device_law_memo", "retention.retention_ref"):
        return _by(bool(before), bool(after))
    return OTHER


def _by(before: Any, after: Any) -> str:
    if before == after:
        return OTHER
    return LOOSER if after > before else STRICTER


def _sets(before: set[Any], after: set[Any]) -> str:
    if before == after or not (before <= after or after <= before):
        return LOOSER if after - before else OTHER
    return LOOSER if after > before else STRICTER


def _minutes(texts: Any) -> set[int]:
    """The minutes of a week in which the windows *texts* are open; none named: all."""
    if not texts:
        return set(range(_WEEK))
    found: set[int] = set()
    for window in map(parse, texts):
        for day in window.days:
            length = (window.end - window.start) % DAY_MINUTES or DAY_MINUTES
            first = day * DAY_MINUTES + window.start
            found |= {minute % _WEEK for minute in range(first, first + length)}
    return found


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [_plain(one) for one in value] if isinstance(value, list) else str(value)
