"""Head office's directory: where everything lies, how it is made and opened.

Normative page: docs/office-directory.md.
"""

import pwd
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greffier import canonical
from greffier.audit.note import Signer, VerifierKey
from greffier.durable import Disk, Lock
from greffier.errors import AlreadyThere, BadKeyFile, NotAnOffice, UsageError
from greffier.language import translate as _
from greffier.sync.topics import BULK
from greffier.trust import LogKey, load_log_key
from greffier_office import authority, broker, migrations, schema
from greffier_office.authority import Authority, Use
from greffier_office.broker import Address
from greffier_office.envelopes import Envelopes
from greffier_office.tombstones import Tombstones

FORMAT = 1
NAME = "siege"
PUBLIC_MODE = 0o644
MOST_BROKERS = 8
MOST_VISA = 200
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?", re.ASCII)
_OURS = {"office.json", ".office.json.tmp", "keys", "ca", "broker", "objects"} | {
    f"catalogue.sqlite{suffix}" for suffix in ("", "-wal", "-shm", "-journal")
}


@dataclass(frozen=True, slots=True)
class Office:
    """The paths of one head office's directory, its name and where its brokers answer.

    ``bulk_brokers`` is empty where sound goes the way of everything else. Made by :func:`create`
    and :func:`open`.
    """

    path: Path
    name: str
    brokers: tuple[Address, ...]
    bulk_brokers: tuple[Address, ...] = ()
    store: str = ""
    """URL of the object store; "" for the folder ``objects``."""
    archives_visa: str = ""
    """Reference of the archives administration's standing visa to destroy public archives; "" where
    there is none (Code du patrimoine L.212-2)."""

    @property
    def receipt_key(self) -> Path:
        """Signs receipts; the signer's line of a C2SP note key. Its public half ends in .pub."""
        return self.path / "keys" / "receipt.key"

    @property
    def witness_key(self) -> Path:
        """Cosigns checkpoints; the same form, but its vkey line (.pub) is of type 04."""
        return self.path / "keys" / "witness.key"

    @property
    def deletion_key(self) -> Path:
        """Signs certificates of deletions and nothing else; the same form."""
        return self.path / "keys" / "deletion.key"

    @property
    def ca(self) -> Path:
        """Folder of the authority and of the collector's certificates."""
        return self.path / "ca"

    @property
    def broker(self) -> Path:
        """Folder of all that the broker reads."""
        return self.path / "broker"

    @property
    def catalogue(self) -> Path:
        """The catalogue's file."""
        return self.path / "catalogue.sqlite"

    @property
    def envelopes(self) -> Path:
        """The file of the envelope table, which no backup of the catalogue may hold."""
        return self.path / "envelopes.sqlite"

    @property
    def envelope_keys(self) -> Path:
        """Folder of the keys under which the envelopes lie; overwriting one destroys them."""
        return self.path / "envelope-keys"

    @property
    def deletions(self) -> Path:
        """Folder of the tombstones, outside the databases."""
        return self.path / "deletions"

    @property
    def objects(self) -> Path:
        """Folder of the objects."""
        return self.path / "objects"

    def collector(self, bulk: bool = False) -> tuple[Path, Path]:
        """Certificate and key of the collector's control (or *bulk*) connection."""
        name = broker.COLLECTOR + (BULK if bulk else "")
        return self.ca / f"{name}.crt", self.ca / f"{name}.key"

    @property
    def ca_certificate(self) -> Path:
        """What everybody compares certificates with."""
        return self.ca / "ca.crt"

    def lock(self, disk: Disk) -> Lock:
        """The right to change certificates and lists; the collector never holds it.

        Raises Busy, StorageFailed.
        """
        return disk.lock(self.ca / "lock")

    def authority(self) -> Authority:
        """The certificate authority. Raises BadKeyFile."""
        path = self.ca / "ca.key"
        try:
            return Authority.load(path.read_bytes(), self.ca_certificate.read_bytes())
        except OSError as error:
            raise BadKeyFile(path=path, reason=error.strerror) from error
        except (ValueError, TypeError) as error:
            raise BadKeyFile(path=path, reason=str(error)) from None

    def receipt_signer(self) -> Signer:
        """Signs receipts, as ``<name>/receipt``. Raises BadKeyFile."""
        return _signer(self.receipt_key, f"{self.name}/receipt")

    def witness_signer(self) -> Signer:
        """Cosigns checkpoints, as ``<name>``. Raises BadKeyFile."""
        return _signer(self.witness_key, self.name)

    def deletion_signer(self, disk: Disk) -> Signer:
        """Signs certificates of deletions, as ``<name>/deletion``.

        A directory of an older version gets its key now. Raises BadKeyFile, Busy, StorageFailed.
        """
        if not self.deletion_key.exists():
            with self.lock(disk):
                if not self.deletion_key.exists():
                    _make_key(self, disk, self.deletion_key, f"{self.name}/deletion")
        return _signer(self.deletion_key, f"{self.name}/deletion")

    def public_keys(self) -> tuple[VerifierKey, VerifierKey]:
        """The keys of receipts (type 01) and of cosignatures (type 04). Raises BadKeyFile."""
        return self.receipt_signer().log_key, self.witness_signer().witness_key

    def open_envelopes(self, disk: Disk) -> Envelopes:
        """The envelopes, brought up to date. Raises BadDatabase, StorageFailed."""
        return Envelopes.open(self.envelopes, self.envelope_keys, disk)

    def tombstones(self, disk: Disk) -> Tombstones:
        """What was deleted."""
        return Tombstones(self.deletions, disk)

    def open_catalogue(self, disk: Disk) -> sqlite3.Connection:
        """The catalogue, brought up to date. Raises BadDatabase, StorageFailed."""
        return migrations.connect(self.catalogue, schema.CATALOGUE, disk)


