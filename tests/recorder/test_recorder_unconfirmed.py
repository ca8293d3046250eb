"""The picture of what head office has not confirmed: whatever happens, it is the log's."""

import hashlib
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.office_scene import DUTY, QUALITY, RECEIPTS, Box, WornClock, made

from greffier.audit.entry import Entry
from greffier.audit.receipt import Receipt
from greffier.recorder import recovery, unconfirmed
from greffier.recorder.archive import Archive
from greffier.recorder.unconfirmed import Totals, Unconfirmed

DEVICE = "box-1"
ENVELOPE = "e" * 64


def entry(seq: int, kind: str, data: Mapping[str, Any]) -> Entry:
    return Entry(seq, "b0" * 16, seq, 1000 + seq, 0, "build", kind, None, "5a" * 16, data)


def name(number: int) -> str:
    """Ids are random; these are as good."""
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]


def digest(number: int) -> str:
    return hashlib.sha256(b"content %d" % number).hexdigest()


def opened(number: int, **more: object) -> dict[str, Any]:
    return {"part": name(number), "recording": "0" * 32, "number": 0, "envelope": ENVELOPE} | more


def sealed(number: int, size: int = 7) -> dict[str, Any]:
    return {"part": name(number), "bytes": size, "sha256": digest(number)}


def received(number: int, size: int = 7) -> dict[str, Any]:
    return sealed(number, size) | {"envelope": ENVELOPE}


def told(*rows: tuple[str, dict[str, Any]]) -> Unconfirmed:
    found = Unconfirmed()
    for seq, (kind, data) in enumerate(rows):
        found.read(entry(seq, kind, data))
    return found


def test_only_a_part_that_ended_with_bytes_and_an_envelope_waits() -> None:
    bare = opened(2)
    del bare["envelope"]
    found = told(
        ("part.opened", opened(0)),
        ("part.opened", opened(1, created_ns=5, until_ns=9, purposes=["emergency_fire"])),
        ("part.opened", bare),
        ("part.opened", opened(3)),
        ("part.sealed", sealed(1)),
        ("part.sealed", sealed(2)),
        ("part.recovered", sealed(3, 0)),
        ("part.sealed", sealed(9)),
    )
    ((one,), more) = found.listed(0, 9, 99)
    assert (one.part, one.seq, one.created_ns, one.until_ns, one.urgent) == (name(1), 4, 5, 9, True)
    assert not more
    assert found.totals == Totals(1, 7, 5, 0, 1)
    assert found.is_begun(name(0)) and not found.is_begun(name(1))
    assert found.find(name(0)) is None


