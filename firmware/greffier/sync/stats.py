"""How parts stand, in numbers that other threads read as a whole. Pure."""

from dataclasses import dataclass, replace

from greffier.sync.outbox import NOTHING, Backlog
from greffier.sync.parts import Parts


@dataclass(frozen=True, slots=True)
class Stats:
    """How it stands, replaced as a whole."""

    backlog: Backlog = NOTHING
    offered: int = 0
    sending: int = 0
    waiting: int = 0
    received: int = 0
    last_receipt_ns: int = 0
    pause_until_ns: int = 0
    complete: bool = False
    """Whether the recorder was asked for everything once."""


def stats_of(engine: Parts, backlog: Backlog, pause_until_ns: int, complete: bool) -> Stats:
    """The numbers of now; *backlog* is what the outbox said last."""
    parts, size = engine.finished
    left = max(0, backlog.parts - parts)
    return Stats(
        replace(
            backlog,
            parts=left,
            size=max(0, backlog.size - size) if left else 0,
            oldest_ns=backlog.oldest_ns if left else 0,
        ),
        engine.count("offered"),
        engine.count("sending"),
        engine.count("waiting", "receipt"),
        engine.counts.received,
        engine.counts.last_receipt_ns,
        pause_until_ns,
        complete,
    )
