"""The recorder's own work on made-up speech: what a leg costs, how soon a tick is durable.

What the kernel needs to receive frames, and what signalling costs, are not in it.
"""

import resource
import secrets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from greffier.capture.rtp import Stream
from greffier.clock import SECOND, day_of, steady_ns, thread_cpu_ns
from greffier.durable import Disk, commit
from greffier.encode.codecs import by_payload_type
from greffier.encode.stored import Kind
from greffier.encode.timeline import Timeline
from greffier.recorder.tape import PartPlan, Tape
from greffier.seal.core import CoreWriter
from greffier.seal.keys import PublicKey
from greffier.seal.spool import Kind as CoreKind
from greffier.seal.spool import Spool
from greffier.store.vault import Vault

KINDS: Final[tuple[Kind, ...]] = ("original", "flac", "opus")
LEGS: Final = 8
"""As many legs are worked on in turn, so that none stays in the cache alone."""
WORK_S: Final = 1.0
"""CPU seconds that each kind is measured for."""
TICKS: Final = 24
FILES: Final = 4
_PCMA: Final = 8
_RATE, _PTIME = 8000, 160
_BYTES_A_LEG: Final = 8800  # a second: G.711 with the frame's heads
_NS: Final = _PTIME * SECOND // _RATE
_ORIGIN: Final = 1_700_000_000 * SECOND
_DAY: Final = day_of(_ORIGIN)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one leg of a kind costs. ``memory`` is bytes a leg."""

    kind: Kind
    cpu_us: float
    """CPU microseconds a second of sound."""
    memory: int

    @property
    def legs_a_core(self) -> int:
        """Legs that one core carries, if it does nothing else."""
        return int(1_000_000 / self.cpu_us)


@dataclass(frozen=True, slots=True)
class Ticks:
    """How long a tick's bytes took to become durable, milliseconds."""

    bytes: int
    p50_ms: float
    p95_ms: float
    worst_ms: float


def speech(seconds: int) -> list[bytes]:
    """Packets of A-law, 20 ms each: harmonics of a low voice in syllables, and some breath."""
    at = np.arange(seconds * _RATE) / _RATE
    drawn = np.random.default_rng(1)
    voice = sum(np.sin(2 * np.pi * 120 * n * at + n) / n for n in range(1, 25))
    loud = np.maximum(np.sin(2 * np.pi * 2.5 * at), 0.0) ** 0.5
    sound = 5000 * voice * loud + 200 * drawn.standard_normal(len(at))
    # A-law (ITU-T G.711) of a value: sign, segment, step.
    value = np.clip(sound, -32000, 32000).astype(np.int32) >> 3
    magnitude = np.minimum(np.where(value >= 0, value, -value - 1), 4095)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = (magnitude >> np.maximum(exponent, 1)) & 15
    octets = ((exponent << 4 | mantissa) ^ np.where(value >= 0, 0xD5, 0x55)).astype(np.uint8)
    return [octets[n : n + _PTIME].tobytes() for n in range(0, len(octets), _PTIME)]


