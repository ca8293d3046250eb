"""Make the vectors of docs/part-format.md, envelope-format.md and key-files.md.

    .venv/bin/python tests/vectors/seal/generate_seal.py

Everything comes from tests/reference/part.py, which shares no code with the package. Only the
sealed envelopes hold randomness of their own: where envelopes.json exists, they are taken from it.
"""

import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.reference import part as ref  # noqa: E402 - the path is set above

CONTENT_KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
META = {"device": "0123", "line": "front desk", "previous": None, "purposes": {"proof": [30, 90]}}
Frames = list[tuple[int, int, bytes]]


def number(text: str, size: int) -> bytes:
    """Bytes that look random and are the same each time."""
    return hashlib.shake_256(text.encode()).digest(size)


def before(meta: bytes | None = None, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "part_id": number("part", 16),
        "recording_id": number("recording", 16),
        "salt": number("salt", 32),
        "meta": ref.canonical(META) if meta is None else meta,
    }
    return ref.header_before(**fields | changes)


FRAMES: Frames = [
    (ref.META, 255, ref.canonical({"from": "reception", "legs": ["in", "out"]})),
    (
        ref.AUDIO,
        0,
        ref.audio(0, 160, [ref.packet(0, 80, 7, b"a" * 80), ref.packet(80, 80, 8, b"b" * 80)]),
    ),
    (
        ref.AUDIO,
        1,
        ref.audio(40, 320, [ref.packet(0, 320, 65535, b"opus", payload_type=111, flags=1)]),
    ),
    (ref.GAP, 0, ref.gap(160, 320, 2, b"lost")),
    (ref.MASK, 1, ref.mask(360, 520, b"card")),
    (ref.AUDIO, 0, ref.audio(320, 0, [ref.packet(0, 0, 9, b"\x05\x0a\0\xa0", payload_type=101)])),
]
HEADER = before()
GOOD = ref.write_part(CONTENT_KEY, HEADER, FRAMES)
KEYS = ref.Keys(CONTENT_KEY, HEADER)
START = len(HEADER) + 36


def split(data: bytes, start: int = START) -> list[bytes]:
    """The frames of a part as bytes."""
    found = []
    while start < len(data):
        end = start + 16 + struct.unpack(">I", data[start : start + 4])[0]
        found.append(data[start:end])
        start = end
    return found


def mended(frame: bytes) -> bytes:
    """The frame with its CRC made right again."""
    crc = zlib.crc32(frame[:12] + frame[16:])
    return frame[:12] + struct.pack(">I", crc) + frame[16:]


def renumbered(frame: bytes, seq: int) -> bytes:
    return mended(frame[:8] + struct.pack(">I", seq) + frame[12:])


def remade_header(data: bytes, old: bytes, new: bytes) -> bytes:
    """A part whose header (before the commitment) is replaced, its CRC made right."""
    commitment = data[len(old) : len(old) + 32]
    return ref.closed_header(new, commitment) + data[len(old) + 36 :]


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def joined(frames: list[bytes]) -> bytes:
    return GOOD[:START] + b"".join(frames)


def with_frames(frames: Frames, legs: list[tuple[int, int]] | None = None, **wrong: Any) -> bytes:
    """A part of these frames with a right FINAL, but for what *wrong* says of it."""
    data = GOOD[:START]
    for seq, (kind, leg, plaintext) in enumerate(frames):
        data += KEYS.seal(seq, kind, leg, plaintext, **wrong.get("seal", {}))
    root = ref.tree([KEYS.leaf_hash(seq, *frame) for seq, frame in enumerate(frames)])
    text = ref.final(
        wrong.get("count", len(frames)),
        ref.ends(frames) if legs is None else legs,
        wrong.get("digest", hashlib.sha256(data).digest()),
        wrong.get("root", root),
        wrong.get("reason", b"end"),
    )
    text = wrong.get("text", text) + wrong.get("more", b"")
    return data + KEYS.seal(len(frames), ref.FINAL, wrong.get("final_leg", 255), text)


def envelope_block(*records: bytes) -> bytes:
    return bytes([len(records)]) + b"".join(records)


def false_record(role: int = 1, what: int = 1, key: str = "key") -> bytes:
    return ref.record(role, what, number(key, 8), number("sealed", 1168))


# --- parts.json -------------------------------------------------------------------------------


def vector(name: str, data: bytes, reasons: list[int], key: bytes = CONTENT_KEY) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "content_key": key.hex(), "part": data.hex()}
    keyless = [reason for reason in reasons if reason < 10]
    if keyless:
        return found | {"reasons": reasons, "scan": None}
    meta, envelopes = struct.unpack(">II", data[12:20])
    return found | {"reasons": reasons, "scan": ref.scan(data, 124 + meta + envelopes)}


