"""Head office's certificate authority: who may speak to the broker, and who no more.

X.509 (RFC 5280) with EC P-256 and SHA-256. A certificate names its holder in the subject's common
name and nowhere else, which is what the broker takes as user name and client id; only the broker's
own certificate has alternative names, for those are what a client compares with the address.

How long: the authority, its collector and its broker 20 years, because their keys lie in one folder
and a thief of one has all. A device 5 years: nothing renews a certificate without a person who
carries two files, a box may be off for months, and revocation does not wait for the end (CRL and
access list at once). Every beginning lies a day back, for clocks that run late.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECOND = 1_000_000_000
BACK = timedelta(days=1)
OFFICE_DAYS = 7305
DEVICE_DAYS = 1826


class Use(Enum):
    """What a certificate is good for (RFC 5280, 4.2.1.12): no client's opens a server's door."""

    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh EC P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private *key* as PKCS#8 PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(certificate: x509.Certificate) -> bytes:
    """The *certificate* as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def serial_text(certificate: x509.Certificate) -> str:
    """Its serial number, lower-case hex without leading zeros: as the catalogue keeps it."""
    return f"{certificate.serial_number:x}"


def not_after_ns(certificate: x509.Certificate) -> int:
    """Its last second, in nanoseconds since 1970."""
    return int(certificate.not_valid_after_utc.timestamp()) * SECOND


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's private key and its own certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str, now_ns: int, days: int = OFFICE_DAYS) -> Self:
        """A fresh authority of the head office *name*, good from *now_ns* for *days*."""
        key = new_key()
        subject = _common_name(f"{name} CA")
        begin = _moment(now_ns) - BACK
        builder = (
            x509.CertificateBuilder(subject, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + BACK + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(of_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, key: bytes, certificate: bytes) -> Self:
        """The authority of two PEM texts. Raises ValueError, also if they are not of one pair."""
        private = serialization.load_pem_private_key(key, None)
        own = x509.load_pem_x509_certificate(certificate)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("not an EC key")
        if private.public_key() != own.public_key():
            raise ValueError("the key does not belong to the certificate")
        return cls(private, own)

    def issue(
        self,
        holder: ec.EllipticCurvePublicKey,
        name: str,
        use: Use,
        now_ns: int,
        days: int,
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        """A certificate for *holder* under the common *name*, for one *use*.

        *hosts* are a server's names or addresses. It never outlives the authority.
        """
        begin = _moment(now_ns) - BACK
        end = begin + BACK + timedelta(days=days)
        builder = (
            x509.CertificateBuilder(self.certificate.subject, _common_name(name), holder)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(begin, self.certificate.not_valid_before_utc))
            .not_valid_after(min(end, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(of_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use.value]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(holder), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revocations(self, revoked: Iterable[tuple[str, int]], number: int, now_ns: int) -> bytes:
        """The revocation list as PEM: each serial (hex) with its moment; *number* only rises.

        It holds until the authority's end: OpenSSL refuses everybody after a list's next update,
        and here a list is renewed when something is revoked, not by the calendar.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(_moment(now_ns) - BACK)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        for serial, at_ns in revoked:
            one = x509.RevokedCertificateBuilder(int(serial, 16), _moment(at_ns))
            builder = builder.add_revoked_certificate(one.build())
        made = builder.sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)


def _moment(t_ns: int) -> datetime:
    return datetime.fromtimestamp(t_ns // SECOND, UTC)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(of_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        encipher_only=False,
        decipher_only=False,
    )
