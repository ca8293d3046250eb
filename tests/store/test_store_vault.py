"""The vault: what was committed is there after any fault, and recovery cuts only what was not."""

import hashlib
import io
from contextlib import suppress
from pathlib import Path

import pytest

from greffier.durable import FIRST_RESERVE, Disk
from greffier.errors import AlreadyThere, NotFound, StorageFailed
from greffier.seal.frames import Meta
from greffier.seal.part import PartWriter
from greffier.seal.reader import Reader
from greffier.store.vault import OpenPart, Vault
from greffier_sim.faults import Fault, FaultySystem, PowerCut

DAY = "2026-03-01"
KEY = bytes(range(32))


def part_id(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]


def writer(number: int, envelopes: bytes = b"") -> PartWriter:
    return PartWriter(
        part_id=part_id(number),
        recording_id=part_id(1000),
        number=number,
        meta={"line": "front"},
        content_key=KEY,
        envelopes=envelopes,
    )


def frame(one: PartWriter, text: str) -> bytes:
    return one.seal(Meta({"note": text * 20}))


def texts(path: Path) -> list[str]:
    """What a holder of the key reads in the file: each note's first letter."""
    with path.open("rb") as file:
        opened = Reader(io.BytesIO(file.read())).open(KEY)
        found = opened.frames(allow_unfinished=True)
        return [one.content.value["note"][0] for one in found if isinstance(one.content, Meta)]


def vault(folder: Path, disk: Disk | None = None) -> Vault:
    folder.mkdir(exist_ok=True)
    return Vault(folder, disk or Disk(FaultySystem()))


def paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.gpart"))


def begun(store: Vault, number: int) -> tuple[PartWriter, OpenPart]:
    seal = writer(number)
    return seal, store.create(part_id(number).hex(), DAY, seal.header)


def test_a_part_is_written_committed_and_closed(tmp_path: Path) -> None:
    store = vault(tmp_path)
    seal, part = begun(store, 1)
    part.append(frame(seal, "a"))
    assert part.committed == 0
    assert store.commit() == []
    assert part.committed == part.size
    end = seal.finish("end")
    part.append(end.frame)
    closed = store.close(part)
    path = store.path_of(part.part_id)
    assert (closed.size, closed.sha256) == (end.size, end.sha256.hex())
    assert store.digest(part.part_id) == closed
    assert path == tmp_path / DAY / f"{part.part_id}.gpart"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_blocks * 512 < 1 << 15
    assert texts(path) == ["a"]
    assert [(one.part_id, one.day, one.size) for one in store.parts()] == [
        (part.part_id, DAY, closed.size)
    ]
    assert store.open_parts == []
    assert store.recover() == []


def test_a_part_id_is_used_once(tmp_path: Path) -> None:
    store = vault(tmp_path)
    begun(store, 1)
    with pytest.raises(AlreadyThere):
        begun(store, 1)
    for wrong in ("", "../../etc/x", "AB" * 16, part_id(2).hex() + "0"):
        with pytest.raises(ValueError, match="32 hex"):
            store.create(wrong, DAY, b"header")
        with pytest.raises(NotFound):
            store.path_of(wrong)
    with pytest.raises(ValueError, match="a day"):
        store.create(part_id(2).hex(), "../2026", b"header")


def test_many_parts_and_their_names_are_committed_together(tmp_path: Path) -> None:
    calls = ["write_out"] * 18 + ["syncfs", "open", "fsync"]
    system = FaultySystem()
    store = vault(tmp_path, Disk(system))
    for number in range(8):
        seal, part = begun(store, number)
        part.append(frame(seal, "a"))
    also = Disk(system).create(tmp_path / "journal")
    also.append(b"x")
    system.done.clear()
    assert store.commit([also]) == []
    assert system.done == calls
    assert also.committed == 1
    also.append(b"y")
    assert store.commit([also]) == []
    assert system.done[len(calls) :] == ["write", "fdatasync"]  # no name is new


def test_a_part_whose_name_is_not_durable_is_abandoned(tmp_path: Path) -> None:
    system = FaultySystem(at=1, calls=frozenset())
    store = vault(tmp_path, Disk(system))
    _, old = begun(store, 1)
    assert store.commit() == []
    _, fresh = begun(store, 2)
    system.calls = frozenset({"fsync"})
    assert store.commit() == [fresh]
    assert fresh.appender.error is not None
    assert store.open_parts == [old]


def test_reserved_blocks_that_a_power_cut_left_are_given_back(tmp_path: Path) -> None:
    store = vault(tmp_path)
    seal, part = begun(store, 1)
    part.append(frame(seal, "a"))
    whole, ended = begun(store, 2)
    ended.append(whole.finish("ended").frame)
    assert store.commit() == []
    held = [path.stat().st_blocks * 512 for path in paths(tmp_path)]
    if min(held) < FIRST_RESERVE:
        pytest.skip("this file system reserves no blocks")
    for one in (part, ended):
        store.abandon(one)
    assert [one.state for one in vault(tmp_path).recover()] == ["unfinished"]
    assert max(path.stat().st_blocks * 512 for path in paths(tmp_path)) < FIRST_RESERVE // 2


def test_a_part_whose_sync_fails_is_abandoned_and_the_others_go_on(tmp_path: Path) -> None:
    system = FaultySystem(at=2, calls=frozenset({"fdatasync", "syncfs"}))
    store = vault(tmp_path, Disk(system))
    kept, lost = begun(store, 1), begun(store, 2)
    for seal, part in (kept, lost):
        part.append(frame(seal, "a"))
    assert store.commit() == [lost[1]]
    assert store.open_parts == [kept[1]]
    with pytest.raises(StorageFailed):
        lost[1].append(b"more")
    kept[1].append(frame(kept[0], "b"))
    assert store.commit() == []


