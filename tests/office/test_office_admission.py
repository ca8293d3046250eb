"""Head office's side: a claim lets one box in once, and a command that was killed is repeated."""

import contextlib
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from greffier.durable import Disk
from greffier.errors import Busy, StorageFailed, UsageError
from greffier.store.layout import DataDirectory
from greffier.sync import enrolment, installation
from greffier.sync.claim import Claim
from greffier.sync.enrolment import Refused
from greffier.sync.folder import SyncFolder
from greffier.trust import Identity, LogKey
from greffier_office import admission, claims, place
from greffier_office.place import Office
from greffier_sim.faults import Fault, FaultySystem, PowerCut

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
NOW_NS = 1_795_348_800 * SECOND_NS


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return place.create(tmp_path / "office", Disk(), NOW_NS)


class Asker:
    """A box that can ask, with a log key of its own."""

    def __init__(self, folder: Path, number: int = 1, name: str = "") -> None:
        self.device = f"box-{number:08x}"
        at = folder / (name or self.device)
        self.folder = SyncFolder(at / "sync")
        self.directory = DataDirectory(at / "data", Identity(self.device, NOW_NS))
        self.directory.log_key.parent.mkdir(parents=True)
        key = LogKey.new(f"greffier/{self.device}")
        self.directory.log_key.write_text(key.private_line() + "\n")

    def ask(self, code: str) -> bytes:
        return installation.request(self.directory, self.folder, code, quiet(), NOW_NS)


def quiet() -> Disk:
    """A disk whose syncs do not reach the medium: here nobody cuts the machine's own power."""
    return Disk(FaultySystem())


def code(office: Office, device: str | None = None, label: str = "") -> str:
    return admission.claim(office, label, device, 7, Disk(), NOW_NS).code


def number(office: Office, asked: bytes, now_ns: int = NOW_NS) -> int:
    """Why a request is refused."""
    with pytest.raises(Refused) as refused:
        admission.admit(office, asked, Disk(), now_ns)
    return refused.value.number


def every(office: Office, question: str) -> list[Any]:
    with contextlib.closing(office.open_catalogue(Disk())) as db:
        return [tuple(row) for row in db.execute(question)]


def listed(office: Office) -> set[str]:
    """The devices that the access list lets speak."""
    text = (office.broker / "acl").read_text()
    found = set(re.findall(r"^user (box-\w+)\.b\ntopic write greffier/1/\1/up/c/\+$", text, re.M))
    assert not found & silenced(office)
    return found


def silenced(office: Office) -> set[str]:
    """The devices that the access list shuts out, both connections of each."""
    text = (office.broker / "acl").read_text()
    names = set(re.findall(r"^user (box-[\w.]+)\ntopic deny #$", text, re.MULTILINE))
    devices = {name for name in names if not name.endswith(".b")}
    assert names == devices | {f"{device}.b" for device in devices}
    return devices


def revoked(office: Office) -> set[str]:
    crl = x509.load_pem_x509_crl((office.broker / "crl.pem").read_bytes())
    assert crl.is_signature_valid(office.authority().certificate.public_key())  # type: ignore[arg-type]
    return {f"{one.serial_number:x}" for one in crl}


def test_a_code_lets_one_box_in_once(office: Office, tmp_path: Path) -> None:
    first, second = Asker(tmp_path, 1), Asker(tmp_path, 2)
    given = code(office, label="Lyon")
    asked, late = first.ask(given), second.ask(given)
    again = first.ask(given)
    admitted = admission.admit(office, asked, Disk(), NOW_NS)
    assert (admitted.label, admitted.again) == ("Lyon", False)
    assert number(office, late) == 4
    assert number(office, again) == 4
    assert (listed(office), silenced(office)) == ({first.device}, set())
    repeated = admission.admit(office, asked, Disk(), NOW_NS + 99 * DAY_NS)
    assert (repeated.again, repeated.response) == (True, admitted.response)


