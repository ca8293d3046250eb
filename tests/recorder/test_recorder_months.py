"""The console key of a month comes with the day that needs it; what is sealed to it waits."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.recorder.test_recorder_service import Running
from tests.stories.box import PAIR, Box

from greffier.audit import verify
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import IntegrityError, StorageFailed
from greffier.recorder import archive as archives
from greffier.recorder import console_keys, enlisting, recipients
from greffier.recorder.archive import Archive
from greffier.recorder.console_keys import OperatorKeys
from greffier.recorder.enlisting import Secret
from greffier.recorder.people import epoch_key
from greffier.seal.keys import Role
from greffier.trust import wrapping
from greffier.trust.operators import Unlocked
from greffier.trust.wrapping import parse_card, unwrap

SECRET = Secret("file", b"k" * 32)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id is slow on purpose; nothing here depends on it."""
    monkeypatch.setattr(wrapping, "stretch", lambda secret, *_: sha256(secret).digest())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    with Archive.open(made.data, SystemClock()) as archive:
        enlisting.add(archive, "marie", SECRET, None, None)
    return made


def keys_of(archive: Archive, name: str) -> OperatorKeys:
    card = parse_card((archive.data.operators / f"{name}.json").read_bytes())
    seed = unwrap(card, SECRET.octets, lambda place, authorization: b"")
    return OperatorKeys(Unlocked(card.operator, seed), console_keys.months(archive.data))


def next_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greffier.recorder.archive.day_of", lambda at_ns: "2031-05-01")


@pytest.mark.parametrize("done", [False, True])
def test_a_month_that_fails_to_be_written_is_written_again_before_anything_needs_it(
    box: Box, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    real = Disk.write_file
    failures: list[Path] = []

    def failing(self: Disk, path: Path, data: bytes, *more: Any) -> None:
        broken = path.parent.name == "months" and not failures
        if not broken or done:
            real(self, path, data, *more)
        if broken:
            failures.append(path)
            raise StorageFailed(path=path, reason="acted")

    with Archive.open(box.data, SystemClock()) as archive:
        first = archive.open_epoch()
        before = archive.recipients[1]
        next_month(monkeypatch)
        monkeypatch.setattr(Disk, "write_file", failing)
        archive.renew_epoch()
        with pytest.raises(StorageFailed):
            archive.tick()
        logged = [one.ev for one in verify.entries(box.data)]
        assert logged.count("console.key") == 1  # the new one is not durable before its file
        archive.tick()
        second = archive.epoch
        assert second is not None and archive.recipients[1] != before
        held = keys_of(archive, "marie")
        for epoch in (first, second):
            assert epoch_key(archive.shred, epoch.name, held) == epoch.metadata
    assert len(failures) == 1 and box.verified()["ok"]


def test_months_and_cards_that_are_damaged_are_replaced_and_lost_and_recording_goes_on(
    box: Box,
) -> None:
    (month,) = (box.data / "keys" / "months").iterdir()
    month.write_bytes(b"{}")
    with Archive.open(box.data, SystemClock()) as archive:
        archive.open_epoch()
        assert len(archive.recipients) == 2
        reasons = [
            one.data["reason"] for one in verify.entries(box.data) if one.ev == "console.key"
        ]
        assert reasons == ["first", "asked"]
    (box.data / "keys" / "operators" / "marie.json").write_bytes(b"{}")
    for path in (box.data / "keys" / "months").iterdir():
        path.unlink()
    with Archive.open(box.data, SystemClock()) as archive:
        archive.open_epoch()
        assert [one.role for one in archive.recipients] == [Role.OFFICE]
        key_id = next(iter(archive.sealing.roll.listed))
    with Archive.open(box.data, SystemClock()) as archive:
        enlisting.remove(archive, key_id)  # by its id: nobody knows the name any more
        assert archive.sealing.orphaned
    assert box.verified()["ok"]


def test_a_removal_that_was_cut_after_its_entry_seals_nothing_more_to_who_is_gone(
    box: Box,
) -> None:
    with Archive.open(box.data, SystemClock()) as archive:
        key_id = keys_of(archive, "marie").key_id.hex()
        archive.say("operator.removed", {"operator": key_id})
    with Archive.open(box.data, SystemClock()) as archive:
        archive.open_epoch()
        assert [one.role for one in archive.recipients] == [Role.OFFICE]
    with Archive.open(box.data, SystemClock()) as archive:
        assert enlisting.remove(archive, "marie").left == 0  # and the same command finishes it
        assert console_keys.months(archive.data) == []
        enlisting.add(archive, "paul", SECRET, None, None)
    with Archive.open(box.data, SystemClock()) as archive:
        archive.open_epoch()
        assert len(archive.recipients) == 2
    assert box.verified()["ok"]


def test_an_operator_opens_their_months_and_another_seed_or_an_altered_seal_nothing(
    box: Box,
) -> None:
    with Archive.open(box.data, SystemClock()) as archive:
        marie = keys_of(archive, "marie")
        forged = OperatorKeys(Unlocked(_card(archive).operator, b"x" * 32), [])
        found = console_keys.in_force(archive.data, archive.sealing.roll)
        assert found is not None
        assert marie.find(Role.CONSOLE, found.public.key_id) is not None
        assert marie.find(Role.OFFICE, found.public.key_id) is None
        assert forged.find(Role.CONSOLE, found.public.key_id) is None
        broken = OperatorKeys(
            Unlocked(_card(archive).operator, _seed(archive)), [_with_other_seal(found)]
        )
        with pytest.raises(IntegrityError):
            broken.find(Role.CONSOLE, found.public.key_id)
        assert recipients.key_ids(archive.recipients).keys() == {"office_key"}


def _card(archive: Archive) -> wrapping.Card:
    return parse_card((archive.data.operators / "marie.json").read_bytes())


def _seed(archive: Archive) -> bytes:
    return unwrap(_card(archive), SECRET.octets, lambda place, authorization: b"")


def _with_other_seal(found: Any) -> Any:
    ((key_id, sealed),) = found.sealed.items()
    return type(found)(
        found.month,
        found.number,
        found.made_ns,
        found.public,
        {key_id: sealed[:-1] + bytes([sealed[-1] ^ 1])},
    )


def test_a_recorder_that_runs_says_on_what_replaying_hangs_and_when_nobody_can(
    tmp_path: Path,
) -> None:
    (tmp_path / "disk").mkdir()
    archives.create(tmp_path / "disk/box", SystemClock(), PAIR.public.format().encode())
    for present in (True, False):
        with Archive.open(tmp_path / "disk/box", SystemClock()) as archive:
            if present:
                enlisting.add(archive, "marie", SECRET, None, None)
            else:
                enlisting.remove(archive, "marie")
        with Running(tmp_path, made=False) as running:
            status = running.wait_for(lambda now: now.armed)
        assert status.operators == ("key-file" if present else "")
        assert ("operator.none" in [one.name for one in status.alarms]) is not present
