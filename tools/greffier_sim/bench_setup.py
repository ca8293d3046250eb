"""What setting up a call costs, beside the public-key sealing that it cannot do without.

A call: INVITE, 100, 180, 200, ACK and the first packets of both sides, which the law demands to
record; number, verdict, decision record, part with its keys, envelopes in both places, leg links,
journal, files, and a commit for every five calls (ten calls a second, two ticks a second). No sound
waits for a pause. The data directory lies in memory, so that no disk is measured; CPU of the
process counts.
"""

import functools
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from greffier.calls.limits import Limits
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier.clock import SECOND, SystemClock
from greffier.policy import packs, rules
from greffier.recorder import archive as archives
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules
from greffier.seal import envelope, keys
from greffier.seal.envelope import What
from greffier.seal.keys import Role
from greffier_sim import captures

RUNNING = (10, 100, 1000)  # calls that run already: the curve
NEW = 50  # calls that are measured on top of them
A_TICK = 5  # calls: ten a second, two ticks a second
PACKETS = 4  # a side: a source is believed after a few
BATCH_NS = SECOND // 5
GOAL = 20.0  # our own: the reference is two public-key operations, a call is everything else
PI4 = 4  # how much slower a Pi 4 is taken to be; not measured


def opening(number: int, now_ns: int) -> list[Datagram]:
    """What is seen of call *number* until it speaks."""
    low = f"{number // 250}.{1 + number % 250}"
    plan = captures.Plan(
        call_id=f"setup-{number}@sim",
        start_ns=now_ns,
        talk_ms=PACKETS * 20,
        caller_media=Address(f"10.1.{low}", 4000),
        callee_media=Address(f"10.2.{low}", 5000),
    )
    sound = captures.speech(plan, "caller") + captures.speech(plan, "callee")
    return captures.in_order(captures.opening(plan) + sound)


@contextmanager
def recorder(folder: Path) -> Iterator[Callable[[range], None]]:
    """A live recorder without its taps: a function that sets calls up, and commits."""
    pair = keys.generate(Role.OFFICE)
    clock = SystemClock()
    archives.create(folder, clock, pair.public.format().encode())
    path = folder.with_name("policy.toml")
    words = rules.builtin("paris-desk.toml").read_text("utf-8")
    path.write_text(re.sub(r"(?m)^sources = .*$", "sources = []", words), "utf-8")
    policy = rules.load(path)
    laws = packs.load()
    with Archive.open(folder, clock) as archive:
        archive.open_epoch()
        numbers = Numbers.of(archive.data)
        lawful = Rules(policy, laws, "desk", {"dir": "in"})
        intake = Intake(archive, lambda _call: lawful, numbers, lambda _ended: None, Resumable(()))
        tracker = Tracker(Limits(batch_ns=BATCH_NS, silent_ns=BATCH_NS))
        begun = clock.wall_ns()

        def set_up(calls: range) -> None:
            for number in calls:
                now_ns = begun + number * SECOND // 10
                for datagram in opening(number, now_ns):
                    intake.take(tracker.feed(datagram))
                if number % A_TICK == A_TICK - 1:
                    intake.take(tracker.advance(now_ns + SECOND))
                    archive.tick()

        yield set_up
        if len(intake.running) != calls_of(intake):
            raise RuntimeError("a call was not set up whole")
        intake.suspend(clock.wall_ns())
        archive.tick()


def calls_of(intake: Intake) -> int:
    """How many of the running calls have a recording."""
    return sum(call.recording is not None for call in intake.running)


def bare() -> Callable[[], None]:
    """The sealing of one call: its part's key, for the shred store and for the file."""
    public = keys.generate(Role.OFFICE).public
    secret = bytearray(32)

    def seal() -> None:
        for _ in range(2):
            envelope.seal(secret, What.PART, bytes(16), [public])

    return seal


def cpu_each(work: Callable[[], object], times: int) -> float:
    """CPU seconds of this process, each time."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / times


def call_setup() -> dict[str, Any]:
    """Set calls up while 10, 100 and 1,000 others run; the worst of them is the result."""
    seal = bare()
    curve: dict[int, tuple[float, float, float]] = {}
    for running in RUNNING:
        with (
            tempfile.TemporaryDirectory(dir="/dev/shm") as name,  # in memory
            recorder(Path(name) / "data") as set_up,
        ):
            set_up(range(running))
            pairs = []
            for turn in range(5):
                first = running + turn * NEW
                new = range(first, first + NEW)
                ours = cpu_each(functools.partial(set_up, new), NEW)
                theirs = cpu_each(lambda: [seal() for _ in range(NEW)], NEW)
                pairs.append((ours, theirs))
        middle = [statistics.median(each) * 1e6 for each in zip(*pairs, strict=True)]
        curve[running] = (middle[0], middle[1], statistics.median(a / b for a, b in pairs))
    worst = max(curve, key=lambda running: curve[running][2])
    value, reference, ratio = curve[worst]
    return {
        "name": "call.setup",
        "value": value,
        "unit": "us CPU/call",
        "better": "lower",
        "reference": {"name": "HPKE seal of its part's key, twice", "value": reference},
        "ratio": ratio,
        "goal": GOAL,
        "met": ratio <= GOAL,
        "runs": 5,
        "spread": (max(a / b for a, b in pairs) - min(a / b for a, b in pairs)) / ratio,
        "curve": {str(running): round(curve[running][0], 1) for running in RUNNING},
        "pi4_estimate": f"{value * PI4 / 1000:.1f} ms/call (x{PI4}, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"call.setup": call_setup}
