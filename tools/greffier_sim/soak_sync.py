"""Kills on the whole way to head office, while calls run: nothing is lost, nothing is there twice.

Calls of SIPp through a mirrored port are recorded, and go over a slow line to a head office. By a
seed, recorder, sync, broker and head office are killed (kill -9), also while they start, and the
line is cut: reset, silent, or silent and then forgotten. A program of its own
(:mod:`greffier_sim.soak_sync_checker`) reads both sides by the documents alone, at each kill and at
the end, when everything has come to rest: each part once and bit for bit, opened with head office's
key, each receipt verified, the log the same on both sides and cosigned. When head office is down,
all that the device has a receipt of must lie there.

That shows what survives a process: one that is killed leaves what it wrote in the kernel's cache.
With ``--power`` the two machines lose their power as well: all that runs there at once, and of the
file system (:mod:`greffier_sim.sickdisk`) all that was not synced.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from greffier_sim import lab, parties, soak_sync_said, strikes, sync_lab
from greffier_sim.lab import Lab, Wire
from greffier_sim.schedules import DUTY, SAMPLED
from greffier_sim.service import Unwell, wait_until
from greffier_sim.soak_peers import Peer
from greffier_sim.soak_sync_struck import Struck, Told, powered
from greffier_sim.sync_lab import Shape, SyncLab, fill
from greffier_sim.uplink import QUEUE

Say = Callable[[str], None]
ACCUSING = ("sync.forged", "sync.forked", "sync.refused")
"""Alarms that somebody lies. Here everybody is honest."""
_SAMPLED_SHARE = 4
"""One call in so many is on the line that is drawn."""


@contextmanager
def calling(
    net: Lab, folder: Path, words: argparse.Namespace, seconds: float
) -> Iterator[list[Future[parties.Told]]]:
    """Calls on both lines for *seconds*; those that run are cut off at the end of the ``with``."""
    sampled = words.calls // _SAMPLED_SHARE
    plans = [(DUTY, words.calls - sampled, 5060, 10_000), (SAMPLED, sampled, 5062, 30_000)]
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(len(plans)) as pool:
        try:
            yield [
                pool.submit(
                    parties.place, net, folder / called, calls=calls, rate=calls / seconds,
                    talk_s=words.talk, called=called, sip_port=sip, media_port=media,
                )
                for called, calls, sip, media in plans
                if calls
            ]  # fmt: skip
        finally:
            for name in (net.caller, net.callee):
                pids = ["ip", "netns", "pids", name]
                found = subprocess.run(pids, check=True, capture_output=True, text=True).stdout
                for pid in found.split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGTERM)


def rest(place: SyncLab, struck: Struck, words: argparse.Namespace, told: Told) -> float:
    """Wait until head office has all there is, and end it there; the seconds that this took.

    A call whose end nobody heard runs on for a minute; who does not wait that long (``--idle``)
    does not ask for its last part. Raises Unwell.
    """

    def at_rest() -> bool:
        found = struck.look("backlog")
        return not found.get("waiting", 1) and not found.get("not_cosigned", 1)

    def all_run_and_rest() -> bool:
        for service in (place.box, place.sync, place.office):
            service.must_run()
        return at_rest()

    with suppress(Unwell):
        place.box.wait_idle(words.idle)
    begun = time.monotonic()
    while True:
        wait_until(all_run_and_rest, "head office has all there is", words.patience, every_s=0.2)
        took = time.monotonic() - begun
        alarms = {one.name for one in place.box.wait_for(lambda _: True).alarms}
        told.faults += [f"the alarm {name}" for name in ACCUSING if name in alarms]
        place.box.kill()
        if at_rest():  # the recorder said nothing more meanwhile
            place.sync.kill()
            place.office.kill()
            return took
        place.box.start()


def judged(place: SyncLab, told: Told) -> dict[str, Any]:
    """What the product's own commands say of the two directories."""
    keys = [place.box.data / "keys" / name for name in ("log.pub", "head-office.pub")]
    trust = place.folder / "trust"
    trust.write_text("".join(path.read_text() for path in keys))
    place.box.start()  # a recorder that was killed cuts what it had not committed
    place.box.stop()
    audit = place.box.ask("audit", "verify", "--trust", str(trust))
    told.faults += [] if audit["ok"] else [f"greffier audit verify: {audit['problems'][:3]}"]
    try:
        state = sync_lab.told("greffier-office", "verify", "--office", str(place.head.office.path))
    except Unwell as error:
        told.faults.append(str(error))
        state = {"ok": False}
    return {"audit_verified": audit["ok"], "office_verified": state["ok"]}