def cost_of(
    kind: Kind,
    recipients: Sequence[PublicKey],
    tick_ms: int,
    vault: Vault,
    kept: list[object],
) -> Cost:
    """Measure one kind for about :data:`WORK_S` of this thread's CPU time; parts go to *vault*.

    Its legs are added to *kept*: as long as they live, their memory is nobody else's.
    Raises StorageFailed.
    """
    packets = speech(4)
    before = _resident()
    work = _core_work(vault) if kind == "original" else _tape_work(kind, recipients, vault)
    kept.append(work)
    per_tick = max(tick_ms * 1_000_000 // _NS, 1)
    number = 0

    def tick() -> None:
        nonlocal number
        for index in range(number, number + per_tick):
            payload = packets[index % len(packets)]
            arrival = _ORIGIN + index * _NS
            for leg in range(LEGS):
                head = struct.pack(
                    ">BBHII", 0x80, _PCMA, index & 0xFFFF, index * _PTIME & 0xFFFFFFFF, leg + 1
                )
                work(leg, head + payload, arrival)
        work(-1, b"", 0)
        number += per_tick

    tick()
    memory = max(_resident() - before, 0) // LEGS
    begun, first = thread_cpu_ns(), number
    while thread_cpu_ns() - begun < WORK_S * SECOND:
        tick()
    used = (thread_cpu_ns() - begun) / SECOND
    sound_s = (number - first) * _PTIME / _RATE * LEGS
    return Cost(kind, used * 1e6 / sound_s, memory)


_Work = Callable[[int, bytes, int], None]
"""Takes a leg's packet and its arrival; leg -1: the tick is over, seal."""


def _core_work(vault: Vault) -> _Work:
    """Legs that the C core records by itself, as it does with established calls."""
    spool = Spool()
    legs, parts = [], []
    for number in range(LEGS):
        writer = CoreWriter(
            part_id=(part_id := secrets.token_bytes(16)),
            recording_id=secrets.token_bytes(16),
            number=0,
            meta={"line": "load"},
            content_key=secrets.token_bytes(32),
        )
        digest = writer.sha256
        parts.append(vault.create(part_id.hex(), _DAY, writer.header, digest=digest))
        spool.add(writer, number)
        state = Timeline(_ORIGIN, _RATE).state
        leg = spool.leg(Stream(), state, {_PCMA: CoreKind.SOUND}, number)
        leg.attach(number, 0, 0, _ORIGIN)
        legs.append(leg)

    def work(leg: int, packet: bytes, arrival_ns: int) -> None:
        if leg >= 0:
            legs[leg].receive(packet, arrival_ns)
            return
        for batch in spool.seal():
            parts[batch.part].append(batch.data)
        spool.gaps()

    return work


def _tape_work(kind: Kind, recipients: Sequence[PublicKey], vault: Vault) -> _Work:
    """Legs that are encoded, from their packets to the file."""
    codec = by_payload_type(_PCMA)
    plan = PartPlan(
        device="load",
        line="load",
        uid="load",
        epoch="load",
        recording=secrets.token_bytes(16),
        number=0,
        previous=None,
        purposes={},
        kind=kind,
        origin_ns=_ORIGIN,
        start_ns=_ORIGIN,
        in_file=False,
        deletion="C",
    )
    legs = [(Stream(), Timeline(_ORIGIN, _RATE), Tape(plan, recipients, {})) for _ in range(LEGS)]
    files = []
    for _stream, _line, tape in legs:
        begun = tape.opening()
        name = begun.part.hex()
        files.append(vault.create(name, begun.day, begun.header, digest=begun.digest))

    def work(leg: int, packet: bytes, arrival_ns: int) -> None:
        if leg >= 0:
            legs[leg][0].receive(packet, arrival_ns)
            return
        for (stream, timeline, tape), file in zip(legs, files, strict=True):
            items = [item for one in stream.ready() for item in timeline.place(one, codec, 1)]
            tape.take(0, {}, items)
            if sealed := tape.take_sealed():
                file.append(sealed.data)

    return work


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def ticks_of(folder: Path, legs: int, tick_ms: int) -> Ticks:
    """Write what *legs* bring in a tick to files in *folder*, :data:`TICKS` times; they go again.

    Raises StorageFailed.
    """
    disk = Disk()
    size = max(legs * _BYTES_A_LEG * tick_ms // 1000, FILES)
    data = secrets.token_bytes(size // FILES)
    names = [folder / f"load-{secrets.token_hex(4)}.tmp" for _ in range(FILES)]
    files = []
    took = []
    try:
        files = [disk.create(name) for name in names]
        for _ in range(TICKS):
            begun = steady_ns()
            for file in files:
                file.append(data)
            commit(files)
            took.append((steady_ns() - begun) / 1e6)
    finally:
        for file in files:
            file.close()
        disk.remove(names)
    took.sort()
    return Ticks(size, took[len(took) // 2], took[len(took) * 95 // 100], took[-1])
