"""The way of parts: whatever the channel does, they end received, and nothing else ends there."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.sync.world import LANE, World, part_id, receipt_of

from greffier.clock import SECOND
from greffier.sync.actions import Send
from greffier.sync.messages import Later, Need, Range, Refused
from greffier.sync.outbox import REFUSED_NS
from greffier.sync.parts import ANSWER_NS
from greffier.sync.receipts import MOST_STRAY


class Weather(RuleBasedStateMachine):
    """Anything may happen; at the end all is well again."""

    @initialize(seed=st.integers(0, 2**32), most=st.sampled_from([1, 3, 32]))
    def begin(self, seed: int, most: int) -> None:
        self.world = World(seed, most)
        self.world.connect()

    @rule(size=st.sampled_from([1, 999, 1000, 1001, 2500, 7000]), urgent=st.booleans())
    def seal(self, size: int, urgent: bool) -> None:
        if len(self.world.parts) < 12:
            self.world.seal(size, urgent=urgent)
        self.world.turn()

    @rule(seconds=st.sampled_from([0, 1, 9, 11, 20, 31, 120]))
    def time_passes(self, seconds: int) -> None:
        self.world.now_ns += seconds * SECOND
        self.world.pump(1)

    @rule()
    def turn(self) -> None:
        self.world.turn()

    @rule(count=st.integers(1, 5))
    def pump(self, count: int) -> None:
        self.world.pump(count)

    @rule(at=st.integers(0, 50), copies=st.integers(0, 2))
    def one_goes_up(self, at: int, copies: int) -> None:
        up = self.world.up
        if up:
            message = up.pop(at % len(up))
            for _ in range(copies):
                self.world.hear(message)

    @rule(at=st.integers(0, 50), copies=st.integers(0, 2))
    def one_comes_down(self, at: int, copies: int) -> None:
        down = self.world.down
        if down:
            message = down.pop(at % len(down))
            for _ in range(copies):
                self.world.answer(message)

    @rule()
    def the_channel_is_emptied(self) -> None:
        self.world.up.clear()
        self.world.down.clear()

    @rule()
    def it_falls_and_stands(self) -> None:
        if self.world.online:
            self.world.disconnect()
        else:
            self.world.connect()

    @rule()
    def the_recorder_comes_and_goes(self) -> None:
        self.world.away = not self.world.away

    @rule()
    def the_collector_comes_and_goes(self) -> None:
        self.world.collector = not self.world.collector

    @rule()
    def the_process_is_killed(self) -> None:
        self.world.restart()

    @rule()
    def head_office_forgets_what_is_half_there(self) -> None:
        self.world.have = {
            part: have for part, have in self.world.have.items() if part in self.world.held
        }

    @rule(number=st.integers(1, 14), good=st.booleans())
    def a_receipt_out_of_nowhere(self, number: int, good: bool) -> None:
        part = part_id(number)
        if not good or part in self.world.held or part not in self.world.parts:
            self.world.answer(receipt_of(part, good))

    @rule(number=st.integers(1, 14), start=st.integers(0, 9000), size=st.integers(1, 9000))
    def a_need_out_of_nowhere(self, number: int, start: int, size: int) -> None:
        self.world.answer(Need(part_id(number), LANE, (Range(start, start + size),), 3000, 2))

    @rule(number=st.integers(1, 14), seconds=st.sampled_from([1, 30, 3600]))
    def a_later_out_of_nowhere(self, number: int, seconds: int) -> None:
        self.world.answer(Later(part_id(number), "space", seconds))

    @rule(number=st.integers(1, 12))
    def a_part_is_destroyed(self, number: int) -> None:
        part = part_id(number)
        if part in self.world.parts and part not in self.world.received:
            self.world.destroyed.add(part)

    @rule(on=st.booleans())
    def a_pause(self, on: bool) -> None:
        self.world.engine.allowed = not on

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.away, world.collector, world.refusing = False, True, set()
        world.engine.allowed = True
        if not world.online:
            world.connect()
        world.until(lambda: not any(map(world.waits, world.parts)))
        world.go(5)
        world.check()
        left = world.outbox.backlog().parts
        assert left <= len(world.destroyed), "what is received is forgotten"


TestWeather = Weather.TestCase
TestWeather.settings = settings(
    deadline=None,
    max_examples=100,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(name="world")
def _world() -> World:
    world = World()
    world.connect()
    return world


def test_a_part_goes_from_sealed_to_received(world: World) -> None:
    part = world.seal(7000)
    world.until(lambda: part in world.received)
    assert world.prepared == [part]
    world.go(2)
    assert world.outbox.backlog().parts == 0
    assert world.outbox.fact("received") == 1


def test_nothing_is_sent_without_a_need(world: World) -> None:
    world.seal(7000)
    world.collector = False
    world.go(600)
    assert world.used == {}


def test_a_need_beyond_the_end_is_void(world: World) -> None:
    part = world.seal(500)
    world.turn()
    world.answer(Need(part, LANE, (Range(0, 501),), 501, 30))
    world.turn()
    world.pump()
    assert world.used == {}
    assert world.engine.counts.void == 1


def test_a_forged_receipt_ends_nothing(world: World) -> None:
    part = world.seal(500)
    world.turn()
    world.answer(receipt_of(part, good=False))
    world.turn()
    assert world.outbox.known(part) is not None
    assert "sync.receipt" in world.engine.troubles
    world.until(lambda: part in world.received)
    world.turn()
    assert "sync.receipt" not in world.engine.troubles


def test_a_refused_part_is_offered_again_after_a_day(world: World) -> None:
    part = world.seal(500)
    world.refusing.add(part)
    world.go(60)
    assert world.prepared == [part]
    assert world.outbox.backlog().refused == 1
    world.refusing.clear()
    world.go(3600)
    assert world.prepared == [part]
    world.now_ns += REFUSED_NS
    world.go(10)
    assert part in world.received


def test_now_forgets_refusals_and_waits(world: World) -> None:
    part = world.seal(500)
    world.refusing.add(part)
    world.go(60)
    world.refusing.clear()
    assert world.engine.urge(part)
    world.go(3)
    assert part in world.received
    assert not world.engine.urge(part_id(99))


def test_without_a_collector_waits_grow_to_ten_minutes_and_its_coming_ends_them(
    world: World,
) -> None:
    world.collector = False
    part = world.seal(500)
    world.go(6 * 3600, step_s=5)
    tries = len(world.prepared)
    assert 30 < tries < 300
    assert "sync.no_collector" in world.engine.troubles
    world.collector = True
    world.engine.collector_there()
    world.go(3)
    assert part in world.received
    assert "sync.no_collector" not in world.engine.troubles


def test_no_wait_depends_on_a_measurement_alone(world: World) -> None:
    part = world.seal(500)
    world.turn()
    world.hear(world.up.pop())
    world.answer(world.down.pop())
    world.turn()
    world.pump()
    world.up.clear()
    world.engine.sent(part, max(world.grants), 1 << 60, world.now_ns)
    world.until(lambda: part in world.received, 200)


def test_an_offer_that_nobody_answers_is_made_again(world: World) -> None:
    part = world.seal(500)
    world.turn()
    world.up.clear()
    world.now_ns += ANSWER_NS
    world.until(lambda: part in world.received)
    assert world.prepared == [part, part]


@pytest.mark.parametrize("number", range(12))
def test_whichever_message_is_lost_the_part_ends_received(world: World, number: int) -> None:
    part = world.seal(7000)
    said = 0

    def lose(queue: list[object]) -> None:
        nonlocal said
        for message in list(queue):
            if said == number:
                queue.remove(message)
            said += 1

    for _ in range(20):
        world.turn()
        world.pump(1)
        lose(world.up)
        up, world.up = world.up, []
        for message in up:
            world.hear(message)
        lose(world.down)
        down, world.down = world.down, []
        for message in down:
            world.answer(message)
        world.now_ns += SECOND
    world.until(lambda: part in world.received)
    world.check()


def test_parts_that_are_never_answered_do_not_keep_the_others_back() -> None:
    world = World(most=2)
    world.connect()
    bad = {world.seal(10, age_s=100) for _ in range(4)}
    good = {world.seal(10) for _ in range(4)}
    hear = world.hear
    world.hear = lambda one: None if getattr(one, "part", "") in bad else hear(one)  # type: ignore[method-assign]
    world.until(lambda: good <= world.received)


def test_a_broker_that_denies_is_a_trouble_and_no_progress_is_claimed(world: World) -> None:
    part = world.seal(500)
    world.online = False  # nothing that is published arrives
    world.turn()
    world.engine.acknowledged(2, 0x87, world.now_ns)
    world.engine.acknowledged(1, 0x87, world.now_ns)
    assert "sync.denied" in world.engine.troubles
    assert world.outbox.known(part) is not None


def test_urgent_parts_go_before_new_ones_and_none_starves() -> None:
    world = World(most=1)
    world.connect()
    old = [world.seal(100_000, age_s=3 * 86_400) for _ in range(4)]
    new = [world.seal(100_000) for _ in range(16)]
    urgent = [world.seal(100_000, urgent=True) for _ in range(32)]
    world.until(lambda: len(world.received) == 52)
    order = world.prepared
    half = order[:26]
    assert 14 <= len(set(half) & set(urgent)) <= 20
    assert 5 <= len(set(half) & set(new)) <= 11
    assert 1 <= len(set(half) & set(old)) <= 4


def test_what_is_destroyed_soon_goes_before_the_others_of_its_share() -> None:
    world = World(most=1)
    world.connect()
    first = world.seal(10, age_s=500)
    soon = world.seal(10, until_s=3600)
    late = world.seal(10, until_s=90 * 86_400)
    world.until(lambda: len(world.received) == 3)
    assert world.prepared == [soon, first, late]


def test_newest_first_once_the_backlog_is_older_than_a_day() -> None:
    world = World(most=1)
    world.connect()
    parts = [world.seal(10, age_s=age) for age in (300, 200, 100)]
    old = {world.seal(10, age_s=2 * 86_400) for _ in range(2)}
    world.until(lambda: len(world.received) == 5)
    assert [one for one in world.prepared if one not in old] == parts[::-1]


def test_strange_receipts_do_not_fill_memory(world: World) -> None:
    world.away = True
    for number in range(1000):
        world.answer(receipt_of(part_id(number), good=False))
    world.answer("x" * 3000)
    world.answer("no receipt")
    assert world.engine.counts.dropped == 1000 - MOST_STRAY + 2


def test_a_part_that_is_destroyed_is_forgotten(world: World) -> None:
    part = world.seal(10)
    world.destroyed.add(part)
    world.go(2)
    assert world.outbox.known(part) is None


def test_a_pause_sends_nothing_and_ends(world: World) -> None:
    part = world.seal(7000)
    world.turn()
    world.deliver_all()
    world.engine.allowed = False
    world.turn()
    world.pump()
    assert world.used == {}
    assert world.files == set()
    world.engine.allowed = True
    world.until(lambda: part in world.received)


def test_refusals_and_waits_for_parts_that_were_not_offered_change_nothing(world: World) -> None:
    part = world.seal(10)
    world.answer(Refused(part, "hash"))
    world.answer(Later(part, "busy", 3600))
    world.go(2)
    assert part in world.received


def test_a_need_that_comes_when_nothing_may_go_is_void(world: World) -> None:
    part = world.seal(500)
    world.turn()
    world.engine.allowed = False
    world.answer(Need(part, LANE, (Range(0, 500),), 500, 30))
    assert world.engine.counts.void == 1
    assert not any(isinstance(one, Send) for one in world.engine.step(world.now_ns, world.wall_ns))


def test_a_part_goes_only_behind_its_entries(world: World) -> None:
    first, second = world.seal(10), world.seal(10)
    world.engine.reached = world.parts[first].seq + 1
    world.go(5)
    assert world.received == {first}
    world.engine.reached = world.parts[second].seq + 1
    world.go(5)
    assert world.received == {first, second}
