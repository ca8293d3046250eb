"""The data directory: whole or none, for one owner, with keys that are nobody else's."""

from contextlib import suppress
from pathlib import Path

import pytest

from greffier import trust
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import (
    AlreadyThere,
    BadKeyFile,
    Busy,
    IntegrityError,
    NotADataDirectory,
    StorageFailed,
)
from greffier.store import layout
from greffier.trust import FileRoot, LogKey
from greffier_sim.faults import Fault, FaultySystem, PowerCut

OFFICE = b"# office\ngreffier-office-pub-1:x\n"


def made(
    path: Path, disk: Disk | None = None, console: bytes | None = None
) -> layout.DataDirectory:
    return layout.create(path, disk or Disk(FaultySystem()), SystemClock(), OFFICE, console)


@pytest.mark.parametrize(
    "fields",
    [
        '"created_ns":"1","device":"box-1a2b3c4d","format":true',
        '"created_ns":"1","device":"box-1a2b3c4d","format":2',
        '"created_ns":"\u0663","device":"box-1a2b3c4d","format":1',
        '"created_ns":"99999999999999999999","device":"box-1a2b3c4d","format":1',
        '"created_ns":1,"device":"box-1a2b3c4d","format":1',
        '"created_ns":"1","device":"box-1A2B3C4D","format":1',
        '"created_ns":"1","device":"box-1a2b3c4d/..","format":1',
        '"created_ns":"1","device":"box-1a2b3c4d","format":1,"more":1',
    ],
)
def test_a_device_file_that_is_none_is_refused(tmp_path: Path, fields: str) -> None:
    path = tmp_path / "device.json"
    path.write_text('{"created_ns":"1","device":"box-1a2b3c4d","format":1}')
    assert trust.load_identity(path).device == "box-1a2b3c4d"
    path.write_text(f"{{{fields}}}", "utf-8")
    with pytest.raises(NotADataDirectory):
        trust.load_identity(path)


def test_a_console_key_that_nobody_asked_for_does_not_stay(tmp_path: Path) -> None:
    planted = tmp_path / "data" / "keys" / "console.pub"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"planted")
    assert not made(tmp_path / "data").console_public.exists()


def test_a_new_directory_is_opened_again(tmp_path: Path) -> None:
    first = made(tmp_path / "data", console=b"console")
    again = layout.open(tmp_path / "data")
    assert again == first
    assert again.office_public.read_bytes() == OFFICE
    assert again.console_public.read_bytes() == b"console"
    assert again.identity.device.startswith("box-")
    assert again.vault(Disk()).parts() == []
    store = again.shred_store(Disk(FaultySystem()))
    assert (store.names(), store.class_name) == ([], "C")
    key = trust.load_log_key(again.log_key)
    assert key.name == f"greffier/{again.identity.device}"
    assert again.log_public.read_text("ascii") == key.public_line() + "\n"


def test_everything_in_it_is_for_the_owner_only(tmp_path: Path) -> None:
    made(tmp_path / "data")
    for path in (tmp_path / "data", *(tmp_path / "data").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_two_boxes_share_nothing(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    assert one.identity != two.identity
    assert one.log_key.read_bytes() != two.log_key.read_bytes()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = made(tmp_path / "data")
    before = first.log_key.read_bytes()
    with pytest.raises(AlreadyThere):
        made(tmp_path / "data")
    assert first.log_key.read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("other", "file"):
        with pytest.raises(AlreadyThere):
            made(tmp_path / name)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADataDirectory):
        layout.open(tmp_path / "missing")
    with pytest.raises(NotADataDirectory):
        layout.open(tmp_path)
    made(tmp_path / "data").log_key.unlink()
    with pytest.raises(NotADataDirectory):
        layout.open(tmp_path / "data")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'"x"',
        b'{"created_ns":"1","device":"box-0000000g","format":1}',
        b'{"created_ns":"1","device":"box-00000000","format":2}',
        b'{"created_ns":1,"device":"box-00000000","format":1}',
        b'{"created_ns":"-1","device":"box-00000000","format":1}',
        b'{"created_ns":"1","device":5,"format":1}',
        b'{"created_ns":"1","device":"box-00000000","format":1,"more":1}',
        b'{"device":"box-00000000","created_ns":"1","format":1}',
        b'{"created_ns":"1","device":"box-00000000","format":1}\n',
        b"\xff",
    ],
)
def test_an_identity_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "device.json").write_bytes(content)
    with pytest.raises(NotADataDirectory):
        trust.load_identity(tmp_path / "device.json")


