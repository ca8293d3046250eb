"""Who kept every octet that a medium ever held, and looks for what still opens.

Written from docs/shred-format.md, docs/part-format.md, docs/envelope-format.md and
docs/key-files.md alone: nothing here is shared with the recorder. No file system is asked either.
Blocks of 4 KiB are known by their content; a file is found by its magic and goes on in whichever
block, of whichever moment, its own checksums say.
"""

import hashlib
import hmac
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier_sim.medium import BLOCK, MAGIC, Medium

_AUDIO: Final = 1
_PART: Final = 1
_SEALED: Final = 1168
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def expand(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-512 (RFC 5869)."""
    prk = hmac.digest(salt, secret, "sha512")
    out = last = b""
    while len(out) < length:
        last = hmac.digest(prk, last + info + bytes([len(out) // 64 + 1]), "sha512")
        out += last
    return out[:length]


class Holder:
    """A private key, 32 octets of it, and what it opens."""

    def __init__(self, seed: bytes, role: int = 1) -> None:
        wide = hashlib.shake_256(seed).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        self.curve = public[-32:]
        self.key_id = hashlib.sha256(public).digest()[:8]
        self._private = hpke.MLKEM768X25519PrivateKey(lattice, curve)
        self._role = role

    def unseal(self, sealed: bytes, what: int, name: bytes) -> bytes | None:
        """The key in an envelope of *name*, if it is for this holder."""
        info = b"greffier/envelope@v1\0" + bytes((self._role, what)) + name
        try:
            return _SUITE.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError):
            return None

    def in_block(self, block: bytes, what: int, name: bytes) -> bytes | None:
        """The key in an envelope block."""
        for at in range(1, len(block), 12 + _SEALED):
            if block[at + 2 : at + 10] == self.key_id:
                return self.unseal(block[at + 12 : at + 12 + _SEALED], what, name)
        return None


@dataclass
class Opened:
    """What was found. *roots* are (generation, day, bucket's generation, bucket key)."""

    effaceable: set[bytes] = field(default_factory=set)
    buckets: set[tuple[bytes, bytes]] = field(default_factory=set)
    bucket_keys: dict[tuple[bytes, bytes], set[bytes]] = field(default_factory=dict)
    entries: dict[bytes, set[bytes]] = field(default_factory=dict)
    """Envelope blocks from the store, by part."""
    in_files: set[bytes] = field(default_factory=set)
    """Parts whose own file carries an envelope that a holder opened."""
    parts: set[bytes] = field(default_factory=set)
    """Parts of which sound came out."""


def effaceable_keys(medium: Medium) -> set[bytes]:
    """Every effaceable key that ever stood in a file."""
    found = set()
    for number in medium.beginning("effaceable"):
        data = medium.blocks[number]
        if zlib.crc32(data[:48]) == int.from_bytes(data[48:52]):
            found.add(data[16:48])
    return found


class Carver:
    """Looks through *medium* for what *keys*, as effaceable keys, and *holders* open."""

    def __init__(self, medium: Medium, holders: Collection[Holder]) -> None:
        self._medium = medium
        self._holders = holders
        self._slots = list(self._root_slots())
        self._headers = self._bucket_headers()
        self._parts = self._part_headers()
        self._walked: dict[tuple[bytes, bytes, bytes], dict[bytes, set[bytes]]] = {}
        self._opened: dict[tuple[bytes, bytes], bool] = {}

    @property
    def part_names(self) -> set[bytes]:
        """Every part of which the beginning was found."""
        return set(self._parts)

    def look(self, keys: Iterable[bytes]) -> Opened:
        """Try everything."""
        found = Opened()
        for key in keys:
            for slot in self._slots:
                self._try_root(slot, key, found)
        for (day, generation), bucket_keys in found.bucket_keys.items():
            for bucket_key in bucket_keys:
                for name, blocks in self._entries(day, generation, bucket_key).items():
                    found.entries.setdefault(name, set()).update(blocks)
        for name, blocks in found.entries.items():
            if any(self._plays(name, block) for block in blocks):
                found.parts.add(name)
        for name, starts in self._parts.items():
            inside = {block for number in starts if (block := self._inside(number))}
            if any(self._plays(name, block) for block in inside):
                found.in_files.add(name)
                found.parts.add(name)
        return found

    # --- roots ---

    def _root_slots(self) -> Iterator[bytes]:
        for number in self._medium.beginning("root"):
            data = self._medium.blocks[number]
            size = 56 + int.from_bytes(data[52:56]) + 4
            whole = _checked(size)
            if size <= BLOCK:
                if whole(data):
                    yield data[:size]
            elif size < 1 << 20:
                for more, _ in self._medium.longer(data, number, whole, size):
                    yield more[:size]

    def _try_root(self, slot: bytes, key: bytes, found: Opened) -> None:
        head = slot[:56]
        okm = expand(key, slot[20:52], b"greffier/shred-root@v1\0" + head, 44)
        try:
            plain = ChaCha20Poly1305(okm[:32]).decrypt(okm[32:], slot[56:-4], head)
        except InvalidTag:
            return
        found.effaceable.add(key)
        for at in range(4, len(plain), 50):
            day, generation = plain[at : at + 10], plain[at + 10 : at + 18]
            found.bucket_keys.setdefault((day, generation), set()).add(plain[at + 18 : at + 50])

    # --- buckets ---

    def _bucket_headers(self) -> dict[tuple[bytes, bytes], list[int]]:
        found: dict[tuple[bytes, bytes], list[int]] = {}
        for number in self._medium.beginning("bucket"):
            data = self._medium.blocks[number]
            if zlib.crc32(data[:30]) == int.from_bytes(data[30:34]):
                found.setdefault((data[20:30], data[12:20]), []).append(number)
        return found

    def _entries(self, day: bytes, generation: bytes, key: bytes) -> dict[bytes, set[bytes]]:
        """Every entry of a part in every file that this bucket ever had, by part."""
        name = (day, generation, key)
        if name not in self._walked:
            found: dict[bytes, set[bytes]] = {}
            self._walked[name] = found
            for number in self._headers.get((day, generation), ()):
                self._walk(number, day, generation, key, found)
        return self._walked[name]

    def _walk(
        self, first: int, day: bytes, generation: bytes, key: bytes, out: dict[bytes, set[bytes]]
    ) -> None:
        """Follow the records from the block *first* on, through every block that fits."""
        head = MAGIC["bucket"] + b"\0\1\0\1" + generation + day
        todo = [(self._medium.blocks[first][34:], first, 0)]
        seen = set()
        while todo:
            data, last, seq = todo.pop()
            while (size := _record_size(data, seq)) and size <= len(data):
                if zlib.crc32(data[:8] + data[12:size]) != int.from_bytes(data[8:12]):
                    break
                info = b"greffier/shred-record@v1\0" + head + seq.to_bytes(4)
                okm = expand(key, data[12:28], info, 44)
                try:
                    cipher = ChaCha20Poly1305(okm[:32])
                    plain = cipher.decrypt(okm[32:], data[28:size], data[:8])
                except InvalidTag:
                    break
                if plain[16] == _PART:
                    out.setdefault(plain[:16], set()).add(plain[18:])
                data, seq = data[size:], seq + 1
            if not size or (data, last, seq) in seen:
                continue
            seen.add((data, last, seq))
            whole = _record_whole(size)
            todo += [(more, end, seq) for more, end in self._medium.longer(data, last, whole, size)]

    # --- envelopes ---

    def stray(self) -> set[bytes]:
        """Parts that an envelope opens which stands in clear on the medium, outside of its file."""
        found: set[bytes] = set()
        for holder in self._holders:
            head = b"\1\1" + holder.key_id + _SEALED.to_bytes(2)
            for number, data in enumerate(self._medium.blocks):
                at = data.find(head)
                while at >= 0:
                    if not data.startswith(MAGIC["part"]) or at > BLOCK // 2:
                        for sealed in self._sealed(number, at + len(head)):
                            found |= {
                                name
                                for name in self._parts
                                if (key := holder.unseal(sealed, _PART, name))
                                and self.plays_with(name, key)
                            }
                    at = data.find(head, at + 1)
        return found

    def _sealed(self, number: int, at: int) -> set[bytes]:
        data = self._medium.blocks[number]
        if at + _SEALED <= BLOCK:
            return {data[at : at + _SEALED]}
        near = self._medium.near(number)
        return {(data + self._medium.blocks[other])[at : at + _SEALED] for other in near}

    # --- parts ---

    def _part_headers(self) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for number in self._medium.beginning("part"):
            found.setdefault(self._medium.blocks[number][20:36], []).append(number)
        return found

    def _inside(self, number: int) -> bytes:
        """The envelope block that a part's file carries."""
        data = self._medium.blocks[number]
        m, e = int.from_bytes(data[12:16]), int.from_bytes(data[16:20])
        return data[88 + m : 88 + m + e]

    def _plays(self, name: bytes, block: bytes) -> bool:
        """Whether a holder opens *block*, and sound of the part *name* comes out."""
        known = self._opened.get((name, block))
        if known is None:
            known = False
            for holder in self._holders:
                key = holder.in_block(block, _PART, name)
                known = known or (key is not None and self.plays_with(name, key))
            self._opened[name, block] = known
        return known

    def locks(self) -> list["Lock"]:
        """What tells whether a key is the content key of a part, for each part."""
        found = []
        for name, starts in self._parts.items():
            data = self._medium.blocks[starts[0]]
            end = 88 + int.from_bytes(data[12:16]) + int.from_bytes(data[16:20])
            info = b"greffier/part@v1\0" + hashlib.sha512(data[:end]).digest()
            found.append(Lock(name, data[56:88], info, data[end : end + 20]))
        return found

    def plays_with(self, name: bytes, key: bytes) -> bool:
        """Whether the content key *key* brings sound out of the part *name*."""
        return any(self._sound(number, key) for number in self._parts.get(name, ()))

    def _sound(self, number: int, key: bytes) -> bytes:
        """The first frame of sound, or nothing."""
        data = self._medium.blocks[number]
        end = 88 + int.from_bytes(data[12:16]) + int.from_bytes(data[16:20])
        info = b"greffier/part@v1\0" + hashlib.sha512(data[:end]).digest()
        okm = expand(key, data[56:88], info, 108)
        if okm[44:76] != data[end : end + 32]:
            return b""
        cipher, base = ChaCha20Poly1305(okm[:32]), int.from_bytes(okm[32:44])
        seq, data = 0, data[end + 36 :]
        while True:
            size = _frame_size(data)
            if size > len(data):
                longer = self._medium.longer(data, number, _frame_whole, size)
                data, number = next(longer, (b"", 0))
                size = _frame_size(data)
            if not size or size > len(data):
                return b""
            try:
                nonce = (base ^ seq).to_bytes(12)
                plain = cipher.decrypt(nonce, data[16:size], data[:12])
            except InvalidTag:
                return b""
            if data[4] == _AUDIO:
                return plain
            seq, data = seq + 1, data[size:]


class Lock(NamedTuple):
    """Of a part: its name, its salt, what its keys are bound to, the first half of its
    commitment."""

    name: bytes
    salt: bytes
    info: bytes
    commitment: bytes


def unlocked(locks: Iterable[Lock], key: bytes) -> set[bytes]:
    """The parts of which *key* is the content key (docs/part-format.md, written out for speed)."""
    found = set()
    for name, salt, info, commitment in locks:
        prk = hmac.digest(salt, key, "sha512")
        if hmac.digest(prk, info + b"\1", "sha512")[44:] == commitment:
            found.add(name)
    return found


def curve_of(seed: bytes) -> bytes:
    """The X25519 half of the public key whose private half *seed* would be."""
    wide = hashlib.shake_256(seed).digest(96)
    return x25519.X25519PrivateKey.from_private_bytes(wide[64:]).public_key().public_bytes_raw()


def _checked(size: int) -> Callable[[bytes], bool]:
    """Whether octets are *size* long and end with their CRC-32."""
    return lambda data: zlib.crc32(data[: size - 4]) == int.from_bytes(data[size - 4 : size])


def _record_size(data: bytes, seq: int) -> int:
    """How long the record of a bucket says that it is; 0: it is none. At least its head where that
    is cut."""
    if len(data) < 12:
        return 28 + 35
    length = int.from_bytes(data[:4])
    return 28 + length if int.from_bytes(data[4:8]) == seq and 35 <= length <= 65569 else 0


def _record_whole(size: int) -> Callable[[bytes], bool]:
    def whole(data: bytes) -> bool:
        real = max(size, 28 + min(int.from_bytes(data[:4]), 65569))
        return zlib.crc32(data[:8] + data[12:real]) == int.from_bytes(data[8:12])

    return whole


def _frame_size(data: bytes) -> int:
    """How long the frame of a part says that it is; 0: it is none. At least its head where that is
    cut."""
    if len(data) < 16:
        return 16 + 17
    length = int.from_bytes(data[:4])
    return 16 + length if 17 <= length <= 1 << 20 else 0


def _frame_whole(data: bytes) -> bool:
    size = _frame_size(data)
    return zlib.crc32(data[:12] + data[16:size]) == int.from_bytes(data[12:16])
