"""The analogue lines of a start: what their channels did before, and which calls may go on.

An analogue call has no name on any wire. It is known again by its line, on which at most one call
runs: it goes on where the recorder is back within the line's hang-over, because a silence as long
would have ended it anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from greffier.audit.intervals import Interval
from greffier.calls.events import CallStarted
from greffier.clock import Clock
from greffier.config.lines import agent_of
from greffier.config.records import AnalogueLine, Config
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.card import CardSource
from greffier.recorder.card_line import CardLine, Cut
from greffier.recorder.cards import SoundCard
from greffier.recorder.contacts import Contacts
from greffier.recorder.fate import NEVER
from greffier.recorder.intake import Intake
from greffier.recorder.ledger import Ledger
from greffier.recorder.numbers import channel_pseudonym
from greffier.recorder.outcome import leading_code
from greffier.recorder.recovery import CutCall, Recovered
from greffier.recorder.rules import Rules
from greffier.recorder.sources import pending_of
from greffier.recorder.troubles import Troubles
from greffier.trust import LogKey


@dataclass(frozen=True, slots=True)
class CutLines:
    """Calls that ran on analogue lines when the last process ended, by line; *rest* are others.

    *stale*: older ones of the same lines, which cannot go on.
    """

    calls: Mapping[str, CutCall]
    stale: Sequence[CutCall]
    rest: Sequence[CutCall]


def cut_lines(lines: Sequence[AnalogueLine], calls: Sequence[CutCall], key: LogKey) -> CutLines:
    """Sort *calls*, none of which has ended."""
    names = {channel_pseudonym(key, line.name): line.name for line in lines}
    latest: dict[str, CutCall] = {}
    stale, rest = [], []
    for call in sorted(calls, key=lambda one: one.start_ns):
        name = names.get(call.names[0]) if call.names else None
        if name is None:
            rest.append(call)
            continue
        if name in latest:
            stale.append(latest[name])
        latest[name] = call
    return CutLines(latest, stale, rest)


class Ruled(Protocol):
    """What knows the rules of calls that begin now: its policy may be another one later."""

    config: Config
    policy: Policy
    packs: Packs


def rules_of(site: Ruled, call: CallStarted) -> Rules:
    """Under which rules a call on an analogue line stands: what the configuration says of it.

    Where nobody looks for the notice, that it was given is assumed.
    """
    (line,) = (one for one in site.config.analogue if one.name == call.channel)
    pending = pending_of(site.config, site.policy, line.line)
    given: dict[str, object] = {"dir": line.direction}
    given |= {} if "announce" in pending else {"announce": "assumed_ok"}
    if line.extension:
        agent = agent_of(site.config.assignments, line.extension, call.time_ns)
        given |= {"agent": agent} if agent is not None else {}
    return Rules(
        site.policy,
        site.packs,
        line.line,
        given,
        pending=pending,
        extension=line.extension,
        stars=site.config.star_codes,
    )


def ledger_of(
    line: AnalogueLine,
    never: bool,
    found: Recovered,
    cut: CutCall | None,
    last_ns: int,
    now: int,
    gap: tuple[str, str | None] = ("off", None),
) -> Ledger:
    """The ledger of *line*, from where the last run left it: as it was, then *gap*."""
    since = found.settled.get(line.name, now)
    ledger = Ledger(line.line, line.name, since)
    if never:
        ledger.until(last_ns, *NEVER)
    elif found.states.get(line.name) == "lost":
        ledger.until(last_ns, "lost", "CARD_LOST", (last_ns - since) * line.rate // 10**9)
    elif cut is None:
        ledger.until(last_ns, "idle")
    elif cut.record in ("none", "provisional_deleted") or not cut.recording:
        ledger.until(last_ns, "not_recorded", leading_code(cut.codes) or "UNKNOWN")
    else:
        for interval in recovery.cut_coverage(replace(cut, settled_ns=since), last_ns):
            ledger.until(interval.to_ns, interval.state, interval.reason)
    ledger.until(now, *gap)
    return ledger


def source_of(
    card: SoundCard,
    config: Config,
    archive: Archive,
    intake: Intake,
    ledgers: Mapping[str, Ledger],
    cuts: Mapping[str, Cut],
    policy: Policy,
    clock: Clock,
    troubles: Troubles,
    patience: int,
) -> CardSource:
    """The source over *card*: a line of the recorder for each of its channels."""
    inputs = [
        (line.detection.input, line.detection.active)
        for line in card.lines
        if line.detection.input is not None and line.detection.kind != "level"
    ]
    contacts = Contacts(inputs, clock.monotonic_ns)
    numbers = count()

    def tell(interval: Interval) -> None:
        archive.log.append("coverage", None, interval.data)

    def made(line: AnalogueLine) -> CardLine:
        path, active = line.detection.input, line.detection.active
        return CardLine(
            line,
            intake,
            ledgers[line.name],
            off=lambda: None if path is None else contacts.off(path, active),
            number=numbers,
            tell=tell,
            list_cut=lambda call: recovery.list_cut(archive, [call]),
            cut=cuts.get(line.name),
            never=policy.never_records(line.line),
        )

    lines = [made(line) for line in card.lines]
    return CardSource(card, lines, intake, contacts, clock, troubles, patience=patience)
