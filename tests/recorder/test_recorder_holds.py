"""Holds: two persons, an entry of the log, and nothing that is held is destroyed."""

from pathlib import Path
from typing import Any

import pytest
from tests.recorder.office_scene import QUALITY, START_NS, Box, WornClock, made
from tests.recorder.test_recorder_purge import FIRE, codes, in_vault, is_whole, purged, recorded
from tests.stories.box import command

from greffier.audit.holds import holds_of
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import holding, purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.holding import Wish
from greffier.recorder.persons import Persons

TWO = ("--by", "anne", "--by", "Bruno")
CASE = ("--reference", "RG 24/0381", "--mode", "floor")


def hold(folder: Path, *words: object) -> dict[str, Any]:
    said = command("hold", *words, "--data", folder, "--json")
    found: dict[str, Any] = said.json
    assert said.code == (0 if found["done"] else 1)
    return found


def recording_of(folder: Path, part: str) -> str:
    listed = command("calls", "--data", folder, "--json")  # parts of no call are in no list
    assert listed.code == 0
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        (row,) = [row for row in archive.index.parts() if row.part_id == part]
        return row.recording


def shown(folder: Path) -> dict[str, tuple[str, ...]]:
    with Archive.open(folder, WornClock()) as archive:
        return {row.part_id: row.holds for row in archive.index.parts()}


def test_what_is_held_stays_until_the_release_and_the_index_shows_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = recorded(folder, 90, QUALITY, QUALITY)
    (placed,) = hold(folder, "add", first, *CASE, *TWO)["done"]
    assert placed["code"] == "HOLD_PLACED"
    assert shown(folder) == {first: (placed["id"],), second: ()}
    found = purged(folder)
    assert codes(found["refused"]) == {first: "KEEP_HOLD"}
    assert codes(found["done"]) == {second: "DELETE_DUE"}
    assert command("index", "rebuild", "--data", folder, "--json").code == 0
    assert shown(folder) == {first: (placed["id"],)}
    (listed,) = command("hold", "list", "--data", folder, "--json").json["holds"]
    assert (listed["id"], listed["parts"], listed["declared"]) == (placed["id"], [first], True)
    (released,) = hold(folder, "release", placed["id"], *TWO)["done"]
    assert released == {"id": placed["id"], "code": "HOLD_RELEASED"}
    assert shown(folder) == {first: ()}
    assert codes(purged(folder)["done"]) == {first: "DELETE_DUE"}
    assert is_whole(folder) and in_vault(folder) == set()


