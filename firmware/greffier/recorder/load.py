"""How many channels this machine carries: measured with the recorder's own work, on its own disk.

Made-up speech goes the way of a leg (packets in order, on the sample line, encoded, sealed) as fast
as it can, for each kind of codec; the CPU clock of this process tells what a second of sound
costs. Beside it, as many bytes as all channels bring in a tick are written to the file system of
the data directory and made durable, tick after tick. What the kernel needs to receive frames, and
what signalling costs, are not in it.
"""

import os
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from greffier.config.records import Config
from greffier.durable import Disk
from greffier.encode.stored import Kind
from greffier.language import translate as _
from greffier.policy.site import Policy
from greffier.recorder.finding import Finding, State
from greffier.recorder.load_work import KINDS, Cost, Ticks, cost_of, ticks_of
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout
from greffier.store.vault import Vault

ROOM: Final = 0.75
"""Of a core: the rest is for signalling, the log, and what nobody thought of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration asks for: calls of two legs, analogue lines of one, their kinds."""

    calls: int
    lines: int
    call_kind: Kind
    line_kind: Kind

    @property
    def legs(self) -> int:
        """All of them."""
        return 2 * self.calls + self.lines


def wanted_of(config: Config, policy: Policy) -> Wanted:
    """The dearest kind that a line of the policy asks for counts for all of its sort."""

    def dearest(lines: list[str]) -> Kind:
        kinds = [policy.codec(line) for line in lines]
        return cast("Kind", max(kinds, key=KINDS.index, default="original"))

    calls = config.limits.calls if config.taps else 0
    return Wanted(
        calls,
        len(config.analogue),
        dearest([one.line for one in config.matches]),
        dearest([one.line for one in config.analogue]),
    )


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured, and what was asked for."""

    costs: tuple[Cost, ...]
    ticks: Ticks
    wanted: Wanted
    tick_ms: int
    encoders: int
    """Threads that encode Opus of calls; all else is one thread's work."""

    @property
    def cores(self) -> int:
        """On how many cores the work on the wanted calls can be done at once."""
        return self.encoders if self.wanted.call_kind == "opus" else 1

    @property
    def cpu_share(self) -> float:
        """How much of one core the wanted legs take: more than :attr:`cores` is too much."""
        cost = {one.kind: one.cpu_us / 1e6 for one in self.costs}
        wanted = self.wanted
        return 2 * wanted.calls * cost[wanted.call_kind] + wanted.lines * cost[wanted.line_kind]

    @property
    def memory(self) -> int:
        """Bytes that the wanted legs take."""
        each = {one.kind: one.memory for one in self.costs}
        wanted = self.wanted
        return 2 * wanted.calls * each[wanted.call_kind] + wanted.lines * each[wanted.line_kind]

    @property
    def calls_carried(self) -> int:
        """Calls that are carried beside the analogue lines, a quarter of the cores kept free."""
        cost = {one.kind: one.cpu_us / 1e6 for one in self.costs}
        left = ROOM * self.cores - self.wanted.lines * cost[self.wanted.line_kind]
        return max(int(left / (2 * cost[self.wanted.call_kind])), 0)

    def as_json(self) -> dict[str, Any]:
        """As the command prints it. A call has two legs."""
        return {
            "codecs": {
                one.kind: {
                    "cpu_us_per_second": round(one.cpu_us, 1),
                    "legs_per_core": one.legs_a_core,
                    "memory_per_leg": one.memory,
                }
                for one in self.costs
            },
            "disk": {
                "bytes_per_tick": self.ticks.bytes,
                "p50_ms": round(self.ticks.p50_ms, 1),
                "p95_ms": round(self.ticks.p95_ms, 1),
                "worst_ms": round(self.ticks.worst_ms, 1),
            },
            "wanted": {
                "calls": self.wanted.calls,
                "lines": self.wanted.lines,
                "codec_of_calls": self.wanted.call_kind,
                "codec_of_lines": self.wanted.line_kind,
            },
            "cpu_share": round(self.cpu_share, 3),
            "cores": self.cores,
            "calls_carried": self.calls_carried,
        }


def measure(config: Config, policy: Policy) -> Load:
    """Some seconds of work, in a folder of the data directory that goes again.

    Raises NotADataDirectory, BadKeyFile, StorageFailed.
    """
    data = layout.open(config.data)
    recipients = [keys.read_public(data.office_public, Role.OFFICE)]
    wanted = wanted_of(config, policy)
    with tempfile.TemporaryDirectory(prefix="load-", dir=data.path) as name:
        folder = Path(name)
        vault = Vault(folder, Disk())
        costs: list[Cost] = []
        kept: list[object] = []
        for kind in KINDS:
            costs.append(cost_of(kind, recipients, config.tick_ms, vault, kept))
            for part in vault.open_parts:
                vault.abandon(part)
        ticks = ticks_of(folder, wanted.legs, config.tick_ms)
    encoders = config.limits.encoder_threads or len(os.sched_getaffinity(0)) - 1
    usable = max(min(encoders, len(os.sched_getaffinity(0))), 1)
    return Load(tuple(costs), ticks, wanted, config.tick_ms, usable)


def findings(load: Load, config: Config) -> Iterator[Finding]:
    """What the measurement says of the configuration."""
    wanted = load.wanted
    asked = _("{calls} calls and {lines} lines").format(calls=wanted.calls, lines=wanted.lines)
    edit = f"sudoedit {config.path}"
    share = round(100 * load.cpu_share)
    cause = _("{asked} take {share} % of a core, and have {cores}").format(
        asked=asked, share=share, cores=load.cores
    )
    if load.cpu_share <= ROOM * load.cores:
        yield Finding("load.cpu", "ok", cause)
    else:
        state: State = "warn" if load.cpu_share <= load.cores else "fail"
        advice = _("[limits] calls = {count} fits").format(count=load.calls_carried)
        yield Finding("load.cpu", state, f"{cause}; {advice}", edit)
    yield _of_disk(load, edit)
    yield _of_memory(load, asked, edit)


def _of_disk(load: Load, edit: str) -> Finding:
    ticks = load.ticks
    cause = _("{kib} KiB a tick are durable after {p95:.0f} ms, at worst {worst:.0f} ms").format(
        kib=ticks.bytes // 1024, p95=ticks.p95_ms, worst=ticks.worst_ms
    )
    if ticks.p95_ms > load.tick_ms:
        return Finding("load.disk", "fail", cause, edit)
    if ticks.worst_ms > load.tick_ms:
        return Finding("load.disk", "warn", cause, "dmesg --level=err,warn")
    return Finding("load.disk", "ok", cause)


def _of_memory(load: Load, asked: str, edit: str) -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * resource.getpagesize()
    cause = _("{asked} take {wanted} MiB of memory, {free} MiB are free").format(
        asked=asked, wanted=load.memory >> 20, free=free >> 20
    )
    if load.memory > free:
        return Finding("load.memory", "fail", cause, edit)
    if 2 * load.memory > free:
        return Finding("load.memory", "warn", cause, edit)
    return Finding("load.memory", "ok", cause)
