"""The shred store: durable before it answers, all old or all new at any fault, really gone."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from greffier.durable import Disk
from greffier.errors import AlreadyThere, IntegrityError, NotFound, StorageFailed
from greffier.store.shred import ShredStore
from greffier.store.shred_format import (
    METADATA,
    PART,
    BadBucket,
    BadRoot,
    Entry,
    Name,
    open_root,
    walk,
)
from greffier.trust import EffaceableRoot, FileRoot, parse_effaceable
from greffier.trust.tpm import TpmRoot, find_place
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.faults import Fault, FaultySystem, PowerCut
from greffier_sim.soak_missing import Missing

DAY = "2026-03-01"
NEXT = "2026-03-02"


def entry(number: int, size: int = 40) -> Entry:
    identifier = hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]
    return Entry(Name(PART, identifier), "C", bytes([number % 256]) * size)


class FileKeys:
    """The effaceable key is a file, in the folder that is opened."""

    def root(self, folder: Path, disk: Disk, create: bool) -> EffaceableRoot:
        return FileRoot(disk, folder / "a" / "effaceable.key", folder / "b" / "effaceable.key")

    def copy(self, start: Path, folder: Path) -> None:
        shutil.copytree(start, folder)

    def known(self) -> list[bytes]:
        """What is found beside the files."""
        return []


class TpmKeys(FileKeys):
    """The effaceable key is in a TPM, for the one folder that was made last."""

    def __init__(self, folder: Path) -> None:
        self.tpm = EmulatedTpm(folder).start()
        self._root: TpmRoot | None = None
        self._saved: dict[Path, bytes] = {}

    def root(self, folder: Path, disk: Disk, create: bool) -> EffaceableRoot:
        if create or self._root is None:
            if self._root is not None:
                self._root.unmake()
            self._root = TpmRoot(find_place(self.tpm.connect), self.tpm.connect)
            self._root.make()
        return self._root

    def copy(self, start: Path, folder: Path) -> None:
        """The TPM goes back to what it held when *start* was copied first, which no TPM does."""
        assert self._root is not None
        self._root.replace(self._saved.setdefault(start, self._root.read()))
        shutil.copytree(start, folder)

    def known(self) -> list[bytes]:
        return self._root.peek() if self._root is not None else []


class Keys:
    """Where the key lies in the test that runs."""

    now: FileKeys = FileKeys()


@pytest.fixture(scope="module")
def in_a_tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TpmKeys]:
    try:
        found = TpmKeys(tmp_path_factory.mktemp("tpm"))
    except Missing as error:
        pytest.skip(str(error))
    yield found
    found.tpm.stop()


@pytest.fixture
def keys(request: pytest.FixtureRequest) -> Iterator[None]:
    Keys.now = request.getfixturevalue("in_a_tpm") if request.param == "tpm" else FileKeys()
    yield
    Keys.now = FileKeys()


def either(test: Callable[..., None]) -> Callable[..., None]:
    """Run *test* with the key in a file, and with the key in a TPM."""
    test = pytest.mark.parametrize("keys", ["file", "tpm"], indirect=True)(test)
    return pytest.mark.usefixtures("keys")(test)


def opened(folder: Path, disk: Disk | None = None, create: bool = False) -> ShredStore:
    disk = disk or Disk(FaultySystem())
    keys = Keys.now.root(folder, disk, create)
    if create:
        return ShredStore.create(folder, disk, keys)
    return ShredStore.open(folder, disk, keys)


def contents(store: ShredStore) -> dict[Name, Entry]:
    return {name: store.get(name) for name in store.names()}


def filled(folder: Path) -> dict[Name, Entry]:
    store = opened(folder, create=True)
    store.put(DAY, [entry(1), entry(2)])
    store.put(DAY, [entry(3)])
    store.put(NEXT, [entry(4)])
    store.close()
    return contents(opened(folder))


@either
def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    before = filled(tmp_path)
    assert set(before) == {entry(n).name for n in (1, 2, 3, 4)}
    store = opened(tmp_path)
    assert contents(store) == before
    assert store.day_of(entry(4).name) == NEXT
    assert store.take_reports() == []


@either
def test_a_bucket_goes_on_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    generation = store.generation
    store.put(DAY, [entry(5)])
    assert store.generation == generation
    assert contents(opened(tmp_path))[entry(5).name] == entry(5)


@either
def test_a_name_is_put_once(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    with pytest.raises(AlreadyThere):
        store.put(NEXT, [entry(1)])
    with pytest.raises(AlreadyThere):
        store.put(NEXT, [entry(8), entry(8)])
    with pytest.raises(NotFound):
        store.get(entry(8).name)


@either
def test_two_kinds_of_one_id_are_two_entries(tmp_path: Path) -> None:
    store = opened(tmp_path, create=True)
    one = entry(1)
    other = Entry(Name(METADATA, one.name.id), "C", b"other")
    store.put(DAY, [one, other])
    store.destroy([one.name])
    assert contents(opened(tmp_path)) == {other.name: other}


def opens_now(folder: Path) -> set[Name]:
    """Every name that any file opens with any key of the tree or the TPM, by brute force."""
    found: set[Name] = set()
    files = [path for path in folder.rglob("*") if path.is_file()]
    roots = []
    keys = Keys.now.known()
    for path in files:
        with suppress(ValueError):
            keys.append(parse_effaceable(path.read_bytes())[1])
    for key in keys:
        for slot in files:
            with suppress(BadRoot):
                roots.append(open_root(slot.read_bytes(), key))
    for root in roots:
        for day, key in root.buckets.items():
            for path in files:
                with suppress(BadBucket):
                    found |= {one.entry.name for one in walk([path.read_bytes()], day, key).placed}
    return found


@either
def test_nothing_in_the_tree_opens_what_was_destroyed(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    gone = store.destroy([entry(1).name, entry(4).name, entry(9).name])
    assert (set(gone.names), gone.absent) == (
        {entry(1).name, entry(4).name},
        (entry(9).name,),
    )
    assert gone.leftovers == 0
    assert opens_now(tmp_path) == {entry(2).name, entry(3).name}
    assert set(contents(opened(tmp_path))) == {entry(2).name, entry(3).name}


@either
def test_destroying_nothing_commits_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    generation = store.generation
    assert store.destroy([entry(9).name]).names == ()
    assert store.generation == generation


def test_old_files_and_the_old_key_together_are_needed_to_open(tmp_path: Path) -> None:
    """What a chip-off of class C would find: with the old E the old state opens, without it not."""
    folder = tmp_path / "shred"
    filled(folder)
    shutil.copytree(folder, tmp_path / "old")
    opened(folder).destroy([entry(1).name])
    new_key = (folder / "a" / "effaceable.key").read_bytes()
    assert entry(1).name in opens_now(tmp_path / "old")
    for copy in "ab":
        (tmp_path / "old" / copy / "effaceable.key").write_bytes(new_key)
    assert opens_now(tmp_path / "old") == set()


@either
def test_an_entry_whose_put_failed_can_be_destroyed(tmp_path: Path) -> None:
    """Its record may stand in the file although no one was told so."""
    filled(tmp_path)
    system = FaultySystem(at=1, calls=frozenset({"fdatasync"}))
    store = opened(tmp_path, Disk(system))
    with pytest.raises(StorageFailed):
        store.put(DAY, [entry(5)])
    assert entry(5).name in opens_now(tmp_path)
    assert store.destroy([entry(5).name]).absent == (entry(5).name,)
    assert opens_now(tmp_path) == {entry(n).name for n in (1, 2, 3, 4)}


# --- damage ---


def bucket_files(folder: Path, day: str = DAY) -> list[Path]:
    return sorted(folder.rglob(f"{day}.*"))


@either
@pytest.mark.parametrize("copy", [0, 1])
def test_every_damaged_byte_of_one_copy_is_mended_from_the_other(tmp_path: Path, copy: int) -> None:
    before = filled(tmp_path)
    for path in [p for p in sorted(tmp_path.rglob("*")) if p.is_file()][copy::2]:
        good = path.read_bytes()
        for at in range(0, len(good), 7):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            store = opened(tmp_path)
            assert contents(store) == before
            assert path.read_bytes() == good
            store.close()


@either
def test_a_missing_copy_is_made_again(tmp_path: Path) -> None:
    before = filled(tmp_path)
    for path in list((tmp_path / "b").iterdir()):
        path.unlink()
    store = opened(tmp_path)
    assert contents(store) == before
    assert {(one.day, one.kind) for one in store.take_reports()} == {
        (DAY, "repaired"),
        (NEXT, "repaired"),
    }
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


@either
def test_damage_while_open_is_mended_when_read(tmp_path: Path) -> None:
    before = filled(tmp_path)
    store = opened(tmp_path)
    path = bucket_files(tmp_path)[0]
    good = path.read_bytes()
    path.write_bytes(good[:60] + b"\xff" + good[61:])
    assert contents(store) == before
    assert path.read_bytes() == good
    store.put(DAY, [entry(7)])
    assert entry(7).name in contents(opened(tmp_path))


@either
def test_one_record_damaged_in_both_copies_loses_only_itself(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in bucket_files(tmp_path):
        good = path.read_bytes()
        path.write_bytes(good[:70] + bytes([good[70] ^ 1]) + good[71:])
    store = opened(tmp_path)
    assert set(store.names()) == {entry(n).name for n in (2, 3, 4)}
    assert [one.kind for one in store.take_reports()] == ["lost"]
    store.put(DAY, [entry(6)])
    store.destroy([entry(2).name])
    assert set(contents(opened(tmp_path))) == {entry(n).name for n in (3, 4, 6)}


@either
def test_a_torn_tail_is_cut_and_reported(tmp_path: Path) -> None:
    before = filled(tmp_path)
    for path in bucket_files(tmp_path):
        path.write_bytes(path.read_bytes() + b"\0\0\0\x40\0\0\0\x03half a record")
    store = opened(tmp_path)
    assert contents(store) == before
    assert [one.kind for one in store.take_reports()] == ["torn"]
    store.put(DAY, [entry(6)])
    assert set(contents(opened(tmp_path))) == set(before) | {entry(6).name}


@either
def test_both_headers_gone_loses_the_day_and_says_so(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in bucket_files(tmp_path):
        path.write_bytes(b"")
    store = opened(tmp_path)
    assert store.names() == [entry(4).name]
    assert [one.kind for one in store.take_reports()] == ["unreadable"]
    store.put(DAY, [entry(1)])
    assert set(contents(opened(tmp_path))) == {entry(1).name, entry(4).name}


@either
def test_no_effaceable_key_or_no_root_is_an_integrity_error(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in tmp_path.rglob("root.*"):
        path.write_bytes(b"x")
    with pytest.raises(IntegrityError):
        opened(tmp_path)
    for path in tmp_path.rglob("effaceable.key"):
        path.write_bytes(path.read_bytes()[:51])
    with pytest.raises(IntegrityError):
        opened(tmp_path)


@either
def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    filled(tmp_path / "shred")
    for path in (tmp_path / "shred").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


# --- every fault at every system call ---

Deed = Callable[[ShredStore], object]
DEEDS: dict[str, tuple[Deed, set[int], set[int]]] = {
    "append": (lambda s: s.put(DAY, [entry(5), entry(6)]), set(), {5, 6}),
    "new day": (lambda s: s.put("2026-03-03", [entry(5)]), set(), {5}),
    "destroy some": (lambda s: s.destroy([entry(1).name, entry(4).name]), {1, 4}, set()),
    "destroy all": (
        lambda s: s.destroy([entry(n).name for n in (1, 2, 3, 4)]),
        {1, 2, 3, 4},
        set(),
    ),
}


@either
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("deed", DEEDS)
def test_at_every_fault_the_state_is_all_old_or_all_new(
    tmp_path: Path, deed: str, fault: Fault
) -> None:
    act, minus, plus = DEEDS[deed]
    start = tmp_path / "start"
    old = set(filled(start))
    new = old - {entry(n).name for n in minus} | {entry(n).name for n in plus}
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        Keys.now.copy(start, folder)
        system = FaultySystem(at=at, fault=fault)
        store = None
        finished = False
        try:
            store = opened(folder, Disk(system))
            act(store)
            finished = True
            assert set(contents(store)) == new
        except StorageFailed:
            system.at = 0
            if store is not None:
                # Without reopening: whole, and the deed can be asked for again.
                here = set(contents(store))
                assert here in (old, new)
                with suppress(AlreadyThere):
                    act(store)
                assert set(contents(store)) == new
        except PowerCut:
            store = None
        after = set(contents(opened(folder)))
        if store is not None:
            assert after == new
        else:
            assert after in (old, new) or (deed == "append" and old < after < new)
        if finished and minus:
            assert opens_now(folder) == new
        shutil.rmtree(folder)
        if system.count < at:
            break
    assert at > 5


@either
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_two_faults_in_a_row_still_leave_one_of_the_states(tmp_path: Path, fault: Fault) -> None:
    start = tmp_path / "start"
    old = set(filled(start))
    new = old - {entry(1).name}
    for at in range(1, 40, 2):
        folder = tmp_path / str(at)
        Keys.now.copy(start, folder)
        system = FaultySystem()
        store = opened(folder, Disk(system))
        for step in (at, at // 3 + 1):
            system.count, system.at, system.fault = 0, step, fault
            with suppress(StorageFailed):
                store.destroy([entry(1).name])
        system.at = 0
        assert set(contents(store)) in (old, new)
        assert set(contents(opened(folder))) in (old, new)
        store.destroy([entry(1).name])
        assert opens_now(folder) == new


# --- against a tiny model ---


class Model(RuleBasedStateMachine):
    """The store beside a dict of days, with restarts, faults and damage of one copy."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="greffier-shred-"))
        self.system = FaultySystem()
        self.store = opened(self.folder, Disk(self.system), create=True)
        self.model: dict[int, str] = {}
        self.unsure: set[int] = set()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(numbers=st.sets(st.integers(0, 12), max_size=3), day=st.sampled_from([DAY, NEXT]))
    def put(self, numbers: set[int], day: str) -> None:
        fresh = sorted(numbers - set(self.model) - self.unsure)
        self.store.put(day, [entry(n) for n in fresh])
        self.model |= dict.fromkeys(fresh, day)

    @rule(numbers=st.sets(st.integers(0, 12), max_size=4))
    def destroy(self, numbers: set[int]) -> None:
        self.store.destroy([entry(n).name for n in numbers])
        for n in numbers:
            self.model.pop(n, None)
            self.unsure.discard(n)

    @rule(
        numbers=st.sets(st.integers(0, 12), min_size=1, max_size=3),
        at=st.integers(1, 12),
        fault=st.sampled_from([Fault.LOST, Fault.KEPT, Fault.SHORT]),
    )
    def put_with_a_fault(self, numbers: set[int], at: int, fault: Fault) -> None:
        fresh = sorted(numbers - set(self.model) - self.unsure)
        self.system.count, self.system.at, self.system.fault = 0, at, fault
        try:
            self.store.put(DAY, [entry(n) for n in fresh])
        except StorageFailed:
            self.unsure |= set(fresh)
        else:
            self.model |= dict.fromkeys(fresh, DAY)
        self.system.at = 0

    @rule(
        numbers=st.sets(st.integers(0, 12), max_size=4),
        at=st.integers(1, 25),
        fault=st.sampled_from([Fault.LOST, Fault.KEPT]),
    )
    def destroy_with_a_fault(self, numbers: set[int], at: int, fault: Fault) -> None:
        self.system.count, self.system.at, self.system.fault = 0, at, fault
        names = [entry(n).name for n in numbers]
        try:
            self.store.destroy(names)
        except StorageFailed:
            self.system.at = 0
            there = numbers & {n for n in range(13) if entry(n).name in contents(self.store)}
            held = numbers & set(self.model)
            assert there & set(self.model) in (held, set())
            self.store.destroy(names)
        self.system.at = 0
        for n in numbers:
            self.model.pop(n, None)
            self.unsure.discard(n)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = opened(self.folder, Disk(self.system))

    @rule(copy=st.sampled_from("ab"), which=st.integers(0, 50), at=st.integers(0, 500))
    def damage_one_copy(self, copy: str, which: int, at: int) -> None:
        self.restart()
        files = sorted((self.folder / copy).iterdir())
        path = files[which % len(files)]
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 0x40
        path.write_bytes(data)
        self.restart()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        there = contents(self.store)
        for n in range(13):
            if n in self.model:
                assert there[entry(n).name] == entry(n)
                assert self.store.day_of(entry(n).name) == self.model[n]
            elif n not in self.unsure:
                assert entry(n).name not in there

    @invariant()
    def the_tree_opens_nothing_else(self) -> None:
        allowed = {entry(n).name for n in set(self.model) | self.unsure}
        assert opens_now(self.folder) <= allowed


