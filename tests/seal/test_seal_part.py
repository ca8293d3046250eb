"""Writing and reading a part: round trips, one nonce a frame, keys that go away."""

import copy
import hashlib
import io
import os
import pickle
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import part as reference

from greffier import canonical, merkle
from greffier.seal import envelope, keys, salted
from greffier.seal.frames import (
    LARGEST_PLAINTEXT,
    LARGEST_POSITION,
    NO_LEG,
    Audio,
    BadFrame,
    Content,
    Final,
    FrameType,
    Gap,
    Mask,
    Meta,
    Packet,
    parse,
    type_of,
)
from greffier.seal.header import BadPart, WrongKey
from greffier.seal.part import PartWriter, Sealed, WriterClosed, new_content_key
from greffier.seal.reader import Reader
from greffier.seal.structure import State

KEY = bytes(range(32))
META = {"line": "desk", "created_ns": "1700000000000000000"}

WORDS = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
POSITIONS = st.integers(0, LARGEST_POSITION)
SPANS = st.tuples(POSITIONS, POSITIONS).map(sorted)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def audio(draw: st.DrawFn) -> Audio:
    position = draw(POSITIONS)
    span = draw(st.integers(0, min(2**32 - 1, LARGEST_POSITION - position)))
    packets = []
    for _ in range(draw(st.integers(1, 4))):
        offset = draw(st.integers(0, span))
        packets.append(
            Packet(
                offset,
                draw(st.integers(0, span - offset)),
                draw(st.integers(0, 2**32 - 1)),
                draw(st.integers(0, 127) | st.just(255)),
                draw(st.integers(0, 3)),
                draw(st.binary(max_size=40)),
            )
        )
    return Audio(position, span, tuple(packets))


CONTENTS: st.SearchStrategy[Content] = st.one_of(
    audio(),
    st.dictionaries(st.text(max_size=5), VALUES, max_size=3).map(Meta),
    st.builds(lambda span, word: Mask(span[0], span[1], word), SPANS, WORDS),
    st.builds(
        lambda span, count, word: Gap(span[0], span[1], count, word),
        SPANS,
        st.integers(0, 2**32 - 1),
        WORDS,
    ),
)


def writer(**changes: object) -> PartWriter:
    fields = {
        "part_id": bytes(16),
        "recording_id": bytes(16),
        "number": 0,
        "meta": META,
        "content_key": KEY,
    }
    return PartWriter(**{**fields, **changes})  # type: ignore[arg-type]


def written(contents: list[tuple[Content, int]], reason: str = "end") -> tuple[bytes, Sealed]:
    made = writer()
    data = [made.header, *(made.seal(content, leg) for content, leg in contents)]
    sealed = made.finish(reason)
    return b"".join([*data, sealed.frame]), sealed


def leg_of(content: Content, leg: int) -> int:
    return leg if type_of(content).has_leg else NO_LEG


@given(CONTENTS)
@settings(deadline=None)
def test_a_record_survives_its_bytes(content: Content) -> None:
    assert parse(type_of(content), bytes(content)) == content


@given(st.sampled_from(FrameType), st.binary(max_size=120))
@settings(deadline=None, max_examples=300)
def test_bytes_parse_to_a_record_that_gives_them_back_or_are_refused(
    kind: FrameType, data: bytes
) -> None:
    try:
        record = parse(kind, data)
    except BadFrame as error:
        assert 0 <= error.offset <= max(len(data), 12)
    else:
        assert bytes(record) == data


@given(st.lists(st.tuples(CONTENTS, st.integers(0, 254)), max_size=6), WORDS)
@settings(deadline=None, max_examples=60)
def test_a_part_gives_back_what_was_sealed(drawn: list[tuple[Content, int]], reason: str) -> None:
    contents = [(content, leg_of(content, leg)) for content, leg in drawn]
    data, sealed = written(contents, reason)
    reader = Reader(data)
    assert reader.scan().state is State.COMPLETE
    assert (reader.header.meta, len(data)) == (META, sealed.size)
    assert hashlib.sha256(data).digest() == sealed.sha256
    opened = reader.open(KEY)
    outline = opened.verify()
    assert outline.final
    assert (outline.root, outline.frames, outline.final.reason) == (
        sealed.root,
        sealed.frames,
        reason,
    )
    frames = list(opened.frames())
    assert [(frame.content, frame.leg) for frame in frames] == contents
    assert all(frame.complete for frame in frames)
    # The slow writer makes the same file from the same salt.
    plain = [(int(frame.kind), frame.leg, frame.plaintext) for frame in frames]
    assert data == reference.write_part(KEY, reader.header.before, plain, reason.encode())


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.data())
@settings(deadline=None, max_examples=40)
def test_any_choice_of_frames_proves_itself(sizes: list[int], draw: st.DataObject) -> None:
    contents: list[tuple[Content, int]] = [
        (Audio(at * 400, size, (Packet(0, size, at, 8, 0, bytes(size)),)), at % 3)
        for at, size in enumerate(sizes)
    ]
    data, sealed = written(contents)
    chosen = draw.draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1))
    proof = Reader(data).open(KEY).prove(chosen)
    again = salted.parse_proof(bytes(proof))
    assert again == proof
    assert [frame.seq for frame in again.shown] == sorted(chosen)
    assert again.holds(sealed.frames, sealed.root)
    assert not again.holds(sealed.frames + 1, sealed.root)
    assert not again.holds(sealed.frames, merkle.empty_root())


