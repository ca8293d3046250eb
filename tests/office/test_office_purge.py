"""Head office deletes by itself: at the maximum, or where the box did; never what must stay."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.office.deleting import (
    CREATED_NS,
    DAY_NS,
    DUTY,
    EMERGENCY,
    QUALITY,
    Archive,
    codes,
    device_of,
)
from tests.office.in_process import Crash

from greffier.cli.main import run
from greffier.durable import Disk
from greffier.errors import GreffierError, IntegrityError
from greffier.sync.messages import Refused
from greffier_office import catalogue
from greffier_office.catalogue import Unread
from greffier_office.disposal import Claim, Subject, judge
from greffier_office.main import COMMANDS
from greffier_office.purger import Purger
from greffier_office.stored import Holdings
from greffier_office.sweeping import Sweeping
from greffier_sim.hand_box import Held
from greffier_sim.held_parts import held_parts
from greffier_sim.service import wait_until

STEPS = ("tombstone", "rows", "envelopes", "objects", "done", "done rows")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_a_voluntary_part_goes_at_its_maximum_whatever_its_box_does(archive: Archive) -> None:
    box = archive.box()
    quality, duty, unknown = (archive.sealed(box, one) for one in (QUALITY, DUTY, None))
    damaged = archive.sealed(box, None, until=True)
    archive.store(box, quality, duty, unknown, damaged)
    archive.day = 88.9
    assert codes(archive.purge()) == ({}, {})
    archive.day = 89
    assert codes(archive.purge())[0] == {quality.part: "DELETE_DUE", damaged.part: "DELETE_DUE"}
    assert [archive.opens(one) for one in (quality, duty)] == [False, True]
    assert held_parts(archive.office) == {(device_of(box), one.part) for one in (duty, unknown)}
    assert codes(archive.purge()) == ({}, {})
    archive.day = 761
    assert codes(archive.purge())[0] == {duty.part: "DELETE_DUE"}
    assert archive.opens(duty) is False and len(archive.objects()) == 1


def test_a_box_whose_clock_is_years_behind_has_its_parts_kept_as_long(archive: Archive) -> None:
    box = archive.box()
    quality = archive.sealed(box, QUALITY, created_ns=0)
    archive.store(box, quality)
    archive.day = 88.9
    assert codes(archive.purge()) == ({}, {})
    archive.day = 89
    assert codes(archive.purge())[0] == {quality.part: "DELETE_DUE"}


def test_a_box_may_ask_for_less_than_it_may_destroy_itself(archive: Archive) -> None:
    """Its log says that the keys were destroyed, were it stolen and its log a lie."""
    box = archive.box()
    quality, erased, duty, emergency, held = (
        archive.sealed(box, one) for one in (QUALITY, QUALITY, DUTY, EMERGENCY, QUALITY)
    )
    archive.store(box, quality, erased, duty, emergency, held)
    box.say("key.shredded", reason="space", **{"class": "C"}, parts=[quality.part])
    asked = [one.part for one in (erased, duty, emergency, held)]
    box.say("key.shredded", reason="erasure", **{"class": "C"}, parts=asked)
    box.say("key.shredded", reason="space", **{"class": "C"}, parts=asked, outcome="done")
    archive.replicate(box)
    hold(archive, device_of(box), held.part)
    doomed, refused = codes(archive.purge())
    assert doomed == {erased.part: "DELETE_ASKED"}
    assert refused == {
        duty.part: "KEEP_MANDATORY",
        emergency.part: "KEEP_MANDATORY",
        held.part: "KEEP_HOLD",
    }
    assert archive.opens(erased) is False
    assert all(archive.opens(one) for one in (quality, duty, emergency, held))
    assert [one.get("reason") for one in archive.records()] == ["erasure", None]


def hold(archive: Archive, device: str, name: str, until_ns: int | None = None) -> None:
    life = archive.inside()
    with life.rows.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO holds VALUES (?, 'h', 'suspend', ?, ?)",
            (device, CREATED_NS + 10 * DAY_NS, until_ns),
        )
        db.execute("INSERT OR IGNORE INTO held VALUES (?, ?, 'h')", (device, name))
    life.close()


def test_a_hold_and_a_missing_visa_keep_what_is_due(archive: Archive) -> None:
    box = archive.box()
    quality, emergency = (archive.sealed(box, one) for one in (QUALITY, EMERGENCY))
    archive.store(box, quality, emergency)
    hold(archive, device_of(box), quality.part)
    archive.day = 100
    assert codes(archive.purge()) == (
        {},
        {quality.part: "KEEP_HOLD", emergency.part: "DELETE_BLOCKED_ARCHIVES_VISA"},
    )
    assert codes(archive.purge(visa=True))[0] == {emergency.part: "DELETE_DUE"}
    hold(archive, device_of(box), quality.part, CREATED_NS + 60 * DAY_NS)  # 50 days are added
    archive.day = 138
    assert codes(archive.purge()) == ({}, {})
    archive.day = 139
    assert codes(archive.purge())[0] == {quality.part: "DELETE_DUE"}


def test_an_entry_about_holds_that_only_a_newer_program_reads_keeps_all_of_its_box(
    archive: Archive,
) -> None:
    one, other = archive.box(), archive.box()
    kept, gone = archive.sealed(one, QUALITY), archive.sealed(other, QUALITY)
    archive.store(one, kept)
    archive.store(other, gone)
    life = archive.inside()
    with life.rows.transaction() as db:
        for box, ev in ((one, "hold.moved"), (other, "holder.seen")):
            catalogue.write_unread(db, device_of(box), [Unread(9, ev)])
    archive.day = 100
    assert codes(archive.purge()) == ({gone.part: "DELETE_DUE"}, {kept.part: "KEEP_HOLD"})
    with life.rows.transaction() as db:
        db.execute("DELETE FROM unread")
    life.close()
    assert codes(archive.purge())[0] == {kept.part: "DELETE_DUE"}


def test_a_hold_that_comes_after_the_plan_still_keeps_the_part(archive: Archive) -> None:
    box = archive.box()
    held, free = archive.sealed(box, QUALITY), archive.sealed(box, QUALITY)
    archive.store(box, held, free)
    archive.day = 90
    purging = archive.purging()
    plan = purging.plan(visa=False)
    assert len(plan.doomed) == 2
    hold(archive, device_of(box), held.part)
    assert purging.carry_out(plan) == 1
    purging.close()
    assert archive.opens(held) and not archive.opens(free)


def test_holds_are_read_from_the_box_s_log(archive: Archive) -> None:
    box = archive.box()
    one, other, free = (archive.sealed(box, QUALITY) for _ in range(3))
    archive.store(box, one, other, free)
    life = archive.inside()
    recording = life.rows.db.execute(
        "SELECT recording FROM parts WHERE part = ?", (one.part,)
    ).fetchone()[0]
    life.close()
    common = {"mode": "floor", "reference": "affaire 12", "proof": "declared"}
    by = ["0" * 16, "1" * 16]
    box.say("hold.placed", recording, hold="a" * 32, recording=recording, by=by, **common)
    box.say("hold.placed", hold="b" * 32, parts=[other.part], by=by, **common)
    archive.replicate(box)
    archive.day = 90
    assert codes(archive.purge()) == (
        {free.part: "DELETE_DUE"},
        {one.part: "KEEP_HOLD", other.part: "KEEP_HOLD"},
    )
    box.say("hold.released", hold="a" * 32, by=by, proof="declared")
    archive.replicate(box)
    assert codes(archive.purge()) == ({one.part: "DELETE_DUE"}, {other.part: "KEEP_HOLD"})


@pytest.mark.parametrize("whole_group", [True, False])
def test_killed_at_any_step_it_is_finished_by_the_next_round(
    archive: Archive, whole_group: bool
) -> None:
    box = archive.box()
    kept: list[Held] = []
    for step in STEPS:
        parts = [archive.sealed(box, QUALITY) for _ in range(2 if whole_group else 3)]
        archive.day = 1
        archive.store(box, *parts)
        if not whole_group:
            hold(archive, device_of(box), parts[2].part)
            kept.append(parts[2])
        check_killed_at(archive, step, parts[:2], kept)


def check_killed_at(archive: Archive, step: str, gone: list[Held], left: list[Held]) -> None:
    (box,) = archive.boxes
    keys_before, archive.day = archive.keys(), 90

    def strike(now: str) -> None:
        if now == step:
            raise Crash

    with pytest.raises(Crash):
        archive.purge(strike)
    if step != "tombstone":  # from its tombstone on it opens nowhere, whatever is still there
        assert not any(archive.opens(one) for one in gone)
    archive.replay()
    archive.purge()
    assert [archive.opens(one) for one in (*gone, *left)] == [False] * 2 + [True] * len(left)
    assert held_parts(archive.office) == {(device_of(box), one.part) for one in left}
    assert len(archive.objects()) == len(left)
    assert not keys_before & archive.keys() and len(archive.keys()) == bool(left)
    kinds = [(one["is"], one["part"]) for one in archive.records()]
    for one in gone:
        assert kinds.count(("deleted", one.part)) == 1 <= kinds.count(("done", one.part))
    assert archive.replay() == 0


def copied(archive: Archive, target: Path, names: tuple[str, ...]) -> None:
    """A backup of these files of the office, or (the other way round) its return."""
    for name in names:
        source = archive.office.path / name
        if source.is_dir():
            shutil.copytree(source, target / name, dirs_exist_ok=True)
        else:
            shutil.copy(source, target / name)


DATABASES = ("catalogue.sqlite", "envelopes.sqlite")


@pytest.mark.parametrize(
    "restored",
    [DATABASES, DATABASES[:1], DATABASES[1:], (*DATABASES, "objects", "envelope-keys")],
)
def test_no_backup_brings_a_deleted_part_back(
    archive: Archive, restored: tuple[str, ...], tmp_path: Path
) -> None:
    box = archive.box()
    quality, duty = archive.sealed(box, QUALITY), archive.sealed(box, DUTY)
    archive.store(box, quality, duty)
    backup = tmp_path / "backup"
    backup.mkdir()
    copied(archive, backup, restored)
    archive.day = 90
    archive.purge()
    for name in DATABASES:
        for suffix in ("-wal", "-shm"):
            (archive.office.path / f"{name}{suffix}").unlink(missing_ok=True)
    for name in restored:
        source, target = backup / name, archive.office.path / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    assert archive.opens(quality) is False and archive.opens(duty) is True
    archive.replay()
    assert archive.opens(quality) is False and archive.opens(duty) is True
    assert archive.offered(box, quality) == Refused(quality.part, "deleted")
    archive.purge()
    archive.day = 92
    archive.sweep()
    assert held_parts(archive.office) == {(device_of(box), duty.part)}
    assert len(archive.objects()) == 1
    with Holdings.open(archive.office, Disk()) as held:
        assert set(held.envelopes.names()) == {(device_of(box), duty.part)}


def test_a_log_that_comes_again_after_a_restore_brings_no_part_back(
    archive: Archive, tmp_path: Path
) -> None:
    box = archive.box()
    shutil.copy(archive.office.catalogue, tmp_path / "old")
    quality = archive.sealed(box, QUALITY)
    archive.store(box, quality)
    archive.day = 90
    archive.purge()
    for suffix in ("-wal", "-shm"):
        (archive.office.path / f"catalogue.sqlite{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "old", archive.office.catalogue)
    archive.replay()
    archive.replicate(box)
    assert archive.offered(box, quality) == Refused(quality.part, "deleted")


def test_a_part_beyond_its_end_is_not_taken_but_a_held_one_is(archive: Archive) -> None:
    box = archive.box()
    late, held = archive.sealed(box, QUALITY, until=True), archive.sealed(box, QUALITY, until=True)
    archive.replicate(box)
    hold(archive, device_of(box), held.part)
    archive.day = 90
    assert archive.offered(box, late) == Refused(late.part, "deleted")
    archive.store(box, held)
    assert archive.opens(held)


def test_tombstones_that_were_put_back_are_said_again(archive: Archive, tmp_path: Path) -> None:
    box = archive.box()
    parts = [archive.sealed(box, QUALITY), archive.sealed(box, DUTY)]
    archive.store(box, *parts)
    archive.day = 90
    archive.purge()
    file = archive.office.deletions / "tombstones"
    old = file.read_bytes()
    archive.day = 800
    archive.purge()
    file.write_bytes(old[:100])  # and torn
    archive.replay()
    assert {one["part"] for one in archive.records()} == {one.part for one in parts}


def test_damaged_tombstones_stop_everything(archive: Archive) -> None:
    box = archive.box()
    quality = archive.sealed(box, QUALITY)
    archive.store(box, quality)
    archive.day = 90
    archive.purge()
    file = archive.office.deletions / "tombstones"
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)
    life = archive.inside()
    with life.rows.transaction() as db:
        db.execute("DELETE FROM keeping")
    life.close()
    with pytest.raises(IntegrityError):
        archive.replay()


def test_objects_that_two_parts_share_go_with_the_last_of_them(archive: Archive) -> None:
    one, other = archive.box(), archive.box()
    held = archive.sealed(one, QUALITY)
    for entry in one.log[1:]:
        said = json.loads(entry)
        data = {
            key: int(value) if key.endswith("_ns") else value for key, value in said["data"].items()
        }
        other.say(said["ev"], said["rec"], **data)
    archive.store(one, held)
    archive.store(other, held)
    hold(archive, device_of(other), held.part)
    archive.day = 90
    assert len(codes(archive.purge())[0]) == 1 == len(archive.objects())
    assert held_parts(archive.office) == {(device_of(other), held.part)}
    hold(archive, device_of(other), held.part, CREATED_NS + 11 * DAY_NS)
    archive.purge()
    assert archive.objects() == set()


def test_a_clock_that_leaps_deletes_nothing_without_a_person(archive: Archive) -> None:
    box = archive.box()
    held = archive.sealed(box, QUALITY)
    archive.store(box, held)
    archive.purge()
    archive.day = 3650
    plan = archive.purge(believe=False)
    assert plan.leap_ns and archive.opens(held)
    archive.purge(believe=True)
    assert not archive.opens(held)


def test_the_thread_of_serve_deletes_and_says_what_stops_it(archive: Archive) -> None:
    box = archive.box()
    held = archive.sealed(box, QUALITY)
    archive.store(box, held)
    archive.purge()
    told: list[str] = []
    for day, gone in ((3650.0, False), (90.0, True)):
        archive.day = day
        thread = Purger(
            lambda: (
                archive.purging(),
                Sweeping.of(archive.office, Disk(), archive.clock),
            ),
            False,
            told.append,
        )
        if gone:  # a person says that the clock is right
            archive.day = 88
            archive.purge()
            archive.day = 90
        thread.start()
        wait_until(lambda gone=gone: bool(told) and archive.opens(held) != gone, "a round")
        thread.stop()
        thread.join(120)
        assert not thread.is_alive()
    assert len(told) == 1 and "nothing is deleted" in told[0]


def said(
    capsys: pytest.CaptureFixture[str], archive: Archive, *words: str
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run("greffier-office", COMMANDS, [*words, "--office", str(archive.office.path)], "test")
    out, _err = capsys.readouterr()
    return code, json.loads(out.splitlines()[-1])


def test_the_command_says_what_it_does_and_by_which_rule(
    archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = archive.box()
    held, duty = archive.sealed(box, QUALITY), archive.sealed(box, DUTY)
    archive.store(box, held, duty)
    box.say("key.shredded", reason="erasure", **{"class": "C"}, parts=[held.part, duty.part])
    archive.replicate(box)
    device = device_of(box)
    wanted = {"id": held.part, "device": device, "code": "DELETE_ASKED", "reason": "erasure"}
    refused = {"id": duty.part, "device": device, "code": "KEEP_MANDATORY", "reason": "erasure"}
    clock: Callable[[], int] = archive.clock
    monkeypatch.setattr("time.time_ns", clock)
    code, dry = said(capsys, archive, "purge", "--dry-run", "--json")
    assert code == 0 and dry["dry_run"] and (dry["done"], dry["refused"]) == ([wanted], [refused])
    assert archive.opens(held)
    code, done = said(capsys, archive, "purge", "--sweep", "--json")
    assert (done["done"], done["refused"], done["bytes"]) == ([wanted], [refused], len(held.octets))
    assert not archive.opens(held)
    code, verified = said(capsys, archive, "verify", "--json")
    assert (code, verified["state"]) == (0, "authentic")
    with pytest.raises(GreffierError), Holdings.open(archive.office, Disk()) as holdings:
        holdings.named(held.part)


@pytest.mark.parametrize(
    ("spans", "added"),
    [
        ([(10, 60)], 50),
        ([(-30, 20)], 20),  # placed on the recording before this part of it was made
        ([(10, 60), (20, 70)], 60),  # each moment once
        ([(90, 200)], 0),  # it began when the part should have gone
        ([(80, 130), (120, 140)], 60),  # this one before: the first had moved the day
    ],
)
def test_a_claim_that_suspends_counts_as_the_box_counts_it(
    spans: list[tuple[int, int]], added: int
) -> None:
    claims = tuple(
        Claim("suspend", CREATED_NS + since * DAY_NS, CREATED_NS + until * DAY_NS)
        for since, until in spans
    )
    due_ns = CREATED_NS + (89 + added) * DAY_NS
    subject = Subject(CREATED_NS, {"quality": (0, 89)}, None, "", claims)
    assert judge(subject, due_ns - 1, visa=True) == "KEEP"
    assert judge(subject, due_ns, visa=True) == "DELETE_DUE"
    if spans[0][0] >= 0:  # of a part with a damaged header nobody knows when it was made
        damaged = Subject(None, {}, CREATED_NS + 89 * DAY_NS, "", claims)
        assert judge(damaged, due_ns - 1, visa=True) == "KEEP"
        assert judge(damaged, due_ns, visa=True) == "DELETE_DUE"
