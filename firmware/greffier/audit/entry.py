"""One audit entry and its canonical bytes (docs/audit-format.md sections 2 and 4)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greffier import canonical
from greffier.audit.kinds import KINDS, LARGEST, LARGEST_NS, Kind
from greffier.canonical import NotCanonical

VERSION = 1
LARGEST_ENTRY = 65_535
SOURCES = frozenset({"build", "persisted", "cosignature", "statement"})
KEYS = frozenset(
    {"v", "seq", "boot", "mono_ns", "t_ns", "t_lb_ns", "t_src", "ev", "rec", "salt", "data"}
)

_is_id = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_is_kind = re.compile(r"(?=.{1,48}\Z)[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*", re.ASCII).fullmatch
_is_time = re.compile(r"0|[1-9]\d{0,18}", re.ASCII).fullmatch


class BadEntry(ValueError):
    """Bytes are not an audit entry, or a value must not be in one.

    ``offset`` is where in the bytes (0 when the entry as a whole is meant).
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset


class UnreadEntry(BadEntry):
    """A whole entry of a kind, or with a key, that this version does not know: a newer program's.

    ``seq`` and ``ev`` are the entry's. Its octets are part of the log; what it says nobody reads.
    """

    def __init__(self, reason: str, seq: int, ev: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.ev = ev


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement of the log.

    ``seq`` counts from 0 without gaps. ``boot`` and ``rec`` are 32 hex digits (``rec`` None when it
    concerns no recording). ``mono_ns`` is nanoseconds of the boot clock, ``t_ns`` the wall clock,
    ``t_lb_ns`` the lower bound of trusted time and ``t_src`` who vouches for it. ``salt`` is 32 hex
    digits, random, so that a hash alone tells nothing. ``data`` holds the keys of its kind ``ev``;
    times in it are integers here and decimal strings in the bytes.
    """

    seq: int
    boot: str
    mono_ns: int
    t_ns: int
    t_lb_ns: int
    t_src: str
    ev: str
    rec: str | None
    salt: str
    data: Mapping[str, Any]


def encode(entry: Entry) -> bytes:
    """The canonical bytes of *entry*. Raises BadEntry when a value has no place in the log."""
    written = _written(entry.ev, entry.data)
    _check(entry)
    rec = f'"{entry.rec}"' if entry.rec is not None else "null"
    # Sorted by key, as RFC 8785 demands; every value here is checked to need no escape.
    data = (
        f'{{"boot":"{entry.boot}","data":{written},"ev":"{entry.ev}",'
        f'"mono_ns":"{entry.mono_ns}","rec":{rec},"salt":"{entry.salt}","seq":{entry.seq},'
        f'"t_lb_ns":"{entry.t_lb_ns}","t_ns":"{entry.t_ns}","t_src":"{entry.t_src}","v":{VERSION}}}'
    ).encode()
    if len(data) > LARGEST_ENTRY:
        raise BadEntry("the entry is longer than 65535 bytes", LARGEST_ENTRY)
    return data


def decode(data: bytes) -> Entry:
    """The entry whose canonical bytes are *data*. Raises BadEntry for anything else.

    UnreadEntry, one of its kind, where only the kind or a key of its data is unknown here.
    """
    if len(data) > LARGEST_ENTRY:
        raise BadEntry("the entry is longer than 65535 bytes", LARGEST_ENTRY)
    try:
        value = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadEntry("not UTF-8", error.start) from None
    except json.JSONDecodeError as error:
        raise BadEntry("not JSON", error.pos) from None
    except (ValueError, RecursionError):
        raise BadEntry("not JSON") from None
    if type(value) is not dict:
        raise BadEntry("not an object")
    if value.keys() != KEYS:
        raise BadEntry("keys are missing or unknown")
    if type(value["v"]) is not int or value["v"] != VERSION:
        raise BadEntry("the version is not 1", _place(data, "v"))
    try:
        entry = _entry(data, value, _read(data, value["ev"], value["data"]))
        written = encode(entry)
    except BadEntry:
        _check_unread(data, value)
        raise
    if written != data:
        at = next(
            (i for i, pair in enumerate(zip(written, data, strict=False)) if len(set(pair)) > 1), 0
        )
        raise BadEntry("not in canonical form", at)
    return entry


def _entry(raw: bytes, value: Mapping[str, Any], told: Mapping[str, Any]) -> Entry:
    return Entry(
        seq=value["seq"],
        boot=value["boot"],
        mono_ns=_time(raw, value, "mono_ns"),
        t_ns=_time(raw, value, "t_ns"),
        t_lb_ns=_time(raw, value, "t_lb_ns"),
        t_src=value["t_src"],
        ev=value["ev"],
        rec=value["rec"],
        salt=value["salt"],
        data=told,
    )


def _check_unread(raw: bytes, value: Mapping[str, Any]) -> None:
    """Raises UnreadEntry where a newer program may have written *value*, BadEntry where none may.

    Returns where it is an entry of ours that is wrong.
    """
    ev, told = value["ev"], value["data"]
    if type(ev) is not str or not _is_kind(ev) or type(told) is not dict:
        return
    known = KINDS.get(ev)
    if known is not None and told.keys() <= known.required.keys() | known.optional.keys():
        return
    _check(_entry(raw, value, {}))
    try:
        written = canonical.dump(value)
    except NotCanonical as error:
        raise BadEntry(str(error)) from None
    if written != raw:
        raise BadEntry("not in canonical form")
    what = "no such kind of entry" if known is None else f"a key that {ev} does not have"
    raise UnreadEntry(what, value["seq"], ev)


def _written(kind: str, data: Mapping[str, Any]) -> str:
    """The canonical JSON of *data*, None left out, every key and form checked in one pass."""
    found = KINDS.get(kind)
    if found is None:
        raise BadEntry("no such kind of entry")
    parts = []
    for key, form, required in found.order:
        value = data.get(key)
        if value is None:
            if required:
                raise BadEntry(f"{key} of {kind} is missing")
            continue
        if type(value) is not form.of or not form.accepts(value):
            raise BadEntry(f"{key} of {kind} is not a {form.name}")
        # A text needs no escape, and is the commonest value by far.
        text = f'"{value}"' if form.of is str else form.write(value)
        parts.append(f'"{key}":{text}')
    if len(parts) != len(data) - list(data.values()).count(None):
        raise BadEntry(f"a key that {kind} does not have")
    return f"{{{','.join(parts)}}}"


def _read(raw: bytes, kind: object, data: object) -> dict[str, Any]:
    """The data of an entry with its times as integers; checked when the entry is written back."""
    found: Kind | None = KINDS.get(kind) if type(kind) is str else None
    if found is None:
        raise BadEntry("no such kind of entry", _place(raw, "ev"))
    if type(data) is not dict:
        raise BadEntry("data is not an object", _place(raw, "data"))
    if None in data.values():
        raise BadEntry("data holds a null", _place(raw, "data"))
    return {key: _time(raw, data, key) if key in found.times else data[key] for key in data}


def _time(raw: bytes, values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if type(value) is not str or not _is_time(value) or int(value) > LARGEST_NS:
        raise BadEntry(f"{key} is not a time", _place(raw, key))
    return int(value)


def _check(entry: Entry) -> None:
    if type(entry.seq) is not int or not 0 <= entry.seq <= LARGEST:
        raise BadEntry("seq is not a count")
    for key, text in (("boot", entry.boot), ("salt", entry.salt)):
        if type(text) is not str or not _is_id(text):
            raise BadEntry(f"{key} is not 32 hex digits")
    if entry.rec is not None and (type(entry.rec) is not str or not _is_id(entry.rec)):
        raise BadEntry("rec is not 32 hex digits")
    if type(entry.t_src) is not str or entry.t_src not in SOURCES:
        raise BadEntry("t_src is no source of time")
    for number in (entry.mono_ns, entry.t_ns, entry.t_lb_ns):
        if type(number) is not int or not 0 <= number <= LARGEST_NS:
            raise BadEntry("a time is out of range")


def _place(raw: bytes, key: str) -> int:
    return max(raw.find(b'"%s":' % key.encode()), 0)
