"""Fuzz targets of the sealing room: whatever bytes come, only documented errors come out."""

import zlib
from collections.abc import Callable
from contextlib import suppress

from greffier.seal import envelope, frames, header, keys, salted
from greffier.seal.frames import Audio, Final, FrameType, Gap, Mask, Meta, Packet
from greffier.seal.part import PartWriter
from greffier.seal.reader import Reader
from greffier.trust import key_text

KEY = bytes(range(32))
OFFICE = keys.PrivateKey(keys.Role.OFFICE, KEY)
BLOCK = envelope.seal(KEY, envelope.What.PART, bytes(16), [OFFICE.public])
AUDIO = Audio(0, 40, (Packet(0, 20, 1, 8, 0, bytes(20)), Packet(20, 20, 2, 8, 0, bytes(20))))
META = Meta({"to": "desk", "legs": [1, None, True]})
CONTENTS: dict[FrameType, frames.Content | Final] = {
    FrameType.AUDIO: AUDIO,
    FrameType.META: META,
    FrameType.MASK: Mask(0, 40, "card"),
    FrameType.GAP: Gap(0, 40, 2, "lost"),
    FrameType.FINAL: Final(3, ((0, 40), (1, 9)), bytes(32), bytes(32), "end"),
}


def _part(envelopes: bytes) -> tuple[bytes, Reader]:
    with PartWriter(
        part_id=bytes(16),
        recording_id=bytes(16),
        number=0,
        meta={"line": "desk"},
        content_key=KEY,
        envelopes=envelopes,
    ) as writer:
        data = [writer.header, writer.seal(META)]
        data += [writer.seal(AUDIO, leg) for leg in (0, 1)]
        part = b"".join([*data, writer.finish("end").frame])
    return part, Reader(part)


def _crc_made_right(data: bytes) -> bytes:
    """*data* with the CRC of its header made right, so that mutations reach what it guards."""
    with suppress(header.BadPart):
        covered = header.FIXED_BYTES + sum(header.lengths(data[: header.FIXED_BYTES])) + 32
        if len(data) >= covered + 4:
            crc = zlib.crc32(data[:covered]).to_bytes(4, "big")
            return data[:covered] + crc + data[covered + 4 :]
    return data


def read_part(data: bytes) -> None:
    """Header, scan, opening, seeking."""
    with suppress(header.BadPart):
        reader = Reader(_crc_made_right(data))
        reader.scan()
        opened = reader.open(KEY)
        for frame in opened.frames(allow_unfinished=True):
            bytes(frame.content)
        opened.verify()


def seek_part(data: bytes) -> None:
    """One frame of a part that nobody verified."""
    with suppress(header.BadPart):
        opened = Reader(PART[: READER.header.size] + data).open(KEY)
        with suppress(ValueError):
            opened.frame(2)


def _plaintext(kind: FrameType) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        with suppress(frames.BadFrame):
            record = frames.parse(kind, data)
            if bytes(record) != data:
                raise AssertionError("a record does not give its bytes back")

    return target


def open_envelope(data: bytes) -> None:
    """A block, parsed and opened."""
    with suppress(envelope.BadEnvelope, envelope.DoesNotOpen):
        envelope.open_block(data, envelope.What.PART, bytes(16), OFFICE)


def parse_key_file(data: bytes) -> None:
    """A key file of either kind."""
    text = data.decode("latin-1")
    for parse in (keys.parse_private, keys.parse_public):
        with suppress(key_text.BadKey):
            parse(text, keys.Role.OFFICE)


def parse_proof(data: bytes) -> None:
    """A partial proof, checked against its own root."""
    with suppress(salted.BadProof):
        proof = salted.parse_proof(data)
        proof.holds(proof.frames, proof.root)
        if bytes(proof) != data:
            raise AssertionError("a proof does not give its bytes back")


PART, READER = _part(b"")
CARRYING, _ = _part(BLOCK)

TARGETS: dict[str, Callable[[bytes], None]] = {
    "seal.part": read_part,
    "seal.seek": seek_part,
    "seal.envelope": open_envelope,
    "seal.key_file": parse_key_file,
    "seal.proof": parse_proof,
    **{f"seal.{kind.name.lower()}": _plaintext(kind) for kind in FrameType},
}
SEEDS: dict[str, list[bytes]] = {
    "seal.part": [PART, CARRYING],
    "seal.seek": [PART[READER.header.size :]],
    "seal.envelope": [BLOCK],
    "seal.key_file": [OFFICE.format().encode(), OFFICE.public.format().encode()],
    "seal.proof": [bytes(READER.open(KEY).prove([0, 2]))],
    **{f"seal.{kind.name.lower()}": [bytes(CONTENTS[kind])] for kind in FrameType},
}
