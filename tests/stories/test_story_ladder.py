"""A disk that fills: nothing goes that head office has not, no duty goes, and recording comes back.

Recorder, sync, broker and collector are the real ones; the data directory is on a small medium.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.control import client
from greffier.control.messages import AskStatus, Status
from greffier_sim import captures, packets, soak_missing
from greffier_sim.sync_lab import SyncLab, filled, lab, told

pytestmark = pytest.mark.story
MEDIUM_MIB = 256
PART_S = 255
"""Two legs of G.711: 4 MiB."""
VOLUNTARY, DUTIES = 8, 2
BALLAST_MIB = 198
"""What others keep there: with the parts it is 93 % of the medium, without the voluntary 80 %."""


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[SyncLab]:
    place = tmp_path / "box"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={MEDIUM_MIB}m", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    with (place / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, BALLAST_MIB << 20)
    try:
        with lab(tmp_path, pauses=False, more="[storage]\nreserve_mib = 1\n") as made:
            yield made
    except soak_missing.Missing as error:
        pytest.skip(str(error))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def put(made: SyncLab, count: int, line: str) -> set[str]:
    """*count* calls that were recorded on *line*; their parts."""
    before = parts_of(made)
    path = made.folder / "filled.pcap"
    policy = ["--policy", str(made.box.folder / "policy.toml"), "--line", line, "--draw", "0"]
    for plan in filled(count, PART_S):
        frames = packets.frames_of(captures.in_order(captures.call(plan)))
        path.write_bytes(packets.pcap(frames, nanoseconds=True))
        told("greffier", "import-pcap", str(path), *policy, "--data", str(made.box.data))
    found = parts_of(made) - before
    assert len(found) == count
    return found


def entries(made: SyncLab) -> list[Entry]:
    return list(verify.entries(made.box.data))


def parts_of(made: SyncLab) -> set[str]:
    return {str(one.data["part"]) for one in entries(made) if one.ev == "part.opened"}


def steps(made: SyncLab) -> list[str]:
    return [str(one.data["to"]) for one in entries(made) if one.ev == "storage.step"]


def codes(made: SyncLab) -> list[str]:
    """Those of the live calls on the drawn line that were decided, in order."""
    return [
        str(code)
        for one in entries(made)
        if one.ev == "call.decided" and "accueil" in str(one.data["uid"])
        for code in one.data["codes"]
    ]


def standing(made: SyncLab) -> set[str]:
    said = client.ask(made.box.socket, AskStatus())
    assert isinstance(said, Status)
    return {alarm.name for alarm in said.alarms}


def wait(made: SyncLab, wanted: Callable[[], bool], what: str) -> None:
    made.box.wait_until(lambda: wanted() or None, what, 400)


def test_the_ladder_waits_for_receipts_and_recording_comes_back(small: SyncLab) -> None:
    voluntary = put(small, VOLUNTARY, "accueil")
    duties = put(small, DUTIES, "desk")
    small.box.start()
    with small.talking(4, "--duty", "0", "--shortest", "1", "--longest", "2"):
        wait(small, lambda: "refuse" in steps(small), "the medium is nearly full")
        known = len(codes(small))
        wait(small, lambda: "STORAGE_LOW" in codes(small)[known:], "a call is refused")
        assert {"storage.filling", "storage.refusing"} <= standing(small)
        assert not [one for one in entries(small) if one.ev == "key.shredded"]
        small.office.start()
        small.sync.start()
        wait(small, lambda: steps(small)[-1] == "normal", "what head office has gave room")
        known = len(codes(small))
        wait(small, lambda: "SAMPLED_IN" in codes(small)[known:], "calls are recorded")
        assert not {"storage.filling", "storage.refusing"} & standing(small)
    log = entries(small)
    received = {str(one.data["part"]): one.seq for one in log if one.ev == "part.received"}
    gone = [one for one in log if one.ev == "key.shredded"]
    assert {one.data["reason"] for one in gone} == {"space"}
    names = [(str(part), one.seq) for one in gone for part in one.data["parts"]]
    assert all(received[part] < seq for part, seq in names), "gone before its receipt"
    assert {part for part, _ in names} & voluntary
    assert not {part for part, _ in names} & duties
