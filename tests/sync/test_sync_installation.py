"""The box's side: killed at any write it is repeated, and nothing in use is lost meanwhile."""

import contextlib
import os
from pathlib import Path

import pytest
from tests.sync import enrolment_scene as scene
from tests.sync.enrolment_scene import NOW_NS, RESPONSES, Waiting

from greffier.durable import Disk
from greffier.errors import BadSync, Busy, StorageFailed
from greffier.store.layout import DataDirectory
from greffier.sync import enrolment, installation
from greffier.sync.claim import BadClaim
from greffier.sync.enrolment import Refused
from greffier.sync.folder import SyncFolder
from greffier.trust import Identity, LogKey
from greffier_office import admission, place
from greffier_office.place import Office
from greffier_sim.faults import Fault, FaultySystem, PowerCut

GOOD = RESPONSES["vectors"][0]["text"].encode()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return place.create(tmp_path / "office", Disk(), NOW_NS)


@pytest.fixture
def box(tmp_path: Path) -> Waiting:
    """A box that never asked anybody."""
    made = Waiting(
        DataDirectory(tmp_path / "data", Identity("box-00000001", NOW_NS)),
        SyncFolder(tmp_path / "sync"),
    )
    made.directory.log_key.parent.mkdir(parents=True)
    key = LogKey.new("greffier/box-00000001")
    made.directory.log_key.write_text(key.private_line() + "\n")
    return made


def quiet() -> Disk:
    """A disk whose syncs do not reach the medium: here nobody cuts the machine's own power."""
    return Disk(FaultySystem())


def ask(office: Office, box: Waiting) -> bytes:
    """A request with a fresh claim."""
    code = admission.claim(office, "", None, 7, Disk(), NOW_NS).code
    return installation.request(box.directory, box.folder, code, quiet(), NOW_NS)


def let_in(office: Office, asked: bytes) -> bytes:
    return admission.admit(office, asked, quiet(), NOW_NS).response


def put(box: Waiting, answer: bytes, disk: Disk | None = None, replace: bool = False) -> bool:
    """Install; whether anything changed."""
    return installation.install(
        answer, box.directory, box.folder, disk or quiet(), NOW_NS, replace
    ).changed


def refused(box: Waiting, answer: bytes) -> int:
    with pytest.raises(Refused) as error:
        put(box, answer)
    return error.value.number


def test_only_the_answer_to_the_last_request_is_installed(office: Office, box: Waiting) -> None:
    first, second = ask(office, box), ask(office, box)
    assert first != second
    late = let_in(office, first)
    assert refused(box, late) == 13
    assert put(box, let_in(office, second)) is True
    assert refused(box, late) == 13


def test_an_answer_is_installed_once_and_found_the_second_time(
    office: Office, box: Waiting
) -> None:
    answer = let_in(office, ask(office, box))
    assert put(box, answer) is True
    before = box.files()
    assert put(box, answer) is False
    assert box.files() == before
    box.directory.head_office.unlink()
    assert put(box, answer) is False
    assert box.files() == before


def test_a_replayed_answer_does_not_undo_a_renewal(office: Office, box: Waiting) -> None:
    old = let_in(office, ask(office, box))
    put(box, old)
    put(box, let_in(office, ask(office, box)))
    before = box.files()
    assert refused(box, old) == 13
    assert box.files() == before


def test_a_request_touches_nothing_that_is_in_use(office: Office, box: Waiting) -> None:
    put(box, let_in(office, ask(office, box)))
    before = box.files()
    ask(office, box)
    assert {name: data for name, data in box.files().items() if name != "pending.json"} == before
    assert box.folder.open(NOW_NS)


def test_another_head_office_takes_the_place_only_when_asked(
    office: Office, box: Waiting, tmp_path: Path
) -> None:
    other = place.create(tmp_path / "other", Disk(), NOW_NS, name="autre")
    put(box, let_in(office, ask(office, box)))
    answer = let_in(other, ask(other, box))
    before = box.files()
    assert refused(box, answer) == 17
    assert box.files() == before
    assert put(box, answer, replace=True) is True
    assert box.folder.open(NOW_NS).enrolment.name == "autre"