def accepted(name: str, header: bytes, frames: Frames, reason: bytes = b"end") -> dict[str, Any]:
    data = ref.write_part(CONTENT_KEY, header, frames, reason)
    keys = ref.Keys(CONTENT_KEY, header)
    last = split(data, len(header) + 36)[-1]
    root = ref.tree([keys.leaf_hash(seq, *frame) for seq, frame in enumerate(frames)])
    listed = [{"type": kind, "leg": leg, "plaintext": text.hex()} for kind, leg, text in frames]
    return vector(name, data, []) | {
        "frames": listed,
        "root": root.hex(),
        "sha256": hashlib.sha256(data[: -len(last)]).hexdigest(),
        "end": reason.decode(),
    }


def good_parts() -> list[dict[str, Any]]:
    example = ref.header_before(
        part_id=b"\x11" * 16,
        recording_id=b"\x22" * 16,
        salt=b"\x33" * 32,
        meta=ref.canonical({"line": "front desk", "previous": None}),
    )
    block = envelope_block(false_record(), false_record(role=2))
    largest = 2**53 - 1
    return [
        accepted(
            "the example of the document", example, [(2, 255, ref.canonical({"to": "reception"}))]
        ),
        accepted("frames of every type, two legs", HEADER, FRAMES),
        accepted("no frame before FINAL", HEADER, [], b"no_media"),
        accepted("an empty meta and the last part number", before(b"{}", number=2**32 - 1), FRAMES),
        accepted("an envelope block with two recipients", before(envelopes=block), FRAMES),
        accepted(
            "meta in UTF-8 with keys nobody knows",
            before('{"ligne":"café","x":[1,{}]}'.encode()),
            FRAMES,
        ),
        accepted(
            "the last position and the last leg",
            HEADER,
            [
                (
                    ref.AUDIO,
                    254,
                    ref.audio(
                        largest - 1,
                        1,
                        [ref.packet(0, 1, 2**32 - 1, b"", payload_type=255, flags=3)],
                    ),
                ),
                (ref.GAP, 0, ref.gap(0, 0, 0, b"dtx")),
                (ref.MASK, 7, ref.mask(largest, largest, b"x" * 64)),
            ],
            b"A-Z.a_z",
        ),
        accepted("two META frames", HEADER, [FRAMES[0], FRAMES[1], (ref.META, 255, b"{}")]),
    ]


def bad_headers() -> list[dict[str, Any]]:
    end = len(HEADER)
    made = [
        vector("empty file", b"", [1]),
        vector("cut inside the fixed header", GOOD[:50], [1]),
        vector("cut inside the meta", GOOD[:100], [1]),
        vector("cut before the CRC of the header", GOOD[: end + 32], [1]),
        vector("cut inside the CRC of the header", GOOD[: end + 35], [1]),
        vector(
            "magic after a transfer as text (CR LF became LF)", GOOD.replace(b"\r\n", b"\n", 1), [2]
        ),
        vector("magic without its high bit", flipped(GOOD, 0, 7), [2]),
        vector("a bit of the salt flipped", flipped(GOOD, 60), [7]),
        vector("a bit of the commitment flipped", flipped(GOOD, end + 5), [7]),
        vector("a bit of the header's CRC flipped", flipped(GOOD, end + 34), [7]),
        vector("a bit of the meta flipped", flipped(GOOD, 95), [7]),
    ]
    for name, header, reason in (
        ("version 0", before(version=0), 3),
        ("version 2", before(version=2), 3),
        ("suite 0", before(suite=0), 4),
        ("suite 2", before(suite=2), 4),
        ("meta of length 0", before(b""), 5),
        ("meta of length 1", before(b"1"), 5),
        ("meta of 65537 bytes", before(b'{"a":"' + b"x" * 65529 + b'"}'), 5),
        ("an envelope block of 65537 bytes", before(envelopes=bytes(65537)), 6),
        ("meta with a space", before(b'{"a": 1}'), 8),
        ("meta with unsorted keys", before(b'{"b":1,"a":1}'), 8),
        ("meta with a key twice", before(b'{"a":1,"a":1}'), 8),
        ("meta with a point", before(b'{"a":1.0}'), 8),
        ("meta with an exponent", before(b'{"a":1e3}'), 8),
        ("meta with an integer beyond 2^53-1", before(b'{"a":9007199254740992}'), 8),
        ("meta with minus zero", before(b'{"a":-0}'), 8),
        ("meta with NaN", before(b'{"a":NaN}'), 8),
        ("meta that is a list", before(b"[]"), 8),
        ("meta that is not UTF-8", before(b'{"a":"\xff"}'), 8),
        ("meta with a needless escape", before(b'{"a":"\\u0041"}'), 8),
        ("meta with a lone surrogate", before(b'{"a":"\\ud800"}'), 8),
        ("meta with a byte order mark", before(b"\xef\xbb\xbf{}"), 8),
        ("meta that ends in a line feed", before(b"{}\n"), 8),
        ("envelope block without a record", before(envelopes=b"\0"), 9),
        (
            "envelope block for an epoch's key",
            before(envelopes=envelope_block(false_record(what=2))),
            9,
        ),
        (
            "envelope block with a byte left over",
            before(envelopes=envelope_block(false_record()) + b"\0"),
            9,
        ),
        (
            "envelope block that is too short",
            before(envelopes=envelope_block(false_record())[:-1]),
            9,
        ),
        (
            "envelope block with one recipient twice",
            before(envelopes=envelope_block(false_record(), false_record())),
            9,
        ),
    ):
        made.append(vector(name, ref.write_part(CONTENT_KEY, header, FRAMES), [reason]))
    return made


