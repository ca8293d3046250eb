"""Writes claims.json, requests.json and responses.json after docs/enrolment-format.md alone.

Shares nothing with the package: what both get right, two readings of the page got right.
"""

import base64
import hashlib
import hmac
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
DEVICE, OTHER = "box-1a2b3c4d", "box-5e6f7081"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


# --- the claim code ---


def product(one: int, other: int) -> int:
    """In GF(32), by the book: shift and reduce by z^5+z^2+1."""
    total = 0
    for bit in range(5):
        if other >> bit & 1:
            total ^= one << bit
    for bit in range(8, 4, -1):
        if total >> bit & 1:
            total ^= 0b100101 << (bit - 5)
    return total


def holds(values: list[int]) -> bool:
    plain, weighted, weight = 0, 0, 1
    for value in values:
        plain ^= value
        weighted ^= product(weight, value)
        weight = product(weight, 2)
    return plain == 0 and weighted == 0


def completed(first: str) -> str:
    """The 18 symbols and the two that are found by trying all."""
    values = [ALPHABET.index(one) for one in first]
    for a in range(32):
        for b in range(32):
            if holds([*values, a, b]):
                return first + ALPHABET[a] + ALPHABET[b]
    raise AssertionError("no check")


def expanded(symbols: str, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256; one block is enough."""
    extracted = hmac.digest(b"greffier/claim@v1", symbols.encode(), "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")[:length]


def grouped(symbols: str) -> str:
    return "-".join(symbols[at : at + 4] for at in range(0, len(symbols), 4))


CODE = completed("HTF5MG9Q17RB0NVXC3")
WRONG_CODE = completed("HTF5MG9Q17RB0NVXC4")


def claims() -> dict[str, Any]:
    def one(typed: str, symbols: str) -> dict[str, str]:
        return {
            "typed": typed,
            "symbols": symbols,
            "id": expanded(symbols, b"id", 8).hex(),
            "key": expanded(symbols, b"key", 32).hex(),
        }

    zeros, tens = completed("0" * 18), completed("10" * 9)
    valid = [
        one(grouped(CODE), CODE),
        one(CODE, CODE),
        one(grouped(CODE).lower(), CODE),
        one(" " + CODE.lower().replace("", " ") + " ", CODE),
        one(grouped(WRONG_CODE), WRONG_CODE),
        one(zeros, zeros),
        one(zeros.replace("0", "o"), zeros),
        one(tens, tens),
        one(tens.replace("1", "l").replace("0", "O"), tens),
        one(tens.replace("1", "I"), tens),
    ]
    swapped = CODE[:3] + CODE[4] + CODE[3] + CODE[5:]
    far = CODE[1] + CODE[0] + CODE[2:17] + CODE[18] + CODE[17] + CODE[19]
    invalid = {
        "empty": "",
        "one symbol wrong": "J" + CODE[1:],
        "last symbol wrong": CODE[:-1] + ("0" if CODE[-1] != "0" else "1"),
        "two symbols wrong": "JV" + CODE[2:],
        "two neighbours exchanged": swapped,
        "two far ones exchanged": CODE[10] + CODE[1:10] + CODE[0] + CODE[11:],
        "both ends exchanged in pairs": far,
        "backwards": CODE[::-1],
        "too short": CODE[:-1],
        "too long": CODE + "0",
        "a U": "U" + CODE[1:],
        "an accent": "É" + CODE[1:],
        "another hyphen": grouped(CODE).replace("-", "\u2011"),
        "digits of another script": "٠" * 20,
        "a line feed": CODE + "\n",
        "a tab": CODE[:4] + "\t" + CODE[4:],
        "two codes": CODE + " " + CODE,
        "no end of spaces": CODE + " " * 100,
        "a dot": CODE[:4] + "." + CODE[4:],
    }
    return {
        "valid": valid,
        "invalid": [{"name": name, "typed": typed} for name, typed in invalid.items()],
    }


# --- keys, lines, requests ---


def ec_key(number: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    secret = int.from_bytes(hashlib.sha256(b"greffier vector %d" % number).digest(), "big")
    return ec.derive_private_key(secret >> 1, curve or ec.SECP256R1())


def ed_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"greffier note %d" % number).digest()
    )


def vkey(name: str, kind: int, key: Ed25519PrivateKey, spoiled: bool = False) -> str:
    material = bytes([kind]) + key.public_key().public_bytes_raw()
    found = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if spoiled:
        found = bytes([found[0] ^ 1]) + found[1:]
    return f"{name}+{found.hex()}+{base64.b64encode(material).decode()}"


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def text64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


LOG, CONTROL, BULK = ed_key(1), ec_key(1), ec_key(2)
CN = NameOID.COMMON_NAME


def csr(key: Any, *names: tuple[Any, str], extension: Any = None, password: bool = False,
        algorithm: Any = None) -> str:  # fmt: skip
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    if password:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"x")
    if isinstance(key, Ed25519PrivateKey):
        return text64(builder.sign(key, None).public_bytes(DER))
    made = builder.sign(key, algorithm or hashes.SHA256(), ecdsa_deterministic=True)
    return text64(made.public_bytes(DER))


def request_body(**changes: Any) -> dict[str, Any]:
    body = {
        "claim": expanded(CODE, b"id", 8).hex(),
        "device": DEVICE,
        "log_key": vkey(f"greffier/{DEVICE}", 1, LOG),
        "control": csr(CONTROL, (CN, DEVICE)),
        "bulk": csr(BULK, (CN, DEVICE + ".b")),
        "made_ns": str(NOW_NS),
    }
    return {key: value for key, value in (body | changes).items() if value is not ...}


def request_object(
    body: dict[str, Any], signer: Ed25519PrivateKey = LOG, code: str = CODE
) -> dict[str, Any]:
    content = canonical(body)
    signature = signer.sign(b"greffier/enrolment-request@v1\n" + content)
    label = b"greffier/enrolment-request-mac@v1\n"
    mac = hmac.digest(expanded(code, b"key", 32), label + signature + content, "sha256")
    return {
        "is": "greffier-enrolment-request",
        "v": 1,
        "body": body,
        "signature": signature.hex(),
        "mac": mac.hex(),
    }


def request(**changes: Any) -> str:
    return canonical(request_object(request_body(**changes))).decode() + "\n"


def flipped(text: str, at: int = -1) -> str:
    """Base64 of the same bytes with one bit changed."""
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return text64(bytes(raw))


def changed(whole: dict[str, Any], *path: str, value: Any) -> str:
    """The file of *whole* with one value replaced afterwards (removed where it is ...)."""
    copy = deepcopy(whole)
    place = copy
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return canonical(copy).decode() + "\n"


def bad_forms(whole: dict[str, Any], most: int) -> dict[str, tuple[str, int]]:
    """What is wrong outside the body, the same for both files."""
    good = canonical(whole).decode()
    return {
        "empty": ("", 1),
        "a line feed": ("\n", 1),
        "no line feed at the end": (good, 1),
        "two line feeds": (good + "\n\n", 1),
        "carriage return": (good + "\r\n", 1),
        "a space before": (" " + good + "\n", 1),
        "not JSON": ("{\n", 1),
        "nested beyond measure": ("[" * 3000 + "\n", 1),
        "cut": (good[:-20] + "\n", 1),
        "indented": (json.dumps(whole, indent=1, sort_keys=True) + "\n", 1),
        "keys out of order": (
            json.dumps(dict(sorted(whole.items(), reverse=True)), separators=(",", ":")) + "\n",
            1,
        ),
        "a key twice": ('{"body":{},' + good[1:] + "\n", 1),
        "a lone surrogate": (good.replace("greffier-", "\\ud800-", 1) + "\n", 1),
        "a number beyond 2**53": ('{"v":9007199254740993}\n', 1),
        "too long": ('{"x":"' + "a" * most + '"}\n', 1),
        "a list": ("[]\n", 2),
        "a text": ('"x"\n', 2),
        "null": ("null\n", 2),
        "an empty object": ("{}\n", 2),
        "version 2": (changed(whole, "v", value=2), 2),
        "version true": (changed(whole, "v", value=True), 2),
        "version as text": (changed(whole, "v", value="1"), 2),
        "no version": (changed(whole, "v", value=...), 2),
        "another kind": (changed(whole, "is", value="greffier-enrolment"), 2),
        "no kind": (changed(whole, "is", value=...), 2),
        "one key more": (changed(whole, "x", value=1), 2),
        "no MAC": (changed(whole, "mac", value=...), 2),
        "MAC in capitals": (changed(whole, "mac", value=str(whole["mac"]).upper()), 2),
        "MAC cut": (changed(whole, "mac", value=str(whole["mac"])[:-2]), 2),
        "MAC null": (changed(whole, "mac", value=None), 2),
        "no body": (changed(whole, "body", value=...), 2),
        "body null": (changed(whole, "body", value=None), 2),
        "body a list": (changed(whole, "body", value=[]), 2),
        "one key more in the body": (changed(whole, "body", "x", value=1), 2),
    }


def wrong_values(whole: dict[str, Any], values: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Each key of the body missing, and with each of its wrong forms."""
    found: dict[str, Any] = {}
    for key in whole["body"]:
        found[f"no {key}"] = (changed(whole, "body", key, value=...), 2)
        for number, value in enumerate((*values.get(key, ()), None, 7, True, [], {}, ""), 1):
            if key in ("brokers", "bulk_brokers") and value == []:
                continue
            found[f"{key}: wrong form {number}"] = (changed(whole, "body", key, value=value), 2)
    return found


def requests() -> dict[str, Any]:
    whole = request_object(request_body())
    good = canonical(whole).decode() + "\n"
    forms = {
        "claim": ("0" * 15, "0" * 17, "G" * 16, "A" * 16),
        "device": ("box-1a2b3c4", "box-1A2B3C4D", "BOX-1a2b3c4d", "box-1a2b3c4d\n", "collector"),
        "log_key": ("a b", "é", "x" * 300),
        "control": ("A" * 5000, "_-__", "AA\n=", "===="),
        "bulk": ("A" * 5000, "_-__"),
        "made_ns": ("01", "-1", "1.5", str(2**63), " 1"),
    }
    bad: dict[str, tuple[str, int]] = bad_forms(whole, 8192) | wrong_values(whole, forms)
    bad |= {
        "no signature": (changed(whole, "signature", value=...), 2),
        "signature cut": (changed(whole, "signature", value=whole["signature"][:-2]), 2),
        "a response": (changed(whole, "is", value="greffier-enrolment-response"), 2),
        "another code": (_file(request_object(request_body(), code=WRONG_CODE)), 6),
        "MAC changed": (changed(whole, "mac", value="0" * 64), 6),
        "signature changed": (changed(whole, "signature", value="0" * 128), 6),
        "device changed": (changed(whole, "body", "device", value=OTHER), 6),
        "time changed": (changed(whole, "body", "made_ns", value=str(NOW_NS + 1)), 6),
        "log key changed": (
            changed(whole, "body", "log_key", value=vkey(f"greffier/{DEVICE}", 1, ed_key(2))), 6,
        ),
        "control changed": (
            changed(whole, "body", "control", value=csr(ec_key(3), (CN, DEVICE))), 6,
        ),
        "bulk changed": (
            changed(whole, "body", "bulk", value=csr(ec_key(3), (CN, DEVICE + ".b"))), 6,
        ),
        "control and bulk exchanged afterwards": (
            _file(whole | {"body": request_body(control=request_body()["bulk"],
                                                bulk=request_body()["control"])}), 6,
        ),
        "claim of nobody": (request(claim="0" * 16), 3),
        "log key of another device": (request(log_key=vkey(f"greffier/{OTHER}", 1, LOG)), 7),
        "log key without its name": (request(log_key=vkey(DEVICE, 1, LOG)), 7),
        "log key of a witness": (request(log_key=vkey(f"greffier/{DEVICE}", 4, LOG)), 7),
        "log key of an unknown type": (request(log_key=vkey(f"greffier/{DEVICE}", 2, LOG)), 7),
        "log key with a wrong id": (request(log_key=vkey(f"greffier/{DEVICE}", 1, LOG, True)), 7),
        "log key that is none": (request(log_key="greffier"), 7),
        "a foreign log key": (
            request(log_key=vkey(f"greffier/{DEVICE}", 1, ed_key(2))), 8,
        ),
        "signed by another key": (_file(request_object(request_body(), ed_key(2))), 8),
        "a log key that is no point": (_no_point(), 8),
    }  # fmt: skip
    bad |= {name: (request(**change), 9) for name, change in wrong_key_requests().items()}
    states: dict[str, tuple[dict[str, Any], int | None]] = {
        "good": ({}, None),
        "claim for this device": ({"for_device": DEVICE}, None),
        "enrolled before, with this log key": (_known(), None),
        "revoked, and the claim names it": (_known(revoked=True) | {"for_device": DEVICE}, None),
        "claim used by another request": ({"claim": "used"}, 4),
        "claim expired": ({"claim": "expired"}, 5),
        "claim unknown": ({"claim": "unknown"}, 3),
        "claim for another device": ({"for_device": OTHER}, 10),
        "enrolled with another log key": (_known(log=ed_key(2)), 11),
        "revoked": (_known(revoked=True), 12),
    }
    vectors = [
        {"name": name, "text": good, "state": state, "reason": reason}
        for name, (state, reason) in states.items()
    ]
    vectors += [
        {"name": name, "text": text, "state": {}, "reason": reason}
        for name, (text, reason) in bad.items()
    ]
    return {"code": grouped(CODE), "device": DEVICE, "now_ns": str(NOW_NS), "vectors": vectors}


def wrong_key_requests() -> dict[str, dict[str, str]]:
    name = (CN, DEVICE)
    good = csr(CONTROL, name)
    host = x509.SubjectAlternativeName([x509.DNSName(DEVICE)])
    return {
        "control for another device": {"control": csr(CONTROL, (CN, OTHER))},
        "control for the bulk connection": {"control": csr(CONTROL, (CN, DEVICE + ".b"))},
        "control for the collector": {"control": csr(CONTROL, (CN, "collector"))},
        "bulk for the control connection": {"bulk": csr(BULK, name)},
        "exchanged": {"control": csr(BULK, (CN, DEVICE + ".b")), "bulk": good},
        "no name": {"control": csr(CONTROL)},
        "two names": {"control": csr(CONTROL, name, name)},
        "name of another kind": {"control": csr(CONTROL, (NameOID.ORGANIZATION_NAME, DEVICE))},
        "an organisation besides": {
            "control": csr(CONTROL, name, (NameOID.ORGANIZATION_NAME, "x"))
        },
        "an alternative name": {"control": csr(CONTROL, name, extension=host)},
        "a CA's constraint": {
            "control": csr(CONTROL, name, extension=x509.BasicConstraints(True, None))
        },
        "a challenge password": {"control": csr(CONTROL, name, password=True)},
        "the same key twice": {"bulk": csr(CONTROL, (CN, DEVICE + ".b"))},
        "P-384": {"control": csr(ec_key(5, ec.SECP384R1()), name)},
        "secp256k1": {"control": csr(ec_key(5, ec.SECP256K1()), name)},
        "Ed25519": {"control": csr(ed_key(9), name)},
        "SHA-384": {"control": csr(CONTROL, name, algorithm=hashes.SHA384())},
        "its signature changed": {"control": flipped(good)},
        "its name changed": {"control": flipped(good, base64.b64decode(good).index(b"box-") + 4)},
        "a byte behind it": {"control": text64(base64.b64decode(good) + b"\0")},
        "unused bits in its signature": {"control": _unused_bits(name)},
        "cut": {"control": text64(base64.b64decode(good)[:-1])},
        "zeros": {"control": text64(bytes(60))},
        "a certificate": {"control": text64(certificate(CONTROL.public_key(), DEVICE))},
        "base64 with a bit too many": {
            "control": _loose(
                next(
                    text
                    for text in (csr(ec_key(number), name) for number in range(50, 99))
                    if text.endswith("=")
                )
            )
        },
    }


def _unused_bits(name: tuple[Any, str]) -> str:
    """A request whose signature's BIT STRING says that its last bit (a zero) is none."""
    for number in range(50, 99):
        raw = bytearray(base64.b64decode(csr(ec_key(number), name)))
        signature = x509.load_der_x509_csr(bytes(raw)).signature
        if signature[-1] & 1 == 0:
            raw[-len(signature) - 1] = 1
            return text64(bytes(raw))
    raise AssertionError("no even signature")


def _loose(text: str) -> str:
    """The same bytes in base64 with unused bits set: needs padding."""
    raw = base64.b64decode(text)
    body, padding = text.rstrip("="), text.count("=") * "="
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = body[:-1] + digits[digits.index(body[-1]) + 1] + padding
    assert base64.b64decode(loose) == raw
    return loose


def _file(value: dict[str, Any]) -> str:
    return canonical(value).decode() + "\n"


def _line(name: str, public: bytes) -> str:
    material = b"\x01" + public
    found = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return f"{name}+{found.hex()}+{text64(material)}"


def _no_point() -> str:
    """A log key whose 32 bytes are no point of the curve."""
    return request(log_key=_line(f"greffier/{DEVICE}", b"\xff" * 32))


def _known(log: Ed25519PrivateKey = LOG, revoked: bool = False) -> dict[str, Any]:
    return {"device": {"log_key": vkey(f"greffier/{DEVICE}", 1, log), "revoked": revoked}}


# --- certificates, responses ---

CA = ec_key(10)
RECEIPT, WITNESS = ed_key(10), ed_key(11)
CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]


