"""The C ring, a plain Python ring and a deque do the same, whatever is done to them."""

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.reference.ring import ReferenceRing

from greffier.capture.ring import Ring


class RingsInLockstep(RuleBasedStateMachine):
    """The deque holds frames; what it has no room for is lost, newest first."""

    @initialize(octets=st.integers(1, 9), power=st.integers(0, 4), erase=st.booleans())
    def make(self, octets: int, power: int, erase: bool) -> None:
        self.real = Ring(octets, 2**power, erase=erase)
        self.plain = ReferenceRing(octets, 2**power, erase=erase)
        self.model: deque[bytes] = deque()
        self.octets = octets
        self.number = 0
        self.offered = 0

    def frames(self, count: int) -> list[bytes]:
        """Frames that were never used before."""
        self.number += count
        return [
            (self.number - count + i)
            .to_bytes(8, "little")
            .ljust(self.octets, b"\xaa")[: self.octets]
            for i in range(count)
        ]

    @rule(count=st.integers(0, 20), kind=st.sampled_from([bytes, bytearray, memoryview]))
    def put(self, count: int, kind: type) -> None:
        frames = self.frames(count)
        octets = b"".join(frames)
        room = self.real.capacity - len(self.model)
        fit = self.real.put(kind(octets))
        assert fit == self.plain.put(octets) == min(count, room)
        self.model.extend(frames[:fit])
        self.offered += count

    @rule(count=st.integers(0, 20))
    def get(self, count: int) -> None:
        octets = self.real.get(count)
        assert octets == self.plain.get(count)
        taken = [self.model.popleft() for _ in range(min(count, len(self.model)))]
        assert octets == b"".join(taken)

    @rule(count=st.integers(0, 20), data=st.data())
    def peek_and_skip(self, count: int, data: st.DataObject) -> None:
        first, second = self.real.peek(count)
        assert (first.tobytes(), second.tobytes()) == self.plain.seen(count)
        seen = min(count, len(self.model))
        assert first.nbytes + second.nbytes == seen * self.octets
        skipped = data.draw(st.integers(0, seen))
        self.real.skip(skipped)
        self.plain.skip(skipped)
        for _ in range(skipped):
            self.model.popleft()

    @rule()
    def skip_more_than_there_is(self) -> None:
        with pytest.raises(ValueError, match="more frames"):
            self.real.skip(len(self.model) + 1)

    @rule()
    def scrub(self) -> None:
        assert self.real.scrub() == self.plain.scrub() == len(self.model)
        self.model.clear()

    @rule()
    def wipe(self) -> None:
        self.real.wipe()
        self.plain.wipe()
        self.model = deque(bytes(self.octets) for _ in self.model)

    @invariant()
    def nothing_is_unaccounted_for(self) -> None:
        if not hasattr(self, "real"):
            return
        assert self.real.stored == self.plain.stored == len(self.model)
        assert self.real.dropped == self.plain.dropped
        assert self.plain.written == self.offered - self.real.dropped


RingsInLockstep.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestRingsInLockstep = RingsInLockstep.TestCase


@pytest.mark.parametrize(
    ("octets", "frames"), [(0, 8), (-1, 8), (4, 0), (4, 3), (4, -8), (4, 1000)]
)
def test_a_ring_of_no_octets_or_no_power_of_two_is_refused(octets: int, frames: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Ring(octets, frames)


def test_a_ring_larger_than_memory_is_refused() -> None:
    with pytest.raises(MemoryError):
        Ring(1 << 20, 1 << 40)


def test_a_torn_frame_is_refused() -> None:
    ring = Ring(4, 8)
    with pytest.raises(ValueError, match="whole frames"):
        ring.put(b"abcde")
    assert (ring.stored, ring.dropped) == (0, 0)


def test_an_erasing_ring_keeps_nothing_that_was_read() -> None:
    ring = Ring(4, 4, erase=True)
    ring.put(b"card")
    first, _ = ring.peek(1)
    assert first.tobytes() == b"card"
    ring.skip(1)
    assert first.tobytes() == bytes(4)
