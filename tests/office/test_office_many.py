"""A hundred thousand parts: what is asked often stays a look-up, and lists come in one pass."""

import sqlite3
import time

import pytest

from greffier.durable import Disk
from greffier_office import fleet, held_calls, migrations, place
from greffier_office.catalogue import Catalogue
from greffier_office.stored import Holdings

PARTS = 100_000
BOXES = 20


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> place.Office:
    made = place.create(tmp_path_factory.mktemp("many") / "office", Disk(), time.time_ns())
    db = made.open_catalogue(Disk())
    with migrations.transaction(db, made.catalogue):
        fill(db)
    db.close()
    return made


def fill(db: sqlite3.Connection) -> None:
    """Each call a recording of one part; every hundredth part is not here yet."""
    for box in range(BOXES):
        db.execute("INSERT INTO devices VALUES (?, 'k', '', 0, NULL, '1', '2')", (f"box-{box:02}",))
    numbers = [(f"box-{one % BOXES:02}", one) for one in range(PARTS)]
    db.executemany(
        "INSERT INTO calls VALUES (?1, ?2, 'desk', ?3, ?3, 'seg', '[]', 'ok', ?4, 'p', 1, ?5, ?5)",
        [(box, f"{box}/desk/{one:010}", one, f"{one:032x}", one) for box, one in numbers],
    )
    db.executemany(
        "INSERT INTO parts (device, part, recording, number, closed_seq, bytes, sha256, stored_ns,"
        " receipt) VALUES (?, ?, ?, 0, ?, 1000, ?, ?, 'r')",
        [
            (box, f"{one:032x}", f"{one:032x}", one, f"{one:064x}", None if one % 100 == 0 else 1)
            for box, one in numbers
        ],
    )
    db.executemany(
        "INSERT INTO blocks VALUES (?, 1000, ?, 1)",
        [(f"{one:064x}", f"blocks/{one}") for one in range(PARTS)],
    )


def plans(db: sqlite3.Connection, statement: str, *values: object) -> str:
    rows = db.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall()
    return "; ".join(row["detail"] for row in rows)


def test_what_is_asked_for_each_offer_reads_no_table_through(office: place.Office) -> None:
    rows = Catalogue.open(office.catalogue, Disk())
    asked: list[str] = []
    rows.db.set_trace_callback(asked.append)
    part = rows.part("box-07", f"{7:032x}")
    assert part is not None and part.sha256 == f"{7:064x}"
    assert rows.part("box-08", f"{7:032x}") is None
    assert rows.held([f"{7:064x}", "f" * 64, f"{8:064x}"]) == {0, 2}
    assert rows.log_key("box-07") == "k" and rows.log("box-07").size == 0
    assert rows.batches("box-07", 0, 10) == []
    rows.db.set_trace_callback(None)
    assert len(asked) >= 7
    for statement in asked:
        assert "SCAN" not in plans(rows.db, statement)
    rows.close()


def test_lists_name_everything_once(office: place.Office) -> None:
    with Holdings.open(office, Disk()) as held:
        calls = held_calls.list_calls(held, "box-03", None)
        assert [one["uid"] for one in calls] == [
            f"box-03/desk/{one:010}" for one in range(3, PARTS, BOXES)
        ]
        assert all(len(one["parts"]) == 1 for one in calls)
        boxes = fleet.boxes(held, time.time_ns())
        assert sum(one["stored"] for one in boxes) == PARTS - PARTS // 100
        assert sum(one["waiting"] for one in boxes) == PARTS // 100
        assert sum(one["waiting_bytes"] for one in boxes) == PARTS // 100 * 1000
        (one,) = held.named(f"{12_345:032x}")
        assert one.device == "box-05"
        for column in ("part", "recording"):
            plan = plans(held.db, f"SELECT * FROM parts WHERE {column} = ?", "x")
            assert "SCAN" not in plan
