"""Messages to the bytes of the socket and back (docs/control-protocol.md).

A frame is a length (4 bytes, big-endian) and that much canonical JSON:
``{"body":{...},"is":"status","v":1}``.
"""

import struct
from collections.abc import Mapping
from typing import TypeVar

from greffier import canonical
from greffier.control.forms import BadMessage, from_object, to_object
from greffier.control.messages import ANSWERS, REQUESTS, VERSION, Answer, Request

LENGTH = struct.Struct(">I")
# A request is small, the largest holds receipts; a status lists a part for each of thousands of
# calls.
MOST_REQUEST = 16_384
MOST_ANSWER = 2 * 1024 * 1024

Message = TypeVar("Message")


def write_request(request: Request) -> bytes:
    """The frame of *request*. Raises BadMessage where a value has not its form."""
    return _framed(write_payload(request, REQUESTS, MOST_REQUEST))


def write_answer(answer: Answer) -> bytes:
    """The frame of *answer*. Raises BadMessage where a value has not its form."""
    return _framed(write_payload(answer, ANSWERS, MOST_ANSWER))


def read_request(payload: bytes) -> Request:
    """The request in *payload*, a frame without its length. Raises BadMessage."""
    return read_payload(payload, REQUESTS)


def read_answer(payload: bytes) -> Answer:
    """The answer in *payload*, a frame without its length. Raises BadMessage."""
    return read_payload(payload, ANSWERS)


def frame_length(data: bytes | bytearray, most: int) -> int | None:
    """How long the first frame of *data* is, its length included; None while that is not known.

    Raises BadMessage where the frame is empty or longer than *most*.
    """
    if len(data) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(data)
    if not 0 < length <= most:
        raise BadMessage("a frame of a forbidden length")
    return LENGTH.size + int(length)


def _framed(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


def write_payload(message: object, kinds: Mapping[str, type[Message]], most: int) -> bytes:
    """The canonical JSON of *message*, of *kinds*, in at most *most* bytes. Raises BadMessage."""
    name = next(name for name, kind in kinds.items() if type(message) is kind)
    payload = canonical.dump({"v": VERSION, "is": name, "body": to_object(message)})
    if len(payload) > most:
        raise BadMessage("too long", most)
    return payload


def read_payload(payload: bytes, kinds: Mapping[str, type[Message]]) -> Message:
    """The message, one of *kinds*, in *payload*. Raises BadMessage."""
    try:
        value = canonical.load(payload)
    except canonical.NotCanonical as error:
        raise BadMessage(str(error)) from None
    if not isinstance(value, dict) or value.keys() != {"v", "is", "body"}:
        raise BadMessage("no message")
    if value["v"] != VERSION or isinstance(value["v"], bool):
        raise BadMessage("another version")
    name = value["is"]
    if not isinstance(name, str) or name not in kinds:
        raise BadMessage("an unknown kind")
    return from_object(kinds[name], value["body"])
