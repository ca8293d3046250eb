"""The two other processes of the soak of kills: who calls, and who checks."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from greffier_sim import lab
from greffier_sim.soak_box import SoakBox


class Party:
    """:mod:`greffier_sim.talk` on the other end of the wire."""

    def __init__(self, net: lab.Wire, log: Path, words: argparse.Namespace) -> None:
        self.log = log
        more = ["--calls", str(words.calls), "--seed", str(words.seed)]
        more += ["--shortest", str(words.shortest), "--longest", str(words.longest)]
        self._process = subprocess.Popen(
            net.inside(sys.executable, "-m", "greffier_sim.talk", net.port, str(log), *more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        self._process.stdout.readline()

    def end(self, seconds: float) -> list[dict[str, Any]]:
        """No new call begins; what was said, when the last is over."""
        assert self._process.stdin is not None  # noqa: S101 - asked for at the start
        self._process.stdin.close()
        self._process.wait(timeout=seconds)
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101 - asked for at the start
            pipe.close()


class Peer:
    """A process that answers each line it is given with a line of JSON."""

    def __init__(self, *words: str) -> None:
        """*words* follow the interpreter's name."""
        self._process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, words: str) -> dict[str, Any]:
        """Its answer to one line."""
        assert self._process.stdin is not None  # noqa: S101 - asked for at the start
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Outside(Peer):
    """The checker's process."""

    def __init__(self, box: SoakBox) -> None:
        program = Path(__file__).with_name("soak_checker.py")
        super().__init__(str(program), str(box.socket), str(box.data))
