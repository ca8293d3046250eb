"""A day of the shred store in memory, and what the store reports."""

from dataclasses import dataclass, field
from typing import Literal

from greffier.durable import Appender
from greffier.store.shred_format import BucketKey, Name, Placed


@dataclass(frozen=True, slots=True)
class Report:
    """Something the store mended or lost: ``count`` copies repaired, bytes torn, entries lost.

    ``unreadable`` is a whole day of which no copy has a header left.
    """

    day: str
    kind: Literal["repaired", "torn", "lost", "unreadable"]
    count: int


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a destruction did. The entries are dead even where ``leftovers`` files could not be
    unlinked: their keys are gone, and the files go when the store is opened next.
    """

    names: tuple[Name, ...]
    absent: tuple[Name, ...]
    leftovers: int


@dataclass(slots=True)
class Day:
    """One bucket as this process knows it; ``sound`` is false after a failed append or sync."""

    key: BucketKey
    placed: dict[Name, tuple[int, int, int]] = field(default_factory=dict)
    next_seq: int = 0
    sound: bool = True
    appenders: list[Appender] = field(default_factory=list)

    def add(self, one: Placed) -> None:
        self.placed[one.entry.name] = (one.seq, one.offset, one.length)
        self.next_seq = max(self.next_seq, one.seq + 1)

    def close(self) -> None:
        for appender in self.appenders:
            appender.close()
        self.appenders = []
