"""No tampering is accepted: every cut, ten thousand flips, frames moved, whole parts mixed."""

import random
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.seal.frames import Audio, Gap, Mask, Meta, Packet
from greffier.seal.header import BadPart
from greffier.seal.part import PartWriter
from greffier.seal.reader import Reader
from greffier.seal.structure import State

KEY = bytes(range(32))


def small_part(number: int = 0, *, ids: bytes = bytes(16), line: str = "desk") -> bytes:
    with PartWriter(
        part_id=ids,
        recording_id=ids,
        number=number,
        meta={"line": line},
        content_key=KEY,
    ) as made:
        data = [
            made.header,
            made.seal(Meta({"to": "desk"})),
            made.seal(Audio(0, 20, (Packet(0, 20, 1, 8, 0, bytes(20)),)), 0),
            made.seal(Audio(0, 20, (Packet(0, 20, 1, 8, 0, bytes(20)),)), 1),
            made.seal(Gap(20, 40, 1, "lost"), 0),
            made.seal(Mask(20, 40, "card"), 1),
        ]
        return b"".join([*data, made.finish("end").frame])


PART = small_part()
START = Reader(PART).header.size


def accepted(data: bytes) -> bool:
    """Whether a reader takes *data* for a complete part."""
    try:
        return Reader(data).open(KEY).verify().complete
    except BadPart as error:
        assert 0 <= error.offset <= len(data)
        return False


def frames_of(data: bytes) -> list[bytes]:
    found, at = [], START
    while at < len(data):
        end = at + 16 + struct.unpack(">I", data[at : at + 4])[0]
        found.append(data[at:end])
        at = end
    return found


def mended(frame: bytes) -> bytes:
    return frame[:12] + struct.pack(">I", zlib.crc32(frame[:12] + frame[16:])) + frame[16:]


def renumbered(frames: list[bytes]) -> bytes:
    """The frames numbered as a reader expects them, their CRCs made right."""
    numbered = (
        mended(frame[:8] + struct.pack(">I", seq) + frame[12:]) for seq, frame in enumerate(frames)
    )
    return PART[:START] + b"".join(numbered)


FRAMES = frames_of(PART)


def test_the_part_itself_is_accepted() -> None:
    assert accepted(PART)


def test_no_truncation_is_accepted_and_every_one_can_be_cut_back() -> None:
    borders = {START + sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)}
    for length in range(len(PART)):
        data = PART[:length]
        assert not accepted(data), length
        if length >= START:
            scan = Reader(data).scan()
            assert scan.state is State.TORN
            assert scan.good == max(border for border in borders if border <= length)
            opened = Reader(data).open(KEY)
            frames = list(opened.frames(allow_unfinished=True))
            assert len(frames) == scan.frames
            assert not any(frame.complete for frame in frames)


def test_no_bit_flip_is_accepted_even_when_the_crc_is_made_right() -> None:
    draw = random.Random(9)
    every = list(range(len(PART) * 8))
    chosen = every + draw.choices(every, k=10_000 - len(every))
    assert len(chosen) == 10_000
    for bit in chosen:
        data = bytearray(PART)
        data[bit // 8] ^= 1 << bit % 8
        assert not accepted(bytes(data)), bit
    for bit in every:
        data = bytearray(PART)
        data[bit // 8] ^= 1 << bit % 8
        assert not accepted(with_right_crcs(bytes(data))), bit


def with_right_crcs(data: bytes) -> bytes:
    """*data* with the CRCs of the header and of every frame (at its old place) made right."""
    header = data[: START - 4]
    made, at = header + struct.pack(">I", zlib.crc32(header)), START
    for frame in FRAMES:
        made += mended(data[at : at + len(frame)])
        at += len(frame)
    if made == PART:  # the flip was in a CRC
        return made + b"\0"
    return made


def test_no_other_order_of_frames_is_accepted() -> None:
    count = len(FRAMES)
    for first in range(count):
        for second in range(first + 1, count):
            swapped = list(FRAMES)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            assert not accepted(PART[:START] + b"".join(swapped))
            assert not accepted(renumbered(swapped))
    for index in range(count):
        shorter = FRAMES[:index] + FRAMES[index + 1 :]
        longer = FRAMES[: index + 1] + FRAMES[index:]
        for frames in (shorter, longer, [*FRAMES, FRAMES[index]]):
            assert not accepted(PART[:START] + b"".join(frames))
            assert not accepted(renumbered(frames))


def test_nothing_of_another_part_with_the_same_key_is_accepted() -> None:
    other = small_part()
    assert accepted(other)
    assert not accepted(PART[:START] + other[START:])
    strangers = frames_of(other)
    for index in range(len(FRAMES)):
        mixed = [*FRAMES[:index], strangers[index], *FRAMES[index + 1 :]]
        assert not accepted(PART[:START] + b"".join(mixed))


def test_no_field_of_another_header_is_accepted() -> None:
    other = small_part(7, ids=b"x" * 16, line="shop")
    assert len(other) == len(PART)
    meta_end = START - 36
    fields = [(20, 36), (36, 52), (52, 56), (56, 88), (88, meta_end), (meta_end, START - 4)]
    for start, end in fields:
        header = PART[:start] + other[start:end] + PART[end : START - 4]
        assert header != PART[: START - 4]
        crc = struct.pack(">I", zlib.crc32(header))
        assert not accepted(header + crc + PART[START:])


def test_nothing_may_follow() -> None:
    for tail in (b"\0", bytes(16), bytes(4096), FRAMES[-1], FRAMES[0], PART):
        assert not accepted(PART + tail)
        scan = Reader(PART + tail).scan()
        assert (scan.state, scan.final, scan.good) == (State.TORN, True, len(PART))


MUTATIONS: tuple[Callable[[bytearray, int, bytes], None], ...] = (
    lambda data, at, text: data.__setitem__(slice(at, at + len(text)), text),
    lambda data, at, text: data.__setitem__(slice(at, at), text),
    lambda data, at, text: data.__delitem__(slice(at, at + len(text))),
    lambda data, at, text: data.__setitem__(slice(at, at), data[: len(text)]),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(MUTATIONS),
            st.integers(0, len(PART)),
            st.binary(min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None, max_examples=400)
def test_mutations_are_refused_and_raise_nothing_else(
    mutations: list[tuple[Callable[[bytearray, int, bytes], None], int, bytes]],
) -> None:
    data = bytearray(PART)
    for mutate, at, text in mutations:
        mutate(data, at, text)
    if data != PART:
        assert not accepted(bytes(data))
        try:
            scan = Reader(bytes(data)).scan()
        except BadPart:
            return
        assert START <= scan.good <= len(data)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_arbitrary_bytes_after_the_magic_are_refused(tail: bytes) -> None:
    assert not accepted(PART[:8] + tail)
    assert not accepted(PART[:START] + tail)


def test_a_wrong_key_is_told_apart_only_by_its_number() -> None:
    with pytest.raises(BadPart) as caught:
        Reader(PART).open(bytes(32))
    assert caught.value.number == 10
    with pytest.raises(ValueError, match="32 bytes"):
        Reader(PART).open(bytes(31))
