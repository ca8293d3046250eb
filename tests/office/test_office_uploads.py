"""Uploads: whatever order, loss and doubling, every octet is asked for until it is here."""

import hashlib
import os
import random
import secrets
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.sync import chunk
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Later, Need, Offered, Range, Refused
from greffier_office import uploads
from greffier_office.steps import Action, Finish, Keep, Say
from greffier_office.uploads import Uploads

ENVELOPE = "AQ=="


class Sent:
    """A part that a box has."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.part = secrets.token_hex(16)
        blocks = tuple(
            hashlib.sha256(octets[at : at + BLOCK]).hexdigest()
            for at in range(0, len(octets), BLOCK)
        )
        whole = hashlib.sha256(octets).hexdigest()
        self.offered = Offered(self.part, len(octets), whole, blocks, ENVELOPE)

    def chunks(self, need: Need, size: int) -> Iterator[chunk.Chunk]:
        for one in need.ranges:
            start = one.start
            while start < one.end:
                end = min(start + size, one.end, (start // BLOCK + 1) * BLOCK)
                data = self.octets[start:end]
                yield chunk.Chunk(bytes.fromhex(self.part), start, memoryview(data))
                start = end


def needs(actions: list[Action]) -> list[Need]:
    return [
        one.message for one in actions if isinstance(one, Say) and isinstance(one.message, Need)
    ]


def said(actions: list[Action]) -> list[Need | Later | Refused]:
    return [one.message for one in actions if isinstance(one, Say)]


def good(keep: Keep) -> str:
    return "kept" if hashlib.sha256(keep.data).hexdigest() == keep.sha256 else "altered"


SIZES = st.sampled_from([1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 12345])


@settings(max_examples=40)
@given(st.lists(SIZES, min_size=1, max_size=4), st.integers(1, 3), st.integers(0, 2**32))
def test_everything_arrives_whatever_the_line_does(
    sizes: list[int], budget: int, seed: int
) -> None:
    """A broker that loses, doubles, reorders and alters; boxes that offer again after a while."""
    fate = random.Random(seed)
    machine = Uploads("a1", budget * BLOCK)
    parts = {one.part: one for one in (Sent(fate.randbytes(size)) for size in sizes)}
    owners = {part: fate.choice(["box", "other"]) for part in parts}
    stored: dict[str, dict[int, bytes]] = {part: {} for part in parts}
    done: set[str] = set()
    refused: set[str] = set()
    line: list[chunk.Chunk] = []
    now = 0.0

    def follow(actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Say(_, Need() as need):
                    assert need.credit == sum(one.end - one.start for one in need.ranges)
                    some = list(parts[need.part].chunks(need, fate.choice([50_000, 114_000])))
                    if fate.random() < 0.5:
                        fate.shuffle(some)
                    line.extend(one for one in some if fate.random() > 0.05)
                    line.extend(one for one in some if fate.random() < 0.05)
                case Say(_, Refused(part, _)):
                    refused.add(part)
                case Keep():
                    outcome = good(action)
                    if outcome == "kept":
                        stored[action.key[1]][action.number] = bytes(action.data)
                    follow(machine.kept(action, outcome, now))
                case Finish():
                    whole = b"".join(octets for _, octets in sorted(stored[action.key[1]].items()))
                    assert whole == parts[action.key[1]].octets
                    done.add(action.key[1])
                    follow(machine.finished(action, "kept", now))

    for _round in range(400):
        for part in parts.keys() - done - refused:
            held = stored[part] if fate.random() < 0.5 else ()
            follow(machine.offer(owners[part], parts[part].offered, held, now))
        while line:
            one = line.pop(0)
            if fate.random() < 0.002:
                one = chunk.Chunk(one.part, one.offset, bytes(len(one.data)))
            follow(machine.chunk(owners[one.part.hex()], one, now))
            now += 0.01
        assert machine.held <= budget * BLOCK
        if done | refused == parts.keys():
            break
        now += 10.0
        follow(machine.tick(now))
    assert done | refused == parts.keys()
    assert (machine.held, machine.count) == (0, 0)


def test_an_altered_block_is_asked_for_twice_more_and_then_refused() -> None:
    machine = Uploads("a1")
    part = Sent(os.urandom(1000))
    actions = machine.offer("box", part.offered, (), 0.0)
    for _time in range(2):
        (need,) = needs(actions)
        (one,) = part.chunks(need, 2000)
        (keep,) = machine.chunk("box", chunk.Chunk(one.part, 0, bytes(1000)), 1.0)
        assert isinstance(keep, Keep) and good(keep) == "altered"
        actions = machine.kept(keep, "altered", 1.0)
    (need,) = needs(actions)
    (keep,) = machine.chunk("box", chunk.Chunk(bytes.fromhex(part.part), 0, bytes(1000)), 1.0)
    assert isinstance(keep, Keep)
    assert said(machine.kept(keep, "altered", 1.0)) == [Refused(part.part, "hash")]
    assert (machine.count, machine.held) == (0, 0)


def test_two_parts_of_a_box_are_open_and_the_next_takes_the_place_of_the_first() -> None:
    machine = Uploads("a1")
    parts = [Sent(os.urandom(1000 + number)) for number in range(4)]
    asked = [needs(machine.offer("box", one.offered, (), 0.0)) for one in parts]
    assert [len(one) for one in asked] == [1, 1, 0, 0]
    (one,) = parts[0].chunks(asked[0][0], 5000)
    actions = machine.chunk("box", one, 0.1)
    assert [one.part for one in needs(actions)] == [parts[2].part]
    assert [one.part for one in said(machine.tick(9.0))] == [parts[3].part]
    assert said(machine.tick(9.1)) == []
    other = Sent(os.urandom(10))
    assert len(needs(machine.offer("another", other.offered, (), 9.2))) == 1


def test_memory_is_bounded_and_who_waits_is_served_when_it_is_free() -> None:
    machine = Uploads("a1", BLOCK)
    first, second = Sent(os.urandom(BLOCK)), Sent(os.urandom(2000))
    (need,) = needs(machine.offer("one", first.offered, (), 0.0))
    assert needs(machine.offer("two", second.offered, (), 0.0)) == []
    keeps: list[Keep] = []
    pending = [need]
    while pending:
        for one in first.chunks(pending.pop(), 100_000):
            actions = machine.chunk("one", one, 0.1)
            pending += needs(actions)
            keeps += [action for action in actions if isinstance(action, Keep)]
    (keep,) = keeps
    assert machine.held == BLOCK
    after = machine.kept(keep, "kept", 0.2)
    assert [one.part for one in needs(after)] == [second.part]


def test_what_is_there_already_is_not_asked_for() -> None:
    machine = Uploads("a1")
    part = Sent(os.urandom(2 * BLOCK + 5))
    (need,) = needs(machine.offer("box", part.offered, [0, 1], 0.0))
    assert [(one.start, one.end) for one in need.ranges] == [(2 * BLOCK, 2 * BLOCK + 5)]
    whole = Sent(os.urandom(BLOCK + 1))
    (finish,) = machine.offer("box", whole.offered, [0, 1], 0.0)
    assert isinstance(finish, Finish)


def test_foreign_and_unasked_chunks_are_dropped() -> None:
    machine = Uploads("a1")
    part = Sent(os.urandom(3 * BLOCK))
    (need,) = needs(machine.offer("box", part.offered, (), 0.0))
    end = need.ranges[-1].end
    name = bytes.fromhex(part.part)
    assert machine.chunk("other", chunk.Chunk(name, 0, b"x"), 0.0) == []
    assert machine.chunk("box", chunk.Chunk(bytes(16), 0, b"x"), 0.0) == []
    assert machine.chunk("box", chunk.Chunk(name, end, b"x"), 0.0) == []
    assert machine.chunk("box", chunk.Chunk(name, 4 * BLOCK, b"x"), 0.0) == []
    assert machine.dropped == 4


def test_a_quiet_upload_is_forgotten_and_begins_again() -> None:
    machine = Uploads("a1")
    part = Sent(os.urandom(5000))
    first = needs(machine.offer("box", part.offered, (), 0.0))
    assert machine.tick(uploads.QUIET_S + 1) == []
    assert (machine.count, machine.held) == (0, 0)
    assert needs(machine.offer("box", part.offered, (), 100.0)) == first


def test_a_lost_chunk_is_asked_for_again_without_a_new_offer() -> None:
    machine = Uploads("a1")
    part = Sent(os.urandom(300_000))
    (need,) = needs(machine.offer("box", part.offered, (), 0.0))
    first, second, third = part.chunks(need, 100_000)
    for one in (first, third):
        machine.chunk("box", one, 0.1)
    assert needs(machine.tick(0.2)) == []
    (again,) = needs(machine.tick(1.5))
    assert [(one.start, one.end) for one in again.ranges] == [(100_000, 200_000)]
    assert any(isinstance(one, Keep) for one in machine.chunk("box", second, 1.6))


def test_a_fast_line_is_asked_for_more_and_a_slow_one_for_less() -> None:
    def second_need(seconds: float) -> Need:
        machine = Uploads("a1")
        part = Sent(bytes(8 * BLOCK))
        (need,) = needs(machine.offer("box", part.offered, (), 0.0))
        actions: list[Action] = []
        for one in part.chunks(need, 100_000):
            actions += machine.chunk("box", one, seconds)
        return needs(actions)[-1]

    assert second_need(0.01).credit == uploads.LARGEST_WINDOW
    assert second_need(1000.0).credit == uploads.SMALLEST_WINDOW


def test_when_nothing_can_be_stored_everybody_is_told_to_come_later() -> None:
    machine = Uploads("a1")
    parts = [Sent(os.urandom(10)) for _ in range(3)]
    for one in parts:
        machine.offer("box", one.offered, (), 0.0)
    told = said(machine.forget(0.0, "space"))
    assert {one.part for one in told} == {one.part for one in parts}
    assert all(isinstance(one, Later) and one.reason == "space" for one in told)
    assert (machine.count, machine.held) == (0, 0)


def test_an_urgent_part_goes_before_those_that_wait() -> None:
    machine = Uploads("a1")
    parts = [Sent(os.urandom(1000 + number)) for number in range(3)]
    for one in parts:
        machine.offer("box", one.offered, (), 0.0)
    urgent = replace(Sent(os.urandom(10)).offered, urgent=True)
    assert [one.part for one in needs(machine.offer("box", urgent, (), 0.0))] == [urgent.part]
    second = replace(Sent(os.urandom(11)).offered, urgent=True)
    assert machine.offer("box", second, (), 0.0) == []
    (one,) = parts[0].chunks(Need(parts[0].part, "a1", (Range(0, 1000),), 1000, 1), 5000)
    assert [one.part for one in needs(machine.chunk("box", one, 0.1))] == [second.part]


def test_who_sends_slowly_is_told_to_come_back_late() -> None:
    machine = Uploads("a1")
    parts = [Sent(bytes(BLOCK)) for _ in range(4)]
    for one in parts:
        machine.offer("box", one.offered, (), 0.0)
    for later in said(machine.tick(9.0)):
        assert isinstance(later, Later) and later.reason == "busy"
        assert 10 < later.after_s <= uploads.LONGEST_LATER_S


def test_a_long_part_gives_its_turn_to_who_waits_for_memory() -> None:
    machine = Uploads("a1", BLOCK)
    long, short = Sent(bytes(3 * BLOCK)), Sent(os.urandom(2000))
    pending = needs(machine.offer("one", long.offered, (), 0.0))
    machine.offer("two", short.offered, (), 0.0)
    told: list[Action] = []
    while pending and not any(isinstance(one, Keep) for one in told):
        for one in long.chunks(pending.pop(), 100_000):
            told = machine.chunk("one", one, 0.1)
            pending += needs(told)
    (keep,) = (one for one in told if isinstance(one, Keep))
    (need,) = needs(machine.kept(keep, "kept", 0.2))
    assert need.part == short.part
    (one,) = short.chunks(need, 5000)
    (keep,) = machine.chunk("two", one, 0.3)
    assert isinstance(keep, Keep)
    actions = machine.kept(keep, "kept", 0.4)
    assert [one.part for one in needs(actions)] == [long.part]
