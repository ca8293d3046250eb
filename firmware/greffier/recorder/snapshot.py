"""What the recorder shows of itself after each tick: frozen, no number or name of a caller."""

from collections import defaultdict
from typing import TYPE_CHECKING

from greffier.clock import Clock
from greffier.config.records import Config
from greffier.control.board import Snapshot
from greffier.control.messages import (
    Alarms,
    ClockState,
    Levels,
    LineState,
    OfficeState,
    Status,
    Storage,
)
from greffier.recorder.call import Call

if TYPE_CHECKING:
    from greffier.recorder.live import Live


def snapshot_of(live: "Live", alarms: Alarms) -> Snapshot:
    """The state of *live* after a tick: what is committed survives a power cut."""
    bound = live.clock.lower_bound()
    totals = live.archive.unconfirmed.totals
    cosigned = live.archive.log.cosigned
    status = Status(
        device=live.archive.data.identity.device,
        run=alarms.run,
        armed=True,
        lines=tuple(_lines(live)),
        committed=(),
        alarms=alarms.alarms,
        storage=live.storage.storage,
        clock=ClockState(bound.t_ns, bound.source),
        office=OfficeState(
            totals.parts,
            totals.size,
            totals.oldest_ns,
            totals.received,
            totals.unnamed,
            cosigned.size if cosigned else 0,
        ),
        deletion=live.archive.shred.class_name,
        operators="+".join(live.archive.sealing.guards),
    )
    levels = tuple(level for source in live.sources for level in source.levels())
    now = live.clock.monotonic_ns()
    return Snapshot(status, Levels(levels), alarms, now, live.archive.committed)


def snapshot_while_waiting(device: str, config: Config, alarms: Alarms, clock: Clock) -> Snapshot:
    """The state of a recorder whose disk is away: nothing is recorded, and it says so."""
    bound = clock.lower_bound()
    status = Status(
        device=device,
        run=alarms.run,
        armed=False,
        lines=tuple(LineState(line, "lost", 0) for line in config.lines),
        committed=(),
        alarms=alarms.alarms,
        storage=Storage(hours_to_first_unsynced_loss=0),
        clock=ClockState(bound.t_ns, bound.source),
    )
    return Snapshot(status, Levels(()), alarms, clock.monotonic_ns())


def _lines(live: "Live") -> list[LineState]:
    """Each configured line, and what it does now."""
    calls: dict[str, list[Call]] = defaultdict(list, {line: [] for line in live.config.lines})
    for source in live.sources:
        for call in source.running:
            calls[call.rules.line].append(call)
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
    if any(call.pauses.windows and call.pauses.paused for call in calls):
        return "paused"
    recorded = [call for call in calls if call.recording]
    if recorded:
        return "recorded" if any(call.writable for call in recorded) else "lost"
    return "not_recorded" if calls else "idle"
