"""Random orders against a model: nothing that is held is destroyed, and nothing early."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.recorder.office_scene import DUTY, QUALITY, START_NS, Box, made
from tests.recorder.test_recorder_purge import is_whole

from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import erasure, holding, purge
from greffier.recorder.holding import Wish
from greffier.recorder.persons import Persons
from greffier.store.index import PartRow
from greffier.store.shred_format import PART, Name

EXAMPLES = int(os.environ.get("GREFFIER_HOLD_SEQUENCES", "15"))
TWO = Persons(("anne", "bruno"))
PURPOSES = (QUALITY, DUTY, {"quality": (0, 30)}, {"quality": (0, 89), "evidence": (0, 365)})
ORDERS = st.one_of(
    st.tuples(st.just("hold"), st.integers(0, 3), st.sampled_from(["floor", "suspend"])),
    st.tuples(st.just("release"), st.integers(0, 5), st.just("")),
    st.tuples(st.just("clock"), st.integers(1, 45), st.just("")),
    st.tuples(st.just("purge"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("erase"), st.integers(0, 3), st.just("")),
)


@dataclass
class Kept:
    """A part as the model knows it: by days, each hold (mode, from, to)."""

    days: dict[str, tuple[int, int]]
    holds: dict[str, tuple[str, int, int | None]] = field(default_factory=dict)
    gone: bool = False

    @property
    def held(self) -> bool:
        return any(end is None for _, _, end in self.holds.values())

    def due(self, day: int) -> bool:
        last = max(most for _, most in self.days.values())
        spans = sorted(
            (since, end)
            for mode, since, end in self.holds.values()
            if mode == "suspend" and end is not None
        )
        term, counted = last, 0
        for since, end in spans:
            if since <= term:
                term += max(0, end - max(since, counted))
                counted = max(counted, end)
        return day >= term


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box for all examples: each adds parts of its own, later than those before."""
    folder: Path = made(tmp_path_factory.mktemp("model") / "data")
    with Box(folder) as one:
        one.clock.behind_ns = one.clock.wall_ns() - START_NS  # the wall tells nothing new
        yield one
    assert is_whole(folder)


def rows(box: Box, names: list[str]) -> dict[str, PartRow]:
    return {row.part_id: row for row in box.archive.index.parts() if row.part_id in names}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ORDERS, min_size=5, max_size=14))
def test_holds_purges_clocks_and_erasures_in_any_order(
    box: Box, orders: list[tuple[str, int, str]]
) -> None:
    archive = box.archive
    first_ns = max(archive.clock.lower_bound().t_ns, START_NS) + DAY_NS
    with box.turn:
        archive.clock.witnessed(first_ns, "statement")
    names = [box.seal_at(number, days, first_ns) for number, days in enumerate(PURPOSES)]
    with box.turn:
        model = {name: Kept(dict(days)) for name, days in zip(names, PURPOSES, strict=True)}
        recordings = {name: row.recording for name, row in rows(box, names).items()}
        day = 0
        placed: list[tuple[str, str]] = []
        for what, number, mode in orders:
            name = names[number % len(names)]
            part = model[name]
            if what == "clock":
                day += number
                archive.clock.witnessed(first_ns + day * DAY_NS + DAY_NS // 2, "statement")
            elif what == "hold":
                wish = Wish(name, "A 1", "suspend" if mode == "suspend" else "floor", TWO)
                found = holding.place(archive, wish)
                assert found.done != part.gone
                if found.done:
                    part.holds[found.name] = (mode, day, None)
                    placed.append((name, found.name))
            elif what == "release" and placed:
                name, hold = placed.pop(number % len(placed))
                assert holding.release(archive, hold, TWO).done
                of_mode, since, _ = model[name].holds[hold]
                model[name].holds[hold] = (of_mode, since, day)
            elif what == "erase":
                request = erasure.Request(recordings[name], "B 2", contestable=False)
                erasure.erase(archive, request)
                part.gone |= "regulatory" not in part.days and not part.held
            elif what == "purge":
                found_plan = purge.plan(archive, number * 10**9, lambda row: False)
                purge.carry_out(archive, found_plan.doomed)
                for one in model.values():
                    # Nobody has received anything: a duty stays, and nothing goes for space.
                    one.gone |= one.due(day) and not one.held and "regulatory" not in one.days
            here = rows(box, names)
            for name, one in model.items():
                assert (name in here) != one.gone
                key = archive.shred.day_of(Name(PART, bytes.fromhex(name)))
                assert (key is None) == one.gone
                standing = tuple(
                    sorted(hold for hold, (_, _, end) in one.holds.items() if end is None)
                )
                assert one.gone or here[name].holds == standing
        for _name, hold in placed:
            holding.release(archive, hold, TWO)
