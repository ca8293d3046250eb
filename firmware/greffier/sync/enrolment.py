"""The request and the response of an enrolment: bytes to records and back.

Format: docs/enrolment-format.md. Pure: neither files nor clock. Both sides use it: the box in
greffier.sync.installation, head office in greffier_office.admission.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from greffier import canonical
from greffier.audit.note import COSIGNATURE_V1, ED25519, BadNote, VerifierKey, read_key
from greffier.control.forms import BadMessage, Text, Time, from_object, to_object
from greffier.language import translate as _
from greffier.sync.certificates import NOT_X509, common_name, is_p256
from greffier.sync.claim import Claim
from greffier.sync.topics import BULK
from greffier.trust import LogKey

MOST_REQUEST: Final = 8192
MOST_RESPONSE: Final = 16384
MOST_BROKERS: Final = 8
VERSION: Final = 1
_REQUEST, _RESPONSE = "greffier-enrolment-request", "greffier-enrolment-response"

# The AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758, 3.2), in DER.
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

Id = Annotated[str, Text(r"[0-9a-f]{16}")]
Device = Annotated[str, Text(r"box-[0-9a-f]{8}")]
Digest = Annotated[str, Text(r"[0-9a-f]{64}")]
Seal = Annotated[str, Text(r"[0-9a-f]{128}")]
KeyLine = Annotated[str, Text(r"[\x21-\x7e]{1,256}")]
Base64 = Annotated[str, Text(r"[A-Za-z0-9+/]{4,3996}={0,2}")]
OfficeName = Annotated[str, Text(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?")]
_PORT = r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Address = Annotated[
    str, Text(r"([0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?|\[[0-9a-f:.]{2,45}\])" + _PORT)
]
Ns = Annotated[int, Time()]


class Refused(ValueError):
    """A file of an enrolment is refused: ``number`` of docs/enrolment-format.md section 5."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"{number}: {reason}")
        self.number = number
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What a box asks. ``control`` and ``bulk`` are PKCS#10 requests, base64 of DER."""

    claim: Id
    device: Device
    log_key: KeyLine
    control: Base64
    bulk: Base64
    made_ns: Ns


@dataclass(frozen=True, slots=True)
class Request:
    """A request file: its form is right, and nothing of it verified (:func:`check_request`)."""

    body: RequestBody
    signature: Seal
    mac: Digest


@dataclass(frozen=True, slots=True)
class ResponseBody:
    """What head office answers. Certificates are base64 of DER, keys are vkey lines."""

    claim: Id
    device: Device
    request: Digest
    name: OfficeName
    authority: Base64
    control: Base64
    bulk: Base64
    brokers: tuple[Address, ...]
    bulk_brokers: tuple[Address, ...]
    receipt_key: KeyLine
    witness_key: KeyLine
    made_ns: Ns

    def __post_init__(self) -> None:
        if not 1 <= len(self.brokers) <= MOST_BROKERS or len(self.bulk_brokers) > MOST_BROKERS:
            raise ValueError("one to eight brokers")


@dataclass(frozen=True, slots=True)
class Response:
    """A response file: its form is right, and nothing of it verified."""

    body: ResponseBody
    mac: Digest


Record = TypeVar("Record", Request, Response)


def read_request(data: bytes) -> Request:
    """The request in the file content *data*. Raises Refused (1, 2)."""
    return _read(Request, _REQUEST, data, MOST_REQUEST)


def read_response(data: bytes) -> Response:
    """The response in the file content *data*. Raises Refused (1, 2)."""
    return _read(Response, _RESPONSE, data, MOST_RESPONSE)


def write_request(body: RequestBody, claim: Claim, log_key: LogKey) -> bytes:
    """The file of a request, signed by *log_key* and under the *claim*."""
    content = _content(body)
    signature = log_key.private.sign(b"greffier/enrolment-request@v1\n" + content)
    mac = _mac(claim, b"request", signature + content)
    return _written(Request(body, signature.hex(), mac), _REQUEST)


def write_response(body: ResponseBody, claim: Claim) -> bytes:
    """The file of a response under the *claim*."""
    return _written(Response(body, _mac(claim, b"response", _content(body))), _RESPONSE)