def soak(net: Lab, folder: Path, words: argparse.Namespace, say: Say) -> dict[str, Any]:
    """All of it; the figures. Raises Unwell."""
    told, seconds = Told(), words.minutes * 60
    plan = strikes.plan(random.Random(words.seed), words.kills, seconds, power=words.power)
    shape = Shape(round(words.mbit * 1e6), words.delay_ms, QUEUE)
    with ExitStack() as stack:
        disks = powered(stack, folder) if words.power else {}
        wire = Wire(net.recorder, tap=lab.TAPS[0])
        place = SyncLab(folder, wire, stack, shape=shape, pauses=False)
        fill(place.box, words.backlog, words.long)
        office = place.head.office.path
        outside = Peer(
            "-m", "greffier_sim.soak_sync_checker",
            str(place.box.data), str(office), str(place.box.key),
        )  # fmt: skip
        stack.callback(outside.close)
        struck = Struck(place, outside, told, disks)
        os.sync()  # what was only set up is no power cut's matter
        place.start()
        say(f"{words.calls} calls and {words.kills} kills in {words.minutes:g} minutes")
        with calling(net, folder / "sipp", words, seconds) as calls:
            struck.run(plan, time.monotonic())
            placed = [one.result() for one in calls]
        say(f"the calls are over; {len(told.faults)} faults; waiting for head office")
        took = rest(place, struck, words, told)
        sent = place.line.sent
        say("everything is at rest; what is there?")
        end = struck.look("end")
        content, faults = soak_sync_said.heard(place, words)
        told.faults += faults
        verdict = judged(place, told)
    return {
        "kills": sum(told.struck.values()),
        "struck": dict(told.struck),
        "calls": sum(one.placed for one in placed),
        "calls_failed": sum(one.failed for one in placed),
        **end,
        **content,
        **verdict,
        "receipts_checked_while_down": told.checked,
        "backlog_mb_most": round(max(told.waiting, default=0) / 1e6, 1),
        "backlog_share_of_time": _share(told.waiting),
        "rest_s": round(took, 1),
        "sent_mb": round(sent / 1e6, 1),
        "sent_again_percent": _again(sent, end),
        "faults": told.faults[:20],
        "ok": not told.faults,
    }


def _share(waiting: list[int]) -> float:
    return round(sum(1 for one in waiting if one) / max(1, len(waiting)), 2)


def _again(sent: int, end: dict[str, Any]) -> float:
    """Per cent of the parts' octets that were sent beyond once, all else that is sent included.

    Where nothing is killed that is 2: TLS, offers with their envelopes, the log.
    """
    size: int = end["bytes"]
    return round(100 * (sent - size) / max(1, size), 1)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.epilog = (
        "kill -9 shows what outlives a process, not what outlives a power cut: the kernel keeps "
        "what a killed process wrote. With --power each machine has a file system of its own, which"
        " loses what was not synced. tests/office/test_office_order.py looks at which fsync comes "
        "before which receipt."
    )
    parser.add_argument("--kills", type=int, default=50, help="and cuts of the network, together")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=12, help="in which all that happens")
    parser.add_argument("--talk", type=float, default=12, help="seconds of a call")
    parser.add_argument("--backlog", type=int, default=2, help="long calls that wait at the start")
    parser.add_argument("--long", type=int, default=600, help="seconds of those")
    parser.add_argument("--mbit", type=float, default=2.0, help="of the line to head office")
    parser.add_argument("--delay-ms", type=float, default=15, help="of the line, each way")
    parser.add_argument(
        "--patience", type=float, default=900, help="seconds until head office must have all"
    )
    parser.add_argument("--idle", type=float, default=90, help="seconds until no call runs")
    parser.add_argument(
        "--power", action="store_true", help="cut the power of the box and of head office, too"
    )
    parser.add_argument("--keep", type=Path, help="leave both sides' directories here")


def main(words: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Run; the figures."""
    lab.need("tc", "sipp", "mosquitto")
    folder = words.keep or Path(tempfile.mkdtemp(prefix="greffier-sync-"))
    folder.mkdir(exist_ok=True)
    try:
        with lab.network() as net:
            return soak(net, folder, words, say)
    except Unwell as error:
        return {"ok": False, "error": str(error)}
    finally:
        if not words.keep:
            shutil.rmtree(folder)
