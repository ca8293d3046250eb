"""What a verification of sampling says: findings, what nobody can tell, and each epoch."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

MOST_FOUND: Final = 1000
"""Findings that are named of each box; more are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction (docs/sampling.md section 5). ``day`` is the call's, where it began."""

    code: str
    device: str
    seq: int
    day: str
    uid: str | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "code": self.code,
            "device": self.device,
            "seq": self.seq,
            "uid": self.uid,
            "day": self.day,
            "detail": self.detail,
        }


@dataclass(slots=True)
class EpochTold:
    """One epoch: its calls, where its key came from, and when head office saw the commitment."""

    device: str
    epoch: str
    opened_seq: int
    key: str = "unknown"
    """``revealed``, ``opened`` (the sealed copy) or ``unknown``."""
    witnessed_size: int | None = None
    """The first size that head office cosigned with the commitment inside."""
    calls: int = 0
    unwitnessed: int = 0
    """Calls whose decision stood in the log before head office had seen the commitment."""

    @property
    def witnessed(self) -> str:
        """``before``, ``during``, ``after`` or ``never``."""
        if self.witnessed_size is None:
            return "never"
        if not self.unwitnessed:
            return "before"
        return "during" if self.unwitnessed < self.calls else "after"

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "device": self.device,
            "epoch": self.epoch,
            "calls": self.calls,
            "key": self.key,
            "witnessed": self.witnessed,
            "unwitnessed": self.unwitnessed,
        }


@dataclass(slots=True)
class Result:
    """Of one box, or of several together."""

    findings: list[Finding] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    epochs: list[EpochTold] = field(default_factory=list)
    days: dict[str, "DayTold"] = field(default_factory=dict)

    def add(self, other: "Result") -> None:
        """Take in what is said of another box."""
        self.findings += other.findings
        self.unknown |= other.unknown
        self.epochs += other.epochs
        for day, told in other.days.items():
            self.days.setdefault(day, DayTold()).add(told)

    def of_day(self, day: str) -> "Result":
        """What concerns *day* (``YYYY-MM-DD``) alone; an epoch is of the day in its name."""
        return Result(
            [one for one in self.findings if one.day in ("", day)],
            set(self.unknown),
            [one for one in self.epochs if one.epoch.startswith(day)],
            {name: told for name, told in self.days.items() if name == day},
        )

    @property
    def state(self) -> str:
        """``altered``, ``cannot_tell`` or ``authentic``."""
        if self.findings:
            return "altered"
        return "cannot_tell" if self.unknown else "authentic"

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        whole = DayTold()
        for told in self.days.values():
            whole.add(told)
        return {
            "ok": self.state == "authentic",
            "state": self.state,
            "calls": whole.calls,
            "drawn": whole.drawn,
            "expected": round(whole.expected, 3),
            "findings": [one.as_json() for one in self.findings[:MOST_FOUND]],
            "found": len(self.findings),
            "unknown": sorted(self.unknown),
            "epochs": [one.as_json() for one in self.epochs],
            "lost_draws": dict(sorted(whole.lost.items())),
        }


@dataclass(slots=True)
class DayTold:
    """Sums of a day: calls, those drawn, how many the rates let expect, draws that were lost."""

    calls: int = 0
    drawn: int = 0
    expected: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, other: "DayTold") -> None:
        """Take in another day."""
        self.calls += other.calls
        self.drawn += other.drawn
        self.expected += other.expected
        self.lost += other.lost