def transplants() -> list[dict[str, Any]]:
    block = envelope_block(false_record())
    carrying = before(envelopes=block)
    carried = ref.write_part(CONTENT_KEY, carrying, FRAMES)
    other = ref.write_part(OTHER_KEY, HEADER, FRAMES)
    made = [
        vector("another content key", GOOD, [10], OTHER_KEY),
        vector(
            "the commitment of another content key",
            ref.closed_header(HEADER, other[len(HEADER) : len(HEADER) + 32]) + GOOD[START:],
            [10],
        ),
        vector("the envelope block taken out", remade_header(carried, carrying, HEADER), [10]),
        vector("an envelope block put in", remade_header(GOOD, HEADER, carrying), [10]),
        vector(
            "the envelope block replaced",
            remade_header(
                carried, carrying, before(envelopes=envelope_block(false_record(key="b")))
            ),
            [10],
        ),
    ]
    for name, header in (
        ("another meta", before(b'{"line":"back door"}')),
        ("another part id", before(part_id=number("x", 16))),
        ("another recording id", before(recording_id=number("x", 16))),
        ("another part number", before(number=1)),
        ("another salt", before(salt=number("x", 32))),
    ):
        made.append(vector(name, remade_header(GOOD, HEADER, header), [10]))
    return made


def bad_structure() -> list[dict[str, Any]]:
    frames = split(GOOD)
    later = START + sum(map(len, frames[:2]))
    body = frames[:-1]
    swapped = [frames[0], frames[2], frames[1], *frames[3:]]
    moved = [17, 20, 26, 27, 28, 29]
    return [
        vector("cut inside the head of a frame", GOOD[: later + 7], [11]),
        vector("cut inside the body of a frame", GOOD[: later + 30], [11]),
        vector("the last byte is missing", GOOD[:-1], [11]),
        vector("a frame of length 0", joined([*body, bytes(16), frames[-1]]), [12]),
        vector("a tail of zeros instead of FINAL", joined([*body, bytes(4096)]), [12]),
        vector(
            "a frame with a tag and no text",
            joined([mended(struct.pack(">IBBHII", 16, 2, 255, 0, 0, 0) + bytes(16)), *frames[1:]]),
            [12],
        ),
        vector(
            "a frame of 1 MiB and one byte",
            joined([struct.pack(">IBBHII", 1048577, 2, 255, 0, 0, 0) + bytes(64)]),
            [11, 12],
        ),
        vector("a bit of the ciphertext flipped", flipped(GOOD, later + 20), [13]),
        vector("a bit of the tag flipped", flipped(GOOD, later - 1), [13]),
        vector("a bit of a type flipped", flipped(GOOD, later + 4, 2), [13]),
        vector("a bit of the last frame flipped", flipped(GOOD, len(GOOD) - 3), [13]),
        vector("an unknown type", with_frames([*FRAMES, (5, 0, b"x")]), [14]),
        vector("type 0", with_frames([(0, 255, b"x")]), [14]),
        vector("type 255", with_frames([(255, 255, b"x")]), [14]),
        vector("bytes 6 and 7 are not zero", with_frames(FRAMES, seal={"zero": 1}), [15]),
        vector("AUDIO without a leg", with_frames([(1, 255, FRAMES[1][2])]), [16, 25, 29]),
        vector("MASK without a leg", with_frames([(3, 255, FRAMES[4][2])], []), [16, 29]),
        vector("META with a leg", with_frames([(2, 0, b"{}")]), [16]),
        vector("FINAL with a leg", with_frames(FRAMES, final_leg=0), [16]),
        vector("two frames swapped", joined(swapped), moved),
        vector("a frame left out", joined([frames[0], *frames[2:]]), moved),
        vector("the first frame left out", joined(frames[1:]), moved),
        vector("the frame before FINAL left out", joined([*frames[:-2], frames[-1]]), moved),
        vector("a frame twice", joined([*frames[:2], frames[1], *frames[2:]]), moved),
        vector("one byte after FINAL", GOOD + b"\0", [18]),
        vector("a kilobyte of zeros after FINAL", GOOD + bytes(1024), [18]),
        vector("FINAL twice", GOOD + frames[-1], [18]),
        vector(
            "a second FINAL with the next number",
            GOOD
            + KEYS.seal(
                len(frames), 127, 255, ref.final(len(frames), [], bytes(32), bytes(32), b"end")
            ),
            [18],
        ),
        vector("a frame after FINAL", GOOD + KEYS.seal(len(frames), *FRAMES[0]), [18]),
        vector("a whole part after FINAL", GOOD + GOOD, [18]),
        vector("no FINAL", joined(body), [19]),
        vector("a header and nothing else", GOOD[:START], [19]),
    ]