def check_request(request: Request, claim: Claim) -> VerifierKey:
    """The log's key of a *request* that holds under *claim*. Raises Refused (6 to 9)."""
    content = _content(request.body)
    signature = bytes.fromhex(request.signature)
    if not hmac.compare_digest(_mac(claim, b"request", signature + content), request.mac):
        raise Refused(6, _("it was made with another code, or changed since"))
    key = _vkey(request.body.log_key, ED25519, f"greffier/{request.body.device}", 7)
    try:
        public = Ed25519PublicKey.from_public_bytes(key.public)
        public.verify(signature, b"greffier/enrolment-request@v1\n" + content)
    except (InvalidSignature, ValueError):
        raise Refused(8, _("its signature does not hold")) from None
    control, bulk = public_keys(request)
    if control == bulk:
        raise Refused(9, _("a key request is not as it must be"))
    return key


def public_keys(
    request: Request,
) -> tuple[ec.EllipticCurvePublicKey, ec.EllipticCurvePublicKey]:
    """The keys of the control and of the bulk connection. Raises Refused (9)."""
    device = request.body.device
    return (
        _requested(request.body.control, device),
        _requested(request.body.bulk, device + BULK),
    )


def check_response_mac(response: Response, claim: Claim) -> None:
    """Raises Refused (14) unless the *response* holds under *claim*."""
    if not hmac.compare_digest(_mac(claim, b"response", _content(response.body)), response.mac):
        raise Refused(14, _("it comes from another head office, or was changed since"))


def office_keys(body: ResponseBody) -> tuple[VerifierKey, VerifierKey]:
    """The keys of receipts and of cosignatures. Raises Refused (16)."""
    return (
        _vkey(body.receipt_key, ED25519, f"{body.name}/receipt", 16),
        _vkey(body.witness_key, COSIGNATURE_V1, body.name, 16),
    )


def certificate(text: str) -> x509.Certificate:
    """The certificate in a base64 *text*. Raises Refused (15)."""
    try:
        return x509.load_der_x509_certificate(_der(text))
    except NOT_X509:
        raise Refused(15, _("a certificate is not one")) from None


def key_request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """The PKCS#10 request of *key* for the common *name*, base64 of DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode("ascii")


def certificate_text(one: x509.Certificate) -> str:
    """A certificate as the files write it: base64 of DER."""
    return base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii")


def digest(data: bytes) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def _requested(text: str, name: str) -> ec.EllipticCurvePublicKey:
    wrong = Refused(9, _("a key request is not as it must be"))
    try:
        raw = _der(text)
        found = x509.load_der_x509_csr(raw)
        key = found.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not is_p256(key):
            raise wrong
        if not isinstance(found.signature_hash_algorithm, hashes.SHA256):
            raise wrong
        if common_name(found.subject) != name or not found.is_signature_valid:
            raise wrong
        if len(found.attributes) or len(found.extensions):
            raise wrong
        signature = found.signature
        tail = _ECDSA_SHA256 + bytes((3, len(signature) + 1, 0)) + signature
        if not raw.endswith(found.tbs_certrequest_bytes + tail):  # the parser takes other forms too
            raise wrong
    except NOT_X509:
        raise wrong from None
    return key


def _vkey(line: str, kind: int, name: str, number: int) -> VerifierKey:
    try:
        key = read_key(line)
    except BadNote:
        raise Refused(number, _("a key line is not as it must be")) from None
    if (key.kind, key.name) != (kind, name):
        raise Refused(number, _("a key line is not as it must be"))
    return key


def _der(text: str) -> bytes:
    """Raises ValueError also where the same bytes would be written otherwise."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("not base64 in its one form")
    return raw


def _content(body: RequestBody | ResponseBody) -> bytes:
    return canonical.dump(to_object(body))


def _mac(claim: Claim, what: bytes, content: bytes) -> str:
    label = b"greffier/enrolment-" + what + b"-mac@v1\n"
    return hmac.digest(claim.key, label + content, "sha256").hex()


def _written(record: Request | Response, kind: str) -> bytes:
    return canonical.dump({"is": kind, "v": VERSION, **to_object(record)}) + b"\n"


def _read(record: type[Record], kind: str, data: bytes, most: int) -> Record:
    if len(data) > most or not data.endswith(b"\n"):
        raise Refused(1, _("it is too long, or not one line of canonical JSON"))
    try:
        value = canonical.load(data[:-1])
    except canonical.NotCanonical:
        raise Refused(1, _("it is too long, or not one line of canonical JSON")) from None
    wrong = Refused(2, _("it is not of this kind, or a value has not its form"))
    if not isinstance(value, dict) or value.pop("is", None) != kind:
        raise wrong
    version = value.pop("v", None)
    if type(version) is not int or version != VERSION:
        raise wrong
    try:
        return from_object(record, value)
    except BadMessage:
        raise wrong from None