def certificate(
    holder: Any,
    name: str | list[tuple[Any, str]],
    signer: ec.EllipticCurvePrivateKey = CA,
    issuer: str = "siege CA",
    ca: bool = False,
    uses: list[Any] | None = CLIENT,
    begin: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=1826),
    sign_certificates: bool | None = None,
) -> bytes:
    names = [(CN, name)] if isinstance(name, str) else name
    signs = ca if sign_certificates is None else sign_certificates
    usage = x509.KeyUsage(not ca, False, False, False, False, signs, ca, False, False)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(CN, issuer)]))
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in names]))
        .public_key(holder)
        .serial_number(int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:15], "big"))
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        .add_extension(usage, critical=True)
    )
    if uses and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=True)
    made = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(DER)


def authority(key: ec.EllipticCurvePrivateKey = CA, **changes: Any) -> str:
    settings = {"ca": True, "signer": key, "end": timedelta(days=7305)} | changes
    return text64(certificate(key.public_key(), "siege CA", **settings))


def own(bulk: bool = False, **changes: Any) -> str:
    key = changes.pop("key", BULK if bulk else CONTROL).public_key()
    name = changes.pop("name", DEVICE + ".b" if bulk else DEVICE)
    return text64(certificate(key, name, **changes))


REQUEST_SHA = hashlib.sha256(request().encode()).hexdigest()