def bad_authentication() -> list[dict[str, Any]]:
    frames = split(GOOD)
    stranger = split(ref.write_part(OTHER_KEY, HEADER, FRAMES))
    sibling = before(number=1)
    siblings = split(ref.write_part(CONTENT_KEY, sibling, FRAMES), len(sibling) + 36)
    changed = [20, 27]

    def replaced(index: int, frame: bytes) -> bytes:
        return joined([*frames[:index], frame, *frames[index + 1 :]])

    return [
        vector(
            "ciphertext changed, CRC made right",
            replaced(1, mended(flipped(frames[1], 20))),
            changed,
        ),
        vector(
            "tag changed, CRC made right",
            replaced(1, mended(flipped(frames[1], -1 % len(frames[1])))),
            changed,
        ),
        vector(
            "leg changed, CRC made right",
            replaced(1, mended(flipped(frames[1], 5))),
            [*changed, 29],
        ),
        vector(
            "GAP made a MASK, CRC made right",
            replaced(3, mended(frames[3][:4] + b"\3" + frames[3][5:])),
            changed,
        ),
        vector(
            "two frames swapped, numbers and CRC made right",
            joined([frames[0], renumbered(frames[2], 1), renumbered(frames[1], 2), *frames[3:]]),
            changed,
        ),
        vector(
            "a frame left out, numbers and CRC made right",
            joined(
                [frames[0], *(renumbered(frame, at + 1) for at, frame in enumerate(frames[2:]))]
            ),
            [20],
        ),
        vector(
            "FINAL moved to the front, numbers and CRC made right",
            joined(
                [
                    renumbered(frames[-1], 0),
                    *(renumbered(f, i + 1) for i, f in enumerate(frames[:-1])),
                ]
            ),
            [18, 20],
        ),
        vector("a frame of a part with another key", replaced(1, stranger[1]), changed),
        vector(
            "a frame of a part with the same key and another header",
            replaced(1, siblings[1]),
            changed,
        ),
        vector("FINAL of another part", replaced(6, siblings[6]), [20]),
        vector("all frames of another part", joined(siblings), [20]),
        vector("FINAL changed, CRC made right", replaced(6, mended(flipped(frames[6], 30))), [20]),
    ]


