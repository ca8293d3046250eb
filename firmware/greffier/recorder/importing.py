"""A capture file through the same rooms as a live line: datagrams, calls, verdicts, parts."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greffier.calls.tracker import Tracker
from greffier.capture.dissector import Dissector
from greffier.capture.pcap import open_capture
from greffier.clock import SECOND, Clock
from greffier.errors import BadCapture
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.pausable import release_all
from greffier.recorder.report import Report
from greffier.recorder.rules import Rules

# As in the live recorder: what was accepted is durable at most this much later.
TICK_NS = 3 * SECOND // 4
# As often, by the capture's clock, what had to wait for card data is stored.
RELEASE_NS = SECOND // 4
# How many frames go by between two looks at the clock.
TICK_FRAMES = 256
# A frame that says that it was captured after 2200 says nothing: its clock was never set.
LATEST_NS = 7_258_118_400 * SECOND


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: frames in the file, frames that were no call's, and every call."""

    packets: int
    ignored: int
    damage: str | None
    calls: tuple[Report, ...]


def import_capture(
    path: Path, archive: Archive, rules: Rules, clock: Clock, report: Callable[[int], None]
) -> Imported:
    """Take the calls of the capture at *path* into *archive* under *rules*.

    *report* is told how many bytes were read. Raises BadCapture before anything is written,
    StorageFailed; what was committed until then stays.
    """
    with open_capture(path) as reader:
        recovered = recovery.recover(archive)
        archive.open_epoch()
        recovery.list_cut(archive, recovered.calls)
        identity = secrets.token_hex(16)
        _log_beginning(path, archive, rules, identity)
        calls: list[Report] = []
        numbers = Numbers(archive.data.identity.device, recovered.numbers)
        intake = Intake(archive, lambda _call: rules, numbers, calls.append)
        dissector, tracker = Dissector(), Tracker()
        due = clock.monotonic_ns() + TICK_NS
        last_ns = timeless = released_ns = 0
        for record in reader:
            if record.time_ns >= LATEST_NS:
                timeless += 1
                continue
            last_ns = max(last_ns, record.time_ns)
            for datagram in dissector.feed(record):
                events = tracker.feed(datagram)
                if events:
                    intake.take(events)
            if tracker.now_ns - released_ns >= RELEASE_NS:
                released_ns = tracker.now_ns
                release_all(intake.running, released_ns)
            if not dissector.frames % TICK_FRAMES and clock.monotonic_ns() >= due:
                archive.tick()
                report(reader.position)
                due = clock.monotonic_ns() + TICK_NS
        for datagram in dissector.finish():
            intake.take(tracker.feed(datagram))
        intake.take(tracker.finish(last_ns))
        archive.tick()  # the last parts end
        ignored = sum(dissector.ignored.values()) + sum(tracker.ignored.values()) + timeless
        made = Imported(
            dissector.frames + timeless,
            ignored,
            reader.damage.reason if reader.damage else None,
            tuple(calls),
        )
        _log_end(archive, rules, identity, made)
        archive.tick()  # and the log says so
    return made


def _log_beginning(path: Path, archive: Archive, rules: Rules, identity: str) -> None:
    policy = rules.policy
    archive.log.append(
        "policy.adopted",
        None,
        {
            "policy": rules.policy_name,
            "policy_version": policy.version,
            "policy_sha256": policy.sha256,
            "signed": False,
        },
    )
    if not rules.never:
        archive.log.append(
            "import.started",
            None,
            {"import": identity, "bytes": path.stat().st_size, "sha256": _digest(path)},
        )


def _log_end(archive: Archive, rules: Rules, identity: str, made: Imported) -> None:
    """Of a line that is never recorded not even the number of calls is kept."""
    if not rules.never:
        archive.log.append(
            "import.ended",
            None,
            {
                "import": identity,
                "packets": made.packets,
                "calls": len(made.calls),
                "ignored": made.ignored,
            },
        )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadCapture(path=path, reason=error.strerror) from error
