"""What an audit entry costs: accepted, hashed, framed and written, everything but the waiting."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit.entry import decode
from greffier.audit.log import Log
from greffier.audit.note import Signer
from greffier.audit.segments import frames
from greffier.clock import SystemClock
from greffier.durable import Disk, LinuxSystem

RUNS = 40
ENTRIES = 500
GOAL = 3.0
DIGEST = hashlib.sha256(b"a policy").hexdigest()
TYPICAL = {
    "uid": "box-0007/accueil/0000000004",
    "line": "accueil",
    "record": "full",
    "codes": ["SAMPLED_IN"],
    "call": DIGEST,
    "u": 1674113613283328,
    "stratum": "accueil/in",
    "policy": "fr-retail-lyon2",
    "policy_version": 7,
    "policy_sha256": DIGEST,
}


class _UnsyncedSystem(LinuxSystem):
    """Writes, but does not wait for the medium: that wait is the disk's figure, not ours."""

    def fsync(self, fd: int) -> None:
        pass

    def fdatasync(self, fd: int) -> None:
        pass


def _ours(log: Log) -> float:
    """Seconds an entry: ENTRIES appends and the commit that stores and signs them."""
    started = time.perf_counter()
    for _ in range(ENTRIES):
        log.append("call.decided", None, TYPICAL)
    log.commit()
    return (time.perf_counter() - started) / ENTRIES


def _theirs(fields: dict[str, Any]) -> float:
    """Seconds an entry for the least that any log must do: serialise, hash once, keep the bytes."""
    kept = bytearray()
    started = time.perf_counter()
    for _ in range(ENTRIES):
        data = json.dumps(fields, sort_keys=True).encode()
        hashlib.sha256(data).digest()
        kept += data
    return (time.perf_counter() - started) / ENTRIES


def append() -> dict[str, Any]:
    """One typical entry through the log, fsync excluded, against json.dumps and one SHA-256."""
    memory = Path("/dev/shm")  # noqa: S108 - ext4 waits for the medium in a rename, too
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        audit = Path(folder) / "audit"
        signer = Signer("greffier/bench", Ed25519PrivateKey.generate())
        log = Log.create(Disk(_UnsyncedSystem()), audit, signer, SystemClock())
        _ours(log)
        written = next(frames((audit / "entries-0000000000.glog").read_bytes()))[1]
        decode(written)
        fields = json.loads(written)
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(_ours(log))
            theirs.append(_theirs(fields))
        log.close()
    value, other = min(ours), min(theirs)  # a busy machine only adds time
    ratio = value / other
    return {
        "name": "audit.append",
        "value": round(value * 1e6, 2),
        "unit": "us",
        "better": "lower",
        "reference": {
            "name": "json.dumps + SHA-256 + bytes append",
            "value": round(other * 1e6, 2),
        },
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "met": ratio <= GOAL,
        "runs": RUNS,
        "spread": round((median(ours) - value) / value, 3),
        "pi4_estimate": f"{value * 4e6:.0f} us (x 4, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"audit.append": append}
