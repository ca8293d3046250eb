"""The log's way: whatever the channel does, head office ends with all of it, and cosigned."""

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from greffier.clock import SECOND
from greffier.sync.logkeeper import ANSWER_NS, FORK_NS, IDLE_NS, Entries, Keep, LogKeeper, Question
from greffier.sync.messages import Fork, Have

BATCH = 5


class Log:
    """A box's keeper, a recorder that keeps checkpoints, a head office, and what travels."""

    def __init__(self, seed: int = 0) -> None:
        self.keeper = LogKeeper(random.Random(seed).random)
        self.now_ns = 1
        self.size = 0
        self.head = 0
        self.cosigned = 0
        self.away = False
        self.collector = True
        self.online = False
        self.up: list[tuple[int, int, int]] = []
        self.down: list[Have] = []
        self.published: list[object] = []

    def grow(self, count: int) -> None:
        self.size += count
        self.keeper.grown(self.size)

    def turn(self) -> None:
        for action in self.keeper.step(self.now_ns):
            if isinstance(action, Keep):
                self._keep(action)
                continue
            self.published.append(action)
            if not self.online:
                continue
            code = 0 if self.collector else 0x10
            self.keeper.acknowledged(action.token, code, self.now_ns)
            if self.collector and isinstance(action, Entries):
                end = min(self.size, action.first + BATCH)
                self.up.append((action.first, end, self.size))
            elif self.collector:
                self.up.append((self.size, self.size, self.size))

    def _keep(self, action: Keep) -> None:
        if self.away:
            self.keeper.not_kept(believed=True, now_ns=self.now_ns)
        else:
            size = int(action.checkpoint)
            self.cosigned = max(self.cosigned, size)
            self.keeper.kept(size)

    def hear(self, batch: tuple[int, int, int]) -> None:
        first, end, size = batch
        if first <= self.head < end:
            self.head = end
        self.down.append(Have(self.head, str(size) if self.head == size else ""))

    def deliver(self) -> None:
        while self.up or self.down:
            for batch in self.up:
                self.hear(batch)
            self.up.clear()
            for have in self.down:
                self.keeper.have(have, self.now_ns)
            self.down.clear()

    def go(self, seconds: float) -> None:
        end = self.now_ns + int(seconds * SECOND)
        while self.now_ns < end:
            self.turn()
            self.deliver()
            self.now_ns += SECOND // 2


