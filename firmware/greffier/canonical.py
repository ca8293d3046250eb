"""Canonical JSON: one value, one sequence of bytes (RFC 8785, restricted).

Restricted to objects, arrays, strings, booleans, null and integers within +-(2**53 - 1): a number
that another reader could round is refused, so the RFC's float formatting is never needed.
Object keys are ordered by their UTF-16 code units, as RFC 8785 section 3.2.3 demands.
"""

import json
from typing import Any

LARGEST = 2**53 - 1
DEEPEST = 32
"""Objects and arrays one inside the other: no format of ours needs more."""


class NotCanonical(ValueError):
    """The bytes, or the value, have no canonical form here."""


def _checked(value: Any, room: int = DEEPEST) -> Any:
    if isinstance(value, dict | list | tuple) and room == 0:
        raise NotCanonical("nested too deeply")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise NotCanonical("an object key is not a string")
        ordered = sorted(
            value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass")
        )
        return {_text(key): _checked(item, room - 1) for key, item in ordered}
    if isinstance(value, list | tuple):
        return [_checked(item, room - 1) for item in value]
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise NotCanonical("an integer is beyond 2**53 - 1")
        return value
    raise NotCanonical(f"a {type(value).__name__} has no canonical form")


def _text(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("a string holds a lone surrogate") from None
    return value


def dump(value: Any) -> bytes:
    """The canonical bytes of *value*. Raises NotCanonical."""
    text = json.dumps(_checked(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def load(data: bytes) -> Any:
    """The value of canonical *data*; anything that would not be written back the same is refused.

    Raises NotCanonical.
    """
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotCanonical("not JSON in UTF-8") from None
    if dump(value) != data:
        raise NotCanonical("not in canonical form")
    return value
