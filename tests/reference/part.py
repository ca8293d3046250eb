"""A second, slow writer of parts and envelopes, made from docs/ alone.

It shares no code with the package: ChaCha20-Poly1305, HKDF, X-Wing's combiner and HPKE's key
schedule are written out here, from RFC 8439, RFC 5869, RFC 9180 and the X-Wing draft. Only hashes,
ML-KEM and X25519 come from libraries. It checks nothing, so it can also write what is wrong.
"""

import base64
import hashlib
import hmac
import json
import struct
import zlib

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

MAGIC = bytes.fromhex("894750540d0a1a0a")
AUDIO, META, MASK, GAP, FINAL = 1, 2, 3, 4, 127
NO_LEG = 255


# --- RFC 8439 ---------------------------------------------------------------------------------


def rotated(value: int, count: int) -> int:
    return (value << count | value >> (32 - count)) & 0xFFFFFFFF


def quarter(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = rotated(s[z] ^ s[x], count)


def chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    start += (*struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce))
    s = list(start)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(s, a, b, c, d)
        for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(s, a, b, c, d)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, start, strict=True)))


def poly1305(key: bytes, text: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    stream = b"".join(
        chacha20_block(key, 1 + block, nonce) for block in range((len(plaintext) + 63) // 64)
    )
    text = bytes(p ^ k for p, k in zip(plaintext, stream, strict=False))
    padded = aad + bytes(-len(aad) % 16) + text + bytes(-len(text) % 16)
    lengths = struct.pack("<QQ", len(aad), len(text))
    return text + poly1305(chacha20_block(key, 0, nonce)[:32], padded + lengths)


# --- RFC 5869 ---------------------------------------------------------------------------------


def extract(name: str, salt: bytes, ikm: bytes) -> bytes:
    return hmac.new(salt or bytes(hashlib.new(name).digest_size), ikm, name).digest()


def expand(name: str, prk: bytes, info: bytes, length: int) -> bytes:
    done, last, count = b"", b"", 1
    while len(done) < length:
        last = hmac.new(prk, last + info + bytes([count]), name).digest()
        done += last
        count += 1
    return done[:length]


# --- docs/part-format.md ----------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """Good enough for keys in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def packet(
    offset: int,
    samples: int,
    sequence: int,
    data: bytes,
    *,
    payload_type: int = 8,
    flags: int = 0,
) -> bytes:
    return struct.pack(">IIIBBH", offset, samples, sequence, payload_type, flags, len(data)) + data


def audio(position: int, span: int, packets: list[bytes], count: int | None = None) -> bytes:
    number = len(packets) if count is None else count
    return struct.pack(">QIH", position, span, number) + b"".join(packets)


def mask(start: int, end: int, reason: bytes) -> bytes:
    return struct.pack(">QQB", start, end, len(reason)) + reason


def gap(start: int, end: int, packets: int, cause: bytes) -> bytes:
    return struct.pack(">QQIB", start, end, packets, len(cause)) + cause


def final(
    frames: int, legs: list[tuple[int, int]], digest: bytes, root: bytes, reason: bytes
) -> bytes:
    listed = b"".join(struct.pack(">BQ", leg, end) for leg, end in legs)
    head = struct.pack(">IB", frames, len(legs))
    return head + listed + digest + root + bytes([len(reason)]) + reason


def ends(frames: list[tuple[int, int, bytes]]) -> list[tuple[int, int]]:
    found: dict[int, int] = {}
    for kind, leg, plaintext in frames:
        if kind == AUDIO:
            position, span = struct.unpack(">QI", plaintext[:12])
            end = position + span
        elif kind in (MASK, GAP):
            end = struct.unpack(">Q", plaintext[8:16])[0]
        else:
            continue
        found[leg] = max(end, found.get(leg, 0))
    return sorted(found.items())


def tree(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) < 2:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*path(leaves[:k], index), tree(leaves[k:])]
    return [*path(leaves[k:], index - k), tree(leaves[:k])]


