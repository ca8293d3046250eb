"""Head office's directory: made whole or begun again, opened strictly."""

import contextlib
from pathlib import Path

import pytest
from cryptography import x509

from greffier.audit.note import read_key
from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadKeyFile, NotAnOffice, StorageFailed, UsageError
from greffier_office import place
from greffier_office.broker import Address
from greffier_sim.faults import Fault, FaultySystem, PowerCut

NOW_NS = 1_795_348_800_000_000_000


def make(path: Path, disk: Disk | None = None) -> place.Office:
    return place.create(path, disk or Disk(), NOW_NS, brokers=[Address("mqtt.example.org")])


def test_what_is_made_is_opened_and_private(tmp_path: Path) -> None:
    made = make(tmp_path / "office")
    assert place.open(made.path) == made
    receipt, witness = made.public_keys()
    assert read_key((made.path / "keys/receipt.pub").read_text().strip()) == receipt
    assert read_key((made.path / "keys/witness.pub").read_text().strip()) == witness
    assert (receipt.name, receipt.kind) == ("siege/receipt", 1)
    assert (witness.name, witness.kind) == ("siege", 4)
    assert receipt.public != witness.public
    for path in made.path.rglob("*"):
        mode = path.stat().st_mode & 0o777
        public = path.suffix == ".pub" or path == made.ca_certificate
        assert mode == (0o700 if path.is_dir() else 0o644 if public else 0o600), path
    text = (made.broker / "mosquitto.conf").read_text()
    for line in (
        "listener 8883", "persistence false", "set_tcp_nodelay true", "max_inflight_messages 100",
        "max_queued_messages 20000", "max_packet_size 262144", "use_identity_as_username true",
        "use_username_as_clientid true", "tls_version tlsv1.3", "require_certificate true",
        f"crlfile {made.broker}/crl.pem", f"acl_file {made.broker}/acl",
    ):  # fmt: skip
        assert line in text.splitlines()


@pytest.mark.parametrize("fault", Fault)
def test_an_office_that_was_half_made_is_begun_again(tmp_path: Path, fault: Fault) -> None:
    """At every third call of the disk (all of them are alike, and each try makes seven keys)."""
    at = 1
    while True:
        path = tmp_path / str(at)
        system = FaultySystem(at=at, fault=fault)
        with contextlib.suppress(StorageFailed, PowerCut):
            make(path, Disk(system))
        with contextlib.suppress(AlreadyThere):  # where the fault came after the last name
            make(path, Disk(FaultySystem()))
        assert place.open(path).authority()
        if system.count < at:
            break
        at += 3
    assert at > 60


def test_nothing_of_others_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AlreadyThere):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    made = make(tmp_path / "office")
    key = (made.ca / "ca.key").read_bytes()
    with pytest.raises(AlreadyThere):
        make(made.path)
    assert (made.ca / "ca.key").read_bytes() == key


def test_a_broker_that_moves_keeps_authority_and_devices(tmp_path: Path) -> None:
    made = make(tmp_path / "office")
    before = {path: path.read_bytes() for path in made.path.rglob("*") if path.is_file()}
    hosts = [Address("10.0.0.9", 443), Address("new.example.org")]
    moved = place.move(made, hosts, [], Disk(), NOW_NS)
    assert place.open(made.path) == moved
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"office.json", "mosquitto.conf", "broker.crt", "broker.key"}
    one = x509.load_pem_x509_certificate((made.broker / "broker.crt").read_bytes())
    one.verify_directly_issued_by(made.authority().certificate)
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["new.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.9"]
    text = (made.broker / "mosquitto.conf").read_text()
    assert "listener 443\n" in text and "listener 8883\n" in text
    with pytest.raises(UsageError):
        place.move(made, [], [], Disk(), NOW_NS)


@pytest.mark.parametrize("name", ["", "Siege", "a b", "a+b", "a/b", ".a", "a.", "é", "a" * 33])
def test_a_name_that_no_key_line_may_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        place.create(tmp_path / "office", Disk(), NOW_NS, name)
    assert not (tmp_path / "office").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"brokers":["a:1"],"bulk_brokers":[],"format":2,"name":"siege"}',
        '{"brokers":[],"bulk_brokers":[],"format":1,"name":"siege"}',
        '{"brokers":["a:0"],"bulk_brokers":[],"format":1,"name":"siege"}',
        '{"brokers":"a:1","bulk_brokers":[],"format":1,"name":3}',
        '{"brokers":["a:1"],"bulk_brokers":[],"format":1,"name":"SIEGE"}',
        '{"brokers":["a:1"],"bulk_brokers":[],"format":1,"name":"siege","x":1}',
    ],
)
def test_a_damaged_office_is_one_clear_error(tmp_path: Path, text: str) -> None:
    made = make(tmp_path / "office")
    (made.path / "office.json").write_text(text)
    with pytest.raises(NotAnOffice):
        place.open(made.path)
    (made.path / "office.json").unlink()
    with pytest.raises(NotAnOffice):
        place.open(made.path)


def test_keys_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    made, other = make(tmp_path / "office"), make(tmp_path / "other")
    (made.ca / "ca.key").write_bytes((other.ca / "ca.key").read_bytes())
    with pytest.raises(BadKeyFile):
        made.authority()
    for content in (b"", b"x", (made.ca_certificate).read_bytes()):
        (made.ca / "ca.key").write_bytes(content)
        with pytest.raises(BadKeyFile):
            made.authority()
    made.witness_key.write_bytes(made.receipt_key.read_bytes())
    with pytest.raises(BadKeyFile):
        made.witness_signer()
