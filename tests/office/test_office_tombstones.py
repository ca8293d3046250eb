"""The file of tombstones: every vector, every cut, every fault of the disk."""

import json
from pathlib import Path

import pytest

from greffier.durable import Disk
from greffier.errors import Busy, IntegrityError, StorageFailed
from greffier_office import tombstones
from greffier_office.tombstones import BadRecord, Deleted, Done, Tombstones
from greffier_sim.faults import Fault, FaultySystem

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "office" / "tombstones.json").read_text()
)
ONE = Deleted("box-1", "1" * 32, "2" * 32, 5, "DELETE_DUE", "", "C", 7, "3" * 64, "4" * 64)


@pytest.mark.parametrize("name", VECTORS["records"]["valid"])
def test_a_record_is_read_and_written_again_the_same(name: str) -> None:
    data = VECTORS["records"]["valid"][name].encode()
    assert tombstones.encode(tombstones.decode(data)) == data


@pytest.mark.parametrize("name", VECTORS["records"]["invalid"])
def test_what_is_no_record_is_refused(name: str) -> None:
    with pytest.raises(BadRecord):
        tombstones.decode(VECTORS["records"]["invalid"][name].encode())


@pytest.mark.parametrize("name", VECTORS["files"])
def test_a_file_is_read_up_to_what_was_cut_short_and_refused_where_it_was_damaged(
    name: str,
) -> None:
    case = VECTORS["files"][name]
    data = bytes.fromhex(case["data"])
    if case["end"] is None:
        with pytest.raises(IntegrityError):
            tombstones.read_from(data)
        return
    records, end = tombstones.read_from(data)
    assert (len(records), end) == (case["records"], case["end"])


def test_a_file_cut_anywhere_holds_its_whole_records(tmp_path: Path) -> None:
    file = Tombstones(tmp_path / "deletions", Disk())
    with file.lock():
        ends = [0]
        for number in range(3):
            records = [Done("box-1", f"{number:032x}", 9)]
            ends.append(file.append(records, ends[-1]))
    whole = file.path.read_bytes()
    for cut in range(len(whole) + 1):
        records, end = tombstones.read_from(whole[:cut])
        assert end == max(one for one in ends if one <= cut)
        assert len(records) == ends.index(end)
    file.path.write_bytes(whole[: ends[2] + 3])
    with file.lock():
        file.append([ONE], ends[2])
    assert file.read()[0][2:] == [ONE]


def test_one_process_at_a_time_deletes(tmp_path: Path) -> None:
    file = Tombstones(tmp_path / "deletions", Disk())
    with file.lock(), pytest.raises(Busy):
        Tombstones(tmp_path / "deletions", Disk()).lock()


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.SHORT])
def test_what_the_disk_refuses_is_promised_to_nobody(tmp_path: Path, fault: Fault) -> None:
    good = Tombstones(tmp_path / "deletions", Disk())
    with good.lock():
        at = good.append([ONE], 0)
    system = FaultySystem(at=1, fault=fault, calls=frozenset({"fdatasync"}))
    broken = Tombstones(tmp_path / "deletions", Disk(system))
    with pytest.raises(StorageFailed):
        broken.append([Done("box-1", "1" * 32, 9)], at)
    with good.lock():
        good.append([Done("box-1", "1" * 32, 10)], at)  # from where the last promise ended
    assert good.read()[0] == [ONE, Done("box-1", "1" * 32, 10)]