def create(
    path: Path,
    disk: Disk,
    now_ns: int,
    name: str = NAME,
    brokers: Sequence[Address] = (Address("localhost"),),
    bulk_brokers: Sequence[Address] = (),
) -> Office:
    """Make a head office's directory with fresh keys at *path*; one half made is begun again.

    Raises AlreadyThere if one is there or if the folder holds anything else, UsageError,
    StorageFailed.
    """
    if not _NAME.fullmatch(name):
        reason = _("a head office's name is 1 to 32 of a-z 0-9 . -")
        raise UsageError(reason=reason)
    _check_brokers(brokers, bulk_brokers)
    if path.exists() and (not path.is_dir() or {one.name for one in path.iterdir()} - _OURS):
        raise AlreadyThere(path=path)
    made = Office(path, name, tuple(brokers), tuple(bulk_brokers))
    for folder in (path, made.receipt_key.parent, made.ca, made.broker, made.objects):
        disk.make_dirs(folder)
    with made.lock(disk):
        if (path / "office.json").exists():
            raise AlreadyThere(path=path)
        _make_keys(made, disk)
        _make_certificates(made, disk, now_ns)
        write_configuration(made, disk)
        made.open_catalogue(disk).close()
        disk.write_file(path / "office.json", _to_bytes(made))
    return made


def move(
    office: Office,
    brokers: Sequence[Address],
    bulk_brokers: Sequence[Address],
    disk: Disk,
    now_ns: int,
) -> Office:
    """The same head office whose brokers answer elsewhere: certificate and configuration anew.

    Devices that are enrolled keep the addresses that they were told. Killed anywhere, it is
    repeated. Raises UsageError, BadKeyFile, Busy, StorageFailed.
    """
    _check_brokers(brokers, bulk_brokers)
    moved = replace(office, brokers=tuple(brokers), bulk_brokers=tuple(bulk_brokers))
    with office.lock(disk):
        write_server_certificate(moved, disk, now_ns, office.authority())
        write_configuration(moved, disk)
        disk.write_file(office.path / "office.json", _to_bytes(moved))
    return moved


def open(path: Path) -> Office:  # noqa: A001 - read as place.open
    """The head office's directory at *path*. Raises NotAnOffice."""
    try:
        value = canonical.load((path / "office.json").read_bytes())
        store, visa = value.pop("store", ""), value.pop("archives_visa", "")
        if value.keys() != {"brokers", "bulk_brokers", "format", "name"}:
            raise ValueError
        if not isinstance(store, str) or (store and "://" not in store):
            raise ValueError
        if not isinstance(visa, str) or len(visa) > MOST_VISA:
            raise ValueError
        if value["format"] != FORMAT or not _NAME.fullmatch(value["name"]):
            raise ValueError
        brokers, bulk = (
            tuple(map(Address.parse, value[key])) for key in ("brokers", "bulk_brokers")
        )
        _check_brokers(brokers, bulk)
        return Office(path, value["name"], brokers, bulk, store, visa)
    except OSError as error:
        raise NotAnOffice(path=path, reason=error.strerror) from None
    except (ValueError, TypeError, AttributeError, UsageError):
        raise NotAnOffice(path=path, reason=_("its office.json is damaged")) from None


def write_configuration(office: Office, disk: Disk) -> None:
    """Write broker/mosquitto.conf for the ports of the brokers. Raises StorageFailed."""
    ports = sorted({one.port for one in (*office.brokers, *office.bulk_brokers)})
    text = broker.configuration(office.broker.absolute(), ports, _owner(office.broker))
    disk.write_for_folder(office.broker / "mosquitto.conf", text.encode())


