"""What the medium is written for each octet of sound: `greffier run` on an ext4 that is watched.

Eight lines talk, one direction each, kept as Opus of 24 kbit/s; every call begins and ends once.
Counted is every octet that reaches the block device below the file system (blocks of 4 KiB, its
journal too) from the moment at which the recorder is armed until the disk is unmounted: parts,
envelopes in both copies of the shred store, log, checkpoints, coverage, calls journal, index.
Payload is what the encoder made, read back from the parts. Minutes long, and in need of root, FUSE,
loop devices and a network namespace: only when asked for by name.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from greffier.audit import verify
from greffier.capture.datagram import Address
from greffier.durable import Disk
from greffier.seal.keys import PrivateKey
from greffier.store import layout, playback
from greffier_sim import block_disk, captures, disk_map, octets
from greffier_sim.block_disk import FLUSH, NOTE, BlockDisk, Operation
from greffier_sim.captures import MS, PCMA, Plan
from greffier_sim.lab import Wire, wire
from greffier_sim.packets import frames_of, pcap
from greffier_sim.schedules import DUTY
from greffier_sim.soak_box import SoakBox

LINES: Final = 8
TALK_S: Final = 180
"""Of each call: what it costs that a call begins and ends is spread over so much sound."""
STAGGER_MS: Final = 1300
"""Between the beginnings of two calls: no two of them begin or end in one commit."""
TICK_MS: Final = 750
GOAL: Final = 5.0
SOUND_OCTETS_S: Final = 3000
EMMC_OCTETS: Final = 32e9 * 3000
"""That an eMMC of 32 GB takes, at 3,000 cycles: docs/storage.md."""
DISK_MIB: Final = 1024
JOURNAL_MIB: Final = 32
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the image: no disk of this machine is measured
_MAKING: Final = Lock()
"""Commands are asked in this process: what one says is not for another."""
_OWNERS: Final = (
    (".gpart", "parts"),
    (".glog", "log"),
    ("/audit/", "log"),
    ("/shred/", "shred store"),
    (".gcalls", "calls journal"),
    ("index.sqlite", "index"),
)


@dataclass(frozen=True, slots=True)
class Written:
    """One run: what was spoken and what that cost the medium, in octets."""

    payload: int
    """What the encoder made."""
    files: int
    """The part files."""
    blocks: int
    flushes: int
    entries: int
    """Of the log."""
    where: dict[str, int]
    """*blocks*, told apart."""

    @property
    def factor(self) -> float:
        """Octets written to the block device for each octet of payload."""
        return self.blocks / self.payload


def owner(path: str) -> str:
    """What the file *path* of the data directory is."""
    return next((name for word, name in _OWNERS if word in path), "other files")


def plans(lines: int, talk_s: int) -> list[Plan]:
    """A call on each line."""
    return [
        Plan(
            call_id=f"octets-{number}@sim",
            start_ns=1_700_000_000_000 * MS + number * STAGGER_MS * MS,
            talk_ms=talk_s * 1000,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
            caller_ssrc=0x1000 + number,
            codings=(PCMA,),
            to_number=DUTY,
        )
        for number in range(lines)
    ]


def _capture(lines: int, talk_s: int) -> bytes:
    """Calls in which the caller alone is heard: a line with one direction, as an analogue one."""
    every = []
    for plan in plans(lines, talk_s):
        every += captures.opening(plan) + captures.speech(plan, "caller") + captures.closing(plan)
    return pcap(frames_of(captures.in_order(every)))


def _recorded(disk: BlockDisk, cable: Wire, tick_ms: int, spoken: bytes) -> SoakBox:
    """A recorder on *disk* that heard *spoken*, and ended; BEGUN stands in the record."""
    with _MAKING:
        box = SoakBox(
            disk.path / "r",
            cable.namespace,
            cable.tap,
            codec="opus",
            rate=0.0,
            pauses=False,
            tick_ms=tick_ms,
        )
    capture = disk.path.parent / "calls.pcap"
    capture.write_bytes(spoken)
    box.start()
    try:
        disk.note(b"begun")
        replay = [sys.executable, "-m", "greffier_sim.replay", str(capture), cable.port]
        subprocess.run(cable.inside(*replay), check=True, stdout=subprocess.DEVNULL)
        box.wait_idle()
        box.stop()
    finally:
        box.kill()
    return box


def _heard(box: SoakBox) -> tuple[int, int]:
    """Octets of sound in all parts, and of the part files."""
    private: PrivateKey = box.private
    payload = files = 0
    for stored in layout.open(box.data).vault(Disk()).parts():
        part = playback.open_part(stored.path, None, private)  # a duty: its file has the envelope
        files += stored.size
        payload += sum(len(one.data) for leg in part.legs.values() for one in leg.packets)
    return payload, files


def _between(operations: Iterable[Operation]) -> list[Operation]:
    """What was done from the note on."""
    every = list(operations)
    begun = next(at for at, one in enumerate(every) if one.kind == NOTE)
    return every[begun:]


def measured(tick_ms: int, lines: int = LINES, talk_s: int = TALK_S) -> Written:
    """Run a recorder that commits every *tick_ms* ms while *lines* calls of *talk_s* come.

    Raises Unable, Missing: this machine lacks what it needs.
    """
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="greffier-octets-", dir=memory) as name:
        folder = Path(name)
        image, log = folder / "image", folder / "log"
        block_disk.make_file_system(image, DISK_MIB, JOURNAL_MIB)
        program = block_disk.build(folder)
        spoken = _capture(lines, talk_s)
        with wire() as cable, BlockDisk(program, image, log) as disk:
            disk.mount()
            box = _recorded(disk, cable, tick_ms, spoken)
            payload, files = _heard(box)
            entries = sum(1 for _ in verify.entries(box.data))
            disk.unmount()
        done = _between(block_disk.operations(log))
        where = disk_map.DiskMap(image, owner).tally(done)
        flushes = sum(one.kind == FLUSH for one in done)
        return Written(payload, files, sum(where.values()), flushes, entries, dict(where))


def amplification() -> dict[str, Any]:
    """At the tick of the goal, and beside it at that of the product."""
    block_disk.own_mounts()
    with ThreadPoolExecutor(2) as pool:
        ours, usual = pool.map(measured, (TICK_MS, 500))
    a_day = ours.factor * LINES * SOUND_OCTETS_S * octets.DAY_S
    return {
        "name": "store.amplification",
        "value": round(ours.factor, 3),
        "unit": "octets/octet",
        "better": "lower",
        "reference": None,
        "ratio": None,
        "goal": GOAL,
        "met": ours.factor <= GOAL,
        "runs": 1,
        "spread": 0.0,
        "tick_ms": TICK_MS,
        "payload": ours.payload,
        "part_files": ours.files,
        "log_entries": ours.entries,
        "flushes": ours.flushes,
        "octets_a_day": round(a_day),
        "years_of_emmc_32_gb": round(octets.years(EMMC_OCTETS, a_day), 1),
        "where": _shares(ours),
        "usual_tick": {"tick_ms": 500, "value": round(usual.factor, 3), "where": _shares(usual)},
        "pi4_estimate": None,
    }


def _shares(written: Written) -> dict[str, float]:
    ordered = sorted(written.where.items(), key=lambda one: -one[1])
    return {name: round(spent / written.payload, 3) for name, spent in ordered}


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"store.amplification": amplification}
