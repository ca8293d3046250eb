"""The n-th system call fails, for every n: the process says so or goes on, the next start recovers.

Two fixed runs of real code in real processes, whose system calls on the data directory a library
counts (failing_calls.c, by LD_PRELOAD): the recorder's archive at work (greffier_sim.power_work),
which says what it promises, and the command ``greffier import-pcap``. Each call fails once with EIO
and once with ENOSPC, not done or done all the same. SQLite's own calls are among them.

A run may end well, or with exit code 1 and a StorageFailed; anything else is undocumented. Then the
archive starts on what is left, without a fault, and all that was promised must be there.
"""

import argparse
import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from greffier_sim.soak_missing import Missing

_LIBRARY: Final = "GREFFIER_FAILING_CALLS"
_WAYS: Final = tuple((number, kept) for number in (errno.EIO, errno.ENOSPC) for kept in (0, 1))
_CALLS: Final = 2


@dataclass
class Figures:
    """What the runs showed. *counted*: system calls of each run without a fault."""

    counted: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    said: int = 0
    went_on: int = 0
    undocumented: int = 0
    failed_starts: int = 0
    silent_losses: int = 0
    mutants: int = 0
    mutants_caught: int = 0
    wrong: list[str] = field(default_factory=list)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--every", type=int, default=1, help="only every such call fails")
    parser.add_argument("--first", type=int, default=1, help="the first that fails")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it in a process of its own, with the library below it; the figures."""
    if shutil.which("gcc") is None:
        raise Missing("needs gcc")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="greffier-calls-") as folder:
        library = Path(folder) / "failing_calls.so"
        source = Path(__file__).with_name("failing_calls.c")
        flags = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-o", str(library), str(source), "-ldl"]
        subprocess.run(["gcc", *flags], check=True)
        options = ["--every", str(words.every), "--first", str(words.first)]
        done = subprocess.run(
            [sys.executable, "-m", "greffier_sim.soak_syscalls", folder, *options],
            env={**os.environ, "LD_PRELOAD": str(library), _LIBRARY: str(library)},
            stdout=subprocess.PIPE,
            check=False,
        )
    if done.returncode:
        raise Missing(f"the process with the library ended with {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    say(f"{found['runs']} runs")
    good = not found["wrong"] and found["mutants"] == found["mutants_caught"]
    return {**found, "seconds": round(time.monotonic() - began, 1), "ok": good}


def in_a_child(work: Callable[[], str]) -> tuple[int, str]:
    """Run *work* in a fork: 0 and what it returned, or 99 and how it ended."""
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.close(here)
        code, text = 99, ""
        try:
            text, code = work(), 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told
            text = f"{type(error).__name__}: {error!r}"
        finally:
            os.write(there, text.encode()[:60_000])
            os._exit(code)
    os.close(there)
    with os.fdopen(here, "rb") as answer:
        said = answer.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


class Bench:
    """The two runs, in a process that has the library below it. Owned by one thread."""

    def __init__(self, folder: Path) -> None:
        import ctypes  # noqa: PLC0415 - what follows is heavy, and only the inner process needs it

        from greffier.cli.main import COMMANDS, run  # noqa: PLC0415
        from greffier.policy import rules  # noqa: PLC0415
        from greffier.seal import keys  # noqa: PLC0415
        from greffier_sim import captures, packets, power_check, power_work  # noqa: PLC0415

        self.swallows = False
        """Whether what runs is the mutant that takes a write that failed for done."""
        self._library = ctypes.CDLL(os.environ[_LIBRARY])
        self._run: Callable[[list[str]], int] = partial(_greffier, run, dict(COMMANDS))
        self._power, self._check = power_work, power_check
        self._key = keys.generate(keys.Role.OFFICE)
        self._folder = folder
        self._fresh = folder / "fresh"
        self._fresh.mkdir()
        power_work.prepare(self._fresh, self._key.public.format().encode())
        self._traffic = power_work.traffic(1, _CALLS)
        self._policy = rules.builtin("paris-desk.toml")
        self._capture, self._next = folder / "calls.pcap", folder / "next.pcap"
        self._capture.write_bytes(packets.pcap(packets.frames_of(self._traffic)))
        plan = captures.Plan(call_id="next@power", start_ns=1_710_000_000 * 10**9)
        self._next.write_bytes(packets.pcap(packets.frames_of(captures.call(plan))))

    def works(self) -> dict[str, Callable[[Path], str]]:
        """What is run, by name."""
        return {"archive": self._archive, "import": self._import}

    def play(self, name: str, at: int, number: int, kept: int, figures: Figures) -> int:
        """One run of *name* whose *at*-th call fails (0: none); how many calls it made."""
        box = self._folder / "work"
        shutil.rmtree(box, ignore_errors=True)
        shutil.copytree(self._fresh, box)
        note = self._folder / "note"
        note.write_bytes(b"")

        def work() -> str:
            if self.swallows:
                _swallow_errors()
            self._library.fail_below(str(box).encode(), at, number, kept)
            said = self.works()[name](box)
            return f"{self._library.fail_count()} {said}"

        code, said = in_a_child(work)
        what = f"{name}, call {at}, {errno.errorcode.get(number, 'none')}, done {kept}"
        figures.runs += 1
        if code:
            figures.undocumented += 1
            figures.wrong.append(f"{what}: {said[-300:]}")
        count, _, outcome = said.partition(" ")
        figures.said += outcome.startswith("said")
        figures.went_on += outcome.startswith("done")
        if not code and not outcome.startswith(("said", "done")):
            figures.undocumented += 1
            figures.wrong.append(f"{what}: {outcome[-300:]}")
        again, left = in_a_child(lambda: self._look(name, box, outcome))
        if again or left:
            figures.failed_starts += bool(again) or "no start" in left
            figures.silent_losses += not again and "no start" not in left
            figures.wrong.append(f"{what} ({outcome[:40]}), then: {left[-300:]}")
        return int(count) if not code else 0

    # --- what runs with the fault ---

    def _archive(self, box: Path) -> str:
        from greffier.errors import GreffierError  # noqa: PLC0415

        note_fd = os.open(self._folder / "note", os.O_WRONLY | os.O_APPEND)
        try:
            self._power.Worker(box, note_fd, 1, separator=b"\n").run(self._traffic)
        except GreffierError as error:
            return f"said {type(error).__name__}" if error.exit_code == 1 else f"{error!r}"
        return "done"

    def _import(self, box: Path) -> str:
        words = ["import-pcap", str(self._capture), "--policy", str(self._policy)]
        words += ["--data", str(box / self._power.BOX), "--line", "desk", "--json"]
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = self._run(words)
        lines = [line for line in err.getvalue().splitlines() if not line.endswith(" %")]
        if code == 0:
            calls = json.loads(out.getvalue().splitlines()[-1])["calls"]
            return f"done {len(calls)}"
        if code == 1 and len(lines) == 1 and " — " in lines[0]:
            return f"said {lines[0]}"
        return f"exit {code}: {err.getvalue()[-200:]}"

    # --- what must hold after it ---

    def _look(self, name: str, box: Path, outcome: str) -> str:
        self._library.fail_below(b"", 0, 0, 0)
        if name == "archive":
            promise = self._power.Promise()
            for line in (self._folder / "note").read_bytes().splitlines():
                promise.take(line)
            plans = self._power.plans(random.Random("calls 1"), _CALLS)
            return "; ".join(self._check.check(box, promise, self._key, plans).wrong)
        return self._after_import(box / self._power.BOX, outcome)

    def _after_import(self, data: Path, outcome: str) -> str:
        def ask(*words: str) -> tuple[int, Any]:
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                code = self._run([*words, "--data", str(data), "--json"])
            found = out.getvalue().splitlines()
            return code, json.loads(found[-1]) if found else err.getvalue()[-200:]

        policy = ("--policy", str(self._policy), "--line", "desk")
        code, found = ask("import-pcap", str(self._next), *policy)
        if code:
            return f"no start: {found}"
        code, found = ask("audit", "verify")
        if code:
            return f"audit verify: {found}"
        code, found = ask("calls")
        if code:
            return f"calls: {found}"
        whole = [one for one in found["calls"] if one["result"] == "ok" and one["parts"]]
        if outcome.startswith("done") and len(whole) != int(outcome.split()[1]) + 1:
            return f"{outcome}, and {len(whole)} calls are whole"
        return ""


def _greffier(
    run: Callable[[str, dict[str, str], list[str], str], int],
    commands: dict[str, str],
    words: list[str],
) -> int:
    return run("greffier", commands, words, "0")


def _swallow_errors() -> None:
    from greffier.durable import LinuxSystem  # noqa: PLC0415

    real = LinuxSystem.write

    def write(self: LinuxSystem, fd: int, data: memoryview, offset: int) -> int:
        try:
            return real(self, fd, data, offset)
        except OSError:
            return len(data)

    LinuxSystem.write = write  # type: ignore[method-assign]


def _caught(bench: Bench, calls: int) -> bool:
    """Whether the mutant is found out by one of its calls, from the middle of the run on."""
    bench.swallows = True
    found = Figures()
    for at in range(calls // 2, calls + 1):
        bench.play("archive", at, errno.EIO, 0, found)
        if found.wrong:
            return True
    return False


def play_all(folder: Path, every: int, first: int) -> Figures:
    """All runs, in this process, which has the library below it; how far it came on stderr."""
    figures = Figures()
    bench = Bench(folder)
    for name in bench.works():
        figures.counted[name] = bench.play(name, 0, 0, 0, figures)
        for at in range(first, figures.counted[name] + 1, every):
            for number, kept in _WAYS:
                bench.play(name, at, number, kept, figures)
            if figures.runs % 200 < len(_WAYS):
                print(f"{name}: call {at} of {figures.counted[name]}", file=sys.stderr, flush=True)
    figures.mutants = 1
    figures.mutants_caught = int(_caught(bench, figures.counted["archive"]))
    return figures


if __name__ == "__main__":
    inner = argparse.ArgumentParser()
    inner.add_argument("folder", type=Path)
    configure(inner)
    given = inner.parse_args()
    print(json.dumps(asdict(play_all(given.folder, given.every, given.first))))
