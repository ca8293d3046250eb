"""Canonical JSON: one value, one sequence of bytes, and nothing else is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greffier import canonical

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-canonical.LARGEST, canonical.LARGEST)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    data = canonical.dump(value)
    assert canonical.load(data) == value
    assert canonical.dump(canonical.load(data)) == data


def test_keys_follow_utf16_order() -> None:
    # RFC 8785 section 3.2.3: an astral character (surrogates D83D..) sorts before U+FB33.
    value = {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5}
    expected = '{"\\r":4,"1":5,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'
    assert canonical.dump(value) == expected.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":9007199254740992}',
        b'{ "a":1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'"\\ud800"',
        b"NaN",
        b"[Infinity]",
        b"\xff",
        b"1 ",
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.load(data)


def test_thirty_two_levels_are_enough_and_the_most() -> None:
    deep: Any = 1
    for _ in range(canonical.DEEPEST):
        deep = [deep]
    assert canonical.load(canonical.dump(deep)) == deep
    with pytest.raises(canonical.NotCanonical):
        canonical.dump([deep])
    with pytest.raises(canonical.NotCanonical):
        canonical.load(b"[" * 33 + b"1" + b"]" * 33)
