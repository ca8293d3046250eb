"""What the recorder shows of itself after each tick: frozen, no number or name of a caller."""

import shutil
from typing import TYPE_CHECKING

from greffier.control.board import Snapshot
from greffier.control.messages import (
    Alarms,
    ClockState,
    Committed,
    Levels,
    LineState,
    Status,
    Storage,
)
from greffier.recorder.call import Call

if TYPE_CHECKING:
    from greffier.recorder.live import Live


def snapshot_of(live: "Live", alarms: Alarms) -> Snapshot:
    """The state of *live* after a tick: what is committed survives a power cut."""
    space = shutil.disk_usage(live.archive.data.path)
    bound = live.clock.lower_bound()
    status = Status(
        device=live.archive.data.identity.device,
        run=alarms.run,
        armed=True,
        lines=tuple(_lines(live)),
        committed=tuple(
            Committed(tape.part.hex(), tape.committed, tape.last_sample)
            for tape in live.archive.running
        ),
        alarms=alarms.alarms,
        storage=Storage(space.free, space.total, None),
        clock=ClockState(bound.t_ns, bound.source),
    )
    levels = tuple(level for source in live.sources for level in source.levels())
    return Snapshot(status, Levels(levels), alarms, live.clock.monotonic_ns())


def _lines(live: "Live") -> list[LineState]:
    """Each configured line, and what it does now."""
    calls: dict[str, list[Call]] = {line: [] for line in live.config.lines}
    for source in live.sources:
        for call in source.running:
            calls.setdefault(call.rules.line, []).append(call)
    return [
        LineState(line, _unseen(live, line) or _state(found), len(found))
        for line, found in calls.items()
    ]


def _unseen(live: "Live", line: str) -> str | None:
    """The state of *line* while nothing that may carry it sees anything."""
    carriers = [source for source in live.sources if line in source.lines]
    if carriers and all(source.blind for source in carriers):
        return carriers[0].unseen
    return None


def _state(calls: list[Call]) -> str:
    if any(call.recording for call in calls):
        return "recorded"
    return "not_recorded" if calls else "idle"
