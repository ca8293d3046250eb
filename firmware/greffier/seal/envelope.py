"""Envelopes: one 32-byte key, sealed by HPKE to those who may have it (docs/envelope-format.md).

HPKE is RFC 9180 in base mode with MLKEM768-X25519, HKDF-SHA256 and ChaCha20-Poly1305. Role, kind
and id are bound through ``info``, so an envelope opens only where it belongs.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from greffier.seal.keys import Opener, PublicKey, Role

KEY_BYTES = 32
ID_BYTES = 16
KEY_ID_BYTES = 8
SEALED_BYTES = 1168
RECORD_BYTES = 12 + SEALED_BYTES
LARGEST_COUNT = 55  # so that a block fits the 65,536 bytes that a part's header gives it

SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_CONTEXT = b"greffier/envelope@v1\0"


class What(IntEnum):
    """Which kind of key is sealed; the value is the byte of the format."""

    PART = 1
    METADATA = 2
    SAMPLING = 3


# Number -> reason of docs/envelope-format.md.
REASONS = {
    1: "the block ends before its records do",
    2: "the count is not in 1..55",
    3: "the role is not 1 or 2",
    4: "the kind of key is not 1, 2 or 3",
    5: "the length is not 1168",
    6: "bytes follow the last record",
    7: "two records have the same recipient",
    8: "two records have different kinds of keys",
    9: "a sampling key is for head office alone",
    10: "no record is for this key",
    11: "the record does not open",
}


class BadEnvelope(ValueError):
    """Bytes are not an envelope block. ``number`` is that of docs/envelope-format.md."""

    def __init__(self, number: int, offset: int) -> None:
        super().__init__(f"{REASONS[number]} (reason {number}, at byte {offset})")
        self.number = number
        self.reason = REASONS[number]
        self.offset = offset


class DoesNotOpen(ValueError):
    """A private key opens nothing here: number 10 (no record is for it) or 11 (it fails)."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{REASONS[number]} (reason {number})")
        self.number = number
        self.reason = REASONS[number]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record: a key sealed to the recipient *role* with *key_id* (8 bytes)."""

    role: Role
    what: What
    key_id: bytes
    sealed: bytes


def epoch_id(name: str) -> bytes:
    """The 16-byte id under which the keys of an epoch are sealed."""
    return hashlib.sha256(name.encode("utf-8")).digest()[:ID_BYTES]


def seal(
    key: bytes | bytearray, what: What, identity: bytes, recipients: Sequence[PublicKey]
) -> bytes:
    """The envelope block that holds *key* (32 bytes) for each of *recipients*.

    *identity* is the 16-byte part id, or :func:`epoch_id`. Raises ValueError for other lengths, no
    recipient, more than 55, one twice, or a sampling key for anybody but head office.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("an envelope holds 32 bytes")
    envelopes = [
        Envelope(
            recipient.role,
            what,
            recipient.key_id,
            SUITE.encrypt(key, recipient.hpke, _info(recipient.role, what, identity)),
        )
        for recipient in recipients
    ]
    return encode_block(envelopes)


def open_block(block: bytes, what: What, identity: bytes, opener: Opener) -> bytes:
    """The 32-byte key that *block* holds for *opener*.

    Raises BadEnvelope if the block is malformed, DoesNotOpen if it opens with another key only.
    """
    for envelope in parse_block(block):
        private = opener.find(envelope.role, envelope.key_id) if envelope.what == what else None
        if private is not None:
            break
    else:
        raise DoesNotOpen(10)
    try:
        key = SUITE.decrypt(envelope.sealed, private.hpke, _info(private.role, what, identity))
    except (InvalidTag, ValueError):  # ValueError: an ephemeral point of low order
        raise DoesNotOpen(11) from None
    if len(key) != KEY_BYTES:
        raise DoesNotOpen(11)
    return key


def encode_block(envelopes: Sequence[Envelope]) -> bytes:
    """The bytes of a block. Raises BadEnvelope if no reader would accept them."""
    if not 1 <= len(envelopes) <= LARGEST_COUNT:
        raise BadEnvelope(2, 0)
    parts = [bytes([len(envelopes)])]
    for envelope in envelopes:
        if len(envelope.sealed) != SEALED_BYTES:
            raise BadEnvelope(5, 0)
        head = bytes([envelope.role, envelope.what]) + envelope.key_id
        parts.append(head + len(envelope.sealed).to_bytes(2, "big") + envelope.sealed)
    block = b"".join(parts)
    parse_block(block)
    return block


def block_for(role: Role, block: bytes) -> bytes:
    """The block of those records of *block* that are for *role*, and of no other.

    Raises BadEnvelope where *block* is none, or has no such record.
    """
    return encode_block([one for one in parse_block(block) if one.role is role])


def parse_block(block: bytes) -> tuple[Envelope, ...]:
    """The records of *block*. Raises BadEnvelope for anything but a whole, well-formed block."""
    if not block:
        raise BadEnvelope(1, 0)
    if not 1 <= block[0] <= LARGEST_COUNT:
        raise BadEnvelope(2, 0)
    envelopes: list[Envelope] = []
    offset = 1
    for _ in range(block[0]):
        envelope = _parse_record(block, offset)
        if any((e.role, e.key_id) == (envelope.role, envelope.key_id) for e in envelopes):
            raise BadEnvelope(7, offset)
        if envelopes and envelope.what != envelopes[0].what:
            raise BadEnvelope(8, offset)
        if envelope.what == What.SAMPLING and envelope.role != Role.OFFICE:
            raise BadEnvelope(9, offset)
        envelopes.append(envelope)
        offset += RECORD_BYTES
    if offset != len(block):
        raise BadEnvelope(6, offset)
    return tuple(envelopes)


def _parse_record(block: bytes, offset: int) -> Envelope:
    head = block[offset : offset + 12]
    if len(head) < 12:
        raise BadEnvelope(1, len(block))
    if head[0] not in (1, 2):
        raise BadEnvelope(3, offset)
    if head[1] not in (1, 2, 3):
        raise BadEnvelope(4, offset)
    if int.from_bytes(head[10:12], "big") != SEALED_BYTES:
        raise BadEnvelope(5, offset)
    sealed = block[offset + 12 : offset + RECORD_BYTES]
    if len(sealed) < SEALED_BYTES:
        raise BadEnvelope(1, len(block))
    return Envelope(Role(head[0]), What(head[1]), head[2:10], sealed)


def _info(role: Role, what: What, identity: bytes) -> bytes:
    if len(identity) != ID_BYTES:
        raise ValueError("the id of an envelope is 16 bytes")
    return _CONTEXT + bytes([role, what]) + identity
