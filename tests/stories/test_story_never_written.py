"""What nobody may keep is never written, and no sound ends up in another call's recording."""

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stories.box import Box, coded, payloads

from greffier.capture.datagram import Datagram
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

MARK = b"NEVERKEPT"
COUNT = 220


def marked(number: int) -> bytes:
    """A payload in which every window of 32 bytes holds the mark."""
    return ((MARK + b"%04d" % number) * 13)[:160]


def plan(number: int, **more: int) -> Plan:
    return replace(
        Plan(talk_ms=100, ring_ms=20, call_id=f"call{number}x"),
        start_ns=Plan().start_ns + number * 40 * MS,
        caller_media=Plan().caller_media._replace(port=10_000 + 2 * number),
        callee_media=Plan().callee_media._replace(port=30_000 + 2 * number),
        caller_ssrc=0x1000 + number,
        callee_ssrc=0x2000 + number,
        **more,
    )


def never_kept() -> list[Datagram]:
    every: list[Datagram] = []
    for number in range(COUNT):
        one = plan(number)
        every += captures.opening(one) + captures.closing(one)
        for side in ("caller", "callee"):
            every += captures.speech(one, side, payload=lambda _, n=number: marked(n))  # type: ignore[arg-type,misc]
    return captures.in_order(every)


def test_calls_that_were_not_drawn_leave_no_sound(tmp_path: Path) -> None:
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    calls = box.calls(never_kept(), policy=policy, draw=0.5)
    assert len(calls) == COUNT
    assert {tuple(call["codes"]) for call in calls} == {("SAMPLED_OUT",)}
    assert all(call["accounted"]["not_recorded"] == 10 for call in calls)
    assert box.parts == []
    for path, content in box.contents().items():
        assert MARK not in content, path


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_write_ever_carries_such_sound(tmp_path: Path) -> None:
    """Not even for a moment: every write of the process is looked at, also those undone later."""
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    capture, trace = box.capture(never_kept()), tmp_path / "trace"
    calls = "trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,mmap,copy_file_range"
    words = ["import-pcap", capture, "--policy", policy, "--data", box.data, "--line", "vente"]
    words += ["--draw", "0.5", "--facts", "window=true", "--json"]
    tracer = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-e", calls, "-o", str(trace)]
    done = subprocess.run(
        [*tracer, Path(sys.executable).parent / "greffier", *map(str, words)],
        capture_output=True,
        check=False,
        timeout=600,
    )
    if b"Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody trace a process")
    assert done.returncode == 0, done.stderr
    text = trace.read_text()

    def escaped(data: bytes) -> str:
        return "".join(f"\\x{one:02x}" for one in data)

    assert escaped(b"call219x") in text  # the answer on stdout: the trace sees what is written
    assert escaped(MARK) not in text
    shared = [line for line in text.splitlines() if "MAP_SHARED" in line and "PROT_WRITE" in line]
    # The index's write-ahead log shares 32 KiB of bookkeeping; no other file is written by memory.
    assert all("NULL, 32768, " in line or "MAP_ANONYMOUS" in line for line in shared), shared


schedules = st.lists(
    st.tuples(
        st.integers(0, 700),  # when it begins, ms
        st.integers(1, 20),  # its packets a side
        st.integers(0, 4),  # whose ports it uses: calls may follow one another on them
        st.booleans(),  # drawn
    ),
    min_size=1,
    max_size=7,
)


@settings(deadline=None, max_examples=25)
@given(schedule=schedules)
def test_no_sound_belongs_to_two_calls(
    tmp_path_factory: pytest.TempPathFactory, schedule: list[tuple[int, int, int, bool]]
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    policy = coded(box.folder, "original")
    free: dict[int, int] = {}
    plans: list[Plan] = []
    for number, (begin, count, port, _) in enumerate(sorted(schedule)):
        if begin < free.get(port, 0):
            port = 10 + number  # two calls at once never share their ports
        free[port] = begin + 20 + 10 + 20 * count + 200
        base = Plan()
        plans.append(
            replace(
                plan(number),
                start_ns=base.start_ns + begin * MS,
                talk_ms=20 * count,
                caller_media=base.caller_media._replace(port=10_000 + 2 * port),
                callee_media=base.callee_media._replace(port=30_000 + 2 * port),
            )
        )
    calls = box.calls(
        captures.in_order(chain.from_iterable(captures.call(one) for one in plans)), policy=policy
    )
    assert len(calls) == len(plans)
    parts = {part.header.recording_id.hex(): part for part in box.opened()}
    by_id = {call["call_id"]: call for call in calls}
    for one in plans:
        call = by_id[one.call_id]
        sent = {
            datagram.payload[12:]
            for side in ("caller", "callee")
            for datagram in captures.speech(one, side)  # type: ignore[arg-type]
        }
        assert set(payloads([parts.pop(call["recording"])])) == sent
        assert call["accounted"]["recorded"] == len(sent)
    assert parts == {}


MEMORY = """
import resource, sys
from greffier.cli.main import COMMANDS, run
code = run("greffier", COMMANDS, sys.argv[1:], "0")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Ten times the packets, and the same memory within 16 MiB."""
    box = Box(tmp_path)
    peaks = []
    for count in (60, 600):
        path = box.capture(chain.from_iterable(_long_calls(count)))
        words = ["import-pcap", path, "--data", box.data, "--draw", "0", "--line", "vente"]
        words += ["--policy", coded(box.folder, "original"), "--facts", "window=true"]
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] < 16 * 1024, peaks


def _long_calls(count: int) -> list[list[Datagram]]:
    """Calls one after another, 2 x 20 packets each."""
    return [
        captures.call(
            replace(
                Plan(talk_ms=400, ring_ms=20, call_id=f"m{number}"),
                start_ns=Plan().start_ns + number * 1_000 * MS,
            )
        )
        for number in range(count)
    ]
