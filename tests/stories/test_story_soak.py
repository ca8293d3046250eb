"""The soaks in short: `./build.sh soak` runs them for as long as a proof takes."""

import argparse
from importlib import import_module
from typing import Any

import pytest

from greffier_sim.soak_missing import Missing


def soaked(name: str, *words: str) -> dict[str, Any]:
    """The figures of a soak; skips where this machine cannot do it."""
    module = import_module(f"greffier_sim.soak_{name}")
    parser = argparse.ArgumentParser()
    module.configure(parser)
    try:
        found: dict[str, Any] = module.main(parser.parse_args(words), lambda _text: None)
    except Missing as error:
        pytest.skip(str(error))
    return found


@pytest.mark.story
@pytest.mark.parametrize("seed", [1, 163, 248])
def test_no_schedule_mixes_calls(seed: int) -> None:
    found = soaked("mix", "--count", "20", "--seed", str(seed))
    assert found["ok"], found["wrong"]


@pytest.mark.story
def test_every_packet_of_real_calls_is_accounted_for() -> None:
    found = soaked("calls", "--calls", "6", "--rate", "6", "--talk", "1", "--only", "original")
    assert found["ok"], found


@pytest.mark.story
def test_kills_lose_nothing_that_was_committed() -> None:
    times = ("--shortest", "2", "--longest", "4", "--patience", "5.5")
    found = soaked("kills", "--kills", "2", "--calls", "4", *times)
    assert found["ok"], found.get("wrong", found)


@pytest.mark.story
def test_what_may_not_be_kept_is_in_no_write() -> None:
    found = soaked("unsampled", "--calls", "5", "--talk", "0.5", "--only", "never drawn")
    assert found["ok"], found


@pytest.mark.story
def test_kills_on_the_way_to_head_office_lose_nothing() -> None:
    short = (
        "--kills",
        "5",
        "--calls",
        "5",
        "--minutes",
        "0.12",
        "--talk",
        "1.5",
        "--idle",
        "2",
        "--seed",
        "3",
    )
    found = soaked("sync", *short, "--backlog", "1", "--long", "10", "--patience", "60")
    assert found["ok"], found
