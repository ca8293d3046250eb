"""The attacker of the proofs: he shares nothing with the recorder, and finds what is there."""

import ast
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.reference import part as reference

from greffier_sim import carver, medium
from greffier_sim.carver import Carver, Holder, unlocked
from greffier_sim.medium import BLOCK, Medium, find, runs
from greffier_sim.soak_thief import codings

PAIR = reference.Pair(b"o" * 32)
NAME = b"N" * 16


def a_part(*, inside: bool = False, packets: int = 3) -> tuple[bytes, bytes]:
    """(file, envelope block) of a part made by the reference."""
    key = random.Random(7).randbytes(32)
    info = reference.envelope_info(1, 1, NAME)
    sealed = reference.seal_key(key, PAIR.public, info)
    block = b"\1" + reference.record(1, 1, PAIR.key_id, sealed)
    before = reference.header_before(
        part_id=NAME,
        recording_id=b"R" * 16,
        salt=b"s" * 32,
        meta=b"{}",
        envelopes=block if inside else b"",
    )
    speech = [reference.packet(160 * at, 160, at, bytes([at]) * 160) for at in range(packets)]
    frames = [(reference.META, 255, b"{}")]
    frames += [(reference.AUDIO, 0, reference.audio(0, 160 * packets, speech))]
    return reference.write_part(key, before, frames), block


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


@pytest.mark.parametrize("module", [carver, medium], ids=["carver", "medium"])
def test_the_attacker_imports_nothing_of_the_product(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != "greffier_sim.medium":
            rooms.add((node.module or "").split(".")[0])
    assert rooms <= sys.stdlib_module_names | {"numpy", "cryptography"}


def test_a_part_whose_file_carries_its_envelope_opens_wherever_its_blocks_lie() -> None:
    data = padded(a_part(inside=True, packets=20)[0])
    medium = Medium()
    medium.write(90 * BLOCK, data[BLOCK:])
    medium.write(7 * BLOCK, data[:BLOCK])
    medium.write(8 * BLOCK, b"\1" * BLOCK)
    assert Carver(medium, [Holder(b"o" * 32)]).look([]).in_files == {NAME}
    assert Carver(medium, [Holder(b"x" * 32)]).look([]).parts == set()


def test_a_content_key_and_an_envelope_in_clear_are_found() -> None:
    file, block = a_part()
    medium = Medium()
    medium.write(0, padded(file))
    mine = Carver(medium, [Holder(b"o" * 32)])
    assert mine.look([]).parts == set() and mine.stray() == set()
    assert unlocked(mine.locks(), random.Random(7).randbytes(32)) == {NAME}
    assert unlocked(mine.locks(), bytes(32)) == set()
    for at in (100, BLOCK - 500):  # whole, and across two blocks
        medium.write(9 * BLOCK, padded(bytes(at) + block))
        assert Carver(medium, [Holder(b"o" * 32)]).stray() == {NAME}


@pytest.mark.parametrize("at", [0, 1, 7, 4093, BLOCK, 8191, 9993])
def test_a_needle_is_found_wherever_it_stands(at: int) -> None:
    hay = bytearray(random.Random(at).randbytes(10_000))
    needles = [b"needle", b"another, longer one"]
    assert find(needles, [bytes(hay)]) == set()
    hay[at : at + 6] = b"needle"
    assert find(needles, [bytes(100), bytes(hay)]) == {b"needle"}
    hay[5000:5019] = needles[1]
    assert find(needles, [bytes(hay)]) == set(needles)
    with pytest.raises(ValueError, match="short"):
        find([b"short"], [])


def test_a_number_is_found_in_every_usual_coding() -> None:
    number = "+33612345678"
    said = {
        b"tel:+33612345678;phone",
        "0612345678".encode("utf-16-le"),
        bytes.fromhex("33612345678f"),
        bytes.fromhex("3316325476f8"),
        (33612345678).to_bytes(8),
        b"x MzM2MTIzNDU2Nzg= x",
        b"8765432160",
    }
    for one in said:
        assert find(set(codings([number])), [b"..." + one + b"..."]), one
    other = {b"tel:+33612345679", b"0612345677", bytes(64)}
    assert find(set(codings([number])), other) == set()


def test_what_stands_between_empty_blocks_is_kept_whole() -> None:
    image = bytes(BLOCK) + b"a" * (2 * BLOCK) + bytes(2 * BLOCK) + b"b" * BLOCK
    assert list(runs(image)) == [b"a" * (2 * BLOCK), b"b" * BLOCK]
    assert list(runs(bytes(3 * BLOCK))) == []
