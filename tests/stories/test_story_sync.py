"""A box and its head office with every process real: nothing is lost, and nothing goes twice."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from greffier.audit import verify
from greffier.control.transfer import SyncState
from greffier_sim import soak_missing
from greffier_sim.service import BIN
from greffier_sim.sync_lab import SyncLab, fill, lab, sealed

pytestmark = pytest.mark.story


@pytest.fixture(name="all_of_it")
def _all_of_it(tmp_path: Path) -> Iterator[SyncLab]:
    try:
        with lab(tmp_path) as made:
            yield made
    except soak_missing.Missing as error:
        pytest.skip(str(error))


def at_rest(state: SyncState) -> bool:
    """Everything is at head office, and it has cosigned the log up to its end."""
    waiting = state.queued + state.offered + state.sending + state.waiting + state.refused
    return state.state == "idle" and not waiting and state.cosigned_size == state.log_size > 0


def confirmed(data: Path) -> list[str]:
    """The parts of which the box's log says that head office has them."""
    return [str(one.data["part"]) for one in verify.entries(data) if one.ev == "part.received"]


def test_what_was_recorded_is_received_once_over_restarts_of_everything(
    all_of_it: SyncLab,
) -> None:
    box = all_of_it.box
    fill(box, 3, 20)
    parts = sealed(box.data)
    all_of_it.start()
    all_of_it.wait_for(lambda state: state.received == len(parts), "all receipts")
    all_of_it.wait_for(at_rest, "nothing waits")
    with all_of_it.calls(3):
        parts |= all_of_it.fresh(2)
    all_of_it.wait_for(lambda state: at_rest(state) and state.received >= len(parts), "live parts")
    for one in (all_of_it.sync, all_of_it.office, all_of_it.box):
        one.kill()
    all_of_it.head.broker.restart()
    all_of_it.start()
    all_of_it.wait_for(at_rest, "nothing waits after restarts")
    found = confirmed(box.data)
    assert sorted(found) == sorted(sealed(box.data))
    assert len(found) == len(set(found)), "a part was received twice"
    all_of_it.box.stop()
    answer = subprocess.run(
        [BIN / "greffier", "calls", "--data", box.data, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    calls = json.loads(answer.stdout.splitlines()[-1])["calls"]
    synced = [part["synced"] for call in calls for part in call["parts"]]
    assert synced
    assert all(synced)
