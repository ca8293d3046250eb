"""The box's side of an enrolment: keys are made, the answer is checked, files are put in place.

Every step is whole or not at all, and a command that was killed is repeated: until an answer is
accepted nothing in use is touched, and the request that waits is forgotten last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from greffier import canonical, trust
from greffier.audit.note import VerifierKey
from greffier.control.forms import BadMessage, Text, from_object, to_object
from greffier.durable import Disk
from greffier.language import translate as _
from greffier.store.layout import DataDirectory
from greffier.sync import certificates, enrolment
from greffier.sync.certificates import BadCertificate
from greffier.sync.claim import Claim
from greffier.sync.enrolment import Device, Digest, Id, Refused, RequestBody, ResponseBody
from greffier.sync.folder import Enrolment, SyncFolder
from greffier.sync.topics import BULK

LOCK: Final = "enrol.lock"
_MOST_PENDING = 8192


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits: what is needed to check its answer and to use it. Holds secrets."""

    claim: Id
    key: Digest
    device: Device
    request: Digest
    control: Annotated[str, Text(r"[\x20-\x7e\n]{100,1000}")]
    bulk: Annotated[str, Text(r"[\x20-\x7e\n]{100,1000}")]


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did; ``changed`` is false where the same answer was there already."""

    enrolment: Enrolment
    expires_ns: int
    changed: bool


def request(
    directory: DataDirectory, folder: SyncFolder, code: str, disk: Disk, now_ns: int
) -> bytes:
    """The content of a request file, of fresh keys; one that waited before is forgotten.

    Raises BadClaim, BadKeyFile, Busy, StorageFailed.
    """
    claim = Claim.of(code)
    device = directory.identity.device
    log_key = trust.load_log_key(directory.log_key)
    control, bulk = (ec.generate_private_key(ec.SECP256R1()) for _each in range(2))
    body = RequestBody(
        claim=claim.claim,
        device=device,
        log_key=log_key.public_line(),
        control=enrolment.key_request(control, device),
        bulk=enrolment.key_request(bulk, device + BULK),
        made_ns=now_ns,
    )
    data = enrolment.write_request(body, claim, log_key)
    waits = Pending(
        claim=claim.claim,
        key=claim.key.hex(),
        device=device,
        request=enrolment.digest(data),
        control=_pem(control),
        bulk=_pem(bulk),
    )
    disk.make_dirs(folder.path)
    with disk.lock(folder.path / LOCK):
        disk.write_for_folder(folder.pending, canonical.dump(to_object(waits)))
    return data


def install(
    data: bytes,
    directory: DataDirectory,
    folder: SyncFolder,
    disk: Disk,
    now_ns: int,
    replace: bool = False,
) -> Installed:
    """Put the content *data* of a response file in place.

    *replace* lets another head office take the place of the one that is installed. The data
    directory's lock is not taken: a recorder that runs holds it, and looks for a change of the one
    file that is written there. Raises Refused (nothing was changed),
    BadSync, Busy, StorageFailed (run it again).
    """
    response = enrolment.read_response(data)
    disk.make_dirs(folder.path)
    with disk.lock(folder.path / LOCK):
        waits = _read_pending(folder)
        if waits is None or waits.request != response.body.request:
            return _installed_before(data, directory, folder, disk, now_ns)
        body = response.body
        if (body.claim, body.device) != (waits.claim, waits.device):
            raise _no_request()
        if waits.device != directory.identity.device:
            raise _no_request()
        enrolment.check_response_mac(response, Claim(waits.claim, bytes.fromhex(waits.key)))
        new = _checked(body, waits, now_ns)
        _check_office(new.keys, directory.head_office, replace)
        told = Enrolment(
            device=body.device,
            name=body.name,
            brokers=body.brokers,
            bulk_brokers=body.bulk_brokers,
            installed_ns=now_ns,
            response=enrolment.digest(data),
        )
        _write(new, told, waits, directory, folder, disk)
    return Installed(told, new.expires_ns, changed=True)


@dataclass(frozen=True, slots=True)
class _New:
    """What an accepted answer holds."""

    authority: x509.Certificate
    control: x509.Certificate
    bulk: x509.Certificate
    keys: tuple[VerifierKey, ...]

    @property
    def expires_ns(self) -> int:
        return min(map(certificates.expires_ns, (self.authority, self.control, self.bulk)))


def _checked(body: ResponseBody, waits: Pending, now_ns: int) -> _New:
    authority, control, bulk = map(enrolment.certificate, (body.authority, body.control, body.bulk))
    try:
        certificates.check_authority(authority, now_ns)
        for one, key, name in (
            (control, waits.control, body.device),
            (bulk, waits.bulk, body.device + BULK),
        ):
            public = load_pem_private_key(key.encode("ascii"), None).public_key()
            certificates.check_client(one, public, name, authority, now_ns)
    except BadCertificate as error:
        raise Refused(15, error.reason) from None
    return _New(authority, control, bulk, enrolment.office_keys(body))


def _check_office(keys: tuple[VerifierKey, ...], path: Path, replace: bool) -> None:
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return
    if before != _lines(keys) and not replace:
        raise Refused(17, _("another head office is installed here; --replace takes its place"))


def _write(
    new: _New,
    told: Enrolment,
    waits: Pending,
    directory: DataDirectory,
    folder: SyncFolder,
    disk: Disk,
) -> None:
    for path, content in (
        (folder.authority, _certificate_pem(new.authority)),
        (folder.key(), waits.control.encode("ascii")),
        (folder.certificate(), _certificate_pem(new.control)),
        (folder.key(bulk=True), waits.bulk.encode("ascii")),
        (folder.certificate(bulk=True), _certificate_pem(new.bulk)),
        (directory.head_office, _lines(new.keys)),
        (folder.enrolment, told.to_bytes()),
    ):
        disk.write_for_folder(path, content)
    disk.remove([folder.pending])


def _installed_before(
    data: bytes, directory: DataDirectory, folder: SyncFolder, disk: Disk, now_ns: int
) -> Installed:
    """The same answer again: it was accepted before, byte for byte. Raises Refused, BadSync."""
    body = enrolment.read_response(data).body
    if not folder.enrolment.exists() or body.device != directory.identity.device:
        raise _no_request()
    told = folder.read_enrolment()
    if told.response != enrolment.digest(data):
        raise _no_request()
    ready = folder.open(now_ns)
    _check_office(enrolment.office_keys(body), directory.head_office, replace=False)
    if not directory.head_office.exists():  # the data directory was made anew, with the same keys
        disk.write_for_folder(directory.head_office, _lines(enrolment.office_keys(body)))
    return Installed(told, ready.expires_ns, changed=False)


def _read_pending(folder: SyncFolder) -> Pending | None:
    try:
        with folder.pending.open("rb") as file:
            return from_object(Pending, canonical.load(file.read(_MOST_PENDING)))
    except FileNotFoundError:
        return None
    except (BadMessage, canonical.NotCanonical):
        return None  # as good as none: a new request replaces it


def _no_request() -> Refused:
    return Refused(13, _("no request of this box waits for it: it answers another one"))


def _lines(keys: tuple[VerifierKey, ...]) -> bytes:
    return "".join(f"{key.text}\n" for key in keys).encode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    made = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode("ascii")


def _certificate_pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(Encoding.PEM)