class Weather(RuleBasedStateMachine):
    """Anything may happen; at the end all is well again."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.log = Log(seed)
        self.log.grow(3)
        self._connect()

    def _connect(self) -> None:
        self.log.online = True
        self.log.keeper.connected()

    @rule(count=st.integers(1, 12))
    def grow(self, count: int) -> None:
        self.log.grow(count)
        self.log.turn()

    @rule(seconds=st.sampled_from([0, 1, 11, 40, 700]))
    def time_passes(self, seconds: int) -> None:
        self.log.now_ns += seconds * SECOND
        self.log.turn()

    @rule(at=st.integers(0, 9), copies=st.integers(0, 2))
    def up(self, at: int, copies: int) -> None:
        if self.log.up:
            batch = self.log.up.pop(at % len(self.log.up))
            for _ in range(copies):
                self.log.hear(batch)

    @rule(at=st.integers(0, 9), copies=st.integers(0, 2))
    def down(self, at: int, copies: int) -> None:
        if self.log.down:
            have = self.log.down.pop(at % len(self.log.down))
            for _ in range(copies):
                self.log.keeper.have(have, self.log.now_ns)

    @rule()
    def falls_and_stands(self) -> None:
        if self.log.online:
            self.log.online = False
            self.log.keeper.disconnected()
        else:
            self._connect()

    @rule()
    def recorder(self) -> None:
        self.log.away = not self.log.away

    @rule()
    def collector(self) -> None:
        self.log.collector = not self.log.collector

    @rule(count=st.integers(0, 30))
    def head_office_was_restored_from_a_backup(self, count: int) -> None:
        self.log.head = min(self.log.head, count)

    @rule()
    def a_batch_cannot_be_made(self) -> None:
        self.log.keeper.not_made(self.log.now_ns)

    @rule(size=st.integers(0, 500))
    def a_have_out_of_nowhere(self, size: int) -> None:
        if self.log.online:
            self.log.keeper.have(Have(size), self.log.now_ns)

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        log = self.log
        log.away, log.collector = False, True
        if not log.online:
            self._connect()
        log.go(1500)
        assert log.head == log.size
        assert log.cosigned == log.size


TestWeather = Weather.TestCase
TestWeather.settings = settings(
    deadline=None,
    max_examples=80,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(name="log")
def _log() -> Log:
    log = Log()
    log.grow(12)
    log.online = True
    log.keeper.connected()
    return log


def test_it_asks_first_and_goes_on_from_the_answer(log: Log) -> None:
    log.head = 4
    log.turn()
    assert isinstance(log.published[0], Question)
    log.deliver()
    log.turn()
    assert log.published[1:] == [Entries(2, 4)]


def test_one_batch_is_on_its_way_and_the_next_carries_what_came_meanwhile(log: Log) -> None:
    log.go(3)
    log.published.clear()
    log.grow(1)
    log.turn()
    for _ in range(3):
        log.grow(1)
        log.turn()
    assert log.published == [Entries(5, 12)]
    log.deliver()
    log.turn()
    assert log.published[1:] == [Entries(6, 13)], "with all that came meanwhile"


def test_no_answer_is_asked_for_after_ten_seconds(log: Log) -> None:
    log.turn()
    log.up.clear()
    log.now_ns += ANSWER_NS - 1
    log.turn()
    assert len(log.published) == 1
    log.now_ns += 1
    log.turn()
    assert isinstance(log.published[1], Question)


def test_at_rest_it_asks_now_and_then_for_the_time(log: Log) -> None:
    log.go(5)
    log.published.clear()
    log.now_ns += IDLE_NS
    log.turn()
    assert len(log.published) == 1


def test_a_fork_is_a_trouble_and_is_asked_about_each_hour(log: Log) -> None:
    log.turn()
    log.keeper.fork(Fork(3, "forked"), log.now_ns)
    assert log.keeper.troubles == {"sync.fork"}
    log.up.clear()
    log.published.clear()
    log.grow(5)
    log.go(FORK_NS / SECOND - 60)
    assert log.published == []
    log.go(120)
    assert log.keeper.troubles == set()
    assert log.head == log.size


def test_what_head_office_cosigned_beyond_our_log_is_handed_over(log: Log) -> None:
    log.turn()
    log.keeper.have(Have(14, "14 signed by us"), log.now_ns)
    assert log.keeper.step(log.now_ns) == [Keep("14 signed by us")]
    log.keeper.not_kept(believed=False, now_ns=log.now_ns)
    log.keeper.have(Have(14, "14 signed by us"), log.now_ns)
    assert log.keeper.step(log.now_ns) == []
    assert log.keeper.troubles == {"sync.cosignature"}


def test_a_checkpoint_that_is_not_believed_is_told_and_not_offered_again(log: Log) -> None:
    log.go(1)
    log.keeper.have(Have(12, "12 forged"), log.now_ns)
    (action,) = log.keeper.step(log.now_ns)
    assert isinstance(action, Keep)
    log.keeper.not_kept(believed=False, now_ns=log.now_ns)
    log.keeper.have(Have(12, "12 forged"), log.now_ns)
    assert log.keeper.step(log.now_ns) == []
    assert log.keeper.troubles == {"sync.cosignature"}


@pytest.mark.parametrize(
    ("code", "trouble"),
    [(0x87, "sync.denied"), (0x95, "sync.too_large"), (0x97, "sync.broker")],
)
def test_a_broker_that_refuses_is_a_trouble_until_it_does_not(
    log: Log, code: int, trouble: str
) -> None:
    log.online = False
    log.turn()
    log.keeper.acknowledged(1, code, log.now_ns)
    assert log.keeper.troubles == {trouble}
    log.online = True
    log.go(30)
    assert log.keeper.troubles == set()
    assert log.cosigned == 12


def test_questions_that_the_broker_takes_and_nobody_answers_are_told() -> None:
    keeper = LogKeeper(random.Random(0).random)
    keeper.grown(3)
    keeper.connected()
    now = 1
    for _ in range(3):
        assert keeper.troubles == set()
        (question,) = keeper.step(now)
        assert isinstance(question, Question)
        keeper.acknowledged(question.token, 0, now)
        now += ANSWER_NS
    (question,) = keeper.step(now)
    assert isinstance(question, Question)
    assert keeper.troubles == {"sync.no_collector"}
    keeper.have(Have(3, ""), now)
    assert keeper.troubles == set()
    keeper.step(now + IDLE_NS)  # asked again in its time: nobody has been silent
    assert keeper.troubles == set()


def test_a_head_office_that_answers_and_keeps_no_entries_is_told() -> None:
    keeper = LogKeeper(random.Random(0).random)
    keeper.grown(8)
    keeper.connected()
    now = 1
    for number in range(3):
        (question,) = keeper.step(now)
        assert isinstance(question, Question)
        assert keeper.troubles == set(), number
        keeper.have(Have(2, ""), now)
        (entries,) = keeper.step(now)
        assert entries == Entries(entries.token, 2)
        now += ANSWER_NS
    (question,) = keeper.step(now)
    keeper.have(Have(2, ""), now)
    assert keeper.troubles == {"sync.untaken"}
    (entries,) = keeper.step(now)
    assert isinstance(entries, Entries)
    keeper.have(Have(2, ""), now)
    assert keeper.troubles == {"sync.untaken"}
    keeper.step(now)
    keeper.have(Have(5, ""), now)
    assert keeper.troubles == set()


def test_a_broker_that_knows_no_subscriber_is_told_at_once() -> None:
    keeper = LogKeeper(random.Random(0).random)
    keeper.connected()
    (question,) = keeper.step(1)
    assert isinstance(question, Question)
    keeper.acknowledged(question.token, 0x10, 1)
    assert keeper.troubles == {"sync.no_collector"}
    keeper.have(Have(0, ""), 2)
    assert keeper.troubles == set()


def test_a_size_beyond_our_log_is_asked_about_again_and_not_believed(log: Log) -> None:
    log.turn()
    log.keeper.have(Have(13, ""), log.now_ns)
    assert log.keeper.head is None
    log.published.clear()
    log.turn()
    assert log.published == []
    log.now_ns += ANSWER_NS
    log.turn()
    assert [type(one) for one in log.published] == [Question]


def test_where_nobody_listens_each_attempt_waits_longer_than_the_last() -> None:
    log = Log(7)
    log.grow(3)
    log.online, log.collector = True, False
    log.keeper.connected()
    for _ in range(50):
        log.turn()
    assert len(log.published) == 1
    log.go(3600)
    assert 6 <= len(log.published) <= 60
