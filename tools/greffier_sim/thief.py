"""A thief with a whole device, and with all that lies elsewhere but head office's own key.

Everything there is tried as a key on every part, and what is clear is read.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.seal.envelope import What, open_block, parse_block
from greffier.seal.header import BadPart, Header
from greffier.seal.keys import PrivateKey, Role, read_public
from greffier.seal.reader import Reader
from greffier.store import layout, playback
from greffier.store.shred_format import PART, Name

KEY_BYTES = 32
# Of longer files only what stands in them as text is tried: they are ciphertext, rows and hashes.
LARGEST_SEARCHED = 4096
BATCH = 1024


def material(*folders: Path) -> Iterator[bytes]:
    """Every 32 bytes there that could be a key: windows of the files, decoded texts too."""
    seen: set[bytes] = set()
    for path in _files(folders):
        if _header(path):
            continue
        data = path.read_bytes()
        raw = data if len(data) <= LARGEST_SEARCHED else b""
        for source in (raw, *_decoded(data)):
            for at in range(len(source) - KEY_BYTES + 1):
                window = source[at : at + KEY_BYTES]
                if window not in seen:
                    seen.add(window)
                    yield window


def _files(folders: Iterable[Path]) -> list[Path]:
    return sorted(path for one in folders for path in one.rglob("*") if path.is_file())


def _decoded(data: bytes) -> Iterator[bytes]:
    """What stands in *data* in base64 or hex, if it is long enough for a key and no envelope."""
    for word in re.findall(rb"[0-9A-Za-z/_=-]{43,200}", data):
        padded = word + b"=" * (-len(word) % 4)
        for decode, text in (
            (base64.b64decode, padded),
            (base64.urlsafe_b64decode, padded),
            (binascii.unhexlify, word),
        ):
            try:
                yield decode(text)
            except ValueError:
                continue


def open_parts(device: Path, *elsewhere: Path) -> int:
    """How many parts anything there opens: as content key, or as private key.

    *elsewhere* are other folders with parts, or with anything that may open one.
    """
    folders = (device, *elsewhere)
    parts = {header.part_id: header for path in _files(folders) if (header := _header(path))}
    headers = list(parts.values())
    blocks = _envelopes(device, headers)
    known = (one for each in blocks.values() for block in each for one in parse_block(block))
    wanted = {one.key_id for one in known}
    curves = _curves(folders)
    missing = wanted - curves.keys()
    halves = None if missing else {curves[one] for one in wanted}
    work = _Work(headers, blocks, wanted, halves)
    keys = list(material(*folders))
    batches = [keys[at : at + BATCH] for at in range(0, len(keys), BATCH)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return len(set().union(*pool.map(partial(_try, work), batches)))


@dataclass(frozen=True, slots=True)
class _Work:
    """Every part, its envelopes, and the ids of the keys that open one.

    ``curves`` are the X25519 halves of those keys' public sides, which tell in a quarter of the
    time that a seed is none of them; None where one of them is not known.
    """

    headers: Sequence[Header]
    blocks: Mapping[bytes, list[bytes]]
    wanted: Set[bytes]
    curves: Set[bytes] | None


def _try(work: _Work, keys: Sequence[bytes]) -> set[bytes]:
    """The parts that one of *keys* opens."""
    opened = set()
    for key in keys:
        private = PrivateKey(Role.OFFICE, key) if _is_wanted(key, work) else None
        for header in work.headers:
            if _is_content_key(key, header) or (
                private and _unseals(private, work.blocks[header.part_id], header)
            ):
                opened.add(header.part_id)
    return opened


def _is_wanted(seed: bytes, work: _Work) -> bool:
    """Whether *seed* is a private key that opens something (docs/key-files.md, for speed)."""
    expanded = hashlib.shake_256(seed).digest(96)
    curve = X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()
    if work.curves is not None and curve not in work.curves:
        return False
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    return hashlib.sha256(lattice + curve).digest()[:8] in work.wanted


def _curves(folders: Iterable[Path]) -> dict[bytes, bytes]:
    """The X25519 halves of the public keys that lie there, by key id."""
    found = {}
    for path in _files(folders):
        for role in Role:
            with contextlib.suppress(GreffierError):
                public = read_public(path, role)
                found[public.key_id] = public.data[-KEY_BYTES:]
    return found


def _header(path: Path) -> Header | None:
    try:
        with path.open("rb") as file:
            return Reader(file).header
    except BadPart:
        return None


def _envelopes(device: Path, headers: Sequence[Header]) -> dict[bytes, list[bytes]]:
    """Every envelope block of each part: from its file, and from the shred store."""
    found = {header.part_id: [header.envelopes] * bool(header.envelopes) for header in headers}
    disk = Disk()
    store = layout.open(device).shred_store(disk)
    try:
        for header in headers:
            try:
                found[header.part_id].append(store.get(Name(PART, header.part_id)).block)
            except GreffierError:
                continue  # destroyed: nothing to try
    finally:
        store.close()
    return found


def _is_content_key(key: bytes, header: Header) -> bool:
    """Whether *key* gives the part's commitment (docs/part-format.md, written out for speed)."""
    prk = hmac.digest(header.before[56:88], key, "sha512")
    info = b"greffier/part@v1\0" + hashlib.sha512(header.before).digest()
    first = hmac.digest(prk, info + b"\x01", "sha512")
    second = hmac.digest(prk, first + info + b"\x02", "sha512")
    return (first + second)[44:76] == header.commitment


def _unseals(private: PrivateKey, blocks: Sequence[bytes], header: Header) -> bool:
    for block in blocks:
        try:
            if open_block(block, What.PART, header.part_id, private):
                return True
        except ValueError:
            continue  # not for this key
    return False


def find_clear(words: Iterable[str], *folders: Path) -> list[str]:
    """Which of *words* (numbers, names; four letters or more) stand in a file of *folders*."""
    wanted = sorted({word for word in words if word and len(word) >= 4})
    found: set[str] = set()
    for path in _files(folders):
        data = path.read_bytes()
        found |= {
            word for word in wanted if word.encode() in data or word.encode("utf-16-le") in data
        }
    return sorted(found)


def positive_control(device: Path, private: PrivateKey) -> int:
    """How many parts the right key opens: what makes a zero of the others worth something."""
    headers = [header for path in device.rglob("*.gpart") if (header := _header(path))]
    blocks = _envelopes(device, headers)
    return sum(
        bool(playback.content_key(header, blocks[header.part_id][0], private))
        for header in headers
        if blocks[header.part_id]
    )