def test_no_nonce_is_used_twice_even_by_many_threads() -> None:
    made = writer()
    taken: list[bytes] = []

    def work() -> None:
        taken.extend(made.seal(Gap(0, 1, 1, "lost"), 0) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {struct.unpack(">I", frame[8:12])[0] for frame in taken} == set(range(800))
    assert len({frame[16:] for frame in taken}) == 800
    taken.sort(key=lambda frame: frame[8:12])
    data = made.header + b"".join(taken)
    # The frames have one order, that of the counter, and the totals follow it.
    opened = Reader(data + made.finish("end").frame).open(KEY)
    assert opened.verify().frames == 800


def test_two_writers_with_the_same_key_and_header_share_no_key() -> None:
    first, second = writer(), writer()
    assert first.commitment != second.commitment
    assert first.seal(Meta({}))[16:] != second.seal(Meta({}))[16:]


@pytest.mark.parametrize("end", ["finish", "abandon", "with"])
def test_nothing_comes_after_the_end(end: str) -> None:
    made = writer()
    if end == "finish":
        made.finish("end")
    elif end == "abandon":
        made.abandon()
        made.abandon()
    else:
        with made:
            made.seal(Meta({}))
    for call in (lambda: made.seal(Meta({})), lambda: made.finish("end")):
        with pytest.raises(WriterClosed):
            call()


def test_the_key_buffer_is_wiped_at_the_end() -> None:
    for end in (lambda made: made.finish("end"), lambda made: made.abandon()):
        made = writer()
        held = made._keys
        assert held
        assert any(held._okm)
        end(made)
        assert not any(held._okm)
        for use in (held.encrypt, held.decrypt, held.salt):
            with pytest.raises(ValueError, match="gone"):
                use()


def test_a_writer_cannot_be_copied() -> None:
    made = writer()
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="one writer"):
            attempt(made)


def test_a_forked_writer_refuses_to_work() -> None:
    made = writer()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            made.seal(Meta({}))
            os.write(write, b"sealed")
        except WriterClosed:
            os.write(write, b"refused")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"refused"
    assert made.seal(Meta({}))


def test_a_refused_frame_uses_no_number() -> None:
    made = writer()
    gap = bytes(Gap(0, 1, 1, "lost"))
    for kind, leg, plaintext in (
        (FrameType.FINAL, NO_LEG, b"x"),
        (FrameType.META, 0, b"{}"),
        (FrameType.GAP, NO_LEG, gap),
        (FrameType.GAP, -1, gap),
        (FrameType.GAP, 0, gap[:10]),
        (FrameType.MASK, 0, bytes(Mask(0, 1, "x"))[8:16] + bytes(10)),
        (FrameType.META, NO_LEG, b""),
        (FrameType.META, NO_LEG, bytes(LARGEST_PLAINTEXT + 1)),
    ):
        with pytest.raises(BadFrame):
            made.seal_frame(kind, leg, plaintext)
    assert made.frames == 0
    with pytest.raises(BadFrame):
        made.finish("not a word")
    assert made.finish("end").frames == 0


def test_the_biggest_frame_can_be_read() -> None:
    made = writer()
    text = b'{"a":"' + b"x" * (LARGEST_PLAINTEXT - 8) + b'"}'
    data = made.header + made.seal_frame(FrameType.META, NO_LEG, text) + made.finish("end").frame
    assert next(Reader(data).open(KEY).frames()).plaintext == text


@pytest.mark.parametrize(
    "changes",
    [
        {"part_id": bytes(15)},
        {"recording_id": bytes(17)},
        {"number": -1},
        {"number": 2**32},
        {"content_key": bytes(31)},
        {"meta": {"a": 1.5}},
        {"meta": {"a": "x" * 65536}},
        {"envelopes": b"\0"},
    ],
)
def test_a_header_nobody_would_read_is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        writer(**changes)


