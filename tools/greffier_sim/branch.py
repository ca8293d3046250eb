"""A branch's telephone wiring, real or feigned: where telephones, recorder and witness are put.

In namespaces (:mod:`greffier_sim.lab`) two telephones hang on a switch, and the recorder and a
witness each listen to a mirror of one port. Where namespaces are not allowed the telephones talk
over the loopback, and both listen to that.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from greffier_sim import lab
from greffier_sim.soak_missing import Missing

LOOPBACK_SWITCH = "GREFFIER_DEMO_LOOPBACK"
"""The environment variable that asks for the loopback, whatever is allowed."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Prefixes are put before the commands that run there."""

    caller: tuple[str, ...]
    caller_host: str
    answering: tuple[str, ...]
    answering_host: str
    recorder: tuple[str, ...]
    interface: str
    """The mirror to which the recorder listens."""
    witness: str
    """The one to which somebody else does, beside it."""
    network: str
    """The telephones' addresses: all else is none of the recorder's business."""


@contextlib.contextmanager
def mirrored() -> Iterator[Branch]:
    """A branch in namespaces, gone at the end. Raises Missing."""
    if os.environ.get(LOOPBACK_SWITCH):
        raise Missing(f"{LOOPBACK_SWITCH} is set")
    with lab.network() as made:
        inside = [tuple(made.inside(name)) for name in (made.caller, made.callee, made.recorder)]
        caller, answering, recorder = inside
        network = f"{lab.CALLER_HOST.rpartition('.')[0]}.0/24"
        taps = lab.TAPS
        hosts = (lab.CALLER_HOST, lab.CALLEE_HOST)
        yield Branch(caller, hosts[0], answering, hosts[1], recorder, *taps, network)


def loopback() -> Branch:
    """The telephones on addresses of the loopback that nobody else is likely to use."""
    net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(254) + 1}"
    return Branch((), f"{net}.1", (), f"{net}.2", (), "lo", "lo", f"{net}.0/24")
