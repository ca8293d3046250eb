"""What years cost: starting, searching, making the index anew, and purging 10,000 parts.

The boxes are those of :mod:`greffier_sim.years`, made once and kept outside the repository, in
``GREFFIER_BENCH_BOXES`` or ``~/.cache/greffier-bench``: a million calls take some ten minutes of
processor time and 10 GB. Which sizes are measured, ``GREFFIER_BENCH_CALLS`` says, smallest first;
the largest is the value, and the others stand beside it. A machine that is busy with other things
only adds time, so of each figure the best of a few runs counts.
"""

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from greffier.clock import SECOND, SystemClock
from greffier.durable import Disk
from greffier.policy.lifecycle import DELETE_DUE
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.purge import Verdict
from greffier.recorder.reindex import reindex
from greffier.store import layout
from greffier.store.index import Index
from greffier.store.search import Place, Query
from greffier_sim.service import cpu_s, resident_kib
from greffier_sim.soak_box import SoakBox
from greffier_sim.years import Years

VERSION: Final = 1
"""Of the mix: boxes of another one are made anew."""
SIZES: Final = "10000 100000 1000000"
STARTS: Final = 5
START_GOAL: Final = 3.0
SEARCH_GOAL: Final = 50.0
FILES: Final = 10_000
PI4: Final = 4
_DAY_NS: Final = 86_400 * SECOND


def sizes() -> list[int]:
    """Numbers of calls of the boxes that are measured, ascending."""
    return sorted(int(one) for one in os.environ.get("GREFFIER_BENCH_CALLS", SIZES).split())


def box_of(calls: int) -> Path:
    """The box with so many calls; made if it is not there."""
    home = os.environ.get("GREFFIER_BENCH_BOXES") or Path.home() / ".cache" / "greffier-bench"
    folder = Path(home) / f"years-{VERSION}-{calls}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = Years(folder / "box", calls).make()
        (folder / "made").write_text(f"{made}\n")
    return folder / "box"


# --- starting ---


@contextmanager
def interface() -> Iterator[tuple[str, str]]:
    """A namespace with a quiet interface: where it listens must not matter. Needs root."""
    name = f"gb{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name, "lo"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def started(box: Path, folder: Path) -> tuple[list[float], list[float], float, float]:
    """Seconds from exec to armed, after an end in good order and after a kill; MiB resident then,
    and seconds of processor time."""
    proper, killed, resident, cpu = [], [], 0.0, 1e9
    with interface() as (namespace, name):
        recorder = SoakBox(folder, namespace, name, codec="original", rate=0.1)
        shutil.rmtree(recorder.data)
        recorder.data.symlink_to(box)
        recorder.start()  # once, so that what was never read is in memory as after a day
        for _ in range(STARTS):
            recorder.stop()
            proper.append(recorder.start())
            cpu = min(cpu, cpu_s(recorder.pid))
            resident = max(resident, resident_kib(recorder.pid) / 1024)
            recorder.kill()
            killed.append(recorder.start())
        recorder.stop()
    return proper, killed, resident, cpu


def start_armed() -> dict[str, Any]:
    """From exec of ``greffier run`` to armed."""
    beside, value, spread = {}, 0.0, 0.0
    for calls in sizes():
        box = box_of(calls)
        with tempfile.TemporaryDirectory() as name:
            proper, killed, resident, cpu = started(box, Path(name) / "run")
        value = min(proper)
        spread = (median(proper) - value) / value
        beside[str(calls)] = {
            "proper_s": round(value, 3),
            "proper_median_s": round(median(proper), 3),
            "killed_s": round(min(killed), 3),
            "cpu_s": round(cpu, 2),
            "resident_mib": round(resident, 1),
            "index_mib": round((box / "index.sqlite").stat().st_size / 2**20),
        }
    return _result("start.armed", value, "s", START_GOAL, STARTS, spread, beside)


# --- searching ---


def queries(low: int, high: int) -> list[Query]:
    """What a manager asks, and the second page of it: 2 x 200 questions, the same each time."""
    draw = random.Random(11)
    found = []
    for _ in range(20):
        at = draw.randrange(low, max(low + 1, high - 31 * _DAY_NS))
        day, month = (at, at + _DAY_NS), (at, at + 31 * _DAY_NS)
        line = draw.choice(("accueil", "desk", "sav", "urgence", "atelier"))
        found += [
            Query(),
            Query(*day),
            Query(*day, line=line),
            Query(*month, line=line, direction="out"),
            Query(*month, verdict="full"),
            Query(*month, line=line, codes=("SAMPLED_IN",)),
            Query(codes=("OBJECTED",)),
            Query(codes=("MANDATORY_MIFID",), line=line, direction="in"),
            Query(*month, result="failed"),
            Query(line=line, codes=("ANNOUNCE_FAILED", "NOTICE_PENDING")),
        ]
    return found


