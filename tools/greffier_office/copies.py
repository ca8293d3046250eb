"""The sealed copy of the envelopes: its octets, written and read as a stream.

docs/office-directory.md, "Sealed copies". Only head office's secret key opens one, so a copy may
lie where the office's own disk must not be trusted with anything. Pure but for the files.
"""

import re
import secrets
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier.clock import SECOND
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, What
from greffier.seal.keys import PrivateKey, PublicKey

KEEP_NS: Final = 7 * 86_400 * SECOND
"""A copy is removed after this: so long at most a deleted part's envelope may lie in one."""
_MAGIC: Final = bytes.fromhex("89474F450D0A1A0A")
_HEAD: Final = struct.Struct(">8sHHQ16sH")
_LENGTH: Final = struct.Struct(">I")
_RECORD: Final = struct.Struct(">BB16sQH")
_FRAME: Final = 1 << 18
_LARGEST_FRAME: Final = 1 << 20
_TAG: Final = 16
_NAME: Final = re.compile(r"envelopes-(\d{8}T\d{6}Z)\.gcopy", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """One envelope: whose, its ``block`` as the box sent it, and the group that it belongs to."""

    device: str
    part: str
    group: str
    stored_ns: int
    block: bytes


def name_of(now_ns: int) -> str:
    """The name of a copy that is made now."""
    moment = datetime.fromtimestamp(now_ns // SECOND, UTC)
    return f"envelopes-{moment:%Y%m%dT%H%M%SZ}.gcopy"


def outdated(folder: Path, now_ns: int) -> list[Path]:
    """The copies in *folder* that are older than a copy may be."""
    found = []
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        made = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if now_ns - int(made.timestamp()) * SECOND > KEEP_NS:
            found.append(path)
    return found


def write(path: Path, disk: Disk, kept: Iterable[Kept], public: PublicKey, now_ns: int) -> int:
    """Write a copy of *kept*, sealed to *public*, whole or not at all; how many it holds.

    Raises StorageFailed.
    """
    key, name = bytearray(secrets.token_bytes(32)), secrets.token_bytes(16)
    block = envelope.seal(key, What.PART, name, [public])
    head = _HEAD.pack(_MAGIC, 1, 1, now_ns // SECOND, name, len(block)) + block
    count = 0
    with disk.draft(path) as draft:
        draft.append(head)
        number, waiting = 0, bytearray()
        cipher = ChaCha20Poly1305(bytes(key))
        for one in kept:
            count += 1
            waiting += _encode(one)
            if len(waiting) >= _FRAME:
                draft.append(_frame(cipher, head, number, bytes(waiting), last=False))
                number, waiting = number + 1, bytearray()
        draft.append(_frame(cipher, head, number, bytes(waiting), last=True))
        draft.publish()
    return count


def read(path: Path, private: PrivateKey) -> Iterator[Kept]:
    """Each envelope of the copy at *path*; what is damaged or cut short is found at its place.

    Raises IntegrityError, DoesNotOpen.
    """
    with path.open("rb") as file:
        raw = file.read(_HEAD.size)
        if len(raw) < _HEAD.size:
            raise _damaged(path, "too short")
        magic, version, suite, _made, name, length = _HEAD.unpack(raw)
        if (magic, version, suite) != (_MAGIC, 1, 1):
            raise _damaged(path, "no copy of envelopes, or of another version")
        block = file.read(length)
        try:
            key = envelope.open_block(block, What.PART, name, private)
        except BadEnvelope as error:
            raise _damaged(path, error.reason) from None
        yield from _records(path, file, ChaCha20Poly1305(bytes(key)), raw + block)


def _records(path: Path, file: BinaryIO, cipher: ChaCha20Poly1305, head: bytes) -> Iterator[Kept]:
    number, last = 0, False
    while not last:
        raw = file.read(_LENGTH.size)
        size = _LENGTH.unpack(raw)[0] if len(raw) == _LENGTH.size else 0
        if not _TAG <= size & 0x7FFFFFFF <= _LARGEST_FRAME:
            raise _damaged(path, "it was cut short")
        last = bool(size >> 31)
        data = file.read(size & 0x7FFFFFFF)
        try:
            plain = cipher.decrypt(number.to_bytes(12, "big"), data, head + raw)
        except InvalidTag:
            raise _damaged(path, "a frame was altered") from None
        yield from _decode(path, plain)
        number += 1
    if file.read(1):
        raise _damaged(path, "something follows its end")


def _frame(
    cipher: ChaCha20Poly1305, head: bytes, number: int, plain: bytes, *, last: bool
) -> bytes:
    length = _LENGTH.pack(len(plain) + _TAG | last << 31)
    return length + cipher.encrypt(number.to_bytes(12, "big"), plain, head + length)


def _encode(one: Kept) -> bytes:
    device, group = one.device.encode(), one.group.encode()
    head = _RECORD.pack(
        len(device), len(group), bytes.fromhex(one.part), one.stored_ns, len(one.block)
    )
    return head + device + group + one.block


def _decode(path: Path, plain: bytes) -> Iterator[Kept]:
    at = 0
    while at < len(plain):
        try:
            device, group, part, stored_ns, block = _RECORD.unpack_from(plain, at)
        except struct.error:
            raise _damaged(path, "a record is cut short") from None
        at += _RECORD.size
        end = at + device + group + block
        if end > len(plain):
            raise _damaged(path, "a record is cut short")
        words = plain[at : at + device + group].decode("utf-8", "replace")
        yield Kept(words[:device], part.hex(), words[device:], stored_ns, plain[end - block : end])
        at = end


def _damaged(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(what=path, reason=reason)
