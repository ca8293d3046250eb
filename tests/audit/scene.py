"""What the audit tests share: a clock that ticks by itself, fixed salts, a log of 200 entries."""

import hashlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import note
from greffier.audit.log import Log
from greffier.clock import BUILT_NS, LowerBound, Source
from greffier.durable import Disk

DEVICE = "d0" * 16
SEED = bytes(range(32))


def signer(name: str, seed: bytes) -> note.Signer:
    return note.Signer(name, Ed25519PrivateKey.from_private_bytes(seed))


SIGNER = signer(f"greffier/{DEVICE}", SEED)
WITNESS = signer("office.example/witness", bytes(range(1, 33)))
HASH = hashlib.sha256(b"anything").hexdigest()


class TickingClock:
    """A millisecond passes whenever somebody looks."""

    boot_id = "b0" * 16

    def __init__(self) -> None:
        self._now = 0

    def monotonic_ns(self) -> int:
        self._now += 1_000_000
        return self._now

    def wall_ns(self) -> int:
        return BUILT_NS + self._now

    def lower_bound(self) -> LowerBound:
        return LowerBound(BUILT_NS, "build")

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Nobody is believed here."""


def fixed_salts() -> Callable[[int], bytes]:
    return random.Random(7).randbytes


def new_log(data_dir: Path, disk: Disk | None = None) -> Log:
    """A new log in the folder ``audit`` of a data directory with its public key."""
    (data_dir / "keys").mkdir(parents=True)
    (data_dir / "keys" / "log.pub").write_text(SIGNER.log_key.text + "\n")
    return Log.create(disk or Disk(), data_dir / "audit", SIGNER, TickingClock(), fixed_salts())


def open_log(data_dir: Path, disk: Disk | None = None) -> Log:
    return Log.open(disk or Disk(), data_dir / "audit", SIGNER, TickingClock(), fixed_salts())


def part_id(number: int) -> str:
    return f"{number:032x}"


def story(log: Log, calls: int) -> dict[str, tuple[int, str]]:
    """Append what *calls* calls leave in a log; return the vault that fits."""
    vault = {}
    log.append("device.created", None, {"device": DEVICE, "version": "0.1.0", "class": "C"})
    log.append("epoch.opened", None, {"epoch": "2026-11-22.b0", "commit": HASH})
    for number in range(1, calls + 1):
        uid, rec = f"{DEVICE}/accueil/{number:010d}", f"{number:032x}"
        log.append(
            "call.decided",
            rec,
            {
                "uid": uid, "line": "accueil", "record": "full", "codes": ["SAMPLED_IN"],
                "call": HASH, "u": number, "stratum": "accueil/in",
            },
        )  # fmt: skip
        opened = {"part": part_id(number), "recording": rec, "number": 0}
        log.append("part.opened", rec, opened)
        sealed = {
            "bytes": 1000 + number, "sha256": HASH, "root": HASH, "commitment": HASH,
            "frames": 3, "end": "ended",
        }  # fmt: skip
        log.append("part.sealed", rec, opened | sealed)
        log.append("call.ended", rec, {"uid": uid, "result": "ok"})
        vault[part_id(number)] = (1000 + number, HASH)
    log.append("epoch.closed", None, {"epoch": "2026-11-22.b0", "calls": calls})
    return vault


def log_of(data_dir: Path, size: int) -> dict[str, tuple[int, str]]:
    """A committed log of *size* entries (at least 7) made in several commits."""
    log = new_log(data_dir)
    vault = story(log, (size - 3) // 4)
    log.commit()
    for at in itertools.count():
        if log.accepted == size:
            break
        interval = {"from_ns": at, "to_ns": at + 1, "state": "idle"}
        log.append("coverage", None, {"line": "accueil", "channel": "l1", **interval})
        log.commit()
    log.commit()
    log.close()
    return vault