def write_lists(office: Office, disk: Disk, now_ns: int, ca: Authority | None = None) -> None:
    """Write broker/acl and broker/crl.pem as the catalogue says; :meth:`Office.lock` must be held.

    Whoever changed the catalogue calls this after its commit; called again it does the same, so a
    command that was killed in between is repeated. Raises BadDatabase, BadKeyFile, StorageFailed.
    """
    db = office.open_catalogue(disk)
    try:
        path = office.catalogue
        with migrations.transaction(db, path):
            found = db.execute("SELECT device, revoked_ns IS NULL FROM devices").fetchall()
            gone = db.execute(
                "SELECT serial, revoked_ns FROM certificates WHERE revoked_ns IS NOT NULL"
                " ORDER BY serial"
            )
            revoked = [(serial, at_ns) for serial, at_ns in gone]
    finally:
        db.close()
    devices = [device for device, good in found if good]
    shut_out = [device for device, good in found if not good]
    crl = (ca or office.authority()).revocations(revoked, now_ns, now_ns)
    disk.write_for_folder(office.broker / "crl.pem", crl)
    disk.write_for_folder(office.broker / "acl", broker.access(devices, shut_out).encode())


def _owner(folder: Path) -> str:
    """The user that *folder* belongs to; "" where he has no name."""
    try:
        return pwd.getpwuid(folder.stat().st_uid).pw_name
    except KeyError:
        return ""


def _check_brokers(brokers: Sequence[Address], bulk_brokers: Sequence[Address]) -> None:
    if not 1 <= len(brokers) <= MOST_BROKERS or len(bulk_brokers) > MOST_BROKERS:
        raise UsageError(reason=_("one to eight brokers"))


def _make_keys(office: Office, disk: Disk) -> None:
    for path, name in (
        (office.receipt_key, f"{office.name}/receipt"),
        (office.witness_key, office.name),
        (office.deletion_key, f"{office.name}/deletion"),
    ):
        _make_key(office, disk, path, name)


def _make_key(office: Office, disk: Disk, path: Path, name: str) -> None:
    made = LogKey.new(name)
    signer = Signer(name, made.private)
    public = signer.witness_key if path == office.witness_key else signer.log_key
    disk.write_file(path.with_suffix(".pub"), public.text.encode() + b"\n", PUBLIC_MODE)
    disk.write_file(path, made.private_line().encode("ascii") + b"\n")


def _make_certificates(office: Office, disk: Disk, now_ns: int) -> None:
    ca = Authority.new(office.name, now_ns)
    disk.write_file(office.ca / "ca.key", authority.key_pem(ca.key))
    disk.write_file(office.ca_certificate, authority.pem(ca.certificate), PUBLIC_MODE)
    disk.write_for_folder(office.broker / "ca.crt", authority.pem(ca.certificate))
    for bulk in (False, True):
        key = authority.new_key()
        certificate, secret = office.collector(bulk)
        name = broker.COLLECTOR + (BULK if bulk else "")
        one = ca.issue(key.public_key(), name, Use.CLIENT, now_ns, authority.OFFICE_DAYS)
        disk.write_file(secret, authority.key_pem(key))
        disk.write_file(certificate, authority.pem(one))
    write_server_certificate(office, disk, now_ns, ca)
    write_lists(office, disk, now_ns, ca)


def write_server_certificate(office: Office, disk: Disk, now_ns: int, ca: Authority) -> None:
    """Write a fresh key and certificate for the brokers' names. Raises StorageFailed."""
    key = authority.new_key()
    hosts = dict.fromkeys(one.host for one in (*office.brokers, *office.bulk_brokers))
    one = ca.issue(
        key.public_key(), "broker", Use.SERVER, now_ns, authority.OFFICE_DAYS, list(hosts)
    )
    disk.write_for_folder(office.broker / "broker.key", authority.key_pem(key))
    disk.write_for_folder(office.broker / "broker.crt", authority.pem(one))


def _signer(path: Path, name: str) -> Signer:
    key = load_log_key(path)
    if key.name != name:
        raise BadKeyFile(path=path, reason=_("it is of another name"))
    return Signer(key.name, key.private)


def _to_bytes(office: Office) -> bytes:
    value: dict[str, Any] = {
        "brokers": [str(one) for one in office.brokers],
        "bulk_brokers": [str(one) for one in office.bulk_brokers],
        "format": FORMAT,
        "name": office.name,
    }
    more = {"store": office.store, "archives_visa": office.archives_visa}
    return canonical.dump(value | {name: one for name, one in more.items() if one})
