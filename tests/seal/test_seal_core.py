"""The writer in the C core and the one in Python give the same bytes for the same part."""

import copy
import hashlib
import io
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier import merkle
from greffier._native import ffi, lib
from greffier.seal.core import CoreWriter
from greffier.seal.frames import NO_LEG, Audio, BadFrame, FrameType, Gap, Mask, Meta, Packet
from greffier.seal.part import PartWriter, WriterClosed
from greffier.seal.reader import Reader

KEY = bytes(range(32))
TAIL = lib.GREFFIER_SEAL_TAIL


def in_python() -> PartWriter:
    return PartWriter(
        part_id=b"p" * 16, recording_id=b"r" * 16, number=1, meta={"line": "x"}, content_key=KEY
    )


def in_core() -> CoreWriter:
    return CoreWriter(
        part_id=b"p" * 16, recording_id=b"r" * 16, number=1, meta={"line": "x"}, content_key=KEY
    )


def audio(seed: int, count: int) -> bytes:
    chance = random.Random(seed)
    packets = tuple(
        Packet(160 * i, 160, seed + i, 8, 0, chance.randbytes(160)) for i in range(count)
    )
    return bytes(Audio(8000 * seed, 160 * count, packets))


FRAMES = st.one_of(
    st.tuples(
        st.just(FrameType.AUDIO),
        st.integers(0, 254),
        st.builds(audio, st.integers(0, 99), st.integers(1, 60)),
    ),
    st.tuples(
        st.just(FrameType.GAP),
        st.integers(0, 254),
        st.integers(0, 2**53 - 9).map(lambda at: bytes(Gap(at, at + 8, 3, "lost"))),
    ),
    st.tuples(
        st.just(FrameType.MASK),
        st.integers(0, 254),
        st.integers(0, 99).map(lambda at: bytes(Mask(at, at + 8, "card"))),
    ),
    st.tuples(
        st.just(FrameType.META),
        st.just(NO_LEG),
        st.integers(0, 99).map(lambda n: bytes(Meta({"n": n}))),
    ),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(FRAMES, max_size=40))
def test_both_seal_the_same_bytes(frames: list[tuple[FrameType, int, bytes]]) -> None:
    writer = in_python()
    tail, out = ffi.new("uint8_t[]", TAIL), ffi.new("uint8_t[]", 20_000)
    key = ffi.from_buffer("uint8_t[]", KEY)
    seal = lib.greffier_seal_new(key, writer.header[:-TAIL], len(writer.header) - TAIL, tail)
    sealer = lib.greffier_sealer_new()
    totals = ffi.new("greffier_seal_totals *")
    assert ffi.buffer(tail)[:] == writer.header[-TAIL:]
    file = writer.header
    for kind, leg, plaintext in frames:
        frame = writer.seal_frame(kind, leg, plaintext)
        size = lib.greffier_seal_frame(seal, sealer, int(kind), leg, plaintext, len(plaintext), out)
        assert ffi.buffer(out, size)[:] == frame
        file += frame
    lib.greffier_seal_count(seal, totals)
    assert (totals.size, totals.frames) == (writer.size, writer.frames)
    assert ffi.buffer(totals.sha256)[:] == hashlib.sha256(file).digest()
    sealed = writer.finish("end")
    assert ffi.buffer(totals.root)[:] == sealed.root
    lib.greffier_sealer_free(sealer)
    lib.greffier_seal_free(seal)


def test_a_reader_opens_a_part_of_the_core_and_finds_its_totals_true() -> None:
    writer = in_core()
    file = writer.header
    file += writer.seal(Meta({"from": "a"}))
    for leg in (1, 0):
        file += writer.seal_frame(FrameType.AUDIO, leg, audio(leg, 50))
        file += writer.seal(Gap(1, 9, 0, "dtx"), leg)
    sealed = writer.finish("bye")
    file += sealed.frame
    assert (sealed.size, sealed.frames) == (len(file), 5)
    assert sealed.sha256 == hashlib.sha256(file).digest()
    outline = Reader(io.BytesIO(file)).open(KEY).verify()
    assert (outline.frames, outline.root) == (5, sealed.root)


def test_nothing_is_sealed_after_the_end() -> None:
    for end in (
        lambda w: w.finish("end"),
        lambda w: w.abandon(),
        lambda w: w.__exit__(*[None] * 3),
    ):
        writer = in_core()
        end(writer)
        with pytest.raises(WriterClosed):
            writer.seal(Meta({}))
        with pytest.raises(WriterClosed):
            writer.finish("end")
        writer.abandon()


def test_what_no_reader_accepts_is_refused_and_the_part_goes_on() -> None:
    writer = in_core()
    for kind, leg, plaintext in (
        (FrameType.AUDIO, 0, b""),
        (FrameType.AUDIO, NO_LEG, audio(1, 1)),
        (FrameType.AUDIO, 256, audio(1, 1)),
        (FrameType.META, 0, b"{}"),
        (FrameType.GAP, 0, bytes(19)),
        (FrameType.FINAL, NO_LEG, bytes(80)),
        (FrameType.AUDIO, 0, bytes(lib.GREFFIER_SEAL_LARGEST + 1)),
    ):
        with pytest.raises(BadFrame):
            writer.seal_frame(kind, leg, plaintext)
    with pytest.raises(BadFrame):
        writer.finish("not a word")
    assert writer.frames == 0
    writer.seal(Meta({}))
    assert writer.finish("end").frames == 1


def test_a_writer_is_neither_copied_nor_forked() -> None:
    writer = in_core()
    with pytest.raises(TypeError):
        copy.copy(writer)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            writer.seal(Meta({}))
            os.write(write_end, b"sealed")
        except WriterClosed:
            os.write(write_end, b"refused")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read_end, 16) == b"refused"
    os.close(read_end)
    os.close(write_end)
    writer.seal(Meta({}))


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        CoreWriter(
            part_id=b"p" * 16, recording_id=b"r" * 16, number=0, meta={}, content_key=bytes(31)
        )


def test_the_tree_of_many_frames_is_that_of_rfc_6962() -> None:
    assert in_core().finish("empty").root == merkle.empty_root()
