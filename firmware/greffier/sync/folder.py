"""Sync's own folder: the certificates that open head office's broker, and the outbox.

Made by ``greffier enrol``; docs/enrolment-format.md section 6 says what lies in it. Whether it can
be used is asked here, so that a wrong certificate is one clear line and not a connection that never
comes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from greffier import canonical
from greffier.control.forms import from_object, to_object
from greffier.errors import BadSync
from greffier.language import translate as _
from greffier.sync import certificates
from greffier.sync.certificates import BadCertificate
from greffier.sync.enrolment import MOST_BROKERS, Address, Device, Digest, Ns, OfficeName
from greffier.sync.topics import BULK

DEFAULT: Final = Path("/var/lib/greffier-sync")
_MOST_FILE = 65_536


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What enrolment.json says: this box, its head office, and where that answers.

    Addresses are ``host:port``, an IPv6 address in brackets; without ``bulk_brokers`` chunks go the
    way of everything else. ``response`` is the SHA-256 of the response file.
    """

    device: Device
    name: OfficeName
    brokers: tuple[Address, ...]
    bulk_brokers: tuple[Address, ...]
    installed_ns: Ns
    response: Digest

    def __post_init__(self) -> None:
        if not 1 <= len(self.brokers) <= MOST_BROKERS or len(self.bulk_brokers) > MOST_BROKERS:
            raise ValueError("one to eight brokers")

    def to_bytes(self) -> bytes:
        """The content of enrolment.json."""
        return canonical.dump({"v": 1, **to_object(self)})


@dataclass(frozen=True, slots=True)
class Ready:
    """An enrolment that can be used, and when the first of its certificates expires."""

    enrolment: Enrolment
    expires_ns: int


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The paths in one sync folder, which need not be there."""

    path: Path = DEFAULT

    def certificate(self, bulk: bool = False) -> Path:
        """Certificate (PEM) of the control or the *bulk* connection."""
        return self.path / ("bulk.crt" if bulk else "control.crt")

    def key(self, bulk: bool = False) -> Path:
        """Private key (PKCS#8 PEM) of the control or the *bulk* connection."""
        return self.path / ("bulk.key" if bulk else "control.key")

    @property
    def authority(self) -> Path:
        """Certificate (PEM) of the authority that signed the broker's and these."""
        return self.path / "ca.crt"

    @property
    def enrolment(self) -> Path:
        """Whose box this is, which head office, and where its brokers answer; canonical JSON."""
        return self.path / "enrolment.json"

    @property
    def outbox(self) -> Path:
        """Sync's database of ids and states; it may be missing."""
        return self.path / "outbox.sqlite"

    @property
    def pending(self) -> Path:
        """A request that waits for its answer; missing when none does."""
        return self.path / "pending.json"

    def open(self, now_ns: int) -> Ready:
        """Whose box this is and where to connect, once all of it can be used at *now_ns*.

        Raises BadSync: with one clear reason, in the order in which a person would mend it.
        """
        enrolment = self.read_enrolment()
        authority = self._certificate(self.authority)
        ends = [certificates.expires_ns(authority)]
        try:
            certificates.check_authority(authority, now_ns)
        except BadCertificate as error:
            raise self._bad(self.authority, error.reason) from None
        for bulk, name in ((False, enrolment.device), (True, enrolment.device + BULK)):
            path = self.certificate(bulk)
            own = self._certificate(path)
            try:
                key = self._public_key(self.key(bulk))
                certificates.check_client(own, key, name, authority, now_ns)
            except BadCertificate as error:
                raise self._bad(path, error.reason) from None
            ends.append(certificates.expires_ns(own))
        return Ready(enrolment, min(ends))

    def read_enrolment(self) -> Enrolment:
        """What enrolment.json says; certificates are not looked at. Raises BadSync."""
        data = self._content(self.enrolment)
        try:
            value = canonical.load(data)
            version = value.pop("v")
            if type(version) is not int or version != 1:
                raise ValueError
            return from_object(Enrolment, value)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._bad(self.enrolment, _("it is damaged")) from None

    def _content(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(_MOST_FILE)
        except FileNotFoundError:
            raise self._bad(path, _("it is missing")) from None
        except OSError as error:
            raise self._bad(path, error.strerror or type(error).__name__) from error

    def _certificate(self, path: Path) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self._content(path))
        except certificates.NOT_X509:
            raise self._bad(path, _("it is damaged")) from None

    def _public_key(self, path: Path) -> object:
        try:
            return load_pem_private_key(self._content(path), None).public_key()
        except certificates.NOT_X509:
            raise self._bad(path, _("it is damaged")) from None

    def _bad(self, path: Path, reason: str) -> BadSync:
        return BadSync(path=self.path, reason=f"{path.name}: {reason}")
