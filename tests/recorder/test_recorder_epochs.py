"""A recorder runs for years: each day has an epoch, with keys of its own, and calls go on."""

from pathlib import Path

from tests.stories.box import DESK, PACKS, Box, loaded

from greffier.audit import verify
from greffier.calls.tracker import Tracker
from greffier.clock import SECOND, CaptureClock, SystemClock
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.report import Report
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules
from greffier.store import journal
from greffier_sim import captures

MIDNIGHT = 1_699_920_000 * SECOND


def test_a_call_over_midnight_is_one_call_of_two_epochs(tmp_path: Path) -> None:
    box = Box(tmp_path)
    clock = CaptureClock(MIDNIGHT - 20 * SECOND, SystemClock())
    plans = [
        captures.Plan(call_id=f"{name}@sim", start_ns=MIDNIGHT + begins * SECOND, talk_ms=talk)
        for name, begins, talk in (
            ("before", -15, 2000),
            ("across", -8, 16_000),
            ("after", 12, 2000),
        )
    ]
    datagrams = captures.in_order([one for plan in plans for one in captures.call(plan)])
    ended: list[Report] = []
    with Archive.open(box.data, clock) as archive:
        first = archive.open_epoch()
        rules = Rules(loaded(DESK), PACKS, "desk", {"dir": "in"})
        intake = Intake(
            archive, lambda _call: rules, Numbers.of(archive.data), ended.append, Resumable(())
        )
        tracker = Tracker()
        renewed = False
        for datagram in datagrams:
            clock.move_to(datagram.time_ns)
            if datagram.time_ns >= MIDNIGHT and not renewed:
                archive.renew_epoch()
                renewed = True
                # What runs over midnight is no fault in the log.
                assert verify.verify(box.data).problems == ()
            intake.take(tracker.feed(datagram))
        second = archive.epoch
        intake.take(tracker.finish(datagrams[-1].time_ns))
        archive.tick()
        archive.tick()
    assert second is not None
    assert second.name[:10] != first.name[:10]
    assert second.sampling != first.sampling
    assert second.metadata != first.metadata
    report = verify.verify(box.data)
    assert report.problems == (), report.problems
    closed = [one for one in verify.entries(box.data) if one.ev == "epoch.closed"]
    assert [one.data["key"] for one in closed] == [first.sampling.hex(), second.sampling.hex()]
    entries = box.entries()
    opened = [entry.data["epoch"] for entry in entries if entry.ev == "epoch.opened"]
    assert opened == [first.name, second.name]
    drawn = [entry.data["epoch"] for entry in entries if entry.ev == "call.decided"]
    assert drawn == [first.name, first.name, second.name]
    records = {one.clear["number"][-1]: one for one in journal.everything(box.data / "vault/calls")}
    assert [records[number].epoch for number in "123"] == [first.name, second.name, second.name]
    listed = box.listed("--key", tmp_path / "office.key")
    assert [call["from"] for call in listed] == ["+33140506070"] * 3
    assert [len(call["parts"]) for call in listed] == [1, 1, 1]
    assert all(call.clear["accounted"]["lost"] == 0 for call in ended)