def bad_plaintexts() -> list[dict[str, Any]]:
    a, p = ref.audio, ref.packet
    one = p(0, 8, 1, b"12345678")
    largest = 2**53 - 1
    digest, root = number("d", 32), number("r", 32)

    def part(name: str, kind: int, text: bytes, reason: int) -> dict[str, Any]:
        leg = 255 if kind == ref.META else 0
        legs: list[tuple[int, int]] = [] if kind == ref.META else [(0, 8)]
        return vector(name, with_frames([(kind, leg, text)], legs), [reason])

    def ended(name: str, **wrong: Any) -> dict[str, Any]:
        return vector(name, with_frames(FRAMES, **wrong), [25])

    def final(legs: list[tuple[int, int]], reason: bytes = b"end") -> bytes:
        return ref.final(len(FRAMES), legs, digest, root, reason)

    return [
        part("AUDIO of 13 bytes", 1, a(0, 8, [one])[:13], 21),
        part("AUDIO without a packet", 1, a(0, 8, []), 21),
        part("AUDIO that counts one packet too many", 1, a(0, 8, [one], count=2), 21),
        part("AUDIO that counts one packet too few", 1, a(0, 8, [one, one], count=1), 21),
        part("AUDIO with a byte left over", 1, a(0, 8, [one]) + b"\0", 21),
        part("AUDIO that ends inside a packet", 1, a(0, 8, [one])[:-1], 21),
        part("AUDIO whose packet reaches beyond the span", 1, a(0, 8, [p(1, 8, 1, b"1")]), 21),
        part("AUDIO whose offset and samples overflow", 1, a(0, 8, [p(2**32 - 1, 9, 1, b"1")]), 21),
        part("AUDIO with payload type 128", 1, a(0, 8, [p(0, 8, 1, b"1", payload_type=128)]), 21),
        part("AUDIO with payload type 254", 1, a(0, 8, [p(0, 8, 1, b"1", payload_type=254)]), 21),
        part("AUDIO with an unknown flag", 1, a(0, 8, [p(0, 8, 1, b"1", flags=4)]), 21),
        part("AUDIO at a position beyond 2^53-1", 1, a(2**53, 8, [one]), 21),
        part("AUDIO that ends beyond 2^53-1", 1, a(largest, 8, [one]), 21),
        part("META that is a list", 2, b"[1]", 22),
        part("META that is not canonical", 2, b'{"a" :1}', 22),
        part("META that is no JSON", 2, b"\0", 22),
        part("META that ends too early", 2, b'{"a":1', 22),
        part("MASK that ends before it begins", 3, ref.mask(9, 8, b"card"), 23),
        part("MASK without a reason", 3, ref.mask(0, 8, b""), 23),
        part("MASK with a reason of 65 letters", 3, ref.mask(0, 8, b"x" * 65), 23),
        part("MASK with a space in its reason", 3, ref.mask(0, 8, b"a b"), 23),
        part("MASK with a letter outside ASCII", 3, ref.mask(0, 8, b"\xe9"), 23),
        part("MASK with a byte left over", 3, ref.mask(0, 8, b"card") + b"\0", 23),
        part("MASK that ends inside its reason", 3, ref.mask(0, 8, b"card")[:-1], 23),
        part("MASK of 16 bytes", 3, ref.mask(0, 8, b"card")[:16], 23),
        part("MASK to a position beyond 2^53-1", 3, ref.mask(0, 2**53, b"card"), 23),
        part("GAP that ends before it begins", 4, ref.gap(9, 8, 1, b"lost"), 24),
        part("GAP without a cause", 4, ref.gap(0, 8, 1, b""), 24),
        part("GAP with a line feed in its cause", 4, ref.gap(0, 8, 1, b"lost\n"), 24),
        part("GAP with a byte left over", 4, ref.gap(0, 8, 1, b"lost") + b"\0", 24),
        part("GAP of 18 bytes", 4, ref.gap(0, 8, 1, b"lost")[:18], 24),
        part("GAP to a position beyond 2^53-1", 4, ref.gap(0, 2**64 - 1, 1, b"lost"), 24),
        ended("FINAL of 4 bytes", text=final([])[:4]),
        ended("FINAL that ends inside its hashes", text=final([])[:40]),
        ended("FINAL without a reason", text=final([], b"")),
        ended("FINAL that ends inside its reason", text=final([])[:-1]),
        ended("FINAL with a byte left over", more=b"\0"),
        ended("FINAL whose legs descend", text=final([(1, 520), (0, 320)])),
        ended("FINAL with a leg twice", text=final([(0, 320), (0, 320), (1, 520)])),
        ended("FINAL with leg 255", text=final([(0, 320), (1, 520), (255, 1)])),
        ended("FINAL with an end beyond 2^53-1", text=final([(0, 320), (1, 2**53)])),
        ended("FINAL that counts more legs than it has", text=b"\0\0\0\6\xff" + final([])[5:]),
    ]


