"""The topics of docs/sync-protocol.md section 2, and what may stand in them. Pure."""

import re
from typing import Final

ROOT: Final = "greffier/1"
LARGEST_PAYLOAD: Final = 114_688
"""Octets of any payload (112 KiB: what the strictest public brokers take, with room to spare)."""
BULK: Final = ".b"
"""What the common name of a box's second certificate ends with."""
_DEVICE = r"[A-Za-z0-9._-]{1,64}"
_LANE = r"[a-z0-9-]{1,32}"
_is_device = re.compile(_DEVICE, re.ASCII).fullmatch
_is_lane = re.compile(_LANE, re.ASCII).fullmatch
_UP = re.compile(
    rf"{ROOT}/(?P<device>{_DEVICE})/up/(?P<what>audit|offer|p|rsp|c/(?P<lane>{_LANE}))", re.ASCII
)


def is_device(name: str) -> bool:
    """Whether *name* may be a device's: its bulk connection's name is not one."""
    return bool(_is_device(name)) and not name.endswith(BULK)


def is_lane(name: str) -> bool:
    """Whether *name* may be a lane's."""
    return bool(_is_lane(name))


def up(device: str, what: str) -> str:
    """The topic on which *device* says *what* (``audit``, ``offer``, ``p``, ``rsp``)."""
    return f"{ROOT}/{device}/up/{what}"


def chunks(device: str, lane: str) -> str:
    """The topic of *device*'s chunks on *lane*."""
    return f"{ROOT}/{device}/up/c/{lane}"


def down(device: str, what: str) -> str:
    """The topic on which head office says *what* (``audit``, ``need``, ``receipt``, ``cmd``)."""
    return f"{ROOT}/{device}/down/{what}"


def collector(lane: str) -> str:
    """The topic of the presence of the collector with this *lane*."""
    return f"{ROOT}/collector/{lane}/p"


def sender(topic: str) -> tuple[str, str, str] | None:
    """(device, what, lane) of a topic that a device writes; ``what`` is ``c`` for chunks.

    None for any other topic.
    """
    found = _UP.fullmatch(topic)
    if found is None or not is_device(found["device"]):
        return None
    return found["device"], found["what"].partition("/")[0], found["lane"] or ""
