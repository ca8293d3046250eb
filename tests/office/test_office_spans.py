"""Spans behave as the set of numbers that they stand for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from greffier_office.spans import Spans

STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 12)), min_size=1, max_size=30
)


@given(STEPS)
def test_spans_are_a_set(steps: list[tuple[bool, int, int]]) -> None:
    spans, known = Spans(), set[int]()
    for adds, start, length in steps:
        numbers = set(range(start, start + length))
        if adds:
            spans.add(start, start + length)
            known |= numbers
        else:
            taken = spans.remove(start, start + length)
            assert {one for first, last in taken for one in range(first, last)} == numbers & known
            known -= numbers
        held = list(spans)
        assert {one for first, last in held for one in range(first, last)} == known
        assert all(first < last for first, last in held)
        assert all(one[1] < other[0] for one, other in pairwise(held))
        assert (spans.size, bool(spans), len(spans)) == (len(known), bool(known), len(held))
        if known:
            assert (spans.first, spans.last) == (min(known), max(known) + 1)