def bad_totals() -> list[dict[str, Any]]:
    legs = ref.ends(FRAMES)
    leaves = [KEYS.leaf_hash(seq, *frame) for seq, frame in enumerate(FRAMES)]
    bare = [hashlib.sha256(b"\0" + text).digest() for _, _, text in FRAMES]
    whole = hashlib.sha256(GOOD).digest()
    return [
        vector("FINAL counts itself", with_frames(FRAMES, count=len(FRAMES) + 1), [26]),
        vector("FINAL counts no frame", with_frames(FRAMES, count=0), [26]),
        vector("FINAL has the SHA-256 of the whole file", with_frames(FRAMES, digest=whole), [27]),
        vector(
            "FINAL has the SHA-256 of the frames alone",
            with_frames(
                FRAMES, digest=hashlib.sha256(GOOD[START : -len(split(GOOD)[-1])]).digest()
            ),
            [27],
        ),
        vector("FINAL has a root of zeros", with_frames(FRAMES, root=bytes(32)), [28]),
        vector(
            "FINAL has the root of unsalted leaves", with_frames(FRAMES, root=ref.tree(bare)), [28]
        ),
        vector(
            "FINAL has the root without the last leaf",
            with_frames(FRAMES, root=ref.tree(leaves[:-1])),
            [28],
        ),
        vector(
            "FINAL has no root although there is no frame", with_frames([], root=bytes(32)), [28]
        ),
        vector("FINAL leaves out a leg", with_frames(FRAMES, legs[:1]), [29]),
        vector("FINAL has a leg too many", with_frames(FRAMES, [*legs, (2, 0)]), [29]),
        vector("FINAL has an earlier end", with_frames(FRAMES, [(0, 319), legs[1]]), [29]),
        vector("FINAL has a later end", with_frames(FRAMES, [legs[0], (1, 521)]), [29]),
    ]


def parts() -> dict[str, Any]:
    return {
        "description": "docs/part-format.md: reasons is empty where the part MUST be accepted; "
        "else it MUST be refused with one of them. scan: what a keyless scan finds.",
        "vectors": [
            *good_parts(),
            *bad_headers(),
            *transplants(),
            *bad_structure(),
            *bad_authentication(),
            *bad_plaintexts(),
            *bad_totals(),
        ],
    }


# --- proofs.json ------------------------------------------------------------------------------


def proof(chosen: list[int], **changes: Any) -> dict[str, Any]:
    leaves = [KEYS.leaf_hash(seq, *frame) for seq, frame in enumerate(FRAMES)]
    shown = [
        {
            "seq": seq,
            "type": FRAMES[seq][0],
            "leg": FRAMES[seq][1],
            "salt": KEYS.salt(seq).hex(),
            "plaintext": FRAMES[seq][2].hex(),
            "path": [node.hex() for node in ref.path(leaves, seq)],
        }
        for seq in chosen
    ]
    whole = {
        "v": 1,
        "part": HEADER[20:36].hex(),
        "frames": len(FRAMES),
        "root": ref.tree(leaves).hex(),
        "shown": shown,
    }
    return whole | changes


def changed(chosen: list[int], **changes: Any) -> dict[str, Any]:
    """A proof whose last shown frame has other values."""
    made = proof(chosen)
    made["shown"][-1] |= changes
    return made


def proofs() -> dict[str, Any]:
    root = str(proof([0])["root"])
    count = len(FRAMES)
    made: list[dict[str, Any]] = []

    def add(name: str, value: Any, ok: bool, frames: int = count, trusted: str = root) -> None:
        text = value if isinstance(value, str) else ref.canonical(value).decode()
        made.append({"name": name, "proof": text, "frames": frames, "root": trusted, "ok": ok})

    for chosen in ([0], [5], [1, 4], list(range(count))):
        add(f"frames {chosen}", proof(chosen), True)
    nodes = proof([1])["shown"][0]["path"]
    other = "00" * 32
    add("another plaintext", changed([1, 4], plaintext="00"), False)
    add("another salt", changed([1], salt=other), False)
    add("another leg", changed([1], leg=1), False)
    add("another type", changed([3], type=3), False)
    add("another place", changed([1], seq=0), False)
    add("a path that is too short", changed([1], path=nodes[:-1]), False)
    add("a path that is too long", changed([1], path=[*nodes, other]), False)
    add("a path in reverse", changed([1], path=nodes[::-1]), False)
    add("another root than the trusted one", proof([1]), False, count, other)
    add("another number of frames than the trusted one", proof([1]), False, count + 1)
    add("a number of frames that is not the trusted one", proof([1], frames=count + 1), False)
    add("nothing shown", proof([]), False)
    add("a frame twice", proof([1, 1]), False)
    add("frames that descend", proof([4, 1]), False)
    add("version 2", proof([1], v=2), False)
    add("version true", proof([1], v=True), False)
    add("hex in capitals", proof([1], root=root.upper()), False)
    add("a root of 31 bytes", proof([1], root=root[2:]), False)
    add("a key too many", proof([1], more=1), False)
    add("a frame with a key too many", changed([1], more=1), False)
    add("an unknown type", changed([1], type=9), False)
    add("a negative number", changed([1], seq=-1), False)
    add("a space", ref.canonical(proof([1])).decode() + " ", False)
    add("a list", [], False)
    return {
        "description": "docs/part-format.md, partial proofs: frames and root are what the verifier "
        "trusts; ok says whether the proof holds.",
        "vectors": made,
    }


