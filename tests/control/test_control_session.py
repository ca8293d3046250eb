"""One client's conversation, and the place where server and recorder meet, without a socket."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.control import messages as m
from greffier.control.board import MOST_ORDERS, Board, Order, Snapshot
from greffier.control.session import ORDER_NS, PATIENCE_NS, Session
from greffier.control.wire import read_answer, write_request

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "control" / "messages.json").read_text("ascii")
)
RUN = "0" * 32


def answers(session: Session) -> m.Answer:
    frame = bytes(session.output)
    return read_answer(frame[4:])


@settings(deadline=None)
@given(st.lists(st.sampled_from(VECTORS["requests"]), max_size=5), st.integers(1, 60))
def test_requests_come_whole_however_they_are_cut(frames: list[str], cut: int) -> None:
    data = b"".join(bytes.fromhex(frame) for frame in frames)
    session, got = Session(0), []
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    while pieces or session.output:
        if session.wants_input and pieces:
            request = session.receive(pieces.pop(0), 0)
        else:
            request = session.sent(min(7, len(session.output)), 0)
        while request is not None:
            got.append(write_request(request).hex())
            assert not session.wants_input
            session.answer(m.Done(), 0)
            request = None
    assert got == frames


def test_nonsense_ends_the_conversation_with_one_failure() -> None:
    session = Session(0)
    assert session.receive(b"\xff" * 8, 0) is None
    assert answers(session) == m.Failure("bad_request", "not_understood")
    assert not session.over
    assert session.sent(len(session.output), 0) is None
    assert session.over
    assert not session.wants_input


def test_a_client_has_ten_seconds_and_an_order_five() -> None:
    session = Session(1)
    assert not session.late(PATIENCE_NS)
    assert session.late(1 + PATIENCE_NS)
    session.receive(write_request(m.Stop()), 2)
    assert session.waiting
    assert not session.late(1 + ORDER_NS)
    assert session.late(2 + ORDER_NS)
    session.answer(m.Done(), 3)
    assert not session.late(2 + ORDER_NS)


def test_a_client_that_goes_is_over_at_once() -> None:
    session = Session(0)
    session.receive(b"\0\0", 0)
    session.receive(b"", 0)
    assert session.over


def snapshot(notices: int = 0, serial: int = 0) -> Snapshot:
    alarm = m.Alarm(1, "tap.blind", "trunk", "critical", False, 1, 1, 1)
    kept = tuple(
        m.Notice(number, "raised", 1, alarm) for number in range(serial - notices + 1, serial + 1)
    )
    status = m.Status("box", RUN, True, (), (), (), m.Storage(), m.ClockState(0, "build"))
    return Snapshot(status, m.Levels(()), m.Alarms(RUN, serial, (), kept), 1_000_000)


def test_a_board_answers_busy_until_something_is_published() -> None:
    board = Board()
    assert board.ask(m.AskStatus(), 0) == m.Failure("busy", "starting")
    board.publish(snapshot())
    status = board.ask(m.AskStatus(), 43_000_000)
    assert isinstance(status, m.Status)
    assert (status.armed, status.age_ms) == (True, 42)


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30))
def test_notices_after_a_serial_are_given_or_counted_as_missed(
    kept: int, more: int, after: int
) -> None:
    board = Board()
    serial = kept + more
    board.publish(snapshot(kept, serial))
    answer = board.ask(m.AskAlarms(after), 0)
    assert isinstance(answer, m.Alarms)
    assert [one.serial for one in answer.notices] == list(range(max(after, more) + 1, serial + 1))
    assert answer.missed == max(0, more - after)
    assert len(answer.notices) + answer.missed == max(0, serial - after)


def test_orders_wait_in_order_and_not_without_bound() -> None:
    board = Board()
    for number in range(MOST_ORDERS):
        assert board.orders.offer(Order(m.Acknowledge(number), 0, lambda answer: None))
    assert not board.orders.offer(Order(m.Stop(), 0, lambda answer: None))
    taken = [one.request for one in board.take()]
    assert taken == [m.Acknowledge(number) for number in range(MOST_ORDERS)]
    assert board.take() == []
