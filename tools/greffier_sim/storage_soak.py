"""The live recorder on a disk that stalls, fills, fails, goes and comes back, and what that cost.

    python -m greffier_sim.storage_soak --calls 20 --seconds 30 --json

Each case runs a recorder in a network namespace of its own, its data on a real ext4 file system
(:mod:`greffier_sim.sickdisk`), and calls on the wire from before the illness to after it. Prints
one JSON object a case. The exit code is 1 if something durable was lost, the log or the coverage
does not add up, an alarm was not raised or not cleared, or the recorder had to be started again.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from greffier.audit import coverage, verify
from greffier.capture.datagram import Address
from greffier.cli.main import COMMANDS
from greffier.cli.main import run as greffier
from greffier.control import client
from greffier.control.messages import AskStatus, Status
from greffier.errors import GreffierError
from greffier.policy import rules
from greffier.store import journal
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim import captures
from greffier_sim.appliance import Appliance
from greffier_sim.packets import frames_of, pcap
from greffier_sim.sickdisk import SickDisk, Unable

OWN_MOUNTS = "GREFFIER_OWN_MOUNTS"
CASES = ("stalled", "full", "long-full", "read-only", "gone")
LEAD_S = 4.0
# A call begins so late in these cases: until somebody wants new blocks, those that were
# reserved before hide that a disk is full.
LATE_S = 8.0
FILLED = ("full", "long-full")
TAIL_S = 14.0
STALL_S = {"stalled": 30, "full": 30, "long-full": 10, "read-only": 30, "gone": 30}
CONFIG = """schema = "recorder/1"
data = "disk/box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 500
[control]
socket = "control.sock"
[taps.trunk]
interface = "tap"
[limits]
stall_s = {stall_s}
[[match]]
line = "desk"
"""


@dataclass
class Figures:
    """What one case cost. Times are seconds since the illness began, or ended (``after``)."""

    case: str
    calls: int
    stall_s: int
    sick_s: float = 0.0
    alarm: str = ""
    raised_s: float | None = None
    cleared_after_s: float | None = None
    resumed_after_s: float | None = None
    let_go_s: float | None = None
    status_gap_s: float = 0.0
    packets_received: int = 0
    packets_recorded: int = 0
    packets_lost: int = 0
    coverage_lost_s: float = 0.0
    outages_logged_s: list[float] = field(default_factory=list)
    committed_bytes_lost: int = 0
    parts_checked: int = 0
    audit_ok: bool = False
    accounted: float = 0.0
    numbers_whole: bool = False
    same_process: bool = False

    @property
    def good(self) -> bool:
        """Whether the promises held."""
        return (
            self.committed_bytes_lost == 0
            and self.audit_ok
            and self.numbers_whole
            and self.same_process
            and self.accounted == 1.0
            and None not in (self.raised_s, self.cleared_after_s, self.resumed_after_s)
        )


class Watcher(threading.Thread):
    """Asks for the status ten times a second and keeps what the checks need."""

    def __init__(self, socket: Path) -> None:
        super().__init__(daemon=True)
        self._socket = socket
        self._end = threading.Event()
        self.latest: Status | None = None
        self.most: dict[str, int] = {}  # part -> bytes published as committed
        self.gap_s = 0.0

    def run(self) -> None:
        while not self._end.wait(0.1):
            try:
                answer = client.ask(self._socket, AskStatus())
            except (GreffierError, OSError):
                continue
            if isinstance(answer, Status):
                self._keep(answer)

    def _keep(self, status: Status) -> None:
        self.latest = status
        self.gap_s = max(self.gap_s, status.age_ms / 1000)
        for part in status.committed:
            self.most[part.part] = max(self.most.get(part.part, 0), part.bytes)

    def stop(self) -> None:
        self._end.set()
        self.join()

    def wait_for(self, wanted: Callable[[Status], bool], seconds: float, what: str) -> float:
        """When *wanted* held first, monotonic. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            latest = self.latest
            if latest is not None and wanted(latest):
                return time.monotonic()
            time.sleep(0.02)
        raise TimeoutError(what)