# --- envelopes.json ---------------------------------------------------------------------------

SEED, OTHER_SEED = number("seed", 32), number("other seed", 32)
SECRET = number("secret", 32)
IDENTITY = number("part", 16)


def fresh_records() -> dict[str, str]:
    """Sealed keys, made once; their names say role, what, seed."""
    made = {}
    for role in (1, 2):
        for what in (1, 2, 3):
            for name, seed in (("mine", SEED), ("theirs", OTHER_SEED)):
                info = ref.envelope_info(role, what, IDENTITY)
                sealed = ref.seal_key(SECRET, ref.Pair(seed).public, info)
                made[f"{role}{what}{name}"] = sealed.hex()
    long = ref.seal_key(SECRET[:31], ref.Pair(SEED).public, ref.envelope_info(1, 1, IDENTITY))
    return made | {"short": long.hex()}


def envelopes(sealed: dict[str, str]) -> dict[str, Any]:
    mine, theirs = ref.Pair(SEED), ref.Pair(OTHER_SEED)
    made: list[dict[str, Any]] = []

    def rec(sealed_role: int, sealed_what: int, who: str = "mine", **other: Any) -> bytes:
        key_id = (mine if who == "mine" else theirs).key_id
        data = bytes.fromhex(sealed[f"{sealed_role}{sealed_what}{who}"])
        return ref.record(
            other.get("role", sealed_role),
            other.get("what", sealed_what),
            other.get("key_id", key_id),
            other.get("data", data),
        )

    def add(name: str, block: bytes, reasons: list[int], **asked: Any) -> None:
        fields = {
            "name": name,
            "block": block.hex(),
            "role": asked.get("role", 1),
            "what": asked.get("what", 1),
            "id": asked.get("identity", IDENTITY).hex(),
            "seed": asked.get("seed", SEED).hex(),
        }
        made.append(fields | ({"reasons": reasons} if reasons else {"key": SECRET.hex()}))

    one, block = rec(1, 1), envelope_block
    data = bytes.fromhex(sealed["11mine"])
    add("office, part", block(one), [])
    add("console, part", block(rec(2, 1)), [], role=2)
    add("the second of two recipients", block(rec(1, 1, "theirs"), one), [])
    add("office and console with the same key", block(one, rec(2, 1)), [], role=2)
    add("metadata key of an epoch", block(rec(1, 2)), [], what=2)
    add("sampling key of an epoch", block(rec(1, 3)), [], what=3)
    add("empty", b"", [1])
    add("cut inside a record", block(one)[:500], [1])
    add("cut inside the head of a record", block(one)[:9], [1])
    add("one record fewer than counted", b"\2" + one, [1])
    add("no record", b"\0", [2])
    add("56 records", bytes([56]) + one * 56, [2, 7])
    add("role 0", block(rec(1, 1, role=0)), [3])
    add("role 3", block(rec(1, 1, role=3)), [3])
    add("what 0", block(rec(1, 1, what=0)), [4])
    add("what 4", block(rec(1, 1, what=4)), [4])
    add("length 1167", block(rec(1, 1, data=data[:-1])), [5])
    add("length 1169", block(rec(1, 1, data=data + b"\0")), [5])
    add("a byte after the last record", block(one) + b"\0", [6])
    add("one record more than counted", b"\1" + one + rec(2, 1), [6])
    add("a recipient twice", block(one, one), [7])
    add("two kinds of keys", block(one, rec(1, 2, "theirs")), [8])
    add("sampling key for the console", block(rec(2, 3)), [9], role=2, what=3)
    add("another private key", block(one), [10], seed=OTHER_SEED)
    add("another role", block(one), [10], role=2)
    add("another kind of key", block(one), [10], what=2)
    add("another id", block(one), [11], identity=number("x", 16))
    add("the key id of another key", block(rec(1, 1, "theirs", key_id=mine.key_id)), [11])
    add("console's record renamed to office", block(rec(2, 1, role=1)), [11])
    add("an epoch's key renamed to a part's", block(rec(1, 2, what=1)), [11])
    for at, name in (
        (0, "ML-KEM ciphertext"),
        (1100, "X25519 key"),
        (1130, "ciphertext"),
        (1160, "tag"),
    ):
        add(f"a bit of the {name} flipped", block(rec(1, 1, data=flipped(data, at))), [11])
    add(
        "an X25519 key of low order",
        block(rec(1, 1, data=data[:1088] + bytes(32) + data[1120:])),
        [11],
    )
    add("a sealed key of 31 bytes", block(rec(1, 1, data=bytes.fromhex(sealed["short"]))), [5])
    return {
        "description": "docs/envelope-format.md: key is what the block opens to; reasons is why it "
        "is refused. sealed: the randomness of this file, kept when it is made again.",
        "sealed": sealed,
        "vectors": made,
    }


