"""The sampling keys of a box's epochs and months: revealed by its log, or opened by head office.

First pass over a log: keys are revealed after what they drew. Pure.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from greffier.audit.entry import Entry
from greffier.policy import sampling
from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, DoesNotOpen, What
from greffier.seal.keys import Opener

Say = Callable[[str, Entry, str], None]
"""Is told the code of a finding, the entry, and a detail."""
_NOT_OURS = 10


def slots_name(month: str) -> str:
    """The name under which the slots' key of *month* is committed to and sealed."""
    return f"{month}.slots"


@dataclass(slots=True)
class _Committed:
    commit: str
    key: bytes | None = None
    source: str = "unknown"


@dataclass(slots=True)
class Keys:
    """Made by :func:`collect`."""

    epochs: dict[str, _Committed] = field(default_factory=dict)
    slots: dict[str, _Committed] = field(default_factory=dict)
    agents: dict[str, bytes] = field(default_factory=dict)
    """Of each month the key of its pseudonyms, where it could be opened."""
    months: dict[str, Entry] = field(default_factory=dict)
    """Of each month that was opened that entry."""

    def epoch(self, name: str) -> bytes | None:
        """The sampling key of the epoch *name*, where it is known."""
        found = self.epochs.get(name)
        return found.key if found else None

    def source(self, name: str) -> str:
        """Where the key of the epoch *name* came from."""
        found = self.epochs.get(name)
        return found.source if found else "unknown"

    def slots_of(self, month: str) -> bytes | None:
        """The slots' key of *month*, where it is known."""
        found = self.slots.get(month)
        return found.key if found else None


def collect(entries: Iterable[Entry], opener: Opener | None, say: Say) -> Keys:
    """The keys that *entries* reveal, and those that *opener* (head office's key) opens."""
    keys = Keys()
    for entry in entries:
        data = entry.data
        if entry.ev == "epoch.opened":
            _opened(keys.epochs, data["epoch"], data["epoch"], entry, opener, say)
        elif entry.ev == "epoch.closed" and "key" in data:
            _revealed(keys.epochs, data["epoch"], data["epoch"], entry, say)
        elif entry.ev == "month.opened":
            _month(keys, entry, opener, say)
        elif entry.ev == "month.closed":
            _revealed(keys.slots, data["month"], slots_name(data["month"]), entry, say)
    return keys


def _month(keys: Keys, entry: Entry, opener: Opener | None, say: Say) -> None:
    month = entry.data["month"]
    if month in keys.months:
        say("epoch.twice", entry, f"month {month}")
        return
    keys.months[month] = entry
    found = _open(entry, "agents", month, opener, say)
    if found is not None:
        keys.agents[month] = found
    if "commit" in entry.data:
        _opened(keys.slots, month, slots_name(month), entry, opener, say)


def _opened(
    held: dict[str, _Committed],
    place: str,
    name: str,
    entry: Entry,
    opener: Opener | None,
    say: Say,
) -> None:
    if place in held:
        return  # the second pass says that it was opened twice
    made = held[place] = _Committed(entry.data["commit"])
    key = _open(entry, "sampling", name, opener, say)
    if key is None:
        return
    if sampling.commit(name, key) != made.commit:
        say("key.sealed", entry, "the sealed key is not the one committed to")
        return
    made.key, made.source = key, "opened"


def _revealed(held: dict[str, _Committed], place: str, name: str, entry: Entry, say: Say) -> None:
    made = held.get(place)
    if made is None:
        say("epoch.other", entry, f"{place} was never opened")
        return
    key = bytes.fromhex(entry.data["key"])
    if sampling.commit(name, key) != made.commit:
        say("key.other", entry, "the revealed key is not the one committed to")
        return
    made.key, made.source = key, "revealed"


def _open(entry: Entry, field_: str, name: str, opener: Opener | None, say: Say) -> bytes | None:
    sealed = entry.data.get(field_)
    if sealed is None or opener is None:
        return None
    block = bytes.fromhex(sealed)
    try:
        return envelope.open_block(block, What.SAMPLING, envelope.epoch_id(name), opener)
    except BadEnvelope as error:
        say("key.sealed", entry, error.reason)
    except DoesNotOpen as error:
        if error.number != _NOT_OURS:  # else it is sealed to another key than the one given
            say("key.sealed", entry, error.reason)
    return None
