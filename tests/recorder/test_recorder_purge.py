"""What may go goes, by trusted time and receipts, and the log says so before and after."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.recorder.office_scene import DUTY, QUALITY, RECEIPTS, START_NS, Box, WornClock, made
from tests.stories.box import SDIS, Said, command

from greffier.audit import certificate, note, verify
from greffier.cli import audit as audit_command
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.store import layout
from greffier.store.index import Index
from greffier.store.shred import ShredStore
from greffier.store.vault import Vault

FIRE = {"emergency_fire": (0, 59)}


def recorded(
    folder: Path, days: int, *parts: Mapping[str, tuple[int, int]], received: int = 0
) -> list[str]:
    """A data directory with *parts*, of which head office has the first *received*.

    Trusted time is *days* after they were made.
    """
    with Box(made(folder)) as box:
        with box.turn:
            box.clock.witnessed(box.clock.wall_ns(), "statement")
        names = [box.seal(number, purposes) for number, purposes in enumerate(parts)]
        for name in names[:received]:
            assert box.bring(box.receipt(name).signed(RECEIPTS)) == ["received"]
        with box.turn:
            box.clock.witnessed(START_NS + days * DAY_NS, "statement")
            box.archive.log.append("recorder.stopped", None, {"reason": "asked"})
            box.archive.tick()
    return names


def purged(folder: Path, *words: object, expect: int = 0) -> dict[str, Any]:
    said: Said = command("purge", "--data", folder, "--json", *words)
    assert said.code == expect, said.complaint
    found: dict[str, Any] = said.json
    return found


def codes(found: list[dict[str, str]]) -> dict[str, str]:
    return {one["id"]: one["code"] for one in found}


def is_whole(folder: Path) -> bool:
    """Whether log, vault and shred store tell one story."""
    directory = layout.open(folder)
    report = verify.verify(
        folder,
        parts=audit_command.stored_parts(directory),
        held=audit_command.held_keys(directory),
        origin=directory.identity.origin,
    )
    return report.ok


def in_vault(folder: Path) -> set[str]:
    return {part.part_id for part in layout.open(folder).vault(Disk()).parts()}


def test_a_voluntary_part_goes_at_its_maximum_received_or_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = recorded(folder, 89, QUALITY, QUALITY, {"quality": (0, 90)}, received=1)
    would = purged(folder, "--dry-run")
    said = command("purge", "--data", folder, "--dry-run").out
    assert f"{names[0]} DELETE_DUE: " in said and "2 parties partiraient" in said
    assert in_vault(folder) == set(names)
    found = purged(folder)
    assert [one["id"] for one in would.pop("kept")] == [names[2]]
    assert {**would, "dry_run": False, "clock": found["clock"]} == found
    assert codes(found["done"]) == dict.fromkeys(names[:2], "DELETE_DUE")
    assert found["refused"] == []
    assert in_vault(folder) == {names[2]}
    assert is_whole(folder)
    assert purged(folder)["done"] == []
    with Box(folder) as box:
        assert [one.part for one in box.work().parts] == [names[2]]
        first, second = box.entries("key.shredded")
        assert first.data["reason"] == "due" and "outcome" not in first.data
        assert second.data["outcome"] == "done"
        assert set(first.data["parts"]) == set(names[:2])


def test_a_part_that_went_has_a_certificate_that_holds_elsewhere(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "certificate"
    names = recorded(folder, 89, QUALITY, {"quality": (0, 90)})
    words = ("certificate", "--data", folder, "-o", file, "--json")
    assert command(*words, names[0]).code == 1 and not file.exists()
    purged(folder)
    said = command(*words, names[0])
    assert said.code == 0 and said.json["reason"] == "due", said.complaint
    key = note.read_key((folder / "keys" / "log.pub").read_text().strip())
    found = certificate.check(certificate.read(file.read_bytes()), key)
    assert (found.part, found.deletion, found.witnessed_s) == (names[0], "C", None)
    assert found.not_before_ns >= START_NS + 89 * DAY_NS
    assert found.purposes == ("quality",) and found.sha256
    assert command(*words, names[1]).code == 1


def test_the_day_before_nothing_goes(tmp_path: Path) -> None:
    names = recorded(tmp_path / "data", 88, QUALITY)
    assert purged(tmp_path / "data")["done"] == []
    assert in_vault(tmp_path / "data") == set(names)


def test_the_wall_clock_moves_nothing(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")) as box:
        box.clock.behind_ns = -1000 * DAY_NS
        box.seal()
    found = purged(tmp_path / "data")
    assert found["done"] == [] and found["clock"]["source"] in ("build", "persisted")


def test_a_duty_waits_for_its_minimum_and_then_for_the_receipt(tmp_path: Path) -> None:
    for days, received, word in (
        (1826, 1, "KEEP_MANDATORY"),
        (1857, 0, "NOT_RECEIVED"),
        (1857, 1, None),
    ):
        folder = tmp_path / f"{days}{received}"
        (name,) = recorded(folder, days, DUTY, received=received)
        found = purged(folder)
        assert codes(found["refused"]) == ({name: word} if word else {})
        assert codes(found["done"]) == ({} if word else {name: "DELETE_DUE"})


def test_for_want_of_space_only_what_head_office_has_goes_oldest_first(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = recorded(folder, 10, QUALITY, FIRE, DUTY, QUALITY, QUALITY, received=4)
    found = purged(folder, "--dry-run", "--space", 10**9)
    done = codes(found["done"])
    assert done == {names[0]: "DELETE_SPACE", names[3]: "DELETE_SPACE"}
    assert codes(found["refused"]) == {
        names[1]: "KEEP_MANDATORY",
        names[2]: "KEEP_MANDATORY",
        names[4]: "NOT_RECEIVED",
    }
    found = purged(folder, "--space", 1)
    assert len(found["done"]) == 1 and found["bytes"] >= 1
    assert len(in_vault(folder)) == 4
    assert is_whole(folder)


def test_an_emergency_at_its_maximum_needs_the_visa_of_the_archives(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (name,) = recorded(folder, 60, FIRE, received=1)
    assert codes(purged(folder)["refused"]) == {name: "DELETE_BLOCKED_ARCHIVES_VISA"}
    text = SDIS.read_text()
    (tmp_path / "without.toml").write_text(
        "\n".join(line for line in text.splitlines() if "archives_visa_ref" not in line)
    )
    found = purged(folder, "--policy", tmp_path / "without.toml")
    assert codes(found["refused"]) == {name: "DELETE_BLOCKED_ARCHIVES_VISA"}
    assert codes(purged(folder, "--policy", SDIS)["done"]) == {name: "DELETE_DUE"}


def test_a_data_directory_that_is_used_is_left_alone(tmp_path: Path) -> None:
    with Box(made(tmp_path / "data")):
        assert command("purge", "--data", tmp_path / "data", "--json").code == 11


Failing = Callable[..., None]


@pytest.mark.parametrize("kind", [ShredStore, Vault, Index])
@pytest.mark.parametrize("done", [False, True])
def test_what_a_failure_left_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, done: bool
) -> None:
    folder = tmp_path / "data"
    names = recorded(folder, 89, QUALITY, QUALITY)
    method = {ShredStore: "destroy", Vault: "remove", Index: "remove_parts"}[kind]
    real = getattr(kind, method)

    def fail(self: object, *words: object) -> None:
        if done:
            real(self, *words)
        raise StorageFailed(path="-", reason="a test")

    with monkeypatch.context() as changed:
        changed.setattr(kind, method, fail)
        assert command("purge", "--data", folder, "--json").code == 1
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        plan = purge.plan(archive, 0, lambda row: False)
        gone = kind is Index and done
        assert {one.code for one in plan.doomed} == (set() if gone else {purge.RESUMED})
    purged(folder)
    assert in_vault(folder) == set()
    assert is_whole(folder)
    entries = [
        one.data.get("outcome") for one in verify.entries(folder) if one.ev == "key.shredded"
    ]
    assert entries[:2] == [None, "failed"]
    with Box(folder) as box:
        assert box.work().parts == ()
        assert set(names) == {part for part in names if box.archive.unconfirmed.is_destroyed(part)}


def test_the_rows_are_those_of_a_rebuilt_index(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    recorded(folder, 89, QUALITY, DUTY, {"quality": (0, 90)}, received=2)
    purged(folder)
    before = json.dumps(command("calls", "--data", folder, "--json").json)
    with Archive.open(folder, WornClock()) as archive:
        rows = archive.index.parts()
    assert command("index", "rebuild", "--data", folder, "--json").code == 0
    assert json.dumps(command("calls", "--data", folder, "--json").json) == before
    with Archive.open(folder, WornClock()) as archive:
        assert archive.index.parts() == rows
        assert sum(row.synced for row in rows) == 1
