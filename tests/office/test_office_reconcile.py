"""Call detail records against a box's calls: what it never saw is found, nothing is invented."""

import random
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.office.in_process import enrol
from tests.stories.box import Said, command

from greffier.clock import SECOND, format_time
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.trust import LogKey
from greffier_office import cdr, matching, migrations, place
from greffier_office.cdr import Reading
from greffier_office.matching import One, match, significant

PARIS = ZoneInfo("Europe/Paris")
T0 = 1_772_443_800 * SECOND
TOLERANCE = 5 * SECOND


def ones(seconds: Iterable[float], numbers: Sequence[str] = ()) -> list[One]:
    return [
        One(place, T0 + round(at * SECOND), significant(numbers[place : place + 1]))
        for place, at in enumerate(seconds)
    ]


def read(text: str, **columns: str) -> list[cdr.Record]:
    return cdr.read(text.encode(), Reading(columns, PARIS))


# --- pairing ---


def test_every_record_has_its_call() -> None:
    found = match(ones([0, 60, 90]), ones([0.4, 59, 93]), 0, TOLERANCE)
    assert found.pairs == 3
    assert not (found.missing or found.ambiguous or found.unlisted or found.doubtful)


def test_a_call_that_the_box_never_saw_is_missing() -> None:
    found = match(ones([0, 60, 120]), ones([0, 120]), 0, TOLERANCE)
    assert [one.name for one in found.missing] == [1] and found.ambiguous == ()


def test_a_call_without_a_record_is_unlisted() -> None:
    found = match(ones([0, 120]), ones([0, 60, 120]), 0, TOLERANCE)
    assert [one.name for one in found.unlisted] == [1] and found.missing == ()


def test_of_two_at_once_nobody_can_tell_which_is_missing() -> None:
    found = match(ones([0, 2, 60]), ones([1, 60]), 0, TOLERANCE)
    assert found.missing == ()
    (group,) = found.ambiguous
    assert [one.name for one in group.members] == [0, 1] and group.lacking == 1


def test_numbers_tell_which_of_two_is_missing() -> None:
    records = ones([0, 2], ["+33140506070", "+33140506071"])
    calls = [One("call", T0 + SECOND, significant(["01 40 50 60 71"]))]
    found = match(records, calls, 0, TOLERANCE)
    assert [one.name for one in found.missing] == [0]
    assert found.by_numbers == 1 and found.ambiguous == ()


def test_the_own_number_of_the_branch_tells_nothing() -> None:
    caller = [f"+3314050{number:04d}" for number in range(10)]
    found = matching.without_common([
        One(place, T0, significant([one, "+33199999999"])) for place, one in enumerate(caller)
    ])  # fmt: skip
    assert [one.numbers for one in found] == [significant([one]) for one in caller]


def test_a_chain_of_calls_is_paired_as_far_as_it_can_be() -> None:
    found = match(ones([0, 4, 8, 12]), ones([4, 8, 12, 16]), 0, TOLERANCE)
    assert found.pairs == 4


def test_three_records_of_one_call_are_one_group() -> None:
    found = match(ones([0, 1, 2]), ones([1]), 0, TOLERANCE)
    (group,) = found.ambiguous
    assert len(group.members) == 3 and group.lacking == 2


@pytest.mark.parametrize("offset", [0.0, -3.2, 47.5, 610.0, -899.0])
def test_the_offset_of_two_clocks_shows_in_the_pairs(offset: float) -> None:
    draw = random.Random(7)
    at = sorted(draw.uniform(0, 36_000) for _ in range(60))
    records = ones([one + offset + draw.uniform(-1, 1) for one in at])
    found = matching.estimate(sorted(records, key=lambda one: one.start_ns), ones(at), TOLERANCE)
    assert abs(found.ns / SECOND - offset) < 1.5 and found.pairs >= 50


def test_too_few_pairs_show_no_offset() -> None:
    assert matching.estimate(ones([30, 90]), ones([0, 60]), TOLERANCE) == matching.Offset(0, 0)
    assert matching.estimate([], ones([0]), TOLERANCE).pairs == 0


def test_missing_calls_of_many_days_are_found_under_any_offset() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        at = sorted(draw.uniform(0, 80_000) for _ in range(120))
        gone = set(draw.sample(range(len(at)), 5))
        offset = draw.uniform(-600, 600)
        records = ones([one + offset + draw.uniform(-0.5, 0.5) for one in at])
        calls = ones([one for place, one in enumerate(at) if place not in gone])
        shown = matching.estimate(records, calls, TOLERANCE)
        found = match(records, calls, shown.ns, TOLERANCE)
        told = {one.name for one in found.missing}
        for group in found.ambiguous:
            told |= {one.name for one in group.members}
        assert gone <= told
        lacking = len(found.missing) + sum(group.lacking for group in found.ambiguous)
        assert lacking == 5 and not found.unlisted


# --- the file ---


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("start,duration,from,to", "2026-03-02T10:30:00+01:00,61,+33140506070,0102030405"),
        ("Date appel;Durée (s);Appelant;Appelé", "02/03/2026 10:30:00;61;0140506070;0102030405"),
        ("calldate\tbillsec\tsrc\tdst", "2026-03-02 10:30:00\t61\t0140506070\t0102030405"),
        ("Start Time|End Time|Caller|Called", "1772443800|1772443861|0140506070|0102030405"),
        ("TIMESTAMP,DURATION", "1772443800000,00:01:01"),
        ("start,duration", "2026-03-02T09:30:00Z,1:01"),
    ],
)
def test_columns_and_times_are_understood(heading: str, row: str) -> None:
    (found,) = read(f"{heading}\n{row}\n")
    assert (found.row, found.start_ns, found.duration_ms) == (1, T0, 61_000)