def test_a_code_expires_to_the_nanosecond(office: Office, tmp_path: Path) -> None:
    asked = Asker(tmp_path).ask(code(office))
    end_ns = NOW_NS + 7 * DAY_NS
    assert number(office, asked, end_ns) == 5
    assert number(office, asked, NOW_NS) == 5  # a clock that goes back brings no key back
    assert every(office, "SELECT key FROM claims") == [(None,)]
    other = Asker(tmp_path, 2).ask(code(office))
    assert not admission.admit(office, other, Disk(), end_ns - 1).again


@pytest.mark.parametrize("how", ["used", "expired"])
def test_the_key_of_a_spent_claim_is_in_no_file(office: Office, tmp_path: Path, how: str) -> None:
    given = code(office)
    key = Claim.of(given).key

    def there() -> bool:
        files = [path for path in office.path.rglob("*") if path.is_file()]
        return any(key in path.read_bytes() for path in files)

    assert there()
    asked = Asker(tmp_path).ask(given)
    if how == "used":
        admission.admit(office, asked, Disk(), NOW_NS)
    else:
        admission.claim(office, "", None, 7, Disk(), NOW_NS + 8 * DAY_NS)
    assert not there()


def test_two_boxes_at_once_with_one_code_are_one(office: Office, tmp_path: Path) -> None:
    given = code(office)
    asked = [Asker(tmp_path, n).ask(given) for n in range(1, 5)]
    outcomes: list[object] = []

    def one(data: bytes) -> None:
        while True:
            try:
                outcomes.append(admission.admit(office, data, Disk(), NOW_NS).device)
            except Busy:
                continue
            except Refused as error:
                outcomes.append(error.number)
            return

    threads = [threading.Thread(target=one, args=(data,)) for data in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(map(str, outcomes))[:3] == ["4", "4", "4"] and len(outcomes) == 4
    assert len(every(office, "SELECT device FROM devices")) == 1


def test_a_foreign_log_key_gets_no_name_that_is_taken(office: Office, tmp_path: Path) -> None:
    mine, thief = Asker(tmp_path, 1), Asker(tmp_path, 1, "thief")
    admission.admit(office, mine.ask(code(office)), Disk(), NOW_NS)
    before = every(office, "SELECT * FROM devices")
    for given in (code(office), code(office, mine.device)):
        assert number(office, thief.ask(given)) == 11
    assert every(office, "SELECT * FROM devices") == before


def test_a_renewal_gives_new_certificates_and_leaves_the_old(
    office: Office, tmp_path: Path
) -> None:
    box = Asker(tmp_path)
    admission.admit(office, box.ask(code(office, label="Lyon")), Disk(), NOW_NS)
    admission.admit(office, box.ask(code(office)), Disk(), NOW_NS + DAY_NS)
    assert len(every(office, "SELECT * FROM certificates WHERE revoked_ns IS NULL")) == 4
    assert every(office, "SELECT label, enrolled_ns FROM devices") == [("Lyon", NOW_NS + DAY_NS)]
    serials = every(office, "SELECT control_serial, bulk_serial FROM devices")[0]
    newest = every(
        office,
        "SELECT name FROM certificates WHERE serial IN"
        " (SELECT control_serial FROM devices UNION SELECT bulk_serial FROM devices)",
    )
    assert len(set(serials)) == 2 and len(newest) == 2
    assert revoked(office) == set()


def test_a_revoked_box_comes_back_only_with_a_code_for_it(office: Office, tmp_path: Path) -> None:
    box, other = Asker(tmp_path, 1), Asker(tmp_path, 2)
    asked = box.ask(code(office))
    admission.admit(office, asked, Disk(), NOW_NS)
    admission.admit(office, other.ask(code(office)), Disk(), NOW_NS)
    assert admission.revoke(office, box.device, Disk(), NOW_NS) is True
    gone = {serial for (serial,) in every(
        office, f"SELECT serial FROM certificates WHERE device = '{box.device}'")}  # fmt: skip
    assert revoked(office) == gone and len(gone) == 2
    assert (listed(office), silenced(office)) == ({other.device}, {box.device})
    assert number(office, asked) == 12
    assert number(office, box.ask(code(office))) == 12
    assert number(office, other.ask(code(office, box.device))) == 10
    admission.admit(office, box.ask(code(office, box.device)), Disk(), NOW_NS)
    assert (listed(office), silenced(office)) == ({box.device, other.device}, set())
    assert revoked(office) == gone
    assert number(office, asked) == 12
    with pytest.raises(UsageError):
        admission.revoke(office, "box-99999999", Disk(), NOW_NS)


@pytest.mark.parametrize("fault", Fault)
def test_an_admission_that_is_killed_anywhere_is_repeated(tmp_path: Path, fault: Fault) -> None:
    """At every call of the disk; what SQLite writes by itself is all or nothing."""
    office = place.create(tmp_path / "office", Disk(), NOW_NS)
    at = 0
    while True:
        at += 1
        box = Asker(tmp_path, at)
        asked = box.ask(code(office))
        system = FaultySystem(at=at, fault=fault)
        with contextlib.suppress(StorageFailed, PowerCut):
            admission.admit(office, asked, Disk(system), NOW_NS)
        admitted = admission.admit(office, asked, quiet(), NOW_NS)
        installation.install(admitted.response, box.directory, box.folder, quiet(), NOW_NS)
        assert box.folder.open(NOW_NS)
        assert box.device in listed(office)
        question = f"SELECT count(*) FROM certificates WHERE device = '{box.device}'"
        assert every(office, question) == [(2,)]
        if system.count < at:
            break
    assert at > 10


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.CUT, Fault.CUT_AFTER])
def test_a_revocation_that_is_killed_anywhere_is_repeated(tmp_path: Path, fault: Fault) -> None:
    office = place.create(tmp_path / "office", Disk(), NOW_NS)
    at = 0
    while True:
        at += 1
        box = Asker(tmp_path, at)
        admission.admit(office, box.ask(code(office)), quiet(), NOW_NS)
        system = FaultySystem(at=at, fault=fault)
        with contextlib.suppress(StorageFailed, PowerCut):
            admission.revoke(office, box.device, Disk(system), NOW_NS)
        admission.revoke(office, box.device, quiet(), NOW_NS)
        assert listed(office) == set() and len(silenced(office)) == at
        assert len(revoked(office)) == 2 * at
        if system.count < at:
            break
    assert at > 10


