"""The messages between box and head office, against the vectors of the document."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greffier.control.forms import BadMessage
from greffier.sync import messages
from greffier.sync.chunk import BLOCK, LARGEST_CHUNK, BadChunk, blocks_of, decode, encode
from greffier.sync.topics import LARGEST_PAYLOAD, chunks, down, is_device, is_lane, sender, up

HERE = Path(__file__).parents[1] / "vectors" / "sync"
MESSAGES = json.loads((HERE / "messages.json").read_text("utf-8"))
CHUNKS = json.loads((HERE / "chunks.json").read_text("utf-8"))


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_sync", HERE / "generate_sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vectors_are_what_their_script_writes() -> None:
    for name, content in generator().written().items():
        assert (HERE / name).read_text("utf-8") == content


@pytest.mark.parametrize("name", MESSAGES["valid"])
def test_a_valid_message_is_read_and_written_again_to_the_same_bytes(name: str) -> None:
    payload = MESSAGES["valid"][name].encode()
    assert messages.write(messages.read(payload)) == payload


@pytest.mark.parametrize("name", MESSAGES["invalid"])
def test_an_invalid_message_is_refused(name: str) -> None:
    with pytest.raises(BadMessage):
        messages.read(MESSAGES["invalid"][name].encode())


@given(st.sampled_from(sorted(MESSAGES["valid"])), st.data())
def test_an_altered_message_is_refused_or_says_something_else(name: str, data: Any) -> None:
    payload = MESSAGES["valid"][name].encode()
    at = data.draw(st.integers(0, len(payload) - 1))
    altered = payload[:at] + bytes([data.draw(st.integers(0, 255))]) + payload[at + 1 :]
    try:
        found = messages.read(altered)
    except BadMessage:
        return
    assert messages.write(found) == altered


def test_a_message_that_is_too_long_is_never_written() -> None:
    blocks = ("0" * 64,) * 800
    offers = [
        messages.Offered(f"{n:032x}", 800 * BLOCK, "0" * 64, blocks, "AAAA") for n in range(3)
    ]
    assert len(messages.write(messages.Offer((offers[0],)))) <= LARGEST_PAYLOAD
    with pytest.raises(BadMessage):
        messages.write(messages.Offer(tuple(offers)))


@pytest.mark.parametrize("name", CHUNKS["valid"])
def test_a_valid_chunk_is_read_and_written_again(name: str) -> None:
    wanted = CHUNKS["valid"][name]
    payload = bytes.fromhex(wanted["payload"])
    found = decode(payload)
    assert found.part.hex() == wanted["part"]
    assert found.offset == wanted["offset"]
    assert bytes(found.data).hex() == wanted["data"]
    assert found.block == wanted["offset"] // BLOCK
    assert encode(found.part, found.offset, found.data) == payload


@pytest.mark.parametrize("name", CHUNKS["invalid"])
def test_an_invalid_chunk_is_refused(name: str) -> None:
    with pytest.raises(BadChunk):
        decode(bytes.fromhex(CHUNKS["invalid"][name]))


def test_a_chunk_of_the_largest_payload_is_the_largest() -> None:
    head = bytes.fromhex(CHUNKS["too_long"]["head"])
    largest = CHUNKS["too_long"]["largest"]
    assert largest == LARGEST_CHUNK == LARGEST_PAYLOAD - len(head)
    assert len(decode(head + bytes(largest)).data) == largest
    with pytest.raises(BadChunk):
        decode(head + bytes(largest + 1))
    for data in (b"", bytes(largest + 1)):
        with pytest.raises(BadChunk):
            encode(bytes(16), 0, data)


@given(st.integers(1, 1600 * 4_194_304))
def test_a_part_has_as_many_blocks_as_its_octets_need(size: int) -> None:
    assert (blocks_of(size) - 1) * BLOCK < size <= blocks_of(size) * BLOCK


def test_topics_say_who_speaks_and_nothing_else_is_one() -> None:
    assert sender(up("box-1", "offer")) == ("box-1", "offer", "")
    assert sender(chunks("box-1", "a-1")) == ("box-1", "c", "a-1")
    for topic in (
        down("box-1", "need"), "greffier/1/box-1/up/c/", "greffier/1/box-1/up/c/A",
        "greffier/1/box-1/up/offer/x", "greffier/1//up/offer", "greffier/1/box-1.b/up/offer",
        "greffier/2/box-1/up/offer", "greffier/1/a+/up/offer", "greffier/1/box-1/up/offer\n", "",
    ):  # fmt: skip
        assert sender(topic) is None
    assert is_device("box-1a2b3c4d")
    assert not any(map(is_device, ("", "a/b", "a" * 65, "box.b", "a b", "a+", "#")))
    assert is_lane("a1")
    assert not any(map(is_lane, ("", "A", "a/b", "a" * 33, "a.b")))
