"""Sets of very many ids, small."""

import random

from hypothesis import given
from hypothesis import strategies as st

from greffier.recorder import settled
from greffier.recorder.settled import Ids, Marks

NUMBERS = st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(st.tuples(st.booleans(), NUMBERS)))
def test_a_set_of_numbers_is_one(deeds: list[tuple[bool, int]]) -> None:
    marks, model = Marks(), set[int]()
    for comes, number in deeds:
        (marks.add if comes else marks.discard)(number)
        (model.add if comes else model.discard)(number)
    assert all((number in marks) == (number in model) for _, number in deeds)
    marks._known.merge()
    assert all((number in marks) == (number in model) for _, number in deeds)
    assert "5" not in marks


def test_many_ids_take_fifteen_octets_each() -> None:
    draw, ids = random.Random(1), Ids()
    names = [draw.randbytes(16).hex() for _ in range(3 * settled._MOST_RECENT)]
    for name in names:
        ids.add(name)
    known = ids._marks._known
    assert len(known._recent) < settled._MOST_RECENT
    known.merge()
    assert len(known.dump()) == 15 * len(names)
    assert all(name in ids for name in names[::97])
    assert not any(draw.randbytes(16).hex() in ids for _ in range(100))
