"""What a demonstration says to who watches, what it runs of the product, and what it remembers."""

import io
import json
import os
import sys
from collections.abc import Container
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greffier import __version__
from greffier.cli.main import COMMANDS as GREFFIER
from greffier.cli.main import run
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim.scenes import Handset, Talk

PROGRAMS = {"greffier": GREFFIER, "greffier-office": OFFICE}


class Broken(Exception):
    """A promise did not hold, or a part of the demo could not be run: what, in one line."""


@dataclass(slots=True)
class Told:
    """What was played, and what the demo counted of it."""

    placed: dict[int, tuple[Talk, bytes]] = field(default_factory=dict)
    """By the UDP port from which the caller speaks: the call, and what was said (A-law)."""
    spoken: dict[Handset, NDArray[np.int16]] = field(default_factory=dict)
    """What the sound card of each analogue line sends after the kill, from its first frame on."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    checks: list[tuple[str, bool]] = field(default_factory=list)
    down_s: float = 0.0
    """From the kill until the recorder was armed again."""
    outage_s: float = 0.0
    """For how long the line to head office was cut."""
    waited: int = 0
    """Sealed parts that head office had not confirmed when the line came back."""
    confirmed_while_cut: int = 0
    """Receipts that came through a line that was cut."""
    unseen: int = 0
    """Packets that tcpdump missed itself."""

    def check(self, what: str, held: bool) -> bool:
        """Note whether a promise held, and say so."""
        self.checks.append((what, held))
        say(f"  {'✔' if held else '✖'} {what}")
        return held


def say(text: str = "") -> None:
    """One line for the person who watches (stdout is kept for the result)."""
    print(text, file=sys.stderr, flush=True)


def command(*words: str, allowed: Container[int] = (0,)) -> dict[str, Any]:
    """Run one of the product's commands; the JSON object that it prints, and its ``exit`` code.

    In this process: starting Python for each would take longer than all that they do.
    Raises Broken.
    """
    program, *rest = words
    asked = [*rest, "--json", "--lang", os.environ["LANGUAGE"]]  # as speak() left it
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(program, PROGRAMS[program], asked, __version__)
    if code not in allowed:
        raise Broken(f"{program} {rest[0]}: {err.getvalue().strip()}")
    lines = out.getvalue().strip().splitlines()
    return {**(json.loads(lines[-1]) if lines else {}), "exit": code}