def response_body(**changes: Any) -> dict[str, Any]:
    body = {
        "claim": expanded(CODE, b"id", 8).hex(),
        "device": DEVICE,
        "request": REQUEST_SHA,
        "name": "siege",
        "authority": authority(),
        "control": own(),
        "bulk": own(bulk=True),
        "brokers": ["mqtt.example.org:8883", "[2001:db8::1]:8884"],
        "bulk_brokers": [],
        "receipt_key": vkey("siege/receipt", 1, RECEIPT),
        "witness_key": vkey("siege", 4, WITNESS),
        "made_ns": str(NOW_NS),
    }
    return body | changes


def response_object(body: dict[str, Any], code: str = CODE) -> dict[str, Any]:
    label = b"greffier/enrolment-response-mac@v1\n"
    mac = hmac.digest(expanded(code, b"key", 32), label + canonical(body), "sha256")
    return {
        "is": "greffier-enrolment-response",
        "v": 1,
        "body": body,
        "mac": mac.hex(),
    }


def response(**changes: Any) -> str:
    return _file(response_object(response_body(**changes)))


def bad_certificates() -> dict[str, str]:
    stranger, day = ec_key(12), timedelta(days=1)
    both = [*CLIENT, ExtendedKeyUsageOID.SERVER_AUTH]
    p384 = ec_key(13, ec.SECP384R1())
    good = authority()
    return {
        "of another authority": response(control=own(signer=stranger)),
        "an authority that did not sign": response(authority=authority(stranger)),
        "issuer of another name": response(bulk=own(bulk=True, issuer="x CA")),
        "of another key": response(control=own(key=stranger)),
        "for another device": response(control=own(name=OTHER)),
        "for the collector": response(control=own(name="collector")),
        "control and bulk exchanged": response(control=own(bulk=True), bulk=own()),
        "control twice": response(bulk=own()),
        "two names": response(control=own(name=[(CN, DEVICE), (CN, DEVICE)])),
        "a name besides": response(
            control=own(name=[(CN, DEVICE), (NameOID.ORGANIZATION_NAME, "x")])
        ),
        "expired": response(control=own(begin=-9 * day, end=-day)),
        "not yet good": response(bulk=own(bulk=True, begin=day, end=9 * day)),
        "a server's": response(control=own(uses=[ExtendedKeyUsageOID.SERVER_AUTH])),
        "a client's and a server's": response(control=own(uses=both)),
        "without a use": response(control=own(uses=None)),
        "an authority's": response(control=own(ca=True)),
        "the authority as device": response(control=good),
        "a device as authority": response(authority=own()),
        "authority without the right to sign": response(
            authority=authority(sign_certificates=False)
        ),
        "authority expired": response(authority=authority(begin=-9 * day, end=-day)),
        "authority not yet good": response(authority=authority(begin=day, end=9 * day)),
        "authority of another signer": response(authority=authority(signer=stranger)),
        "authority of P-384": response(authority=authority(p384), control=own(signer=p384)),
        "a signature changed": response(control=flipped(own())),
        "no certificate": response(control=text64(bytes(60))),
        "a key request": response(control=csr(CONTROL, (CN, DEVICE))),
        "a byte behind it": response(bulk=text64(base64.b64decode(own(bulk=True)) + b"\0")),
    }