class Keys:
    """What a content key and a header give."""

    def __init__(self, content_key: bytes, before: bytes) -> None:
        info = b"greffier/part@v1\0" + hashlib.sha512(before).digest()
        okm = expand("sha512", extract("sha512", before[56:88], content_key), info, 108)
        self.frame, self.nonce = okm[:32], okm[32:44]
        self.commitment, self.leaf = okm[44:76], okm[76:108]

    def salt(self, seq: int) -> bytes:
        return hmac.new(self.leaf, struct.pack(">I", seq), "sha256").digest()

    def leaf_hash(self, seq: int, kind: int, leg: int, plaintext: bytes) -> bytes:
        text = b"\0" + self.salt(seq) + struct.pack(">BBI", kind, leg, seq) + plaintext
        return hashlib.sha256(text).digest()

    def seal(self, seq: int, kind: int, leg: int, plaintext: bytes, zero: int = 0) -> bytes:
        head = struct.pack(">IBBHI", len(plaintext) + 16, kind, leg, zero, seq)
        nonce = bytes(x ^ y for x, y in zip(self.nonce, bytes(8) + head[8:12], strict=True))
        text = encrypt(self.frame, nonce, plaintext, head)
        return head + struct.pack(">I", zlib.crc32(head + text)) + text


def header_before(
    *,
    part_id: bytes,
    recording_id: bytes,
    salt: bytes,
    meta: bytes,
    envelopes: bytes = b"",
    number: int = 0,
    magic: bytes = MAGIC,
    version: int = 1,
    suite: int = 1,
) -> bytes:
    sizes = struct.pack(">HHII", version, suite, len(meta), len(envelopes))
    ids = part_id + recording_id + struct.pack(">I", number)
    return magic + sizes + ids + salt + meta + envelopes


def closed_header(before: bytes, commitment: bytes) -> bytes:
    return before + commitment + struct.pack(">I", zlib.crc32(before + commitment))


def write_part(
    content_key: bytes, before: bytes, frames: list[tuple[int, int, bytes]], reason: bytes = b"end"
) -> bytes:
    """A whole and right part: frames are (type, leg, plaintext)."""
    keys = Keys(content_key, before)
    data = closed_header(before, keys.commitment)
    for seq, (kind, leg, plaintext) in enumerate(frames):
        data += keys.seal(seq, kind, leg, plaintext)
    root = tree([keys.leaf_hash(seq, *frame) for seq, frame in enumerate(frames)])
    digest = hashlib.sha256(data).digest()
    text = final(len(frames), ends(frames), digest, root, reason)
    return data + keys.seal(len(frames), FINAL, NO_LEG, text)


# --- docs/key-files.md and docs/envelope-format.md --------------------------------------------