def test_what_a_receipt_says_is_compared_with_the_log_before_and_after() -> None:
    rows = [("part.opened", opened(1)), ("part.sealed", sealed(1))]

    def word(found: Unconfirmed, **change: object) -> str:
        facts: dict[str, Any] = {
            "device": DEVICE, "part": name(1), "size": 7, "sha256": digest(1),
            "envelope": ENVELOPE, "time_s": 5,
        }  # fmt: skip
        return found.compare(Receipt(**(facts | change)))

    for found, good in (
        (told(*rows), "new"),
        (told(*rows, ("part.received", received(1))), "known"),
    ):
        assert word(found) == good
        assert word(found, time_s=6) == good
        for change in ({"size": 8}, {"sha256": digest(2)}, {"envelope": "f" * 64}):
            assert word(found, **change) == "other"
        assert word(found, part=name(2)) == "unknown"
    gone = told(*rows, ("key.shredded", {"parts": [name(1)]}))
    assert word(gone) == "unknown" and gone.is_destroyed(name(1))
    assert told(rows[0]).compare(Receipt(DEVICE, name(1), 7, digest(1), ENVELOPE, 5)) == "unknown"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("oserd"), st.integers(0, 12), st.integers(0, 3)), max_size=80
    ),
    st.integers(1, 5),
)
def test_it_is_what_a_plain_reading_of_the_log_says(
    steps: list[tuple[str, int, int]], page: int
) -> None:
    found, begun, waits = Unconfirmed(), set(), dict[int, int]()
    gone: dict[int, str] = {}
    slack, unconfirmed._SLACK = unconfirmed._SLACK, 2  # type: ignore[misc]
    try:
        for seq, (step, number, size) in enumerate(steps, 1):
            if step == "o":
                found.read(entry(seq, "part.opened", opened(number)))
                begun.add(number)
            elif step in "se":
                kind = "part.sealed" if step == "s" else "part.recovered"
                found.read(entry(seq, kind, sealed(number, size)))
                if number in begun and size and number not in waits:
                    waits[number] = seq
                begun.discard(number)
            elif step == "r" and number in waits:
                found.read(entry(seq, "part.received", received(number)))
                del waits[number]
                gone[number] = "r"
            elif step == "d" and number not in begun:
                found.read(entry(seq, "key.shredded", {"parts": [name(number)]}))
                waits.pop(number, None)
                gone[number] = "d"
            if step == "o" and number in waits:
                return  # the log opens no part twice
            listed, more = found.listed(0, 99, 10**9)
            assert [one.part for one in listed] == [name(one) for one in waits]
            assert [one.seq for one in listed] == list(waits.values())
            assert not more
            paged: list[str] = []
            after, more = 0, True
            while more:
                some, more = found.listed(after, page, 10**9)
                paged += [one.part for one in some]
                after = some[-1].seq if some else after
            assert paged == [name(one) for one in waits]
            assert found.totals.parts == len(waits)
            assert found.totals.received == sum(one == "r" for one in gone.values())
            assert all(found.is_destroyed(name(one)) == (gone[one] == "d") for one in gone)
    finally:
        unconfirmed._SLACK = slack  # type: ignore[misc]


@settings(deadline=None, max_examples=6)
@given(st.lists(st.sampled_from("sdrkc"), min_size=4, max_size=12))
def test_a_start_knows_what_the_run_before_knew(tmp_path_factory: Any, steps: list[str]) -> None:
    folder: Path = made(tmp_path_factory.mktemp("box") / "data")
    with Box(folder) as box:
        parts: list[str] = []
        for number, step in enumerate(steps):
            if step == "s":
                parts.append(box.seal(number))
            elif step == "d":
                parts.append(box.seal(number, DUTY))
            elif step == "r" and parts:
                waiting = [one for one in parts if box.archive.unconfirmed.find(one)]
                if waiting:
                    box.bring(box.receipt(waiting[0]).signed(RECEIPTS))
            elif step == "k" and parts:
                with box.turn:
                    box.archive.shred_logged([parts.pop()], "due", "C")
                    box.archive.tick()
            else:  # a part that a kill cuts
                with box.turn:
                    box.archive.add(box.tape(number, QUALITY))
                    box.archive.tick()
        before = box.archive.unconfirmed
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        after = archive.unconfirmed
        known = {one.part for one in before.listed(0, 999, 10**9)[0]}
        listed = after.listed(0, 999, 10**9)[0]
        assert [one for one in listed if one.part in known] == list(before.listed(0, 999, 10**9)[0])
        # What was cut is recovered: it waits now, behind all others.
        assert len(listed) == len(known) + steps.count("c") + _cut(steps)
        assert after.totals.received == before.totals.received


def _cut(steps: list[str]) -> int:
    """Steps that found nothing to do cut a part instead."""
    extra, parts = 0, 0
    for step in steps:
        if step in "sd":
            parts += 1
        elif step in "rk" and not parts:
            extra += 1
        elif step == "k":
            parts -= 1
    return extra


def test_memory_is_a_few_hundred_bytes_a_part() -> None:
    count = 5000
    rows = [
        one
        for number in range(count)
        for one in (
            entry(2 * number, "part.opened", opened(number)),
            entry(2 * number + 1, "part.sealed", sealed(number)),
        )
    ]
    got = [entry(10**6 + number, "part.received", received(number)) for number in range(count)]
    found = Unconfirmed()
    tracemalloc.start()
    for one in rows:
        found.read(one)
    waiting, _ = tracemalloc.get_traced_memory()
    for one in got:
        found.read(one)
    settled, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert waiting / count < 400
    assert settled / count < 150
    assert found.totals == Totals(0, 0, 0, count, 0)
