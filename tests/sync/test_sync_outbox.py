"""The outbox: paged, rebuilt at any time, and never an obstacle."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sync.world import WALL, part_id

from greffier.clock import SECOND
from greffier.control.transfer import Sealed
from greffier.durable import Disk
from greffier.sync.outbox import DAY_NS, MOST_IN_MEMORY, REFUSED_NS, RETRY_NS, Outbox

NOW = 10 * SECOND


def sealed(
    number: int, *, created_ns: int = WALL, until_ns: int = 0, urgent: bool = False
) -> Sealed:
    return Sealed(part_id(number), part_id(0), number, 1000, "0" * 64, created_ns, until_ns, urgent)


def opened(path: Path, now_ns: int = NOW, wall_ns: int = WALL) -> Outbox:
    return Outbox.open(path, Disk(), now_ns, wall_ns)


def test_what_was_seen_is_there_after_a_restart_and_waits_are_forgotten(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite")
    assert outbox.sight([sealed(1), sealed(2)], 1) == 2
    outbox.wait([(part_id(1), NOW + 3600 * SECOND)])
    assert [one.seq for one in outbox.next_of("new", 9, NOW, WALL, ())] == [2]
    outbox.keep({"received": 7})
    outbox.close()
    outbox = opened(tmp_path / "o.sqlite")
    assert [one.seq for one in outbox.next_of("new", 9, NOW, WALL, ())] == [1, 2]
    assert outbox.fact("received") == 7
    assert outbox.fact("nothing") == 0
    assert outbox.known(part_id(1)) == sealed(1)


def test_a_refusal_survives_a_restart_for_a_day_and_no_longer(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite")
    outbox.sight([sealed(1)], 1)
    outbox.refuse(part_id(1), NOW, WALL)
    outbox.close()
    outbox = opened(tmp_path / "o.sqlite", SECOND, WALL + DAY_NS - 60 * SECOND)
    assert outbox.backlog().refused == 1
    assert outbox.next_of("new", 9, 50 * SECOND, WALL + DAY_NS, ()) == []
    assert len(outbox.next_of("old", 9, 62 * SECOND, WALL + 2 * DAY_NS, ())) == 1
    outbox.close()
    outbox = opened(tmp_path / "o.sqlite", SECOND, WALL - 9 * DAY_NS)  # the clock was set back
    assert len(outbox.next_of("new", 9, SECOND + REFUSED_NS, WALL - 9 * DAY_NS, ())) == 1


def test_a_sweep_forgets_what_the_recorder_does_not_name_and_learns_what_changed() -> None:
    outbox = Outbox.open(None, Disk(), NOW, WALL)
    outbox.sight([sealed(1), sealed(2), sealed(3)], 1)
    outbox.sight([sealed(1), sealed(2, urgent=True)], 2)
    outbox.swept(2, 2)
    assert [one.seq for one in outbox.next_of("urgent", 9, NOW, WALL, ())] == [2]
    assert outbox.known(part_id(3)) is not None, "it is beyond what was asked"
    outbox.swept(3, 3)
    assert outbox.backlog().parts == 0


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 400, None])
def test_a_file_that_is_no_outbox_is_begun_again(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "o.sqlite"
    if damage is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(damage)
    outbox = opened(path)
    assert outbox.degraded == ""
    assert outbox.sight([sealed(1)], 1) == 1
    outbox.close()
    assert opened(path).backlog().parts == 1


def test_no_disk_is_told_and_memory_serves_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "o.sqlite"
    outbox = opened(path)
    assert outbox.degraded
    parts = [sealed(number) for number in range(1, MOST_IN_MEMORY + 100)]
    assert outbox.sight(parts, 1) == MOST_IN_MEMORY
    assert outbox.sight(parts, 1) == MOST_IN_MEMORY, "those that are known are named again"
    outbox.keep({"received": 3})
    path.parent.mkdir()
    outbox.look_again(NOW + RETRY_NS - 1, WALL)
    assert outbox.degraded
    before = outbox.begun
    outbox.look_again(NOW + RETRY_NS, WALL)
    assert (outbox.degraded, outbox.begun) == ("", before + 1)
    assert outbox.fact("received") == 3
    assert outbox.backlog().parts == 0, "the recorder is asked again"


def test_a_disk_that_becomes_full_is_told_once_and_memory_goes_on(tmp_path: Path) -> None:
    script = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from greffier.durable import Disk
from greffier.sync.outbox import Outbox
from tests.sync.test_sync_outbox import NOW, WALL, opened, sealed
from pathlib import Path
outbox = opened(Path({str(tmp_path / "o.sqlite")!r}))
outbox.keep({{"received": 5}})
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
for page in range(20):
    outbox.sight([sealed(page * 100 + one) for one in range(100)], 1)
print(bool(outbox.degraded), outbox.begun, outbox.fact("received"), outbox.backlog().parts > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "1", "5", "True"]


def test_a_month_of_parts_takes_no_memory(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite")

    def page(number: int) -> None:
        first = number * 256
        outbox.sight([sealed(first + one + 1) for one in range(256)], 1)

    for number in range(8):
        page(number)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(8, 258):
        page(number)
    assert outbox.backlog().parts == 258 * 256 > 65_536
    for _ in range(50):
        found = outbox.next_of("new", 8, NOW, WALL, ())
        outbox.forget([one.part for one in found])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8 * 1024, f"{grown} KiB more"


def test_there_is_no_envelope_and_no_octet_of_a_part_in_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite")
    outbox.sight([sealed(1)], 1)
    outbox.close()
    with sqlite3.connect(tmp_path / "o.sqlite") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(parts)")]
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    db.close()
    assert "envelope" not in columns
    assert mode == "wal"
    assert (tmp_path / "o.sqlite").stat().st_mode & 0o777 == 0o600
