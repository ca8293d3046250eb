"""A network in namespaces: two parties, a switch between them, and mirrored ports of it.

    caller ── switch ── callee          every frame of the caller's port, both ways, is copied
                │                       to each mirror
           tap0, tap1 in `recorder`

A machine without root, iproute2, or namespaces raises :class:`Missing`.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greffier_sim.soak_missing import Missing

CALLER_HOST, CALLEE_HOST = "10.77.0.1", "10.77.0.2"
TAPS = ("tap0", "tap1")


@dataclass(frozen=True, slots=True)
class Lab:
    """The names of the namespaces."""

    caller: str
    callee: str
    switch: str
    recorder: str

    @staticmethod
    def inside(namespace: str, *words: str) -> list[str]:
        """The command *words*, to be run in *namespace*."""
        return ["ip", "netns", "exec", namespace, *words]


def need(*tools: str) -> None:
    """Raises Missing where this is not root or one of *tools* is not installed."""
    if os.geteuid() != 0:
        raise Missing("making a network namespace needs root")
    for tool in ("ip", *tools):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not installed: ./build.sh setup installs it")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"no network can be made here: {' '.join(words)}: {done.stderr.strip()}")


def _build(lab: Lab) -> None:
    switch = ("ip", "-n", lab.switch)
    _run(*switch, "link", "add", "bridge0", "type", "bridge")
    _run(*switch, "link", "set", "bridge0", "up")
    parties = ((lab.caller, CALLER_HOST, "port0"), (lab.callee, CALLEE_HOST, "port1"))
    for namespace, host, port in parties:
        _run(
            *switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace
        )
        _run(*switch, "link", "set", port, "master", "bridge0", "up")
        _run("ip", "-n", namespace, "addr", "add", f"{host}/24", "dev", "eth0")
        _run("ip", "-n", namespace, "link", "set", "eth0", "up")
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
    mirror: list[str] = []
    for number, tap in enumerate(TAPS):
        span = f"span{number}"
        _run(
            *switch, "link", "add", span, "type", "veth", "peer", "name", tap, "netns", lab.recorder
        )
        _run(*switch, "link", "set", span, "up")
        _run("ip", "-n", lab.recorder, "link", "set", tap, "up", "promisc", "on")
        mirror += ["action", "mirred", "egress", "mirror", "dev", span]
    control = ("tc", "-n", lab.switch)
    _run(*control, "qdisc", "add", "dev", "port0", "clsact")
    for way in ("ingress", "egress"):
        every = ["protocol", "all", "prio", "1", "u32", "match", "u32", "0", "0"]
        _run(*control, "filter", "add", "dev", "port0", way, *every, *mirror)
    _run("ip", "-n", lab.recorder, "link", "set", "lo", "up")


@contextlib.contextmanager
def network() -> Iterator[Lab]:
    """Build it, and take it down. Raises Missing."""
    need("tc")
    mark = secrets.token_hex(3)
    lab = Lab(*(f"greffier-{mark}-{name}" for name in ("caller", "callee", "switch", "recorder")))
    names: Sequence[str] = (lab.caller, lab.callee, lab.switch, lab.recorder)
    made = []
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            made.append(name)
        _build(lab)
        yield lab
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@dataclass(frozen=True, slots=True)
class Wire:
    """A namespace with two ends of one cable."""

    namespace: str
    port: str = "port"
    tap: str = "tap"

    def inside(self, *words: str) -> list[str]:
        """The command *words*, to be run in the namespace."""
        return Lab.inside(self.namespace, *words)


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """A cable between a party and a recorder's tap. Raises Missing."""
    need()
    made = Wire(f"greffier-{secrets.token_hex(4)}")
    _run("ip", "netns", "add", made.namespace)
    try:
        inside = ("ip", "-n", made.namespace, "link")
        _run(*inside, "add", made.port, "type", "veth", "peer", "name", made.tap)
        for name in ("lo", made.port, made.tap):
            _run(*inside, "set", name, "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.namespace], check=False, capture_output=True)
