"""Bytes of the shred store: root slots, day buckets and their records (docs/shred-format.md). Pure.

Whoever seals hands in the random salt, so the same call gives the same bytes.
"""

import re
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greffier.trust import DeletionClass

PART, METADATA, SAMPLING = 1, 2, 3
LARGEST_BLOCK = 65535

_ROOT_MAGIC = bytes.fromhex("894753520D0A1A0A")
_BUCKET_MAGIC = bytes.fromhex("894753420D0A1A0A")
_VERSION = 1
_SUITE = 1
_ROOT = struct.Struct(">8sHHQ32sI")
_ROOT_ENTRY = struct.Struct(">10sQ32s")
_BUCKET = struct.Struct(">8sHHQ10s")
_RECORD = struct.Struct(">II")
_SALT = 16
_PLAIN = 18
_TAG = 16
BUCKET_HEADER = _BUCKET.size + 4
RECORD_HEADER = _RECORD.size + 4 + _SALT
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class BadRoot(ValueError):
    """The bytes are no root slot, or not under this key. ``reason`` and ``offset`` say where."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


class BadBucket(ValueError):
    """The bytes are no day bucket, or not under this key. ``reason`` and ``offset`` say where."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


class Name(NamedTuple):
    """What an entry opens: a part (id = part id) or a key of an epoch."""

    what: int
    id: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One destroyable thing: an envelope block and what its destruction is worth."""

    name: Name
    deletion_class: DeletionClass
    block: bytes


class BucketKey(NamedTuple):
    """Where a day's entries are and what opens them."""

    generation: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """One state of the whole store: generation, and a bucket key for each day that has entries."""

    generation: int
    buckets: Mapping[str, BucketKey]


def is_day(text: str) -> bool:
    """Whether *text* is ``YYYY-MM-DD`` and a day of the calendar."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _cipher(salt: bytes, secret: bytes, info: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    okm = HKDF(SHA512(), 44, salt=salt, info=info).derive(secret)
    return ChaCha20Poly1305(okm[:32]), okm[32:]


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def seal_root(root: Root, effaceable: bytes, salt: bytes) -> bytes:
    """The bytes of a root slot under *effaceable*; *salt* is 32 fresh random bytes."""
    plain = len(root.buckets).to_bytes(4, "big") + b"".join(
        _ROOT_ENTRY.pack(day.encode("ascii"), *root.buckets[day]) for day in sorted(root.buckets)
    )
    header = _ROOT.pack(_ROOT_MAGIC, _VERSION, _SUITE, root.generation, salt, len(plain) + _TAG)
    cipher, nonce = _cipher(salt, effaceable, b"greffier/shred-root@v1\0" + header)
    body = header + cipher.encrypt(nonce, plain, header)
    return body + _crc(body)


def open_root(data: bytes, effaceable: bytes) -> Root:
    """The root in a slot's *data*. Raises BadRoot (also when another key sealed it)."""
    if len(data) < _ROOT.size + _TAG + 4:
        raise BadRoot("too short", len(data))
    header = data[: _ROOT.size]
    magic, version, suite, generation, salt, length = _ROOT.unpack(header)
    if magic != _ROOT_MAGIC:
        raise BadRoot("wrong magic", 0)
    if (version, suite) != (_VERSION, _SUITE):
        raise BadRoot("unknown version or suite", 8)
    if len(data) != _ROOT.size + length + 4:
        raise BadRoot("wrong length", 52)
    if _crc(data[:-4]) != data[-4:]:
        raise BadRoot("wrong checksum", len(data) - 4)
    cipher, nonce = _cipher(salt, effaceable, b"greffier/shred-root@v1\0" + header)
    try:
        plain = cipher.decrypt(nonce, data[_ROOT.size : -4], header)
    except InvalidTag:
        raise BadRoot("this key does not open it", _ROOT.size) from None
    return Root(generation, _buckets(plain, generation))


