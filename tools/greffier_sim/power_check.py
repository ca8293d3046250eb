"""What must hold on a disk that lost its power: a start, and everything that was promised."""

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from greffier.audit import segments
from greffier.audit.verify import verify
from greffier.cli.audit import held_keys, listed_calls
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.merkle import HASH_BYTES
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.seal.keys import PrivateKey
from greffier.store import journal, layout, playback
from greffier.store.playback import OpenedPart
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Name
from greffier_office.catalogue import Catalogue
from greffier_sim.captures import Plan
from greffier_sim.power_work import BOX, CATALOGUE, MANDATORY, Promise

START_ERRORS = (GreffierError, OSError, ValueError, sqlite3.Error, AssertionError)


@dataclass
class Found:
    """What one cut cost. *lost* are octets that were committed, *wrong* says everything amiss.

    *beyond_s*: by how much the sound of a running call that may not be paused ends before the last
    packet that the recorder had heard.
    """

    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    started: bool = True
    beyond_s: float = 0.0

    def miss(self, octets: int, what: str) -> None:
        """*octets* that were promised are not there."""
        self.lost += max(1, octets)
        self.wrong.append(what)


def start(folder: Path) -> None:
    """What a start of the recorder does before it takes the first call, and a quiet end.

    Raises whatever stops it.
    """
    with Archive.open(folder / BOX, SystemClock()) as archive:
        found = recovery.recover(archive)
        archive.open_epoch()
        recovery.list_cut(archive, found.calls)
        archive.tick()


def check(folder: Path, promise: Promise, private: PrivateKey, plans: Iterable[Plan]) -> Found:
    """Start on the disk at *folder* and compare it with *promise*.

    *plans*: open every part with *private* and look how far their speech came; none: do not.
    """
    found = Found()
    try:
        start(folder)
    except START_ERRORS as error:
        found.started = False
        found.wrong.append(f"no start: {error!r}")
    data = layout.open(folder / BOX)
    _check_parts(data.parts, promise, found)
    _check_log(data.audit, promise, found)
    if found.started:
        try:
            _check_story(folder / BOX, promise, found, private, plans)
        except START_ERRORS as error:
            found.wrong.append(f"after the start: {error!r}")
    _check_office(folder / CATALOGUE, promise, found)
    return found


def _check_parts(parts: Path, promise: Promise, found: Found) -> None:
    here = {path.stem: path for path in parts.rglob("*.gpart")}
    for part, (size, sha256) in promise.parts.items():
        path = here.get(part)
        kept = path.read_bytes()[:size] if path else b""
        if len(kept) < size:
            found.miss(size - len(kept), f"part {part[:8]} has {len(kept)} of {size} octets")
        elif hashlib.sha256(kept).hexdigest() != sha256:
            found.miss(size, f"part {part[:8]} is another")
    for part in promise.gone & here.keys():
        found.wrong.append(f"part {part[:8]} was purged and is here")


def _check_log(audit: Path, promise: Promise, found: Found) -> None:
    size, sha256 = promise.log
    leaves = audit / segments.LEAVES
    kept = leaves.read_bytes()[: size * HASH_BYTES] if leaves.exists() else b""
    if len(kept) < size * HASH_BYTES:
        found.miss(size * HASH_BYTES - len(kept), f"the log has not the {size} promised entries")
    elif hashlib.sha256(kept).hexdigest() != sha256 and sha256:
        found.miss(len(kept), "the log is another")


def _check_story(
    box: Path, promise: Promise, found: Found, private: PrivateKey, plans: Iterable[Plan]
) -> None:
    """The whole of it, as ``audit verify`` looks at it, and every envelope and call."""
    data = layout.open(box)
    report = verify(
        box,
        parts={one.part_id: (one.size, one.digest().sha256) for one in data.vault(Disk()).parts()},
        calls=listed_calls(data),
        held=held_keys(data),
        origin=data.identity.origin,
    )
    found.wrong += [f"audit verify: {one}" for one in report.problems]
    if report.cosigned_size < promise.cosigned:
        found.miss(1, f"cosigned up to {report.cosigned_size}, not {promise.cosigned}")
    calls = {one.clear["uid"] for one in journal.everything(data.calls)}
    for uid in promise.calls - calls:
        found.miss(1, f"the record of call {uid[:8]} is gone")
    with Archive.open(box, SystemClock()) as archive:
        recovery.recover(archive)
        for part in promise.received:
            known = archive.unconfirmed.is_received(part) or archive.unconfirmed.is_destroyed(part)
            if not known:
                found.miss(1, f"the receipt of part {part[:8]} is gone")
        _check_keys(archive.shred, promise, found)
        _listen(archive, promise, found, private, list(plans))


def _check_keys(shred: ShredStore, promise: Promise, found: Found) -> None:
    for part, sha256 in promise.keys.items():
        name = Name(PART, bytes.fromhex(part))
        if shred.day_of(name) is None:
            found.miss(1, f"the envelope of part {part[:8]} is gone")
        elif hashlib.sha256(shred.get(name).block).hexdigest() != sha256:
            found.miss(1, f"the envelope of part {part[:8]} is another")
    for part in promise.gone:
        if shred.day_of(Name(PART, bytes.fromhex(part))) is not None:
            found.wrong.append(f"the key of part {part[:8]} was destroyed and is here")


def _listen(
    archive: Archive, promise: Promise, found: Found, private: PrivateKey, plans: list[Plan]
) -> None:
    """Every part opens; how much of the speech of running calls is missing."""
    ends: dict[str, int] = {}
    if not plans:
        return
    for stored in archive.vault.parts():
        block = archive.shred.get(Name(PART, bytes.fromhex(stored.part_id))).block
        opened = playback.open_part(stored.path, block, private, unfinished=True)
        call_id = str(opened.about["call_id"])
        ends[call_id] = max(ends.get(call_id, 0), _end_ns(opened))
    for plan in plans:
        first, last = plan.answer_ns, plan.end_ns - 50_000_000
        if plan.call_id.startswith(MANDATORY) and first < promise.heard_ns <= last:
            heard_s = (promise.heard_ns - max(first, ends.get(plan.call_id, 0))) / 1e9
            found.beyond_s = max(found.beyond_s, heard_s)


def _end_ns(part: OpenedPart) -> int:
    """When the last sample of the shorter leg was spoken, capture time."""
    origin = int(part.about["origin_us"]) * 1000
    ends = [
        origin + (leg.packets[-1].position + leg.packets[-1].samples) * 10**9 // leg.rate
        for leg in part.legs.values()
        if leg.packets
    ]
    return min(ends, default=0)


def _check_office(path: Path, promise: Promise, found: Found) -> None:
    try:
        rows = Catalogue.open(path, Disk())
        try:
            held = {row[0] for row in rows.db.execute("SELECT sha256 FROM blocks")}
            (said,) = rows.db.execute("PRAGMA integrity_check").fetchone()
        finally:
            rows.close()
    except (GreffierError, sqlite3.Error) as error:
        found.started = False
        found.wrong.append(f"the catalogue does not open: {error!r}")
        return
    if said != "ok":
        found.wrong.append(f"the catalogue is damaged: {said}")
    if missing := promise.rows - held:
        found.miss(len(missing), f"{len(missing)} rows of the catalogue are gone")