def test_a_copied_request_does_not_hold_the_code_or_its_key(office: Office, box: Waiting) -> None:
    made = admission.claim(office, "", None, 7, Disk(), NOW_NS)
    asked = installation.request(box.directory, box.folder, made.code, quiet(), NOW_NS)
    answer = let_in(office, asked)
    kept = enrolment.read_request(asked).body
    for secret in (made.code, made.code.replace("-", "")):
        assert secret.encode() not in asked + answer
    assert kept.claim == made.claim
    waits = box.folder.pending.read_bytes()
    key = waits.split(b'"key":"')[1][:64]
    assert key not in asked + answer
    put(box, answer)
    everything = b"".join(
        path.read_bytes() for path in box.folder.path.parent.rglob("*") if path.is_file()
    )
    assert made.code.encode() not in everything
    assert key not in everything and bytes.fromhex(key.decode()) not in everything


def test_a_code_that_is_mistyped_changes_nothing(box: Waiting) -> None:
    with pytest.raises(BadClaim):
        installation.request(box.directory, box.folder, "0" * 19 + "1", Disk(), NOW_NS)
    assert not box.folder.path.exists()


def test_two_commands_at_once_are_one_after_the_other(office: Office, box: Waiting) -> None:
    asked = ask(office, box)
    with Disk().lock(box.folder.path / installation.LOCK):
        with pytest.raises(Busy):
            ask(office, box)
        with pytest.raises(Busy):
            put(box, let_in(office, asked))


@pytest.mark.parametrize(
    ("before", "fault"),
    [("first enrolment", fault) for fault in Fault]
    + [("renewal", Fault.KEPT), ("renewal", Fault.CUT)],
)
def test_an_installation_that_is_killed_anywhere_is_repeated(
    tmp_path: Path, office: Office, before: str, fault: Fault
) -> None:
    """At every call of the disk: then the same command again finishes it."""
    at = 0
    while True:
        at += 1
        box = scene.waiting(tmp_path / f"{at}")
        key = LogKey.new(f"greffier/{RESPONSES['device']}")
        box.directory.log_key.write_text(key.private_line() + "\n")
        answer = GOOD
        if before == "renewal":
            put(box, GOOD)
            keys = box.directory.head_office.read_bytes()
            # The same head office again: only what it signs is new.
            box.folder.pending.write_bytes(scene.pending_bytes())
        system = FaultySystem(at=at, fault=fault)
        try:
            put(box, answer, Disk(system))
        except (StorageFailed, PowerCut):
            pass
        else:
            assert system.count < at or fault in (Fault.KEPT, Fault.LOST, Fault.SHORT)
        if box.folder.pending.exists():
            assert put(box, answer) is True
        else:
            assert put(box, answer) is False
        ready = box.folder.open(NOW_NS)
        assert ready.enrolment.device == RESPONSES["device"]
        assert not box.folder.pending.exists()
        if before == "renewal":
            assert box.directory.head_office.read_bytes() == keys
        if system.count < at:
            break
    assert at > 40


@pytest.mark.parametrize("fault", Fault)
def test_a_request_that_is_killed_anywhere_leaves_what_is_in_use(
    office: Office, box: Waiting, fault: Fault
) -> None:
    put(box, let_in(office, ask(office, box)))
    in_use = {name: data for name, data in box.files().items() if name != "pending.json"}
    code = admission.claim(office, "", None, 7, Disk(), NOW_NS).code
    at = 0
    while True:
        at += 1
        system = FaultySystem(at=at, fault=fault)
        with contextlib.suppress(StorageFailed, PowerCut):
            installation.request(box.directory, box.folder, code, Disk(system), NOW_NS)
        files = {name: data for name, data in box.files().items() if name != "pending.json"}
        assert files == in_use
        assert box.folder.open(NOW_NS)
        if system.count < at:
            break
    assert at > 5
    assert put(box, let_in(office, ask(office, box))) is True


def test_half_an_installation_is_one_clear_line(tmp_path: Path) -> None:
    """Between two files nothing is taken for an enrolment."""
    clear = 0
    for at in range(1, 80):
        box = scene.waiting(tmp_path / f"{at}")
        system = FaultySystem(at=at, fault=Fault.CUT)
        try:
            put(box, GOOD, Disk(system))
            break
        except PowerCut:
            pass
        try:
            box.folder.open(NOW_NS)
        except BadSync:
            clear += 1
        else:
            assert box.directory.head_office.exists()
    assert clear > 20


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_what_root_installs_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    box = scene.waiting(tmp_path)
    os.chown(box.folder.path, 4321, 4322)
    os.chown(box.directory.head_office.parent, 5321, 5322)
    put(box, GOOD)
    for path in box.folder.path.glob("*.[ckj]*"):
        owner = path.stat()
        assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (4321, 4322, 0o600)
    owner = box.directory.head_office.stat()
    assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (5321, 5322, 0o600)