def searched(index: Index, query: Query) -> tuple[float, Query | None]:
    """Milliseconds of a page, the best of three; the question for the next one."""
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        page = index.search(query)
        took.append((time.perf_counter() - begun) * 1e3)
    if len(page) < query.limit:
        return min(took), None
    return min(took), replace(query, after=Place(page[-1].start_ns, page[-1].uid))


def catalog_search() -> dict[str, Any]:
    """A page of 50 calls, with their parts, as the index gives them."""
    beside, value, count, middle = {}, 0.0, 0, 0.0
    for calls in sizes():
        directory = layout.open(box_of(calls))
        index = Index.open(directory.index, Disk(), whole=False)
        low = index.search(Query(limit=1))[0].start_ns - calls * _DAY_NS // 2740
        took = []
        for query in queries(low, low + calls * _DAY_NS // 2740):
            following: Query | None = query
            for _ in range(2):
                if following is not None:
                    ms, following = searched(index, following)
                    took.append(ms)
        index.close()
        took.sort()
        value, middle, count = took[int(len(took) * 0.95)], median(took), len(took)
        beside[str(calls)] = {
            "p50_ms": round(middle, 2),
            "p95_ms": round(value, 2),
            "max_ms": round(took[-1], 2),
        }
    spread = (took[-1] - value) / value
    return _result("catalog.search", value, "ms", SEARCH_GOAL, count, spread, beside)


# --- making the index anew; purging ---


@contextmanager
def parts_only(**change: Any) -> Iterator[Path]:
    """A box on this machine's disk with 10,000 parts, each with a file and an envelope."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("GREFFIER_BENCH_BOXES")) as name:
        folder = Path(name) / "box"
        Years(folder, FILES, kept_days=1000, share=100, **change).make()
        yield folder


def index_rebuild() -> dict[str, Any]:
    """10,000 files of parts, and the 20,000 records of their calls, become an index."""
    with parts_only() as folder:
        directory, disk = layout.open(folder), Disk()
        took = []
        with directory.lock(disk):
            for _ in range(3):
                begun = time.perf_counter()
                shred = directory.shred_store(disk, whole=False)
                made = reindex(directory, disk, shred)
                took.append(time.perf_counter() - begun)
                shred.close()
        if (made.recordings, made.added, made.removed) != (FILES, 0, 0):
            raise RuntimeError("the index made anew is another one")
    value = min(took)
    spread = (median(took) - value) / value
    return _result("index.rebuild", value, "s", None, 3, spread, {"files": FILES})


def purge_parts() -> dict[str, Any]:
    """All of 10,000 parts of four days go: entry, keys, files, rows, outcome."""
    with parts_only() as folder:
        before = resource.getrusage(resource.RUSAGE_SELF)
        with Archive.open(folder, SystemClock()) as archive:
            recovery.recover(archive)
            rows = sorted(archive.index.parts(), key=lambda row: (row.created_ns, row.part_id))
            first, begun = archive.shred.generation, time.perf_counter()
            purge.carry_out(archive, [Verdict(row, DELETE_DUE) for row in rows])
            value = time.perf_counter() - begun
            commits = archive.shred.generation - first
            left = len(archive.vault.parts()) + len(archive.index.parts())
        if len(rows) != FILES or left:
            raise RuntimeError("not everything went")
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    beside = {"parts": FILES, "root_commits": commits, "cpu_s": round(cpu, 2)}
    return _result("purge.parts", value, "s", None, 1, 0.0, beside)


def _result(
    name: str,
    value: float,
    unit: str,
    goal: float | None,
    runs: int,
    spread: float,
    beside: dict[str, Any],
) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "better": "lower",
        "reference": None,
        "ratio": None,
        "goal": goal,
        "met": None if goal is None else value <= goal,
        "runs": runs,
        "spread": round(spread, 3),
        "pi4_estimate": f"{value * PI4:.2g} {unit} (x {PI4}, not measured)",
        "beside": beside,
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "start.armed": start_armed,
    "catalog.search": catalog_search,
    "index.rebuild": index_rebuild,
    "purge.parts": purge_parts,
}