def test_one_command_at_a_time_changes_the_lists(office: Office, tmp_path: Path) -> None:
    asked = Asker(tmp_path).ask(code(office))
    with office.lock(Disk()):
        with pytest.raises(Busy):
            admission.admit(office, asked, Disk(), NOW_NS)
        with pytest.raises(Busy):
            admission.revoke(office, "box-00000001", Disk(), NOW_NS)
        code(office)  # a claim touches no list


def test_a_claim_keeps_no_code(office: Office) -> None:
    with contextlib.closing(office.open_catalogue(Disk())) as db:
        db.execute("BEGIN")
        made = claims.make(db, "Lyon", None, 1, NOW_NS)
        kept = claims.find(db, made.claim)
        db.execute("COMMIT")
    assert kept is not None
    assert (kept.key, kept.expires_ns) == (Claim.of(made.code).key, NOW_NS + DAY_NS)
    symbols = made.code.replace("-", "").encode()
    for path in office.path.rglob("*"):
        assert path.is_dir() or symbols not in path.read_bytes()


def test_the_certificates_of_a_device_are_what_the_page_says(
    office: Office, tmp_path: Path
) -> None:
    answer = admission.admit(office, Asker(tmp_path).ask(code(office)), Disk(), NOW_NS).response
    body = enrolment.read_response(answer).body
    for text, name in ((body.control, "box-00000001"), (body.bulk, "box-00000001.b")):
        one = enrolment.certificate(text)
        assert one.subject.rfc4514_string() == f"CN={name}"
        assert one.version is x509.Version.v3
        found = {type(extension.value).__name__ for extension in one.extensions}
        assert found == {
            "BasicConstraints", "KeyUsage", "ExtendedKeyUsage", "SubjectKeyIdentifier",
            "AuthorityKeyIdentifier",
        }  # fmt: skip
        life = one.not_valid_after_utc - one.not_valid_before_utc
        assert life.days == 1827