def test_a_file_of_an_old_program_is_read() -> None:
    text = "début;durée;appelé\n02/03/2026 10:30;1,5;0102030405\n\n"
    (found,) = cdr.read(text.encode("latin-1"), Reading({}, PARIS))
    assert found.start_ns == T0 and found.duration_ms == 1500


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("from,to\n1,2\n", {}),
        ("start\nyesterday\n", {}),
        ("start\n2026-03-02T09:30:00Z\n", {"start": "Begin"}),
        ('start\n"2026\n', {}),
        ("", {}),
    ],
)
def test_a_file_that_tells_no_times_is_refused(text: str, columns: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        read(text, **columns)


def test_nothing_of_a_line_that_is_never_recorded_is_read() -> None:
    never = cdr.never_list("# staff representatives\n01 40 50 60 7*\n\n+33102030405 # nurse\n")
    text = (
        "start,from,to\n"
        "2026-03-02T09:30:00Z,+33140506071,0199999999\n"
        "never a time,0188888888,0102030405\n"
        "2026-03-02T09:31:00Z,0188888888,0177777777\n"
    )
    (found,) = cdr.read(text.encode(), Reading({}, PARIS, never))
    assert found.row == 3
    with pytest.raises(UsageError):
        cdr.never_list("the nurse")


def test_what_is_printed_of_a_record_holds_no_number() -> None:
    assert "40506070" not in repr(read("start,from\n1772443800,0140506070\n"))
    assert "40506070" not in repr(One(1, 0, significant(["0140506070"])))


# --- the command ---


class Branch:
    """A head office that has the calls of one box, one a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.office = place.create(folder / "office", Disk(), time.time_ns())
        self.device = enrol(self.office, LogKey.new("greffier/box-0007"))
        db = self.office.open_catalogue(Disk())
        with migrations.transaction(db, self.office.catalogue):
            db.executemany(
                "INSERT INTO calls VALUES"
                " (?, ?, 'accueil', ?, ?, 'none', '[]', 'ok', NULL, NULL, NULL, ?, ?)",
                [
                    (
                        self.device,
                        f"{self.device}/accueil/{n:010d}",
                        T0 + n * 60 * SECOND,
                        None,
                        n,
                        n,
                    )
                    for n in range(1, 11)
                ],
            )
        db.close()

    def records(self, minutes: Iterable[float], ahead_s: int = 0) -> Path:
        path = self.folder / "cdr.csv"
        starts = [format_time(T0 + round((60 * one + ahead_s) * SECOND)) for one in minutes]
        path.write_text("start,from\n" + "".join(f"{one},0140506070\n" for one in starts))
        return path

    def reconcile(self, path: Path, *words: object) -> Said:
        told = ("reconcile", path, "--office", self.office.path, "--device", self.device)
        return command(*told, *words, "--json", program="greffier-office")

    def unseen(self) -> list[sqlite3.Row]:
        db = self.office.open_catalogue(Disk())
        found = db.execute("SELECT * FROM unseen ORDER BY row").fetchall()
        db.close()
        return found


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


def test_an_unnumbered_call_is_found_and_flagged(branch: Branch) -> None:
    path = branch.records([1, 2, 3, 3.5, 4, 5, 6, 7, 8, 9, 10], ahead_s=42)
    said = branch.reconcile(path, "--no-never", "--insert")
    assert said.code == 20
    value = said.json
    assert (value["records"], value["matched"], value["by"]) == (11, 10, "times")
    assert value["offset_s"] == 42 and value["offset_by"] == "pairs"
    (missing,) = value["missing"]
    assert missing["row"] == 4 and missing["start"] == "2026-03-02T09:33:30+00:00"
    assert value["inserted"] == 1
    (row,) = branch.unseen()
    assert (row["start_ns"], row["state"]) == (T0 + 210 * SECOND, "missing")
    assert branch.reconcile(path, "--no-never", "--insert").json["inserted"] == 0
    assert "40506070" not in said.out
    told = ("calls", "--office", branch.office.path, "--json")
    (flagged,) = command(*told, program="greffier-office").json["unseen"]
    assert (flagged["device"], flagged["state"], flagged["row"]) == (branch.device, "missing", 4)


def test_where_all_are_there_nothing_is_wrong(branch: Branch) -> None:
    said = branch.reconcile(branch.records(range(1, 11)), "--no-never")
    assert said.code == 0 and said.json["ok"] and branch.unseen() == []


def test_an_offset_can_be_given(branch: Branch) -> None:
    path = branch.records(range(1, 11), ahead_s=42)
    said = branch.reconcile(path, "--no-never", "--offset", "0")
    assert said.code == 20 and said.json["offset_by"] == "given"


def test_two_at_once_are_said_to_be_ambiguous(branch: Branch) -> None:
    path = branch.records([1, 2, 3, 3.02, 4, 5, 6, 7, 8, 9, 10])
    said = branch.reconcile(path, "--no-never")
    assert said.code == 3
    (group,) = said.json["ambiguous"]
    assert group["missing"] == 1 and [one["row"] for one in group["records"]] == [3, 4]


@pytest.mark.parametrize(
    "words",
    [(), ("--no-never", "--zone", "Mars"), ("--no-never", "--device", "box-none")],
)
def test_words_that_are_wrong_are_refused(branch: Branch, words: tuple[str, ...]) -> None:
    assert branch.reconcile(branch.records([1]), *words).code == 2


def test_records_of_lines_that_are_never_recorded_leave_no_trace(branch: Branch) -> None:
    never = branch.folder / "never.txt"
    never.write_text("0140506070\n")
    said = branch.reconcile(branch.records([1, 2, 30]), "--never", never, "--insert")
    assert said.code == 0
    assert said.json["records"] == 0 and branch.unseen() == []
