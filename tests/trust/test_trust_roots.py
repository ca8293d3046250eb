"""Which effaceable key a store has: chosen once, written down, never guessed, never begun anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import IntegrityError, StorageFailed, TpmFailed, TpmLost
from greffier.store import layout
from greffier.store.shred_format import PART, Entry, Name
from greffier.store.shred_names import names_in
from greffier.trust import FileRoot, roots
from greffier.trust.tpm import TpmRoot
from greffier.trust.tpm_chip import Chip
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.faults import Fault, FaultySystem, PowerCut
from greffier_sim.soak_missing import Missing

DAY = "2026-03-01"
ENTRY = Entry(Name(PART, bytes(16)), "A", b"envelope")
DESCRIBED = (
    b'{"format":1,"handles":["01500010","01500011"],"root":"tpm",'
    b'"store":"000102030405060708090a0b0c0d0e0f"}'
)


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedTpm]:
    made = EmulatedTpm(tmp_path / "tpm")
    try:
        made.start()
    except Missing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("GREFFIER_TPM", made.words)
    yield made
    made.stop()


def create(path: Path, choice: roots.Choice, disk: Disk | None = None) -> layout.DataDirectory:
    return layout.create(path, disk or Disk(), SystemClock(), b"# office\n", None, choice)


def taken(tpm: EmulatedTpm) -> list[int]:
    with Chip(tpm.connect) as chip:
        return [handle for handle in range(0x01500010, 0x01500020) if chip.look(handle)]


def test_auto_is_a_tpm_where_one_works(tpm: EmulatedTpm, tmp_path: Path) -> None:
    made = create(tmp_path / "data", "auto")
    assert made.deletion_class == "A"
    assert not list((tmp_path / "data").rglob("effaceable.key"))
    store = made.shred_store(Disk())
    assert store.class_name == "A"
    store.put(DAY, [ENTRY])
    store.close()
    assert names_in(made.shred) == {ENTRY.name}
    assert layout.open(made.path).shred_store(Disk()).get(ENTRY.name) == ENTRY


def test_auto_is_a_file_where_none_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREFFIER_TPM", f"device:{tmp_path}/tpmrm0")
    made = create(tmp_path / "data", "auto")
    assert (made.deletion_class, made.shred_store(Disk()).class_name) == ("C", "C")
    with pytest.raises(TpmFailed):
        create(tmp_path / "other", "tpm")
    with pytest.raises(StorageFailed):  # begun again, it fails again
        create(tmp_path / "other", "tpm")
    assert create(tmp_path / "other", "file").deletion_class == "C"


def test_file_asks_no_tpm(tpm: EmulatedTpm, tmp_path: Path) -> None:
    assert create(tmp_path / "data", "file").deletion_class == "C"
    assert taken(tpm) == []


def test_a_directory_without_the_description_has_its_key_in_a_file(tmp_path: Path) -> None:
    """As every directory that was made before there was a choice."""
    made = create(tmp_path / "data", "file")
    (made.shred / "effaceable.json").unlink()
    assert made.deletion_class == "C"
    assert isinstance(roots.open_root(made.shred, Disk()), FileRoot)
    made.shred_store(Disk()).close()


def test_the_description_says_where_the_key_is(tpm: EmulatedTpm, tmp_path: Path) -> None:
    (tmp_path / "effaceable.json").write_bytes(DESCRIBED)
    assert isinstance(roots.open_root(tmp_path, Disk()), TpmRoot)
    place = roots.parse_description(DESCRIBED)
    assert place is not None
    assert (place.store, place.handles) == (bytes(range(16)), (0x01500010, 0x01500011))
    assert roots.parse_description(b'{"format":1,"root":"file"}') is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format":2,"root":"file"}',
        b'{"format":1,"root":"tpm"}',
        b'{"format":1, "root":"file"}',
        DESCRIBED.replace(b'"format":1', b'"format":true'),
        DESCRIBED.replace(b'"tpm"', b'"file"'),
        DESCRIBED.replace(b"01500011", b"01500012"),
        DESCRIBED.replace(b"01500010", b"81000000"),
        DESCRIBED.replace(b"0e0f", b"0e0"),
        DESCRIBED.replace(b"0e0f", b"0E0F"),
    ],
)
def test_a_description_that_is_none_opens_nothing(data: bytes, tmp_path: Path) -> None:
    made = create(tmp_path / "data", "file")
    (made.shred / "effaceable.json").write_bytes(data)
    for deed in (lambda: made.shred_store(Disk()), lambda: names_in(made.shred)):
        with pytest.raises(IntegrityError, match=r"effaceable\.json"):
            deed()


def test_without_its_description_a_store_in_a_tpm_is_not_begun_anew(
    tpm: EmulatedTpm, tmp_path: Path
) -> None:
    made = create(tmp_path / "data", "tpm")
    (made.shred / "effaceable.json").unlink()
    with pytest.raises(IntegrityError, match="no copy can be read"):
        made.shred_store(Disk())


def test_a_cleared_tpm_leaves_the_files_as_they_are(tpm: EmulatedTpm, tmp_path: Path) -> None:
    made = create(tmp_path / "data", "tpm")
    store = made.shred_store(Disk())
    store.put(DAY, [ENTRY])
    store.close()
    before = {path: path.read_bytes() for path in made.shred.rglob("*") if path.is_file()}
    kept = tpm.state
    tpm.tool("tpm2_clear", "-c", "p")
    for _ in range(2):
        with pytest.raises(TpmLost, match="no new store is begun"):
            made.shred_store(Disk())
        with pytest.raises(TpmLost):
            names_in(made.shred)
    assert {path: path.read_bytes() for path in made.shred.rglob("*") if path.is_file()} == before
    tpm.stop()
    (tpm.folder / "tpm2-00.permall").write_bytes(kept)  # the right TPM is back
    tpm.start()
    assert made.shred_store(Disk()).get(ENTRY.name) == ENTRY


def test_a_tpm_that_fails_within_a_commit_is_read_again(tpm: EmulatedTpm, tmp_path: Path) -> None:
    made = create(tmp_path / "data", "tpm")
    store = made.shred_store(Disk())
    store.put(DAY, [ENTRY])
    tpm.kill()
    with pytest.raises(TpmFailed):
        store.destroy([ENTRY.name])
    with pytest.raises(StorageFailed):  # whether it was done, nobody knows
        store.read(ENTRY.name)
    with pytest.raises(TpmFailed):
        store.names()
    tpm.start()
    assert store.names() == [ENTRY.name]
    assert store.destroy([ENTRY.name]).names == (ENTRY.name,)
    assert store.names() == []


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_AFTER])
def test_a_directory_that_was_half_made_finds_its_own_indices_again(
    tpm: EmulatedTpm, tmp_path: Path, fault: Fault
) -> None:
    at, done = 0, False
    while not done:
        at += 3
        path = tmp_path / str(at)
        system = FaultySystem(at=at, fault=fault)
        try:
            create(path, "tpm", Disk(system))
            done = True
        except PowerCut:
            pass
        made = layout.open(path) if (path / "device.json").exists() else create(path, "tpm")
        assert made.shred_store(Disk()).names() == []
        assert len(taken(tpm)) == 2
        root = roots.open_root(made.shred, Disk())
        assert isinstance(root, TpmRoot)
        root.unmake()
    assert at > 12


def test_a_half_made_directory_that_becomes_one_of_files_gives_its_indices_back(
    tpm: EmulatedTpm, tmp_path: Path
) -> None:
    made = create(tmp_path / "data", "tpm")
    (made.path / "device.json").unlink()
    assert len(taken(tpm)) == 2
    assert create(made.path, "file").deletion_class == "C"
    assert taken(tpm) == []