# --- key_files.json ---------------------------------------------------------------------------


def key_files() -> dict[str, Any]:
    pair = ref.Pair(SEED)
    labels = [
        f"greffier-{role}-{kind}-1" for role in ("office", "console") for kind in ("key", "pub")
    ]
    office, office_pub, console, console_pub = (
        ref.key_line(label, SEED if "key" in label else pair.public) for label in labels
    )
    made: list[dict[str, Any]] = []

    def add(name: str, text: str, reasons: list[int], role: int = 1, private: bool = True) -> None:
        fields: dict[str, Any] = {"name": name, "text": text, "role": role, "private": private}
        key = SEED if private else pair.public
        found = {"key": key.hex(), "key_id": pair.key_id.hex()}
        made.append(fields | ({"reasons": reasons} if reasons else found))

    label, letters = office.split(":")
    add("office, private", f"# a comment\n{office}\n", [])
    add("office, public", office_pub + "\n", [], private=False)
    add("console, private", console, [], role=2)
    add("console, public", f"\r\n  {console_pub}\t\r\n# the end", [], role=2, private=False)
    add("over 16384 bytes", office + "\n" + "#" * 16384, [1])
    add("a letter outside ASCII", f"# clé\n{office}\n", [1])
    add("a zero byte", f"{office}\n\0", [1])
    add("a byte order mark", f"\ufeff{office}\n", [1])
    add("empty", "", [2])
    add("comments only", "# nothing\n\n", [2])
    add("two keys", f"{office}\n{console}\n", [3])
    add("a key twice", f"{office}\n{office}\n", [3])
    add("a key and a word", f"{office}\nmore\n", [3])
    add("an unknown label", f"greffier-archive-key-1:{letters}\n", [4])
    add("version 2", f"greffier-office-key-2:{letters}\n", [4])
    add("a label in capitals", f"{label.upper()}:{letters}\n", [4])
    add("no label", f"{letters}\n", [4])
    add("an age key", "AGE-SECRET-KEY-1QQPQXPQ\n", [4])
    add("console where office is needed", console, [5])
    add("public where private is needed", office_pub, [5])
    add("private where public is needed", office, [5], private=False)
    add("padding", f"{office}=\n", [6])
    add("a space inside", f"{label}: {letters}\n", [6])
    add("letters of the other alphabet", f"{label}:{letters[:-1]}+\n", [6])
    add("a lone letter", f"{label}:{letters}A\n", [6])
    add("nothing after the label", f"{label}:\n", [7])
    add("a key of 31 bytes", ref.key_line(label, SEED[:31]), [7])
    add("a key of 33 bytes", ref.key_line(label, SEED + b"\0"), [7])
    add(
        "a public key without its X25519 half",
        ref.key_line(labels[1], pair.public[:1184]),
        [7],
        private=False,
    )
    wrong = "B" if letters[5] != "B" else "C"
    add("a letter changed", f"{label}:{letters[:5]}{wrong}{letters[6:]}\n", [8])
    add("two letters swapped", f"{label}:{letters[1]}{letters[0]}{letters[2:]}\n", [8])
    add("an edited label", f"{labels[2]}:{letters}\n", [8], role=2)
    high = b"\xff" * 3 + pair.public[3:]
    add("an ML-KEM coefficient out of range", ref.key_line(labels[1], high), [9], private=False)
    low = pair.public[:1184] + bytes(32)
    add("an X25519 point of low order", ref.key_line(labels[1], low), [9], private=False)
    return {
        "description": "docs/key-files.md: key is what the text holds; reasons is why it is "
        "refused when a key of role, private or public, is asked for.",
        "vectors": made,
    }


def known_sealed() -> dict[str, str]:
    path = HERE / "envelopes.json"
    if path.exists():
        sealed: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["sealed"]
        return sealed
    return fresh_records()


def everything() -> dict[str, dict[str, Any]]:
    """File name -> content."""
    return {
        "parts.json": parts(),
        "proofs.json": proofs(),
        "envelopes.json": envelopes(known_sealed()),
        "key_files.json": key_files(),
    }


def written(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    for name, content in everything().items():
        (HERE / name).write_text(written(content), encoding="utf-8")
