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


def _check(value: Any, room: int = DEEPEST) -> bool:
    """Whether every object key is ASCII. Raises NotCanonical for what has no form here."""
    if isinstance(value, str):
        return True  # what UTF-8 cannot say is found when the text is encoded
    if isinstance(value, dict):
        if room == 0:
            raise NotCanonical("nested too deeply")
        plain = True
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical("an object key is not a string")
            plain &= _check(item, room - 1) and key.isascii()
        return plain
    if isinstance(value, list | tuple):
        if room == 0:
            raise NotCanonical("nested too deeply")
        plain = True
        for item in value:
            plain &= _check(item, room - 1)
        return plain
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise NotCanonical("an integer is beyond 2**53 - 1")
        return True
    raise NotCanonical(f"a {type(value).__name__} has no canonical form")


def _ordered(value: Any) -> Any:
    """The same value with its objects in the order of UTF-16 code units."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return {key: _ordered(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


# Among ASCII keys the order of characters is the order of code units, and json knows it.
_PLAIN = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
_AS_GIVEN = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def dump(value: Any) -> bytes:
    """The canonical bytes of *value*. Raises NotCanonical."""
    text = _PLAIN.encode(value) if _check(value) else _AS_GIVEN.encode(_ordered(value))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("a string holds a lone surrogate") from None


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
