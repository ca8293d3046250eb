# fmt: off
"""Reads a sealed part by the pages of docs/ alone, sharing no code with the recorder that made it.
Exit code: 0 whole, 2 usage or a bad key file, 12 the key does not open it, 20 refused."""
import argparse
import json
import re
from binascii import a2b_base64, crc32
from contextlib import suppress
from hashlib import sha256, sha512, shake_256
from hmac import compare_digest, digest
from pathlib import Path
from struct import iter_unpack, unpack_from

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

AUDIO, META, MASK, GAP, FINAL, LIMIT = 1, 2, 3, 4, 127, 2**53 - 1  # LIMIT: of JSON and positions
CODES = {"part": 20, "shred": 20, "envelope": 12, "keys": 2}  # exit codes by page
class Refused(Exception):
    """A broken rule of "What a reader MUST refuse": number (0: none given), offset, page."""
def require(*rules: tuple, page: str = "part"):
    """Refuse by the first broken rule: (number, offset, truth) or (…, function, arguments)."""
    for number, offset, held, *arguments in rules:
        with suppress(Exception):  # what a function cannot read is malformed
            if (value := held(*arguments) if arguments else held) not in (None, False):
                continue
        raise Refused(number, offset, page)
    return value  # of the last rule
def plaintext(kind: int, data: bytes) -> dict | list | None:
    """What a frame holds; None or an error if it is malformed (part-format.md, Frames)."""
    if kind == META:  # what canonical JSON excludes turns into something else here, and differs
        value = json.loads(data.decode(), parse_float=str, parse_constant=str,
            parse_int=lambda text: int(text) if abs(int(text)) <= LIMIT else text,
            object_pairs_hook=lambda x: dict(sorted(x, key=lambda kv: kv[0].encode("utf-16-be"))))
        again = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return value if isinstance(value, dict) and again == data else None
    at = {AUDIO: 14, MASK: 16, GAP: 20, FINAL: 69 + 9 * data[4]}[kind]  # of packets or of the word
    if kind == AUDIO:
        (start, span, count), held = unpack_from(">QIH", data), True
        for _ in range(count):
            offset, samples, _, pt, flags, size = unpack_from(">IIIBBH", data, at)
            held &= offset + samples <= span <= LIMIT - start and not 127 < pt < 255 and flags < 4
            at += 16 + size
        return [kind, start, start + span, count] if held and at == len(data) > 14 else None
    word, (start, to) = data[at + 1 :], unpack_from(">QQ", data)
    held = data[at] == len(word) and re.fullmatch(rb"[\w.-]{1,64}", word) is not None
    if kind == FINAL:
        ends = list(iter_unpack(">BQ", data[5 : at - 64]))
        held &= ends == sorted(dict(ends).items()) and all(a < 255 and b <= LIMIT for a, b in ends)
        return [data[:4], data[at - 64 : at - 32], data[at - 32 : at], dict(ends)] if held else None
    return [kind, start, to, word.decode()] if held and start <= to <= LIMIT else None
def read(data: bytes, content_key: bytes) -> dict:
    """What a part says that keeps all rules (part-format.md); a function may find the key."""
    magic, ver, suite, m, e, part, rec, no, salt = unpack_from(">8sHHII16s16sI32s", data.ljust(88))
    size, at, end, to, leaves, legs = len(data), 88 + m, 88 + m + e, 120 + m + e, [], {255: []}
    meta = require((1, size, size >= 88), (2, 0, magic == b"\x89GPT\r\n\x1a\n"), (3, 8, ver == 1),
        (4, 10, suite == 1), (5, 12, 2 <= m <= 65536), (6, 16, e <= 65536),
        (1, size, size >= to + 4), (7, to, crc32(data[:to]).to_bytes(4) == data[to : to + 4]),
        (9, at, lambda b: b == b"" or {r[1] for r in records(b)} == {1}, data[at:end]),
        (8, 88, plaintext, META, data[88:at]))
    kdf = HKDF(hashes.SHA512(), 108, salt, b"greffier/part@v1\0" + sha512(data[:end]).digest())
    okm = kdf.derive(content_key(part, data[at:end]) if callable(content_key) else content_key)
    require((10, end, compare_digest(okm[44:76], data[end:to])))
    to, kind = to + 4, 0
    while kind != FINAL:
        length, kind, leg, zero, seq, check = unpack_from(">IBBHII", data[to : to + 16].ljust(16))
        at, to, head = to, to + 16 + length, data[to : to + 12]
        body, nonce = data[at + 16 : to], (int.from_bytes(okm[32:44]) ^ seq).to_bytes(12)
        text = require((19, at, at < size), (11, at, at + 16 <= size), (11, at, to <= size),
            (12, at, 17 <= length <= 1 << 20), (13, at, crc32(head + body) == check),
            (14, at, kind in (AUDIO, META, MASK, GAP, FINAL)), (15, at, zero == 0),
            (16, at, (leg == 255) == (kind in (META, FINAL))), (17, at, seq == len(leaves)),
            (18, to, kind != FINAL or to == size),
            (20, at, ChaCha20Poly1305(okm[:32]).decrypt, nonce, body, head))
        says = require((25 if kind == FINAL else 20 + kind, at, plaintext, kind, text))
        leaves.append(b"\0" + digest(okm[76:], head[8:], "sha256") + head[4:6] + head[8:] + text)
        legs.setdefault(leg, []).append(says)
    *metas, (count, sha, root, ends) = legs.pop(255)  # what has no leg: META, and FINAL the last
    tree = [sha256(leaf).digest() for leaf in leaves[:-1]] or [sha256().digest()]
    while len(tree) > 1:  # joined two by two, an odd one moves up: the tree of RFC 6962
        pairs = [b"\1" + b"".join(tree[i : i + 2]) for i in range(0, len(tree) - 1, 2)]
        tree = [sha256(pair).digest() for pair in pairs] + tree[2 * len(pairs) :]
    require((26, at, count == head[8:]), (27, at, sha == sha256(data[:at]).digest()),
        (28, at, [root] == tree), (29, at, ends == {n: max(s[2] for s in legs[n]) for n in legs}))
    return {"part": part.hex(), "recording": rec.hex(), "number": no, "meta": meta, "frames": seq,
        "merged": {name: value for says in metas for name, value in says.items()}, "complete": True,
        "legs": {leg: {"packets": sum(s[3] for s in spans if s[0] == AUDIO), "spans": spans}
            for leg, spans in sorted(legs.items())}, "root": root.hex(), "sha256": sha.hex()}
