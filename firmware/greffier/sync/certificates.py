"""Whether a certificate would be taken by head office's broker: one reason, in words, if not. Pure.

X.509 after RFC 5280, in the forms of docs/enrolment-format.md section 4.
"""

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from greffier.clock import SECOND, day_of
from greffier.language import translate as _

# What the X.509 parser raises for bytes that are none.
NOT_X509 = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # where warnings are errors: a serial number below one
)


class BadCertificate(ValueError):
    """A certificate that nobody would take; ``reason`` says why, in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def common_name(subject: x509.Name) -> str:
    """The one common name that is all of *subject*; "" where it is anything else."""
    names: Sequence[x509.NameAttribute[Any]] = list(subject)
    if len(names) != 1 or names[0].oid != NameOID.COMMON_NAME:
        return ""
    return str(names[0].value)


def is_p256(key: object) -> bool:
    """Whether a public *key* is one of EC P-256."""
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def expires_ns(certificate: x509.Certificate) -> int:
    """Its last second, in nanoseconds since 1970."""
    return int(certificate.not_valid_after_utc.timestamp()) * SECOND


def check_authority(authority: x509.Certificate, now_ns: int) -> None:
    """Raises BadCertificate unless *authority* may sign certificates, at *now_ns*."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
        authority.verify_directly_issued_by(authority)
        good = constraints.ca and usage.key_cert_sign and is_p256(authority.public_key())
    except (*NOT_X509, x509.ExtensionNotFound, InvalidSignature):
        good = False
    if not good:
        raise BadCertificate(_("the authority's certificate is not an authority's"))
    _check_time(authority, now_ns)


def check_client(
    certificate: x509.Certificate,
    key: object,
    name: str,
    authority: x509.Certificate,
    now_ns: int,
) -> None:
    """Raises BadCertificate unless *certificate* lets the holder of *key* in as *name*.

    *key* is the public half of what the device holds; *authority* was checked before.
    """
    try:
        certificate.verify_directly_issued_by(authority)
    except (*NOT_X509, InvalidSignature):
        raise BadCertificate(_("head office's authority did not sign it")) from None
    try:
        holder = certificate.public_key()
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        good = not constraints.ca and list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        found = common_name(certificate.subject)
    except (*NOT_X509, x509.ExtensionNotFound):
        raise BadCertificate(_("it is not a client's")) from None
    if not good:
        raise BadCertificate(_("it is not a client's"))
    if holder != key or not is_p256(holder):
        raise BadCertificate(_("the key does not belong to it"))
    if found != name:
        reason = _("it is for {found}, not for {name}")
        raise BadCertificate(reason.format(found=found or "-", name=name))
    _check_time(certificate, now_ns)


def _check_time(certificate: x509.Certificate, now_ns: int) -> None:
    begin_ns = int(certificate.not_valid_before_utc.timestamp()) * SECOND
    if now_ns < begin_ns:
        reason = _("it is good from {day} on, and the clock says {today}")
        raise BadCertificate(reason.format(day=day_of(begin_ns), today=day_of(now_ns)))
    end_ns = expires_ns(certificate)
    if now_ns > end_ns + SECOND:
        reason = _("it expired on {day}, and the clock says {today}")
        raise BadCertificate(reason.format(day=day_of(end_ns), today=day_of(now_ns)))
