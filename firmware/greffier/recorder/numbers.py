"""Call numbers without gaps, per line, and the pseudonym of a call in the log."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Self

from greffier.audit import verify
from greffier.calls.events import CallStarted
from greffier.capture.datagram import Address
from greffier.policy.sampling import call_uid
from greffier.recorder.picture import Picture
from greffier.store.layout import DataDirectory
from greffier.trust import LogKey


class Numbers:
    """The next number of each line. One thread owns it.

    A number becomes durable with its decision record, so the log is where the last one is found:
    a number that was given out and never committed is given out again.
    """

    def __init__(self, device: str, last: Mapping[str, int]) -> None:
        """*last* is the last number of each line that has one."""
        self._device = device
        self._last = dict(last)

    @classmethod
    def of(cls, data: DataDirectory) -> Self:
        """Those of a data directory, whose whole log is read. Raises IntegrityError."""
        picture = Picture()
        for entry in verify.entries(data.path):
            picture.read(entry)
        return cls(data.identity.device, picture.numbers)

    def next(self, line: str) -> str:
        """The uid of the next call of *line*."""
        number = self._last.get(line, 0) + 1
        self._last[line] = number
        return call_uid(self._device, line, number)


def _keyed(key: LogKey, name: str) -> str:
    secret = hmac.digest(key.private.private_bytes_raw(), b"greffier/call@v1", "sha256")
    return hmac.digest(secret, name.encode("utf-8", "replace"), "sha256").hex()


def pseudonym(key: LogKey, call: CallStarted) -> str:
    """64 hex digits by which the recorder knows the call again after a restart.

    Keyed with a secret of the device, so that the log alone does not show whether a Call-ID that
    somebody knows was here.
    """
    if call.channel:
        return channel_pseudonym(key, call.channel)
    name = call.call_id if call.call_id is not None else f"{call.call}@{call.time_ns}"
    return dialog_pseudonym(key, name)


def channel_pseudonym(key: LogKey, channel: str) -> str:
    """The same for a call on an analogue line, of which at most one runs at a time."""
    return _keyed(key, f"analogue {channel}")


def dialog_pseudonym(key: LogKey, call_id: str) -> str:
    """The same for a Call-ID."""
    return _keyed(key, call_id)


def flow_pseudonym(key: LogKey, source: Address, destination: Address) -> str:
    """The same for the addresses of a leg: all that is left of a call whose Call-ID comes late."""
    return _keyed(key, f"{source} {destination}")


def offer_pseudonym(key: LogKey, address: Address) -> str:
    """The same for where a call said that one side will be heard, before anything was."""
    return _keyed(key, f"{address}")


def flow_names(key: LogKey, source: Address, destination: Address) -> list[str]:
    """Every pseudonym under which RTP between two addresses may be known, the surest first."""
    pairs = [flow_pseudonym(key, *pair) for pair in ((source, destination), (destination, source))]
    return pairs + [offer_pseudonym(key, address) for address in (source, destination)]


def journal_name(uid: str) -> str:
    """The name of the call *uid* in the journal, the same before and after a restart."""
    return hashlib.sha256(b"greffier/call\0" + uid.encode()).hexdigest()[:32]
