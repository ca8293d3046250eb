"""A recorder that runs in a network namespace of its own, on one end of a wire."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from greffier.cli.main import run as greffier
from greffier.policy import rules
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim import lab
from greffier_sim.appliance import Appliance
from greffier_sim.soak_missing import Missing

PYTHON = sys.executable
CONFIG = """schema = "recorder/1"
data = "box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 300
[control]
socket = "{socket}"
[taps.trunk]
interface = "tap"
[[match]]
line = "{line}"
"""


@contextlib.contextmanager
def wire() -> Iterator[str]:
    """A namespace that holds a veth pair, `port` and `tap`; its name. Skips where not allowed."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(lab.wire())
        except Missing as error:
            pytest.skip(str(error))
        yield made.namespace


class Box(Appliance):
    """One recorder, and what it is made of."""

    def __init__(
        self, folder: Path, namespace: str, policy: str, line: str, *, pauses: bool = False
    ) -> None:
        """Without *pauses* the policy names nothing that may start one, and no sound waits."""
        place = ("ip", "netns", "exec", namespace) if namespace else ()
        super().__init__(folder, folder / "control.sock", place)
        self.namespace = namespace
        content = rules.builtin(policy).read_text()
        if not pauses:
            content = re.sub(r"(?m)^sources = .*$", "sources = []", content)
        (folder / "policy.toml").write_text(content)
        self._office("keygen", "-o", str(folder / "keys"))
        for name in ("alice", "bob"):
            self._office("signer", name, "-o", str(folder))
            self._office("sign", str(folder / "policy.toml"), "--key", str(folder / f"{name}.key"))
        known = [(folder / f"{name}.pub").read_text() for name in ("alice", "bob")]
        (folder / "signers").write_text("".join(known))
        self.config.write_text(CONFIG.format(socket=self.socket, line=line))
        words = ["init", "--data", str(folder / "box")]
        words += ["--office-key", str(folder / "keys/office.pub")]
        from greffier.cli.main import COMMANDS  # noqa: PLC0415 - beside the office's

        assert greffier("greffier", COMMANDS, words, "test") == 0

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "box"

    @staticmethod
    def _office(*words: str) -> None:
        assert greffier("greffier-office", OFFICE, list(words), "test") == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def replay(self, capture: Path) -> subprocess.Popen[bytes]:
        """Begin to send *capture* onto the wire."""
        command = [PYTHON, "-m", "greffier_sim.replay", str(capture), "port"]
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command], stdout=subprocess.DEVNULL
        )
