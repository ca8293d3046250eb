"""Outputs that act on calls by themselves: a relay's pulse, a webhook. Each wait has an end."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from greffier import canonical
from greffier.config.records import Output
from greffier.control.desks import Instruction
from greffier.control.forms import to_object
from greffier.control.posting import PostFailed, post
from greffier.gate.contacts import ContactFailed, FileSwitch, GpioSwitch, Switch

PAGE: Final = "page"
"""The kind of outputs that are people: the desk's page asks them."""


class ActorFailed(Exception):
    """It was not done. The text is for our own tests."""


class Actor(Protocol):
    """Carries out an instruction. Called by one thread at a time."""

    def act(self, instruction: Instruction) -> None:
        """Do it; what returns is done. Raises ActorFailed."""


class Relay:
    """Closed for *pulse_ms*, once an instruction. *rest* waits so many seconds."""

    def __init__(
        self, switch: Switch, pulse_ms: int, rest: Callable[[float], object] | None = None
    ) -> None:
        self._switch = switch
        self._pulse_s = pulse_ms / 1000
        self._rest = rest or threading.Event().wait

    def act(self, instruction: Instruction) -> None:
        """Raises ActorFailed."""
        try:
            self._switch.set(True)
            try:
                self._rest(self._pulse_s)
            finally:
                self._switch.set(False)
        except ContactFailed as error:
            raise ActorFailed(str(error)) from error


class Webhook:
    """A signed POST of the instruction; 2xx says that it is done, not that it was understood."""

    def __init__(self, output: Output, device: str, tls: ssl.SSLContext | None = None) -> None:
        self._output = output
        self._device = device
        self._tls = tls

    def act(self, instruction: Instruction) -> None:
        """Raises ActorFailed."""
        told = {name: value for name, value in to_object(instruction).items() if name != "outputs"}
        body = canonical.dump({"v": 1, "device": self._device, "instruction": told})
        patience_s = float(self._output.deadline_s)
        try:
            post(self._output.address, self._output.secret, body, self._tls, patience_s)
        except PostFailed as error:
            raise ActorFailed(str(error)) from error


def actor_of(output: Output, device: str) -> Actor | None:
    """What serves *output*; None where people do. *device* is the box's name."""
    if output.kind == "relay":
        return Relay(switch_of(output), output.pulse_ms)
    return Webhook(output, device) if output.kind == "webhook" else None


def switch_of(output: Output) -> Switch:
    """The contact of a relay."""
    path = Path(output.address)
    if output.gpio is None:
        return FileSwitch(path, output.on, output.off)
    return GpioSwitch(path, output.gpio, high=output.on != "0")