TestAgainstAModel = Model.TestCase
TestAgainstAModel.settings = settings(deadline=None, max_examples=25, stateful_step_count=15)


def test_against_a_model_with_the_key_in_a_tpm(in_a_tpm: TpmKeys) -> None:
    Keys.now = in_a_tpm
    try:
        run_state_machine_as_test(
            Model, settings=settings(deadline=None, max_examples=10, stateful_step_count=15)
        )
    finally:
        Keys.now = FileKeys()


@either
def test_another_thread_reads_while_the_owner_writes_and_destroys(tmp_path: Path) -> None:
    store = opened(tmp_path, create=True)
    stays = [entry(number) for number in range(8)]
    store.put(DAY, stays[:4])
    store.put(NEXT, stays[4:])
    over = threading.Event()
    wrong: list[object] = []
    reads = 0

    def read() -> None:
        nonlocal reads
        while not over.is_set():
            for one in stays:
                try:
                    if store.read(one.name) != one:
                        wrong.append(one)
                except StorageFailed:
                    pass  # the root is just being replaced
                except (NotFound, IntegrityError) as error:
                    wrong.append(error)
            reads += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(100, 140):
            store.put(DAY if number % 2 else NEXT, [entry(number)])
            if number % 3 == 0:
                store.destroy([entry(number).name])
                with pytest.raises(NotFound):
                    store.read(entry(number).name)
        while not reads:
            pass
    finally:
        over.set()
        thread.join()
    assert wrong == []


