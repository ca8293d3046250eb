"""Mutated claim codes, requests, responses, key requests and certificates of an enrolment."""

import base64
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit.note import Signer
from greffier.sync import certificates, claim, enrolment
from greffier.sync.certificates import BadCertificate
from greffier.sync.claim import BadClaim, Claim
from greffier.sync.enrolment import Refused, Request, RequestBody, ResponseBody
from greffier.trust import LogKey
from greffier_office.authority import DEVICE_DAYS, Authority, Use

NOW_NS = 1_795_305_600_000_000_000
DEVICE = "box-1a2b3c4d"
CODE = "HTF5-MG9Q-17RB-0NVX-C34P"
CLAIM = Claim.of(CODE)
LOG_KEY = LogKey(f"greffier/{DEVICE}", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CONTROL, BULK = (ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12))
CA = Authority.new("siege", NOW_NS)
BODY = RequestBody(
    claim=CLAIM.claim,
    device=DEVICE,
    log_key=LOG_KEY.public_line(),
    control=enrolment.key_request(CONTROL, DEVICE),
    bulk=enrolment.key_request(BULK, f"{DEVICE}.b"),
    made_ns=NOW_NS,
)
REQUEST = enrolment.write_request(BODY, CLAIM, LOG_KEY)
OFFICE = Signer("siege", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RECEIPTS = Signer("siege/receipt", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def _certificate(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    one = CA.issue(key.public_key(), name, Use.CLIENT, NOW_NS, DEVICE_DAYS)
    return enrolment.certificate_text(one)


RESPONSE = enrolment.write_response(
    ResponseBody(
        claim=CLAIM.claim,
        device=DEVICE,
        request=enrolment.digest(REQUEST),
        name="siege",
        authority=enrolment.certificate_text(CA.certificate),
        control=_certificate(CONTROL, DEVICE),
        bulk=_certificate(BULK, f"{DEVICE}.b"),
        brokers=("mqtt.example.org:8883", "[2001:db8::1]:8884"),
        bulk_brokers=("bulk.example.org:443",),
        receipt_key=RECEIPTS.log_key.text,
        witness_key=OFFICE.witness_key.text,
        made_ns=NOW_NS,
    ),
    CLAIM,
)


class Forged(AssertionError):
    """Something changed was taken."""


def code(data: bytes) -> None:
    """What is typed is refused, or a code."""
    try:
        symbols = claim.read_code(data.decode("utf-8", "surrogateescape"))
    except BadClaim:
        return
    if claim.read_code(claim.grouped(symbols)) != symbols:
        raise Forged


def request(data: bytes) -> None:
    """A request is refused, or the one that was made."""
    try:
        enrolment.check_request(enrolment.read_request(data), CLAIM)
    except Refused:
        return
    if data != REQUEST:
        raise Forged


def response(data: bytes) -> None:
    """A response is refused, or the one that was made."""
    try:
        enrolment.check_response_mac(enrolment.read_response(data), CLAIM)
    except Refused:
        return
    if data != RESPONSE:
        raise Forged


def key_request(data: bytes) -> None:
    """A PKCS#10 request by someone who has the code is refused, or the key's that it says."""
    body = replace(BODY, control=base64.b64encode(data).decode("ascii"))
    try:
        found, _bulk = enrolment.public_keys(Request(body, "0" * 128, "0" * 64))
    except Refused:
        return
    if found != CONTROL.public_key():
        raise Forged


def certificate(data: bytes) -> None:
    """A certificate is refused, or one that the authority signed as it stands."""
    try:
        one = enrolment.certificate(base64.b64encode(data).decode("ascii"))
        certificates.check_client(one, CONTROL.public_key(), DEVICE, CA.certificate, NOW_NS)
    except (Refused, BadCertificate):
        return
    CA.key.public_key().verify(one.signature, one.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))


def authority(data: bytes) -> None:
    """A certificate of an authority is refused, or signed by itself."""
    try:
        one = enrolment.certificate(base64.b64encode(data).decode("ascii"))
        certificates.check_authority(one, NOW_NS)
    except (Refused, BadCertificate):
        return
    if one.public_key() != CA.key.public_key():
        raise Forged


SEEDS: dict[str, list[bytes]] = {
    "enrolment.code": [CODE.encode(), CODE.lower().replace("-", " ").encode()],
    "enrolment.request": [REQUEST],
    "enrolment.response": [RESPONSE],
    "enrolment.key_request": [base64.b64decode(BODY.control)],
    "enrolment.certificate": [base64.b64decode(_certificate(CONTROL, DEVICE))],
    "enrolment.authority": [
        base64.b64decode(enrolment.certificate_text(CA.certificate)),
    ],
}
TARGETS: dict[str, Callable[[bytes], None]] = {
    "enrolment.code": code,
    "enrolment.request": request,
    "enrolment.response": response,
    "enrolment.key_request": key_request,
    "enrolment.certificate": certificate,
    "enrolment.authority": authority,
}