def records(block: bytes) -> list[tuple] | None:
    """Role, what, key id, length, sealed key of the records (envelope-format.md, rules 1 to 9)."""
    every = list(iter_unpack(">BB8sH1168s", block[1:]))
    roles, whats, names, sizes = ({r[i] for r in every} for i in (0, 1, slice(0, 3, 2), 3))
    sound = block[0] == len(every) == len(names) <= 55 and sizes == {1168} and roles <= {1, 2}
    return every if sound and (whats in ({1}, {2}) or (whats, roles) == ({3}, {1})) else None
def opened(block: bytes, key_file: bytes, name: bytes, what: int = 1) -> bytes:
    """The key in a block that a private key file opens (key-files.md; envelope-format.md)."""
    one = b"\n".join(x for x in map(bytes.strip, key_file.split(b"\n")) if x and x[:1] != b"#")
    found = require((1, 0, len(key_file) <= 16384 and not re.search(rb"[^\t\r\n -~]", key_file)),
        (0, 0, re.fullmatch, rb"(greffier-(office|console)-key-1):([\w-]{48})", one), page="keys")
    held, role = a2b_base64(found[3].translate(bytes.maketrans(b"-_", b"+/"))), len(found[2]) - 5
    check = sha256(b"greffier/key-file\0" + found[1] + b"\0" + held[:32]).digest()[:4]
    require((8, 0, held[32:] == check), page="keys")
    wide, info = shake_256(held[:32]).digest(96), b"greffier/envelope@v1\0" + bytes((role, what))
    pair = (mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64]),
        x25519.X25519PrivateKey.from_private_bytes(wide[64:]))
    mine = sha256(b"".join(half.public_key().public_bytes_raw() for half in pair)).digest()[:8]
    every = require((9, 0, records, block)) if block else []
    sealed = [record[4] for record in every if record[:3] == (role, what, mine)]
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    opening = (11, 0, suite.decrypt, *sealed, hpke.MLKEM768X25519PrivateKey(*pair), info + name)
    return require((10, 0, sealed != []), opening, page="envelope")
def entry(shred: Path, part: bytes):
    """The envelope block of a part in the shred store, if there is one (shred-format.md)."""
    def unseal(secret, salt, info, aad, sealed):
        okm = HKDF(hashes.SHA512(), 44, bytes(salt), b"greffier/shred-" + info).derive(secret)
        with suppress(Exception):
            yield ChaCha20Poly1305(okm[:32]).decrypt(okm[32:], sealed, aad)
    keys = [raw[8:48] for raw in map(Path.read_bytes, shred.glob("[ab]/effaceable.key"))
        if raw[:8] == b"\x89GSE\r\n\x1a\n" and raw[48:] == crc32(raw[:48]).to_bytes(4)]
    roots = [x for raw in map(Path.read_bytes, shred.glob("[ab]/root.[01]"))
        if raw[:12] == b"\x89GSR\r\n\x1a\n\0\1\0\1" and raw[-4:] == crc32(raw[:-4]).to_bytes(4)
        for x in unseal(max(keys)[8:], raw[20:52], b"root@v1\0" + raw[:56], raw[:56], raw[56:-4])]
    for day, generation, key in iter_unpack(">10sQ32s", max(roots)[4:]):
        head = b"\x89GSB\r\n\x1a\n\0\1\0\1" + generation.to_bytes(8) + day
        for raw in map(Path.read_bytes, shred.glob(f"[ab]/{day.decode()}.{generation}")):
            rest, seq = memoryview(raw)[34:], 0
            while rest and raw[:34] == head + crc32(head).to_bytes(4):
                aad, salt, body = rest[:8], rest[12:28], rest[28 : 28 + int.from_bytes(rest[:4])]
                whole = crc32(body, crc32(salt, crc32(aad))).to_bytes(4) == rest[8:12]
                for plain in unseal(key, salt, b"record@v1\0" + head + seq.to_bytes(4), aad, body):
                    if whole and re.fullmatch(re.escape(part) + b"\1[ABC].{1,65535}", plain, re.S):
                        yield plain[18:]
                rest, seq = rest[28 + len(body) :], seq + 1
if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("part", "--key", "--shred", "--envelope", "--content-key"):
        options.add_argument(name, default="office.key" if name == "--key" else "")
    got = options.parse_args()
    def find(part, block):
        block = Path(got.envelope).read_bytes() if got.envelope else block
        kept = (0, 0, next, entry(Path(got.shred), part), block) if got.shred else (0, 0, block)
        return opened(require(kept, page="shred"), Path(got.key).read_bytes(), part)
    try:
        print(json.dumps(read(Path(got.part).read_bytes(), bytes.fromhex(got.content_key) or find)))
    except Refused as refused:
        options.exit(CODES[refused.args[2]], f"refused (reason, offset, page): {refused}\n")
    except (OSError, ValueError) as problem:
        options.error(str(problem))