def _buckets(plain: bytes, newest: int) -> dict[str, BucketKey]:
    count = int.from_bytes(plain[:4], "big")
    if len(plain) != 4 + count * _ROOT_ENTRY.size:
        raise BadRoot("wrong number of buckets", _ROOT.size)
    buckets: dict[str, BucketKey] = {}
    last = ""
    for raw, generation, key in _ROOT_ENTRY.iter_unpack(plain[4:]):
        day = raw.decode("ascii", "replace")
        if not is_day(day) or day <= last:
            raise BadRoot("a day is none or out of order", _ROOT.size)
        if not 1 <= generation <= newest:
            raise BadRoot("a bucket is newer than its root", _ROOT.size)
        buckets[day] = BucketKey(generation, key)
        last = day
    return buckets


def bucket_header(day: str, generation: int) -> bytes:
    """The first bytes of a bucket file."""
    body = _BUCKET.pack(_BUCKET_MAGIC, _VERSION, _SUITE, generation, day.encode("ascii"))
    return body + _crc(body)


def check_bucket_header(data: bytes, day: str, generation: int) -> None:
    """Whether *data* begins as the bucket of *day* and *generation*. Raises BadBucket."""
    if len(data) < BUCKET_HEADER:
        raise BadBucket("too short", len(data))
    magic, version, suite, own_generation, own_day = _BUCKET.unpack_from(data)
    if magic != _BUCKET_MAGIC:
        raise BadBucket("wrong magic", 0)
    if (version, suite) != (_VERSION, _SUITE):
        raise BadBucket("unknown version or suite", 8)
    if _crc(data[: _BUCKET.size]) != data[_BUCKET.size : BUCKET_HEADER]:
        raise BadBucket("wrong checksum", _BUCKET.size)
    if own_generation != generation:
        raise BadBucket("of another generation", 12)
    if own_day != day.encode("ascii"):
        raise BadBucket("of another day", 20)


def _info(day: str, generation: int, seq: int) -> bytes:
    header = _BUCKET.pack(_BUCKET_MAGIC, _VERSION, _SUITE, generation, day.encode("ascii"))
    return b"greffier/shred-record@v1\0" + header + seq.to_bytes(4, "big")


def seal_record(day: str, bucket: BucketKey, seq: int, entry: Entry, salt: bytes) -> bytes:
    """The bytes of record *seq* of a bucket; *salt* is 16 fresh random bytes."""
    if not 1 <= len(entry.block) <= LARGEST_BLOCK or len(entry.name.id) != 16:
        raise ValueError("an id has 16 bytes, an envelope block 1 to 65535")
    known = entry.name.what in (PART, METADATA, SAMPLING)
    if not known or entry.deletion_class not in ("A", "B", "C"):
        raise ValueError("an entry is of a listed kind and class")
    kind = bytes([entry.name.what]) + entry.deletion_class.encode("ascii")
    plain = entry.name.id + kind + entry.block
    head = _RECORD.pack(len(plain) + _TAG, seq)
    cipher, nonce = _cipher(salt, bucket.key, _info(day, bucket.generation, seq))
    tail = salt + cipher.encrypt(nonce, plain, head)
    return head + _crc(head + tail) + tail


def record_length(data: bytes, offset: int) -> int | None:
    """How long the record at *offset* says it is, or None if it cannot be that long."""
    if len(data) - offset < RECORD_HEADER:
        return None
    length = int.from_bytes(data[offset : offset + 4], "big")
    if not _PLAIN + 1 + _TAG <= length <= _PLAIN + LARGEST_BLOCK + _TAG:
        return None
    whole = RECORD_HEADER + length
    return whole if offset + whole <= len(data) else None