def responses() -> dict[str, Any]:
    whole = response_object(response_body())
    good = _file(whole)
    addresses: tuple[Any, ...] = (
        ["a"], ["a:0"], ["a:65536"], ["a:08883"], ["a b:1"], ["-a:1"], [":1"], ["a:1\n"], [1],
        ["2001:db8::1:8883"], ["[x]:1"], ["a" * 254 + ":1"], [f"h{n}:1" for n in range(9)], "a:1",
    )  # fmt: skip
    forms = {
        "claim": ("0" * 15, "A" * 16),
        "device": ("box-1a2b3c4", "collector"),
        "request": ("0" * 63, "G" * 64),
        "name": ("Siege", "a b", ".a", "a.", "a" * 33, "a+b", "é"),
        "authority": ("A" * 5000, "_-__"),
        "control": ("A" * 5000,),
        "bulk": ("AA\n=",),
        "brokers": (*addresses, []),
        "bulk_brokers": addresses,
        "receipt_key": ("a b",),
        "witness_key": ("x" * 300,),
        "made_ns": ("01", str(2**63)),
    }
    bad: dict[str, tuple[str, int]] = bad_forms(whole, 16384) | wrong_values(whole, forms)
    for key, value in {
        "name": "autre", "brokers": ["evil.example.org:8883"], "bulk_brokers": ["evil:1"],
        "made_ns": "1", "receipt_key": vkey("siege/receipt", 1, ed_key(20)),
        "witness_key": vkey("siege", 4, ed_key(20)), "authority": authority(ec_key(12)),
        "control": own(signer=ec_key(12)), "bulk": own(bulk=True, signer=ec_key(12)),
    }.items():  # fmt: skip
        bad[f"{key} changed"] = (changed(whole, "body", key, value=value), 14)
    bad |= {
        "claim changed": (changed(whole, "body", "claim", value="0" * 16), 13),
        "device changed": (changed(whole, "body", "device", value=OTHER), 13),
        "request changed": (changed(whole, "body", "request", value="0" * 64), 13),
        "a request": (request(), 2),
        "MAC changed": (changed(whole, "mac", value="0" * 64), 14),
        "another code": (_file(response_object(response_body(), WRONG_CODE)), 14),
        "answers an earlier request": (response(request="0" * 64), 13),
        "answers another device": (response(device=OTHER), 13),
        "of another claim": (response(claim="0" * 16), 13),
        "receipt key of a witness": (response(receipt_key=vkey("siege/receipt", 4, RECEIPT)), 16),
        "receipt key of another name": (response(receipt_key=vkey("x/receipt", 1, RECEIPT)), 16),
        "receipt key named as witness": (response(receipt_key=vkey("siege", 1, RECEIPT)), 16),
        "receipt key with a wrong id": (
            response(receipt_key=vkey("siege/receipt", 1, RECEIPT, True)),
            16,
        ),
        "witness key of a log": (response(witness_key=vkey("siege", 1, WITNESS)), 16),
        "witness key of another name": (response(witness_key=vkey("x", 4, WITNESS)), 16),
        "witness key that is none": (response(witness_key="siege"), 16),
    }
    bad |= {f"certificate: {name}": (text, 15) for name, text in bad_certificates().items()}
    mine = f"{vkey('siege/receipt', 1, RECEIPT)}\n{vkey('siege', 4, WITNESS)}\n"
    foreign = f"{vkey('autre/receipt', 1, ed_key(30))}\n{vkey('autre', 4, ed_key(31))}\n"
    states: dict[str, tuple[dict[str, Any], int | None]] = {
        "good": ({}, None),
        "the same head office is installed": ({"installed": mine}, None),
        "another head office is installed": ({"installed": foreign}, 17),
        "another head office, and asked to replace it": (
            {"installed": foreign, "replace": True},
            None,
        ),
        "no request waits": ({"pending": False}, 13),
        "the data directory is another box's": ({"directory": OTHER}, 13),
    }
    vectors = [
        {"name": name, "text": good, "state": state, "reason": reason}
        for name, (state, reason) in states.items()
    ]
    vectors.append({
        "name": "good, with brokers for sound", "state": {}, "reason": None,
        "text": response(bulk_brokers=[f"bulk{n}.example.org:443" for n in range(8)]),
    })  # fmt: skip
    vectors += [
        {"name": name, "text": text, "state": {}, "reason": reason}
        for name, (text, reason) in bad.items()
    ]

    def secret(key: ec.EllipticCurvePrivateKey) -> str:
        form = serialization.PrivateFormat.PKCS8
        return key.private_bytes(PEM, form, serialization.NoEncryption()).decode()

    pending = {
        "claim": expanded(CODE, b"id", 8).hex(),
        "key": expanded(CODE, b"key", 32).hex(),
        "device": DEVICE,
        "request": REQUEST_SHA,
        "control": secret(CONTROL),
        "bulk": secret(BULK),
    }
    return {"device": DEVICE, "now_ns": str(NOW_NS), "pending": pending, "vectors": vectors}


def main() -> None:
    for name, value in (
        ("claims", claims()),
        ("requests", requests()),
        ("responses", responses()),
    ):
        text = json.dumps(value, indent=1, ensure_ascii=False)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
