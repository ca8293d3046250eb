"""Waits that grow, are drawn anew each time, and end sooner where nobody has to mend anything."""

import pytest

from greffier.clock import SECOND
from greffier.sync import connection, troubles
from greffier.sync.waits import Backoff


def test_a_wait_doubles_up_to_its_bound_and_begins_anew_when_it_helped() -> None:
    waits = Backoff(1, 120, lambda: 1.0)
    found = [waits.next_ns() // SECOND for _ in range(9)]
    assert found == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    waits.reset()
    assert waits.next_ns() == SECOND


def test_a_wait_may_be_bounded_for_once() -> None:
    waits = Backoff(1, 120, lambda: 1.0)
    found = [waits.next_ns(30) // SECOND for _ in range(8)]
    assert found == [1, 2, 4, 8, 16, 30, 30, 30]
    assert waits.next_ns() == 120 * SECOND
    assert waits.next_ns(500) == 120 * SECOND


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_a_wait_is_anywhere_between_the_least_and_the_bound(draw: float) -> None:
    waits = Backoff(1, 120, lambda: draw)
    for bound in (1, 2, 4, 8):
        assert waits.next_ns(30) == int((1 + draw * (bound - 1)) * SECOND)


def test_what_may_pass_by_itself_is_tried_again_within_half_a_minute() -> None:
    soon = {name for name in troubles.TEXTS if connection.most_wait_s(name) <= 30}
    assert {
        *("sync.lost", "sync.no_answer", "sync.no_network", "sync.host_unknown", "sync.broker"),
        *("sync.refused_connection", "sync.tls"),
    } <= soon
    for_a_person = {name for name in troubles.TEXTS if name.startswith("sync.certificate")}
    for_a_person |= {"sync.denied", "sync.taken_over", "sync.broker_name", "sync.broker_unknown"}
    assert not for_a_person & soon
    assert {connection.most_wait_s(name) for name in for_a_person} == {120}
