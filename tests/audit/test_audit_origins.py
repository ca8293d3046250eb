"""When a part was really begun, where the wall clock was wrong: only what the log can tell."""

from dataclasses import dataclass, field

from greffier.audit.entry import Entry
from greffier.audit.origins import TOLERANCE_NS, Origins
from greffier.clock import BUILT_NS, SECOND

DAY_NS = 86_400 * SECOND
YEAR_NS = 365 * DAY_NS
START_NS = BUILT_NS + 10 * DAY_NS


@dataclass
class Box:
    """A box whose clocks are set by hand, and what its log says."""

    origins: Origins = field(default_factory=Origins)
    boot: str = "b0" * 16
    mono_ns: int = SECOND
    wall_ns: int = START_NS
    bound_ns: int = START_NS
    source: str = "persisted"
    parts: int = 0

    def say(self, kind: str, **data: object) -> None:
        told = (self.boot, self.mono_ns, self.wall_ns, self.bound_ns, self.source)
        self.origins.read(Entry(0, *told, kind, None, "5a" * 16, data))

    def opens(self, purpose: str = "quality") -> tuple[str, int]:
        """A part begins, by the wall clock: its id, and when it says it was created."""
        self.parts += 1
        part = f"{self.parts:032x}"
        self.say("part.opened", part=part, created_ns=self.wall_ns, purposes=[purpose])
        return part, self.wall_ns

    def passes(self, span_ns: int) -> None:
        self.mono_ns += span_ns
        self.wall_ns += span_ns

    def boots(self, boot: str = "b1" * 16) -> None:
        self.boot, self.mono_ns, self.source = boot, SECOND, "persisted"

    def vouched(self, true_ns: int) -> None:
        """Head office says the time, and the log says anything."""
        self.bound_ns, self.source = true_ns, "cosignature"
        self.say("coverage")

    def created(self, part: tuple[str, int]) -> int | None:
        return self.origins.created_ns(*part)


def test_a_right_clock_is_believed_and_takes_no_room() -> None:
    box = Box()
    before = box.opens()
    box.passes(3600 * SECOND)
    box.vouched(box.wall_ns)
    after = box.opens()
    assert (box.created(before), box.created(after)) == (before[1], after[1])
    assert list(box.origins.moved()) == [] and box.origins._pending == {}


def test_a_part_from_before_a_step_is_put_right_once_trusted_time_is_back() -> None:
    for off_ns in (-YEAR_NS, -40 * DAY_NS, YEAR_NS):
        box = Box(bound_ns=BUILT_NS)
        true_ns = box.wall_ns
        box.wall_ns += off_ns
        part = box.opens()
        box.passes(DAY_NS)
        box.wall_ns -= off_ns
        box.vouched(true_ns + DAY_NS)
        assert box.created(part) == true_ns
        assert list(box.origins.moved()) == [part[0]]


def test_a_part_from_after_a_step_away_from_the_right_time_is_put_right_at_once() -> None:
    box = Box()
    box.vouched(box.wall_ns)
    box.wall_ns -= 10 * YEAR_NS
    part = box.opens()
    assert box.created(part) == START_NS
    box.wall_ns += 20 * YEAR_NS
    assert box.created(box.opens()) == START_NS


def test_what_was_created_before_the_bound_counts_from_it() -> None:
    box = Box(wall_ns=0)
    part, duty = box.opens(), box.opens("regulatory")
    assert box.created(part) == box.created(duty) == START_NS


def test_a_duty_whose_boot_ends_first_counts_from_when_trusted_time_is_back() -> None:
    for wall_ns in (0, START_NS, START_NS + YEAR_NS):
        box = Box(wall_ns=wall_ns)
        part, duty = box.opens(), box.opens("regulatory")
        box.passes(DAY_NS)
        box.boots()
        box.say("coverage")
        assert box.created(part) == max(wall_ns, START_NS)
        assert box.created(duty) is None
        box.wall_ns = START_NS + YEAR_NS
        box.vouched(box.wall_ns)
        assert box.created(duty) == START_NS + YEAR_NS
        assert box.created(part) == max(wall_ns, START_NS)


def test_a_duty_of_this_boot_is_put_right_exactly() -> None:
    box = Box(wall_ns=0)
    duty = box.opens("regulatory")
    box.passes(DAY_NS)
    box.wall_ns = START_NS + YEAR_NS
    box.vouched(box.wall_ns)
    assert box.created(duty) == START_NS + YEAR_NS - DAY_NS


def test_a_witness_that_the_wall_clock_does_not_bear_out_puts_nothing_right() -> None:
    box = Box()
    part = box.opens()
    box.wall_ns -= YEAR_NS
    box.vouched(box.wall_ns + 2 * TOLERANCE_NS)
    assert box.created(part) == part[1]
    assert box.origins._pending


def test_a_step_of_another_boot_says_nothing() -> None:
    box = Box()
    part = box.opens()
    box.boots()
    box.wall_ns += 50 * DAY_NS
    box.vouched(box.wall_ns)
    assert box.created(part) == part[1]


def test_calls_of_a_capture_file_keep_its_time() -> None:
    box = Box()
    box.vouched(box.wall_ns)
    box.say("import.started")
    old = "aa" * 16, BUILT_NS - YEAR_NS
    box.say("part.opened", part=old[0], created_ns=old[1], purposes=["quality"])
    assert box.created(old) == old[1]
    box.say("import.ended")
    box.wall_ns -= YEAR_NS
    assert box.created(box.opens()) == START_NS


def test_what_is_destroyed_is_forgotten() -> None:
    box = Box(wall_ns=0)
    parts = [box.opens(), box.opens("regulatory")]
    box.say("key.shredded", parts=[part for part, _said in parts])
    assert list(box.origins.moved()) == []
    assert [box.created(part) for part in parts] == [0, 0]


def test_quartz_and_small_corrections_are_no_steps() -> None:
    box = Box()
    part = box.opens()
    for _ in range(100):
        box.passes(DAY_NS)
        box.wall_ns += 8 * SECOND
        box.say("coverage")
    box.vouched(box.wall_ns)
    assert box.created(part) == part[1]


def test_a_duty_is_no_older_than_its_boot_clock_says_while_its_boot_lasts() -> None:
    for off_ns in (-YEAR_NS, 0, 40 * DAY_NS):
        box = Box(bound_ns=BUILT_NS, wall_ns=START_NS - 188 * DAY_NS)
        part = box.opens("regulatory")
        began_ns = box.mono_ns
        box.passes(10 * DAY_NS)
        box.wall_ns = START_NS + off_ns  # set again, and wrong again
        box.bound_ns = START_NS
        box.say("coverage")
        created_ns = box.created(part)
        assert created_ns is not None
        assert box.bound_ns - created_ns <= box.mono_ns - began_ns
