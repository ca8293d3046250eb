"""Messages to bytes and back, and everything that is no message."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.control import messages as m
from greffier.control.forms import BadMessage
from greffier.control.wire import (
    LENGTH,
    MOST_REQUEST,
    frame_length,
    read_answer,
    read_request,
    write_answer,
    write_request,
)

HERE = Path(__file__).parents[1] / "vectors" / "control"
VECTORS: dict[str, Any] = json.loads((HERE / "messages.json").read_text("ascii"))


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_control", HERE / "generate_control.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_vectors_are_what_their_script_writes() -> None:
    made = generator()
    assert VECTORS["requests"] == [write_request(one).hex() for one in made.REQUESTS]
    assert VECTORS["answers"] == [write_answer(one).hex() for one in made.ANSWERS]
    assert [read_request(bytes.fromhex(one)[4:]) for one in VECTORS["requests"]] == made.REQUESTS
    assert [read_answer(bytes.fromhex(one)[4:]) for one in VECTORS["answers"]] == made.ANSWERS


@pytest.mark.parametrize("name", VECTORS["bad_requests"])
def test_a_bad_request_is_refused(name: str) -> None:
    with pytest.raises(BadMessage):
        read_request(VECTORS["bad_requests"][name].encode())


@pytest.mark.parametrize("name", VECTORS["bad_answers"])
def test_a_bad_answer_is_refused(name: str) -> None:
    with pytest.raises(BadMessage):
        read_answer(VECTORS["bad_answers"][name].encode())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for read in (read_request, read_answer):
        with pytest.raises(BadMessage):
            read(data)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_message_with_one_byte_changed_is_refused_or_another_message(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["requests", "answers"]))
    frame = bytearray.fromhex(data.draw(st.sampled_from(VECTORS[kind])))
    place = data.draw(st.integers(4, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    read, write = (
        (read_request, write_request) if kind == "requests" else (read_answer, write_answer)
    )
    try:
        message = read(bytes(frame[4:]))
    except BadMessage:
        return
    assert write(message) == bytes(frame)  # type: ignore[operator]


@pytest.mark.parametrize("length", [0, MOST_REQUEST + 1, 2**31, 2**32 - 1])
def test_a_frame_of_a_forbidden_length_is_refused(length: int) -> None:
    with pytest.raises(BadMessage):
        frame_length(LENGTH.pack(length), MOST_REQUEST)


def test_a_frame_that_has_not_come_yet_has_no_length() -> None:
    assert frame_length(b"\0\0\0", MOST_REQUEST) is None
    assert frame_length(LENGTH.pack(MOST_REQUEST), MOST_REQUEST) == MOST_REQUEST + 4


@pytest.mark.parametrize(
    "answer",
    [
        m.Failure("busy", "Not a word"),
        m.Levels((m.Level("a", "a", -30_000, 0, 0),)),
        m.Done(changed=3),  # type: ignore[arg-type]
        m.Status("box", "1" * 32, True, (), (), (), m.Storage(-1), m.ClockState(0, "build")),
    ],
)
def test_what_the_wire_cannot_carry_is_never_written(answer: m.Answer) -> None:
    with pytest.raises(BadMessage):
        write_answer(answer)


def test_a_status_of_a_full_box_fits() -> None:
    parts = tuple(m.Committed(f"{n:032x}", 2**40, 2**40) for n in range(4096))
    full = m.Status("b", "1" * 32, True, (), parts, (), m.Storage(), m.ClockState(0, "build"))
    assert read_answer(write_answer(full)[4:]) == full


@pytest.mark.parametrize("device", ["box-12345678", "box-c2917644", "box-abcdefab"])
def test_a_device_has_a_status_whatever_name_it_drew(device: str) -> None:
    status = m.Status(device, "1" * 32, True, (), (), (), m.Storage(), m.ClockState(0, "build"))
    assert read_answer(write_answer(status)[4:]) == status