@either
def test_reading_mends_nothing_and_believes_the_copy_that_is_whole(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    (path,) = (tmp_path / "a").glob(f"{DAY}.*")
    damaged = bytearray(path.read_bytes())
    damaged[-60:] = bytes(60)
    path.write_bytes(damaged)
    assert store.read(entry(3).name) == entry(3)
    assert path.read_bytes() == damaged
    (other,) = (tmp_path / "b").glob(f"{DAY}.*")
    other.write_bytes(damaged)
    with pytest.raises(IntegrityError):
        store.read(entry(3).name)


def test_while_nobody_knows_what_is_destroyed_nothing_is_read(tmp_path: Path) -> None:
    answers = set()
    for fault in (Fault.LOST, Fault.KEPT):
        for at in range(1, 60):
            folder = tmp_path / f"{fault.name}{at}"
            filled(folder)
            system = FaultySystem()
            store = opened(folder, Disk(system))
            system.at, system.fault = system.count + at, fault
            with suppress(StorageFailed):
                store.destroy([entry(1).name])
            try:
                assert store.read(entry(2).name) == entry(2)
                answers.add("read")
            except StorageFailed:
                answers.add("not now")
            assert store.get(entry(2).name) == entry(2)  # the owner finds out
            assert store.read(entry(2).name) == entry(2)
            store.close()
            if system.count < system.at:
                break
    assert answers == {"read", "not now"}