@contextlib.contextmanager
def wire() -> Iterator[str]:
    """A network namespace with a veth pair, `port` and `tap`. Raises Unable."""
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        raise Unable("needs iproute2 and nsenter")
    name = f"greffier-{secrets.token_hex(4)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        raise Unable("network namespaces are not allowed here")
    try:
        for words in (
            "link add port type veth peer name tap",
            "link set lo up",
            "link set port up",
            "link set tap up",
        ):
            made = subprocess.run(
                ["ip", "-n", name, *words.split()], capture_output=True, check=False
            )
            if made.returncode:
                raise Unable("no wire can be made in a network namespace here")
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def inside(namespace: str, *words: str) -> list[str]:
    """A command in the network of *namespace* that shares all mounts with us."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *words]


def prepare(folder: Path, data: Path, stall_s: int) -> None:
    """Keys, policy, configuration, and an empty data directory at *data*."""
    if greffier("greffier-office", OFFICE, ["keygen", "-o", str(folder / "keys")], "soak"):
        raise Unable("greffier-office failed")
    prepare_policy(folder)
    (folder / "recorder.toml").write_text(CONFIG.format(stall_s=stall_s))
    words = ["init", "--data", str(data), "--office-key", str(folder / "keys/office.pub")]
    if greffier("greffier", COMMANDS, words, "soak"):
        raise Unable("greffier init failed")


def prepare_policy(folder: Path) -> None:
    """A policy that two persons signed, and who they are, in *folder*. Raises Unable."""

    def office(*words: str) -> None:
        if greffier("greffier-office", OFFICE, list(words), "soak"):
            raise Unable("greffier-office failed")

    (folder / "policy.toml").write_bytes(rules.builtin("paris-desk.toml").read_bytes())
    for name in ("alice", "bob"):
        office("signer", name, "-o", str(folder))
        office("sign", str(folder / "policy.toml"), "--key", str(folder / f"{name}.key"))
    known = [(folder / f"{name}.pub").read_text() for name in ("alice", "bob")]
    (folder / "signers").write_text("".join(known))


def traffic(path: Path, calls: int, talk_s: float, late: int = 0) -> None:
    """A capture of *calls* calls that begin within two seconds and last *talk_s*, and of *late*
    ones that begin after :data:`LATE_S` and end with them.
    """
    datagrams = []
    for number in range(calls, calls + late):
        plan = captures.Plan(
            call_id=f"soak-{number}@sim",
            start_ns=1_700_000_000_000_000_000 + round(LATE_S * 1_000_000_000),
            talk_ms=round((talk_s - LATE_S) * 1000),
            caller_media=Address(f"10.1.{number // 200}.{number % 200 + 1}", 4000),
            callee_media=Address(f"10.2.{number // 200}.{number % 200 + 1}", 5000),
        )
        datagrams += captures.call(plan)
    for number in range(calls):
        plan = captures.Plan(
            call_id=f"soak-{number}@sim",
            start_ns=1_700_000_000_000_000_000 + number * 2_000_000_000 // calls,
            talk_ms=round(talk_s * 1000),
            caller_media=Address(f"10.1.{number // 200}.{number % 200 + 1}", 4000),
            callee_media=Address(f"10.2.{number // 200}.{number % 200 + 1}", 5000),
        )
        datagrams += captures.call(plan)
    path.write_bytes(pcap(frames_of(captures.in_order(datagrams))))


def be_ill(case: str, disk: SickDisk, seconds: float, watcher: Watcher, told: Figures) -> float:
    """The illness of *case*, for *seconds*; when it was over, monotonic."""
    began = time.monotonic()
    if case == "stalled":
        disk.freeze()
    elif case == "read-only":
        disk.fail()
    elif case == "gone":
        disk.cut()
    else:
        disk.fill()
    told.raised_s = _raised(watcher, told, began)
    if case in FILLED:
        began += told.raised_s  # before, nobody had noticed
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    if case == "stalled":
        disk.thaw()
    elif case in ("read-only", "gone"):
        told.let_go_s = round(disk.mend(), 2)
    else:
        disk.empty()
    told.sick_s = round(time.monotonic() - began, 2)
    return time.monotonic()


def _raised(watcher: Watcher, told: Figures, began: float) -> float:
    def ill(status: Status) -> bool:
        names = [one.name for one in status.alarms if one.name in ILL]
        told.alarm = names[0] if names else ""
        return bool(names)

    return round(watcher.wait_for(ill, 30, "no alarm was raised") - began, 2)


ILL = ("storage.stalled", "storage.full", "storage.readonly", "storage.failed")


def run_case(
    case: str, folder: Path, calls: int, seconds: float, stall_s: int, tail_s: float
) -> Figures:
    """One case, from the first call to the last check. Raises Unable, TimeoutError."""
    told = Figures(case, calls, stall_s)
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(SickDisk.make(folder, 192))
        namespace = stack.enter_context(wire())
        prepare(folder, disk.path / "box", stall_s)
        talk_s = LEAD_S + seconds + tail_s
        late = int(case in FILLED)
        told.calls += late
        traffic(folder / "wire.pcap", calls, talk_s + late * LATE_S, late)
        recorder = Appliance(folder, folder / "control.sock", inside(namespace))
        stack.callback(recorder.kill)
        recorder.spawn()
        watcher = Watcher(folder / "control.sock")
        watcher.start()
        stack.callback(watcher.stop)
        watcher.wait_for(lambda status: status.armed, 60, "the recorder is not armed")
        words = inside(namespace, sys.executable, "-m", "greffier_sim.replay")
        with subprocess.Popen(
            [*words, str(folder / "wire.pcap"), "port"], stdout=subprocess.DEVNULL
        ) as sender:
            stack.callback(sender.kill)
            watcher.wait_for(
                lambda status: len([one for one in status.committed if one.last_sample]) >= calls,
                30,
                "not every call is recorded",
            )
            time.sleep(LEAD_S - 2)
            healed = be_ill(case, disk, seconds, watcher, told)
            _measure_return(watcher, told, healed)
            sender.wait()
        watcher.wait_for(
            lambda status: not status.committed and not any(one.calls for one in status.lines),
            60,
            "the calls do not end",
        )
        told.same_process = recorder.runs
        watcher.stop()
        told.status_gap_s = round(watcher.gap_s, 2)
        told.same_process &= recorder.stop() == 0
        _check(disk.path / "box", watcher, told)
    return told


def _measure_return(watcher: Watcher, told: Figures, healed: float) -> None:
    before = dict(watcher.most)
    end = time.monotonic() + 60
    while time.monotonic() < end and None in (told.resumed_after_s, told.cleared_after_s):
        status = watcher.latest
        now = round(time.monotonic() - healed, 2)
        if status is None:
            continue
        well = status.armed and not any(one.name in ILL for one in status.alarms)
        if told.cleared_after_s is None and well:
            told.cleared_after_s = now
        grown = any(one.bytes > before.get(one.part, 0) for one in status.committed)
        if told.resumed_after_s is None and grown:
            told.resumed_after_s = now
        time.sleep(0.02)


def _check(data: Path, watcher: Watcher, told: Figures) -> None:
    sizes = {path.stem: path.stat().st_size for path in data.rglob("*.gpart")}
    told.parts_checked = len(watcher.most)
    told.committed_bytes_lost = sum(
        max(0, most - sizes.get(part, 0)) for part, most in watcher.most.items()
    )
    told.audit_ok = verify.verify(data).problems == ()
    entries = list(verify.entries(data))
    summary = coverage.seconds(coverage.intervals_of(entries))
    told.accounted = summary.accounted
    told.coverage_lost_s = round(sum(one.states["lost"] for one in summary.channels) / 1e9, 1)
    told.outages_logged_s = [
        round((one.data["to_ns"] - one.data["from_ns"]) / 1e9, 1)
        for one in entries
        if one.ev == "storage.outage"
    ]
    numbers = [int(one.data["uid"][-10:]) for one in entries if one.ev == "call.decided"]
    told.numbers_whole = numbers == list(range(1, told.calls + 1))
    for record in journal.everything(data / "vault" / "calls"):
        counted: Any = record.clear.get("accounted")
        if counted:
            told.packets_received += counted["received"]
            told.packets_recorded += counted["recorded"]
            told.packets_lost += counted["lost"]


def _enter_own_mounts() -> None:
    """Begin again in a mount namespace of our own, or leave with exit code 3.

    Whoever makes such a namespace copies every mount into it, and a copy of ours would keep a file
    system that we want to unmount and mend.
    """
    if os.environ.get(OWN_MOUNTS) == str(os.getpid()):
        return
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        print("storage_soak: needs root and unshare", file=sys.stderr)
        raise SystemExit(3)
    os.environ[OWN_MOUNTS] = str(os.getpid())  # it stays the same when another program begins
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m"]
    os.execvp(words[0], [*words, "greffier_sim.storage_soak", *sys.argv[1:]])  # noqa: S606


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--tail-s", type=float, default=TAIL_S, help="speech after the illness")
    parser.add_argument("--stall-s", type=int, help="limits.stall_s instead of the case's own")
    parser.add_argument("--json", action="store_true", help="the default, and the only form")
    given = parser.parse_args()
    _enter_own_mounts()
    good = True
    for case in given.case or CASES:
        with tempfile.TemporaryDirectory(prefix="greffier-soak-") as folder:
            try:
                stall_s = given.stall_s or STALL_S[case]
                told = run_case(
                    case, Path(folder), given.calls, given.seconds, stall_s, given.tail_s
                )
            except Unable as error:
                print(f"storage_soak: {error}", file=sys.stderr)
                raise SystemExit(3) from error
        print(json.dumps(asdict(told)), flush=True)
        good &= told.good
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