def test_a_second_process_is_busy(tmp_path: Path) -> None:
    directory = made(tmp_path / "data")
    with directory.lock(Disk()):
        with pytest.raises(Busy) as refused:
            directory.lock(Disk())
        assert refused.value.exit_code == 11
    directory.lock(Disk()).release()


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.CUT, Fault.CUT_AFTER])
def test_at_every_fault_there_is_a_whole_directory_or_none(tmp_path: Path, fault: Fault) -> None:
    at = 0
    while True:
        at += 1
        path = tmp_path / str(at)
        system = FaultySystem(at=at, fault=fault)
        with suppress(StorageFailed, PowerCut):
            made(path, Disk(system))
        try:
            directory = layout.open(path)
        except NotADataDirectory:
            made(path)
            assert layout.open(path).shred_store(Disk(FaultySystem())).names() == []
        else:
            assert directory.shred_store(Disk(FaultySystem())).names() == []
            assert trust.load_log_key(directory.log_key).name == directory.identity.origin
        if system.count < at:
            break
    assert at > 30


# --- the log key and the effaceable root ---


def test_a_log_key_is_read_back(tmp_path: Path) -> None:
    key = LogKey.new("greffier/box-00000001")
    path = tmp_path / "log.key"
    path.write_text(key.private_line() + "\n")
    again = trust.load_log_key(path)
    assert (again.name, again.public, again.key_hash) == (key.name, key.public, key.key_hash)


def test_a_log_key_is_written_as_go_writes_it(tmp_path: Path) -> None:
    """The key pair of the examples of golang.org/x/mod/sumdb/note."""
    private = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    (tmp_path / "log.key").write_text(private)
    key = trust.load_log_key(tmp_path / "log.key")
    assert key.private_line() == private
    assert key.public_line() == (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "PRIVATE+KEY+x",
        "PRIVATE+KEY+x+00000000+!!!!",
        "PUBLIC+KEY+x+00000000+AQ==",
        "PRIVATE+KEY+x+00000000+AQ==",
        "PRIVATE+KEY+x+00000000+AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "PRIVATE+KEY+x+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "é",
    ],
)
def test_a_log_key_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "log.key"
    path.write_text(content, "utf-8")
    with pytest.raises(BadKeyFile) as refused:
        trust.load_log_key(path)
    assert refused.value.exit_code == 12
    with pytest.raises(BadKeyFile):
        trust.load_log_key(tmp_path / "missing")


def root(folder: Path, disk: Disk | None = None) -> FileRoot:
    return FileRoot(disk or Disk(FaultySystem()), folder / "first", folder / "second")


def test_the_root_is_what_was_put_last(tmp_path: Path) -> None:
    one = root(tmp_path)
    with pytest.raises(IntegrityError):
        one.read()
    for number in range(3):
        one.replace(bytes([number]) * 32)
        assert root(tmp_path).read() == bytes([number]) * 32
    with pytest.raises(ValueError, match="32 bytes"):
        one.replace(b"short")


@pytest.mark.parametrize("name", ["first", "second"])
def test_either_copy_of_the_root_is_enough_and_mends_the_other(tmp_path: Path, name: str) -> None:
    root(tmp_path).replace(b"k" * 32)
    good = (tmp_path / name).read_bytes()
    for at in range(len(good) + 1):
        damaged = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] if at < len(good) else b""
        (tmp_path / name).write_bytes(damaged)
        assert root(tmp_path).read() == b"k" * 32
        assert (tmp_path / name).read_bytes() == good


@pytest.mark.parametrize("fault", Fault)
def test_at_every_fault_the_root_is_old_or_new_and_an_answer_is_final(
    tmp_path: Path, fault: Fault
) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        root(folder).replace(b"o" * 32)
        system = FaultySystem(at=at, fault=fault)
        try:
            root(folder, Disk(system)).replace(b"n" * 32)
        except (StorageFailed, PowerCut):
            answer = root(folder).read()
            assert answer in (b"o" * 32, b"n" * 32)
            # The copy that was behind is up to date: losing either changes nothing.
            assert (folder / "first").read_bytes() == (folder / "second").read_bytes()
        else:
            assert root(folder).read() == b"n" * 32
        if system.count < at:
            break
    assert at > 8
