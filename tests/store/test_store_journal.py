"""The calls journal: every call once, numbers only for who holds the key, torn ends cut."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.durable import Disk
from greffier.errors import AlreadyThere, StorageFailed
from greffier.store import journal
from greffier.store.journal import BadJournal, Journal
from greffier.store.journal_recovery import Mended, recover
from greffier_sim.faults import Fault, FaultySystem, PowerCut

KEY = bytes(range(32))
EPOCH = "2026-03-01-0a1b2c3d"
VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "store" / "journal.json").read_text("utf-8")
)


def clear(number: int, **more: Any) -> dict[str, Any]:
    fields = {
        "uid": f"{number:032x}",
        "line": "front",
        "start_ns": "1795305600000000000",
        "end_ns": None,
        "recording": None,
    }
    return fields | more


def begun(folder: Path, disk: Disk | None = None, epoch: str = EPOCH, at: int = 1) -> Journal:
    return Journal.create(folder, disk or Disk(FaultySystem()), epoch, at, KEY)


def content(folder: Path) -> journal.Contents:
    return journal.read((folder / f"{EPOCH}.gcalls").read_bytes())


def test_calls_are_read_back_in_order(tmp_path: Path) -> None:
    one = begun(tmp_path)
    assert [one.append(clear(n), {"from": "0612345678", "to": "112"}) for n in range(3)] == [
        0,
        1,
        2,
    ]
    one.close()
    found = content(tmp_path)
    assert (found.epoch, found.opened_ns, found.damaged) == (EPOCH, 1, 0)
    assert [record.clear for record in found.records] == [clear(n) for n in range(3)]
    assert journal.open_sealed(found.records[1], KEY) == {"from": "0612345678", "to": "112"}
    assert (tmp_path / f"{EPOCH}.gcalls").stat().st_mode & 0o777 == 0o600


def test_numbers_are_never_in_the_clear_and_their_length_does_not_show(tmp_path: Path) -> None:
    one = begun(tmp_path)
    sizes = []
    for number in ("", "112", "0612345678", "+33612345678901"):
        before = one.durable
        one.append(clear(1), {"from": number})
        one.commit()
        sizes.append(one.durable - before)
    one.close()
    assert len(set(sizes)) == 1
    raw = (tmp_path / f"{EPOCH}.gcalls").read_bytes()
    assert b"0612345678" not in raw
    assert b"33612345678901" not in raw


def test_another_key_another_place_or_another_clear_part_opens_nothing(tmp_path: Path) -> None:
    one = begun(tmp_path)
    one.append(clear(1), {"from": "1"})
    one.append(clear(2), {"from": "2"})
    one.close()
    first, second = content(tmp_path).records
    with pytest.raises(BadJournal, match="does not open"):
        journal.open_sealed(first, bytes(32))
    for wrong in (
        journal.Record(EPOCH, 1, 0, first.clear, first.sealed, first.associated),
        journal.Record(EPOCH, 0, 0, first.clear, first.sealed, second.associated),
        journal.Record(EPOCH, 0, 0, first.clear, second.sealed, first.associated),
    ):
        with pytest.raises(BadJournal, match="does not open"):
            journal.open_sealed(wrong, KEY)


def test_an_epoch_is_begun_once(tmp_path: Path) -> None:
    begun(tmp_path).close()
    with pytest.raises(AlreadyThere):
        begun(tmp_path)
    for name in ("", "../x", ".x", "-x", "UPPER", "a" * 65, "a/b"):
        with pytest.raises(ValueError, match="epoch"):
            begun(tmp_path, epoch=name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"uid": "x"},
        {"uid": None},
        {"line": 3},
        {"start_ns": 5},
        {"start_ns": "-1"},
        {"start_ns": str(2**63)},
        {"end_ns": "1e3"},
        {"recording": "0"},
    ],
)
def test_a_record_without_what_the_index_needs_is_refused(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    one = begun(tmp_path)
    with pytest.raises(ValueError, match="is none"):
        one.append(clear(1) | wrong, {})
    for key in journal.REQUIRED:
        with pytest.raises(ValueError, match="lacks"):
            one.append({name: value for name, value in clear(1).items() if name != key}, {})
    assert one.append(clear(1), {}) == 0
    one.close()


def test_epochs_count_in_the_order_they_were_opened(tmp_path: Path) -> None:
    for name, at in (("b", 1), ("a", 2), ("c", 2)):
        one = begun(tmp_path, epoch=name, at=at)
        one.append(clear(1, result=name), {})
        one.append(clear(2), {})
        one.close()
    (tmp_path / "bad.gcalls").write_bytes(b"not a journal")
    shutil.copy(tmp_path / "a.gcalls", tmp_path / "z.gcalls")  # its name is not its epoch
    found = list(journal.everything(tmp_path))
    assert [(one.epoch, one.number) for one in found] == [
        (name, number) for name in "bac" for number in (0, 1)
    ]


# --- recovery and damage ---


def filled(folder: Path) -> tuple[bytes, list[int]]:
    one = begun(folder)
    ends = [one.durable]
    for number in range(3):
        one.append(clear(number), {"from": "1"})
        one.commit()
        ends.append(one.durable)
    one.close()
    return (folder / f"{EPOCH}.gcalls").read_bytes(), ends


def test_a_journal_cut_at_any_length_keeps_its_whole_records(tmp_path: Path) -> None:
    whole, ends = filled(tmp_path)
    path = tmp_path / f"{EPOCH}.gcalls"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        mended = recover(tmp_path, Disk(FaultySystem()))
        if length < ends[0]:
            assert [(one.cut, path.exists()) for one in mended] == [(length, False)]
            continue
        good = max(end for end in ends if end <= length)
        assert [one.cut for one in mended] == ([length - good] if length > good else [])
        assert path.read_bytes() == whole[:good]
        assert len(content(tmp_path).records) == ends.index(good)


def test_every_flipped_byte_loses_at_most_the_record_it_is_in(tmp_path: Path) -> None:
    whole, ends = filled(tmp_path)
    for at in range(len(whole)):
        raw = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        if at < ends[0]:
            with pytest.raises(BadJournal):
                journal.read(raw)
            continue
        found = journal.read(raw)
        hit = max(index for index, end in enumerate(ends) if end <= at)
        numbers = [record.number for record in found.records]
        if numbers == [0, 1, 2]:
            pytest.fail("a flipped byte was accepted")
        assert numbers[:hit] == list(range(hit))
        if (at - ends[hit]) >= 4 and hit < 2:  # its length is still true
            assert numbers == [number for number in (0, 1, 2) if number != hit]
            assert found.damaged == 1


def test_a_damaged_header_is_reported_and_left(tmp_path: Path) -> None:
    whole, _ = filled(tmp_path)
    path = tmp_path / f"{EPOCH}.gcalls"
    path.write_bytes(b"X" + whole[1:])
    assert recover(tmp_path, Disk(FaultySystem())) == [Mended(EPOCH, 0, 1)]
    assert path.read_bytes() == b"X" + whole[1:]


@pytest.mark.parametrize("fault", Fault)
def test_at_every_fault_each_record_is_there_once_and_durable_ones_stay(
    tmp_path: Path, fault: Fault
) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        system = FaultySystem(at=at, fault=fault)
        durable = accepted = 0
        one = None
        try:
            try:
                one = begun(folder, Disk(system))
            except StorageFailed:
                continue
            for number in range(3):
                one.append(clear(number), {"from": str(number)})
                accepted += 1
                for _ in range(2):  # a failure is over: the second time it must do
                    with suppress(StorageFailed):
                        one.commit()
                        break
                else:
                    pytest.fail("a commit did not come back")
                durable = accepted
            one.close()
        except PowerCut:
            pass
        recover(folder, Disk(FaultySystem()))
        found = list(journal.everything(folder))
        assert durable <= len(found) <= accepted
        for number, record in enumerate(found):
            assert record.clear == clear(number)
            assert journal.open_sealed(record, KEY) == {"from": str(number)}
        if system.count < at:
            assert len(found) == 3
            break
    assert at > 5


# --- vectors and noise ---


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: str(one["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["data"])
    if "refused" in vector:
        with pytest.raises(BadJournal) as refused:
            found = journal.read(data)
            for record in found.records:
                journal.open_sealed(record, bytes.fromhex(vector["key"]))
        assert refused.value.reason == vector["refused"]["reason"]
        assert refused.value.offset == vector["refused"]["offset"]
        return
    found = journal.read(data)
    key = bytes.fromhex(vector["key"])
    assert [
        {"clear": record.clear, "sealed": journal.open_sealed(record, key)}
        for record in found.records
    ] == vector["records"]
    assert (found.good, found.damaged) == (vector["good"], vector["damaged"])


@settings(deadline=None)
@given(data=st.binary(max_size=300), header=st.booleans())
def test_noise_never_ends_in_another_error(data: bytes, header: bool) -> None:
    raw = (journal.write_header(EPOCH, 1) if header else b"") + data
    try:
        found = journal.read(raw)
    except BadJournal as error:
        assert 0 <= error.offset <= len(raw)
    else:
        assert found.good <= len(raw)