def test_only_named_parts_are_removed(tmp_path: Path) -> None:
    store = vault(tmp_path)
    for number in (1, 2, 3):
        store.close(begun(store, number)[1])
    gone = store.remove([part_id(1).hex(), part_id(9).hex(), part_id(3).hex(), part_id(1).hex()])
    assert gone == [part_id(1).hex(), part_id(3).hex()]
    assert [one.part_id for one in store.parts()] == [part_id(2).hex()]
    with pytest.raises(NotFound):
        store.digest(part_id(1).hex())


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    store = vault(tmp_path)
    store.close(begun(store, 1)[1])
    (tmp_path / "notes").mkdir()
    (tmp_path / DAY / "readme.txt").write_text("x")
    assert len(store.parts()) == 1
    assert [one.part_id for one in store.recover()] == [part_id(1).hex()]
    assert (tmp_path / DAY / "readme.txt").exists()


# --- recovery ---


def stored(folder: Path) -> tuple[Path, list[int]]:
    """A finished part of three frames, and the file's size after its header and each frame."""
    store = vault(folder)
    seal, part = begun(store, 1)
    ends = [part.size]
    for text in "abc":
        part.append(frame(seal, text))
        ends.append(part.size)
    part.append(seal.finish("end").frame)
    store.close(part)
    return store.path_of(part.part_id), [*ends, part.size]


def test_a_part_cut_at_any_length_keeps_its_whole_frames(tmp_path: Path) -> None:
    path, ends = stored(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole[:length])
        found = vault(tmp_path).recover()
        if length == len(whole):
            assert found == []
        elif length < ends[0]:
            assert [(one.state, one.cut) for one in found] == [("empty", length)]
            assert not path.exists()
        else:
            good = max(end for end in ends if end <= length)
            state = "unfinished" if good == length else "torn"
            assert [(one.state, one.size, one.cut) for one in found] == [
                (state, good, length - good)
            ]
            assert found[0].sha256 == hashlib.sha256(whole[:good]).hexdigest()
            assert path.read_bytes() == whole[:good]
            assert texts(path) == list("abc")[: ends.index(good)]


def test_damage_inside_is_left_and_reported(tmp_path: Path) -> None:
    path, ends = stored(tmp_path)
    whole = path.read_bytes()
    for at in (20, ends[0] - 1, ends[0] + 20, ends[1] + 5):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.write_bytes(damaged)
        assert [one.state for one in vault(tmp_path).recover()] == ["damaged"]
        assert path.read_bytes() == damaged
    assert vault(tmp_path).recover(known={path.stem}) == []


# --- every fault at every system call ---


def tell(store: Vault) -> tuple[dict[str, int], dict[str, str]]:
    """Write two parts in ticks, as a recorder would; (notes committed, notes accepted) by part."""
    committed: dict[str, int] = {}
    accepted: dict[str, str] = {}
    open_parts: dict[int, tuple[PartWriter, OpenPart]] = {}
    try:
        for tick, text in enumerate("abcd"):
            for number in (1, 2):
                if number not in open_parts:
                    with suppress(StorageFailed):
                        open_parts[number] = begun(store, number + 10 * tick)
                if number not in open_parts:
                    continue
                seal, part = open_parts[number]
                sealed = frame(seal, text)
                try:
                    part.append(sealed)
                except StorageFailed:
                    if part.dead:
                        store.abandon(part)
                        del open_parts[number]
                        continue
                    part.append(sealed)
                accepted[part.part_id] = accepted.get(part.part_id, "") + text
            dead = store.commit()
            for number, (_, part) in list(open_parts.items()):
                if part in dead:
                    del open_parts[number]
                elif part.part_id in accepted:
                    committed[part.part_id] = len(accepted[part.part_id])
        for _, part in open_parts.values():
            with suppress(StorageFailed):
                store.close(part)
    except PowerCut:
        pass
    return committed, accepted


@pytest.mark.parametrize("fault", Fault)
def test_at_every_fault_what_was_committed_is_there_and_nothing_else(
    tmp_path: Path, fault: Fault
) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        system = FaultySystem(at=at, fault=fault)
        committed, accepted = tell(vault(folder, Disk(system)))
        again = vault(folder)
        assert all(one.state != "damaged" for one in again.recover())
        assert all(one.state == "unfinished" for one in again.recover())
        found = {one.part_id: "".join(texts(one.path)) for one in again.parts()}
        for identifier, count in committed.items():
            assert len(found[identifier]) >= count
        for identifier, notes in found.items():
            told = accepted.get(identifier, "")
            assert notes.startswith(told[: len(notes)])
            assert len(notes) <= len(told) + 1
        if system.count < at:
            assert set(accepted.values()) == {"abcd"}
            break
    assert at > 10


def test_no_two_frames_share_a_number_under_one_key_after_any_fault(tmp_path: Path) -> None:
    """A frame is sealed once and given again as it is, so a number never meets two plaintexts."""
    for at in range(1, 40):
        system = FaultySystem(at=at, fault=Fault.SHORT)
        folder = tmp_path / str(at)
        tell(vault(folder, Disk(system)))
        vault(folder).recover()
        for one in vault(folder).parts():
            assert Reader(one.path.read_bytes()).scan().refusal is not None
            assert texts(one.path) == sorted(set(texts(one.path)))