def open_record(data: bytes, offset: int, day: str, bucket: BucketKey, seq: int) -> Entry:
    """The entry whose record *seq* begins at *offset* of a bucket file. Raises BadBucket."""
    whole = record_length(data, offset)
    if whole is None:
        raise BadBucket("a record is cut or has a wrong length", offset)
    head, tail = data[offset : offset + _RECORD.size], data[offset + 12 : offset + whole]
    if _crc(head + tail) != data[offset + 8 : offset + 12]:
        raise BadBucket("wrong checksum", offset + 8)
    if _RECORD.unpack(head)[1] != seq:
        raise BadBucket("a record is out of order", offset + 4)
    cipher, nonce = _cipher(tail[:_SALT], bucket.key, _info(day, bucket.generation, seq))
    try:
        plain = cipher.decrypt(nonce, tail[_SALT:], head)
    except InvalidTag:
        raise BadBucket("this key does not open a record", offset) from None
    what, letter = plain[16], chr(plain[17])
    if what not in (PART, METADATA, SAMPLING):
        raise BadBucket("an entry of an unknown kind", offset)
    if letter not in "ABC":
        raise BadBucket("an entry of an unknown class", offset)
    name = Name(what, plain[:16])
    return Entry(name, cast(DeletionClass, letter), plain[_PLAIN:])


def fresh_salts() -> Iterator[bytes]:
    """Random salts of records, as many as are asked for."""
    while True:
        yield secrets.token_bytes(16)


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and where its record lies in the bucket file."""

    entry: Entry
    seq: int
    offset: int
    length: int


def seal_records(
    day: str,
    bucket: BucketKey,
    seq: int,
    offset: int,
    entries: Iterable[Entry],
    salts: Iterator[bytes],
) -> tuple[bytes, list[Placed]]:
    """The records of *entries* from *seq* on, and where each will lie from *offset* on."""
    data = bytearray()
    placed: list[Placed] = []
    for number, entry in enumerate(entries, seq):
        raw = seal_record(day, bucket, number, entry, next(salts))
        placed.append(Placed(entry, number, offset + len(data), len(raw)))
        data += raw
    return bytes(data), placed


@dataclass(frozen=True, slots=True)
class Walk:
    """What the copies of a bucket hold together.

    ``good`` is what every copy should be, byte for byte; ``lost`` counts entries that no copy has
    any more, ``torn`` the bytes after the last whole record; ``next_seq`` that of the next record.
    """

    placed: tuple[Placed, ...]
    good: bytes
    lost: int
    torn: int
    next_seq: int


def walk(copies: Sequence[bytes], day: str, bucket: BucketKey) -> Walk:
    """Every entry that at least one of *copies* still has.

    Raises BadBucket if no copy has a whole header.
    """
    usable = []
    problem = BadBucket("no copy", 0)
    for copy in copies:
        try:
            check_bucket_header(copy, day, bucket.generation)
        except BadBucket as error:
            problem = error
        else:
            usable.append(copy)
    if not usable:
        raise problem
    # A copy whose header is damaged may still hold good records, at the same offsets.
    ordered = usable + [copy for copy in copies if copy not in usable]
    good = bytearray(usable[0][:BUCKET_HEADER])
    placed: list[Placed] = []
    seq = lost = 0
    while True:
        found = _first_whole(ordered, len(good), day, bucket, seq)
        if found:
            entry, raw = found
            placed.append(Placed(entry, seq, len(good), len(raw)))
            good += raw
        elif raw := _lost_record(ordered, len(good), day, bucket, seq):
            lost += 1
            good += raw
        else:
            break
        seq += 1
    torn = max(len(copy) for copy in ordered) - len(good)
    return Walk(tuple(placed), bytes(good), lost, max(torn, 0), seq)


def _first_whole(
    copies: Sequence[bytes], offset: int, day: str, bucket: BucketKey, seq: int
) -> tuple[Entry, bytes] | None:
    for copy in copies:
        try:
            entry = open_record(copy, offset, day, bucket, seq)
        except BadBucket:
            continue
        return entry, copy[offset : offset + (record_length(copy, offset) or 0)]
    return None


def _lost_record(
    copies: Sequence[bytes], offset: int, day: str, bucket: BucketKey, seq: int
) -> bytes:
    """The damaged record at *offset*, if the copies agree on its length and a whole one follows."""
    lengths = {record_length(copy, offset) for copy in copies}
    if len(lengths) != 1 or (length := lengths.pop()) is None:
        return b""
    if _first_whole(copies, offset + length, day, bucket, seq + 1) is None:
        return b""
    return copies[0][offset : offset + length]