def test_a_hold_of_a_recording_holds_its_parts_also_those_to_come(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        tape = box.tape()
        with box.turn:
            box.archive.add(tape)
            box.archive.tick()
            wish = Wish(tape.recording.hex(), "A 1", "floor", Persons(("anne", "bruno")))
            placed = holding.place(box.archive, wish)
            assert placed.done
            tape.finish("ended")
            box.archive.tick()
            (row,) = box.archive.index.parts()
            assert row.holds == (placed.name,)


@pytest.mark.parametrize("persons", [("anne",), ("anne", " ANNE "), ("anne", "b", "c"), ("a", " ")])
def test_one_person_is_not_enough(tmp_path: Path, persons: tuple[str, ...]) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    by = [word for one in persons for word in ("--by", one)]
    assert codes(hold(folder, "add", part, *CASE, *by)["refused"]) == {part: "TWO_PERSONS_NEEDED"}
    (placed,) = hold(folder, "add", part, *CASE, *TWO)["done"]
    refused = hold(folder, "release", placed["id"], *by)["refused"]
    assert codes(refused) == {placed["id"]: "TWO_PERSONS_NEEDED"}
    assert shown(folder) == {part: (placed["id"],)}


def test_what_cannot_be_held_is_refused_by_a_code(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = recorded(folder, 90, QUALITY, {"quality": (0, 180)})
    purged(folder)
    nothing = "0" * 32
    late = ("--review", "2099-01-01")
    for words, code in (
        ((first, *CASE), "ALREADY_DESTROYED"),
        ((nothing, *CASE), "NO_SUCH_RECORDING"),
        ((second, "--reference", "0612345678", "--mode", "floor"), "HOLD_REFERENCE_NOT_LOGGABLE"),
        ((second, *CASE, *late), "HOLD_REVIEW_TOO_LATE"),
    ):
        (refused,) = hold(folder, "add", *words, *TWO)["refused"]
        assert refused["code"] == code
    assert codes(hold(folder, "release", nothing, *TWO)["refused"]) == {nothing: "NO_SUCH_HOLD"}
    (placed,) = hold(folder, "add", second, *CASE, *TWO)["done"]
    hold(folder, "release", placed["id"], *TWO)
    again = codes(hold(folder, "release", placed["id"], *TWO)["refused"])
    assert again == {placed["id"]: "HOLD_ALREADY_RELEASED"}


def test_the_names_of_who_held_are_not_in_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    hold(folder, "add", part, *CASE, *TWO)
    log = b"".join(path.read_bytes() for path in (folder / "audit").glob("*.glog"))
    assert b"RG 24/0381" in log
    assert b"anne" not in log and b"bruno" not in log.lower()
    (known,) = holds_of(folder)
    assert known.parts == {part} and known.mode == "floor" and known.declared


def test_the_time_of_a_suspending_hold_is_added(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Box(made(folder)) as box:
        part = box.seal(0, QUALITY)
        archive = box.archive
        with box.turn:
            box.clock.behind_ns = box.clock.wall_ns() - START_NS  # the wall tells nothing new
            box.clock.witnessed(START_NS + 30 * DAY_NS, "statement")
            wish = Wish(part, "A 1", "suspend", Persons(("anne", "bruno")))
            placed = holding.place(archive, wish)
            box.clock.witnessed(START_NS + 90 * DAY_NS, "statement")
            assert holding.release(archive, placed.name, Persons(("anne", "bruno"))).done
            for day, due in ((120, False), (148, False), (150, True)):
                box.clock.witnessed(START_NS + day * DAY_NS, "statement")
                assert bool(purge.plan(archive, 0, lambda row: False).doomed) == due


def test_a_hold_that_is_placed_while_a_purge_runs_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = recorded(folder, 90, QUALITY, QUALITY, QUALITY)
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        found = purge.plan(archive, 0, lambda row: False)
        wish = Wish(names[1], "A 1", "floor", Persons(("anne", "bruno")))
        assert holding.place(archive, wish).done
        done = {one.row.part_id for one in purge.carry_out(archive, found.doomed)}
    assert done == {names[0], names[2]} and in_vault(folder) == {names[1]}


def test_an_emergency_that_is_held_needs_no_visa_to_stay(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 60, FIRE, received=1)
    hold(folder, "add", part, *CASE, *TWO)
    assert codes(purged(folder)["refused"]) == {part: "KEEP_HOLD"}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("reason", "problems"), [("due", ["part.held"]), ("space", ["part.held"]), ("erased", [])]
)
def test_a_verification_shows_a_part_that_was_destroyed_while_it_was_held(
    tmp_path: Path, reason: str, problems: list[str], whole: bool
) -> None:
    folder = tmp_path / "data"
    held, once, free = recorded(folder, 90, QUALITY, QUALITY, QUALITY)
    hold(folder, "add", recording_of(folder, held) if whole else held, *CASE, *TWO)
    (placed,) = hold(folder, "add", once, *CASE, *TWO)["done"]
    hold(folder, "release", placed["id"], *TWO)
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        rows = [row for row in archive.index.parts() if row.part_id in (held, once, free)]
        purge.destroy(archive, rows, reason, archive.shred.class_name)  # it looks at no hold
    told = command("audit", "verify", "--data", folder, "--json")
    assert told.code == (20 if problems else 0)
    assert [one["code"] for one in told.json["problems"]] == problems
    assert all(held in one["detail"] for one in told.json["problems"])