def test_a_part_carries_envelopes_that_open_it() -> None:
    office, console = keys.generate(keys.Role.OFFICE), keys.generate(keys.Role.CONSOLE)
    content_key, part_id = new_content_key(), os.urandom(16)
    block = envelope.seal(content_key, envelope.What.PART, part_id, [office.public, console.public])
    made = writer(part_id=part_id, content_key=content_key, envelopes=block)
    data = made.header + made.seal(Meta({"to": "desk"})) + made.finish("end").frame
    for private in (office, console):
        reader = Reader(data)
        found = envelope.open_block(
            reader.header.envelopes, envelope.What.PART, reader.header.part_id, private
        )
        assert found == content_key
        frame = next(reader.open(found).frames())
        assert frame.content == Meta({"to": "desk"})
    with pytest.raises(WrongKey):
        Reader(data).open(KEY)


GAPS: list[tuple[Content, int]] = [(Gap(at, at + 1, 1, "lost"), 0) for at in range(5)]


def test_one_frame_is_found_by_hopping() -> None:
    data, _ = written(GAPS)
    opened = Reader(io.BytesIO(data)).open(KEY)
    for seq in (3, 0, 4):
        frame = opened.frame(seq)
        assert (frame.content, frame.complete) == (GAPS[seq][0], False)
    for seq in (-1, 5, 6):
        with pytest.raises(ValueError, match="no such frame"):
            opened.frame(seq)
    opened.verify()
    assert opened.frame(2).complete
    with pytest.raises(ValueError, match="no such frame"):
        opened.prove([5])
    opened.close()
    with pytest.raises(ValueError, match="gone"):
        opened.frame(0)


def test_an_unfinished_part_is_read_only_when_asked() -> None:
    data, sealed = written(GAPS)
    unfinished = data[: -len(sealed.frame)]
    for tail in (b"", b"\0\0", bytes(4096), sealed.frame[:-1]):
        opened = Reader(unfinished + tail).open(KEY)
        with pytest.raises(BadPart):
            opened.verify()
        with pytest.raises(BadPart):
            opened.frames()
        frames = list(opened.frames(allow_unfinished=True))
        assert [frame.content for frame in frames] == [content for content, _ in GAPS]
        assert not any(frame.complete for frame in frames)
        outline = opened.verify(allow_unfinished=True)
        assert (outline.complete, outline.final, outline.frames) == (False, None, 5)
        with pytest.raises(BadPart):
            opened.prove([0])


def test_damage_in_the_middle_is_not_excused_as_unfinished() -> None:
    data, sealed = written(GAPS)
    broken = bytearray(data[: -len(sealed.frame)])
    broken[Reader(data).header.size + 20] ^= 1
    reader = Reader(bytes(broken))
    assert reader.scan().state is State.DAMAGED
    with pytest.raises(BadPart):
        reader.open(KEY).verify(allow_unfinished=True)
    trailing = Reader(data + b"\0").open(KEY)
    with pytest.raises(BadPart) as caught:
        trailing.verify(allow_unfinished=True)
    assert caught.value.number == 18


def test_committed_bytes_decide_between_torn_and_damaged() -> None:
    data, sealed = written(GAPS)
    start = Reader(data).header.size
    size = (len(data) - start - len(sealed.frame)) // 5
    broken = bytearray(data)
    broken[start + size + 20] ^= 1  # the second frame; whole frames follow
    reader = Reader(bytes(broken))
    assert reader.scan().state is State.DAMAGED
    assert reader.scan(committed=start + size).state is State.TORN
    assert reader.scan(committed=start + size + 1).state is State.DAMAGED
    scan = reader.scan(committed=0)
    assert (scan.good, scan.frames) == (start + size, 1)
    assert scan.sha256 == hashlib.sha256(data[: scan.good]).digest()
    cut = Reader(data[: start + size])
    assert cut.scan(committed=start + size).state is State.TORN
    assert cut.scan(committed=start + size + 1).state is State.DAMAGED


def test_a_part_is_read_from_a_raw_file(tmp_path: Path) -> None:
    data, _ = written(GAPS)
    path = tmp_path / "part"
    path.write_bytes(data)
    with path.open("rb", buffering=0) as file:
        assert len(list(Reader(file).open(KEY).frames())) == 5  # type: ignore[arg-type]


def test_leaf_salts_are_hmac() -> None:
    key = bytes(range(32))
    expected = reference.extract("sha256", key, struct.pack(">I", 77))
    assert salted.Salts(key).salt(77) == expected


def test_final_is_not_content_and_errors_name_their_place() -> None:
    final = Final(0, (), bytes(32), bytes(32), "end")
    assert parse(FrameType.FINAL, bytes(final)) == final
    with pytest.raises(BadPart) as caught:
        Reader(b"")
    assert (caught.value.number, caught.value.offset) == (1, 0)
    assert "byte 0" in str(caught.value)
    with pytest.raises(BadFrame):
        bytes(Meta({"deep": 0.5}))
    for depth in (2_000, 100_000):
        with pytest.raises(BadFrame):
            Meta.parse(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    assert canonical.dump({}) == bytes(Meta({}))