class Pair:
    """An X-Wing key pair from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.shake_256(seed).digest(96)
        self.lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self.curve_public = self.curve.public_key().public_bytes_raw()
        self.public = self.lattice.public_key().public_bytes_raw() + self.curve_public
        self.key_id = hashlib.sha256(self.public).digest()[:8]

    def decapsulate(self, enc: bytes) -> bytes:
        theirs = x25519.X25519PublicKey.from_public_bytes(enc[1088:])
        secrets = self.lattice.decapsulate(enc[:1088]) + self.curve.exchange(theirs)
        text = secrets + enc[1088:] + self.curve_public + bytes.fromhex("5c2e2f2f5e5c")
        return hashlib.sha3_256(text).digest()


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """(shared secret, encapsulated key), with fresh randomness."""
    secret, text = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    ephemeral = x25519.X25519PrivateKey.generate()
    mine = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(public[1184:]))
    label = bytes.fromhex("5c2e2f2f5e5c")
    return hashlib.sha3_256(secret + shared + mine + public[1184:] + label).digest(), text + mine


def hpke_key(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """(key, base nonce) of RFC 9180 section 5.1, base mode."""
    suite = b"HPKE" + bytes.fromhex("647a00010003")

    def labelled(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return extract("sha256", salt, b"HPKE-v1" + suite + label + ikm)

    def expanded(prk: bytes, label: bytes, context: bytes, length: int) -> bytes:
        text = struct.pack(">H", length) + b"HPKE-v1" + suite + label + context
        return expand("sha256", prk, text, length)

    context = b"\0" + labelled(b"", b"psk_id_hash", b"") + labelled(b"", b"info_hash", info)
    secret = labelled(shared, b"secret", b"")
    return expanded(secret, b"key", context, 32), expanded(secret, b"base_nonce", context, 12)


def envelope_info(role: int, what: int, identity: bytes) -> bytes:
    return b"greffier/envelope@v1\0" + bytes([role, what]) + identity


def seal_key(key: bytes, public: bytes, info: bytes) -> bytes:
    shared, enc = encapsulate(public)
    return enc + encrypt(*hpke_key(shared, info), key, b"")


def open_key(sealed: bytes, pair: Pair, info: bytes) -> bytes | None:
    """The key, or None where the tag is wrong."""
    key, nonce = hpke_key(pair.decapsulate(sealed[:1120]), info)
    length = len(sealed) - 1136
    # A stream cipher: encrypting the ciphertext gives the plaintext, which must encrypt back to it.
    plaintext = encrypt(key, nonce, sealed[1120:-16], b"")[:length]
    return plaintext if encrypt(key, nonce, plaintext, b"") == sealed[1120:] else None


def record(role: int, what: int, key_id: bytes, sealed: bytes) -> bytes:
    return bytes([role, what]) + key_id + struct.pack(">H", len(sealed)) + sealed


def key_line(label: str, key: bytes) -> str:
    check = hashlib.sha256(b"greffier/key-file\0" + label.encode() + b"\0" + key).digest()[:4]
    return f"{label}:{base64.urlsafe_b64encode(key + check).rstrip(b'=').decode()}"


# --- recovery without keys --------------------------------------------------------------------


def frame_fault(data: bytes, at: int, seq: int | None) -> int | None:
    """The number of the first rule of 11 to 17 that the frame at *at* breaks, or None."""
    if len(data) - at < 16:
        return 11
    length, kind, leg, zero, number, crc = struct.unpack(">IBBHII", data[at : at + 16])
    if not 17 <= length <= 1048576:
        return 12
    if len(data) - at - 16 < length:
        return 11
    if zlib.crc32(data[at : at + 12] + data[at + 16 : at + 16 + length]) != crc:
        return 13
    if kind not in (AUDIO, META, MASK, GAP, FINAL):
        return 14
    if zero:
        return 15
    if (kind in (META, FINAL)) != (leg == NO_LEG):
        return 16
    if seq is not None and number != seq:
        return 17
    return None


def scan(data: bytes, start: int) -> dict[str, object]:
    """State, good and final of a part whose frames begin at *start*."""
    at, seq, done = start, 0, False
    fault: int | None = None
    while at < len(data) and not done:
        fault = frame_fault(data, at, seq)
        if fault:
            break
        done = data[at + 4] == FINAL
        at += 16 + struct.unpack(">I", data[at : at + 4])[0]
        seq += 1
    if done:
        state = "complete" if at == len(data) else "torn"
    elif at == len(data) or (fault in (11, 12, 13) and not followed(data, at, seq)):
        state = "torn"
    else:
        state = "damaged"
    return {"state": state, "good": at, "final": done}


def followed(data: bytes, at: int, seq: int) -> bool:
    for start in range(at + 1, len(data) - 16):
        number = struct.unpack(">I", data[start + 8 : start + 12])[0]
        if seq < number <= seq + 64 and frame_fault(data, start, None) is None:
            return True
    return False
