"""What the rules say about one call: record or not, for what, how long, from when, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

# Codes that somebody must be told of at once.
ALARMS = frozenset(
    {
        "ACTION_UNCONFIRMED",
        "COLD_CALL_NO_CONSENT",
        "FAIL_OPEN_EMERGENCY",
        "PAUSE_OVERRUN",
        "RECORDER_DOWN",
    }
)
WAITING = ("NOTICE_PENDING", "CONSENT_PENDING", "AGENT_PENDING")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one call.

    ``record``: none | seg (parts from an instant on) | full | cont | provisional_deleted.
    ``purposes``: name -> (min, max) days after creation (insurance, signed: after signature).
    ``begins``: name -> the instants of which the *latest* is its first persisted sample: onset,
    notice_end, consent, agent, proof, threat, transfer. ``codes`` are in evaluation order.
    ``waiting``: the fact it waits for, or None; audio stays in RAM meanwhile. ``counted``: whether
    the call takes a number and a decision record (calls of never-record lines do not).
    ``quarantined``: recorded, but unplayable until somebody classifies the line.
    """

    record: str = "none"
    purposes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    codes: tuple[str, ...] = ()
    announce: str = "none"
    action: str = "continue"
    pause: str = "-"
    begins: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    waiting: str | None = None
    mandatory: bool = False
    sampled_in: bool = False
    quarantined: bool = False
    counted: bool = True

    @property
    def alarms(self) -> tuple[str, ...]:
        """Those of the codes that raise an alarm."""
        return tuple(code for code in self.codes if code in ALARMS)

    def with_codes(self, *codes: str) -> "Verdict":
        """The same with *codes* behind, none twice."""
        return replace(self, codes=tuple(dict.fromkeys((*self.codes, *codes))))

    def summary(self) -> dict[str, object]:
        """The six parts that a case compares, as JSON values."""
        return {
            "record": self.record,
            "purposes": {name: list(days) for name, days in self.purposes.items()},
            "codes": list(self.codes),
            "announce": self.announce,
            "action": self.action,
            "pause": self.pause,
        }

    def as_json(self) -> dict[str, object]:
        """Everything, as JSON values."""
        return {
            **self.summary(),
            "begins": {name: list(instants) for name, instants in self.begins.items()},
            "waiting": self.waiting,
            "mandatory": self.mandatory,
            "sampled_in": self.sampled_in,
            "quarantined": self.quarantined,
            "counted": self.counted,
            "alarms": list(self.alarms),
        }
