"""Receipts wait for the recorder, a few hand-overs at a time, and strange ones take little room."""

from greffier.clock import SECOND
from greffier.control.transfer import MOST_RECEIPTS
from greffier.sync.receipts import HAND_OVER_NS, MOST_HAND_OVERS, MOST_STRAY, Receipts


def held(count: int) -> Receipts:
    receipts = Receipts()
    for number in range(count):
        assert receipts.hold(f"{number:032x}", f"receipt {number}", stray=False)
    return receipts


def test_two_hand_overs_are_on_their_way_and_an_answer_makes_room_for_one() -> None:
    receipts = held(4 * MOST_RECEIPTS)
    made = receipts.due(1)
    assert [len(one.receipts) for one in made] == [MOST_RECEIPTS] * MOST_HAND_OVERS
    assert receipts.due(2) == []
    receipts.answered()
    (third,) = receipts.due(3)
    assert not set(third.receipts) & {one for each in made for one in each.receipts}


def test_a_hand_over_without_an_answer_is_made_again() -> None:
    receipts = held(1)
    (first,) = receipts.due(1)
    assert receipts.due(HAND_OVER_NS) == []
    assert receipts.due(1 + HAND_OVER_NS) == [first]
    receipts.forget("0" * 32)
    assert receipts.due(1 << 60) == []


def test_a_recorder_that_is_away_is_asked_again_after_a_second() -> None:
    receipts = held(1)
    (first,) = receipts.due(1)
    receipts.not_taken(("0" * 32,), 5)
    assert receipts.due(4 + SECOND) == []
    assert receipts.due(5 + SECOND) == [first]


def test_strange_receipts_are_few_and_never_replace_a_good_one() -> None:
    receipts = held(1)
    assert not receipts.hold("0" * 32, "another", stray=True)
    taken = [receipts.hold(f"{n:032x}", "x", stray=True) for n in range(1, 100)]
    assert taken == [True] * MOST_STRAY + [False] * (99 - MOST_STRAY)
