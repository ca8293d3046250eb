"""What an audit entry may say: every kind, its keys, and the form of each value.

Nothing personal fits into these forms: no free text, no number of a caller, no name of a person.
A key that is not listed, or a value in another form, is refused before it reaches the log.
The same tables, for a reader without this program: docs/audit-format.md section 4.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from greffier.audit.kinds_people import PEOPLE, VISIT

LARGEST = 2**53 - 1
LARGEST_NS = 2**63 - 1
LONGEST_LIST = 1024

STATES = ("recorded", "idle", "not_recorded", "paused", "lost", "blind", "off")
RECORDS = ("none", "seg", "full", "cont", "provisional_deleted")
RESULTS = ("ok", "degraded", "failed", "blocked", "not_recordable")
CLASSES = ("A", "B", "C")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one value: a word for the documents, its Python type, the test it must pass.

    ``accepts`` is only asked about values of that very type; a text that it accepts needs no escape
    in JSON. ``write`` gives the JSON of an accepted value.
    """

    name: str
    of: type
    accepts: Callable[[Any], object]
    write: Callable[[Any], str]

    def holds(self, value: object) -> bool:
        """Whether *value* has this form."""
        return type(value) is self.of and bool(self.accepts(value))


def _quoted(value: object) -> str:
    return f'"{value}"'


def _text(name: str, pattern: str) -> Form:
    return Form(name, str, re.compile(pattern).fullmatch, _quoted)


def _choice(name: str, choices: tuple[str, ...]) -> Form:
    return Form(name, str, frozenset(choices).__contains__, _quoted)


def _whole(name: str, largest: int, write: Callable[[Any], str]) -> Form:
    return Form(name, int, lambda value: 0 <= value <= largest, write)


def _several(one: Form) -> Form:
    def accepts(values: list[object]) -> bool:
        return len(values) <= LONGEST_LIST and all(map(one.holds, values))

    def write(values: list[Any]) -> str:
        return f"[{','.join(map(one.write, values))}]"

    return Form(f"list of {one.name}", list, accepts, write)


# At most six digits in a name: no caller's number fits. Counters have a form of their own. None of
# these characters needs an escape in JSON.
_FEW_DIGITS = r"(?!(?:\D*\d){7})"
_NAME = rf"{_FEW_DIGITS}[^\W_][\w .,'()&+/-]{{0,63}}"
# A case has a year and a number; eight digits are no telephone number of the countries served.
_REFERENCE = _NAME.replace("{7}", "{9}", 1)
_UID = r"[A-Za-z0-9._-]{1,64}/(?!(?:[^/\d]*\d){7})[^\W_][\w .,'()&+-]{0,63}/[0-9]{10}"

ID = _text("id", r"[0-9a-f]{32}")
HASH = _text("hash", r"[0-9a-f]{64}")
KEY_ID = _text("key id", r"[0-9a-f]{16}")
PSEUDONYM = _text("pseudonym", r"[0-9a-f]{16,64}")
NAME = _text("name", _NAME)
REFERENCE = _text("reference", _REFERENCE)
DEVICE = _text("device", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
UID = _text("uid", _UID)
CHANNEL = _text("channel", rf"[0-9a-f]{{32}}|{_UID}|{_NAME}")
EPOCH = _text("epoch", r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9a-z]{1,32})?")
CODE = _text("code", r"[A-Z][A-Z0-9_]{0,47}")
WORD = _text("word", r"(?!(?:\D*\d){4})[a-z][a-z0-9_.-]{0,47}")
REASON = _text("reason", r"(?!(?:\D*\d){4})[A-Za-z][A-Za-z0-9_.-]{0,47}")
VALUE = _text("value", r"(?!(?:\D*\d){4})[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
VERSION = _text("version", r"(?!(?:\D*\d){7})[0-9A-Za-z][0-9A-Za-z.+-]{0,31}")
SEALED = _text("hex", r"(?:[0-9a-f]{2}){1,4096}")
KEY_HASH = _text("key hash", r"[0-9a-f]{8}")
SIGNATURE = _text("signature", r"[0-9a-f]{128}")
FILE = _text("log file", r"entries-[0-9]{10}(\.[1-9][0-9]{0,3})?\.glog")
COUNTRY = _text("country", r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
COUNT = _whole("count", LARGEST, str)
TIME = _whole("ns", LARGEST_NS, _quoted)
MONTH = _text("month", r"[0-9]{4}-(0[1-9]|1[0-2])")
FLAG = Form("flag", bool, lambda value: True, lambda value: "true" if value else "false")
STATE = _choice("state", STATES)
RECORD = _choice("record", RECORDS)
RESULT = _choice("result", RESULTS)
CLASS = _choice("class", CLASSES)
IDS, CODES, NAMES, EPOCHS = _several(ID), _several(CODE), _several(NAME), _several(EPOCH)
UIDS, KEY_HASHES, KEY_IDS = _several(UID), _several(KEY_HASH), _several(KEY_ID)
PSEUDONYMS, SIGNATURES = _several(PSEUDONYM), _several(SIGNATURE)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entry: the keys that must be in its data, and those that may be.

    ``order`` holds all of them as they are written: (key, form, is it required), sorted.
    """

    required: Mapping[str, Form]
    optional: Mapping[str, Form]
    times: frozenset[str]
    order: tuple[tuple[str, Form, bool], ...]


_BY_NAME: Mapping[str, Form] = {
    one.name: one
    for one in (
        *(ID, HASH, PSEUDONYM, NAME, REFERENCE, CODE, WORD, COUNTRY, COUNT, TIME),
        *(IDS, CODES, NAMES, PSEUDONYMS, SIGNATURES),
    )
}


def _named(keys: Mapping[str, str]) -> dict[str, Form]:
    return {key: _BY_NAME[form] for key, form in keys.items()}


def _kind(required: dict[str, Form], optional: dict[str, Form] | None = None) -> Kind:
    optional = optional or {}
    forms = required | optional
    times = frozenset(key for key, form in forms.items() if form is TIME)
    order = tuple((key, forms[key], key in required) for key in sorted(forms))
    return Kind(required, optional, times, order)


KINDS: Mapping[str, Kind] = {
    "device.created": _kind(
        {"device": DEVICE, "version": VERSION},
        {"office_key": KEY_ID, "console_key": KEY_ID, "class": CLASS},
    ),
    "epoch.opened": _kind(
        {"epoch": EPOCH, "commit": HASH},
        {"sampling": SEALED, "office_key": KEY_ID, "console_key": KEY_ID},
    ),
    "epoch.closed": _kind(
        {"epoch": EPOCH}, {"calls": COUNT, "parts": COUNT, "reason": WORD, "key": HASH}
    ),
    "epoch.witnessed": _kind({"epoch": EPOCH, "size": COUNT, "draws": COUNT}, {"waited_ns": TIME}),
    "month.opened": _kind(
        {"month": MONTH, "agents": SEALED, "office_key": KEY_ID},
        {"commit": HASH, "sampling": SEALED},
    ),
    "month.closed": _kind({"month": MONTH, "key": HASH}),
    "policy.adopted": _kind(
        {"policy": NAME, "policy_version": COUNT, "policy_sha256": HASH, "signed": FLAG},
        {"packs_sha256": HASH, "packs_version": VERSION, "fail_mode": WORD, "controller": NAME}
        | {"by": PSEUDONYMS, "keys": KEY_HASHES, "signatures": SIGNATURES, "others": COUNT}
        | dict.fromkeys(("never", "changed", "looser"), NAMES),
    ),
    "policy.refused": _kind(
        {"reason": WORD},
        {"policy": NAME, "policy_version": COUNT, "policy_sha256": HASH},
    ),
    "call.decided": _kind(
        {"uid": UID, "line": NAME, "record": RECORD, "codes": CODES, "call": HASH},
        {
            "at_ns": TIME,
            "u": COUNT,
            "stratum": NAME,
            "epoch": EPOCH,
            "recording": ID,
            "purposes": NAMES,
            "announce": WORD,
            "action": WORD,
            "pause": WORD,
            "policy": NAME,
            "policy_version": COUNT,
            "policy_sha256": HASH,
            "packs_sha256": HASH,
            "trigger": WORD,
            "waits_ns": TIME,
            "dir": WORD,
            "consumer": COUNTRY,
            "agent": PSEUDONYM,
            "month": MONTH,
            "used": COUNT,
            "slot": FLAG,
            "given": NAMES,
            "notice": WORD,
        },
    ),
    "notice.heard": _kind(
        {"uid": UID, "at_ns": TIME, "score": COUNT, "notice": HASH},
        {"line": NAME, "recording": ID},
    ),
    "call.counted": _kind(
        {"uid": UID, "agent": PSEUDONYM, "month": MONTH, "used": COUNT, "codes": CODES},
        {"slot": FLAG},
    ),
    "call.paused": _kind(
        {"uid": UID, "at_ns": TIME, "from_ns": TIME, "source": WORD},
        {"line": NAME, "legs": WORD, "recording": ID, "user": COUNT},
    ),
    "call.unpaused": _kind(
        {"uid": UID, "at_ns": TIME, "source": WORD},
        {"line": NAME, "recording": ID, "user": COUNT},
    ),
    "call.fact": _kind(
        {
            "uid": UID,
            "id": ID,
            "fact": WORD,
            "source": WORD,
            "at_ns": TIME,
            "content": PSEUDONYM,
            "state": WORD,
        },
        {
            "value": VALUE,
            "agent": PSEUDONYM,
            "by": PSEUDONYM,
            "line": NAME,
            "recording": ID,
            "record": RECORD,
            "codes": CODES,
            "captured": FLAG,
            "from_ns": TIME,
            "min_days": COUNT,
            "max_days": COUNT,
        },
    ),
    "call.linked": _kind({"uid": UID, "flow": HASH}, {"offer": FLAG}),
    "call.resumed": _kind({"uid": UID, "at_ns": TIME}, {"recording": ID, "parts": COUNT}),
    "call.ended": _kind(
        {"uid": UID, "result": RESULT},
        {
            "line": NAME,
            "record": RECORD,
            "codes": CODES,
            "recording": ID,
            "reason": WORD,
            "legs": COUNT,
            "packets": COUNT,
            "lost": COUNT,
            "samples": COUNT,
            "parts": COUNT,
        },
    ),
    "action.ordered": _kind(
        {"action": ID, "what": WORD, "line": NAME, "uid": UID, "at_ns": TIME, "until_ns": TIME},
        {"outputs": NAMES},
    ),
    "action.ended": _kind(
        {"action": ID, "what": WORD, "line": NAME, "uid": UID, "at_ns": TIME, "outcome": WORD},
        {"output": NAME, "reason": WORD, "user": COUNT},
    ),
    "part.opened": _kind(
        {"part": ID, "recording": ID, "number": COUNT},
        {
            "uid": UID,
            "line": NAME,
            "purposes": NAMES,
            "class": CLASS,
            "commitment": HASH,
            "envelope": HASH,
            "created_ns": TIME,
            "until_ns": TIME,
        },
    ),
    "part.sealed": _kind(
        {
            "part": ID,
            "recording": ID,
            "number": COUNT,
            "bytes": COUNT,
            "sha256": HASH,
            "root": HASH,
            "commitment": HASH,
            "frames": COUNT,
            "end": WORD,
        },
    ),
    "part.recovered": _kind(
        {"part": ID, "bytes": COUNT, "sha256": HASH, "frames": COUNT},
        {"recording": ID, "number": COUNT, "end": WORD},
    ),
    "part.received": _kind(
        {
            "part": ID,
            "bytes": COUNT,
            "sha256": HASH,
            "envelope": HASH,
            "at_ns": TIME,
            "by": NAME,
            "key": KEY_HASH,
            "signature": SIGNATURE,
        },
    ),
    "office.trusted": _kind({"sha256": HASH}, {"keys": KEY_HASHES}),
    "office.replaced": _kind({"key": KEY_ID, "was": KEY_ID}, {"by": KEY_ID}),
    "operator.added": _kind(
        {"operator": KEY_ID, "card": HASH, "verify": HASH, "wrap": WORD, "tpm": FLAG},
        {"by": KEY_ID, "signature": SIGNATURE},
    ),
    "operator.rewrapped": _kind({"operator": KEY_ID, "wrap": WORD, "tpm": FLAG}),
    "operator.removed": _kind({"operator": KEY_ID}, {"by": KEY_ID, "reason": WORD}),
    "console.key": _kind(
        {"key": KEY_ID, "month": MONTH, "number": COUNT, "operators": KEY_IDS, "reason": WORD}
    ),
    "console.closed": _kind({"reason": WORD}),
    "console.removed": _kind({"keys": KEY_IDS}),
    "device.decommissioned": _kind(
        {"device": DEVICE, "class": CLASS, "at_ns": TIME},
        {"by": KEY_IDS, "parts": COUNT, "unsynced": COUNT},
    ),
    "coverage": _kind(
        {"line": NAME, "channel": CHANNEL, "from_ns": TIME, "to_ns": TIME, "state": STATE},
        {"reason": REASON, "packets": COUNT, "samples": COUNT},
    ),
    "line.not_recorded": _kind(
        {"line": NAME, "reason": CODE},
        {"from_ns": TIME, "to_ns": TIME},
    ),
    "export": _kind(
        {"recording": ID, "format": WORD},
        {
            "parts": IDS,
            "purpose": NAME,
            "by": PSEUDONYM,
            "key": KEY_ID,
            "from_ns": TIME,
            "to_ns": TIME,
            "sha256": HASH,
            **_named(VISIT),
            "outcome": REASON,
        },
    ),
    "access": _kind(
        {"what": WORD},
        {
            "recording": ID,
            "part": ID,
            "line": NAME,
            "purpose": NAME,
            "by": PSEUDONYM,
            "key": KEY_ID,
            **_named(VISIT),
            "outcome": REASON,
        },
    ),
    "replay": _kind(
        {"line": NAME, "user": COUNT, "at_ns": TIME, "from_ns": TIME, "to_ns": TIME},
        {"calls": UIDS},
    ),
    "recorder.started": _kind({"version": VERSION}, {"config_sha256": HASH, "last_ns": TIME}),
    "recorder.stopped": _kind({"reason": WORD}),
    "storage.outage": _kind({"from_ns": TIME, "to_ns": TIME, "reason": WORD}),
    "storage.step": _kind({"from": WORD, "to": WORD, "used_permille": COUNT}),
    "import.started": _kind({"import": ID, "bytes": COUNT}, {"sha256": HASH}),
    "import.ended": _kind(
        {"import": ID, "packets": COUNT, "calls": COUNT},
        {"ignored": COUNT, "result": WORD},
    ),
    "key.shredded": _kind(
        {"reason": REASON, "class": CLASS},
        {"parts": IDS, "epochs": EPOCHS, "generation": COUNT, "outcome": REASON},
    ),
    "hold.placed": _kind(
        {"hold": ID, "mode": WORD, "reference": REFERENCE, "by": PSEUDONYMS, "proof": WORD},
        {"recording": ID, "parts": IDS, "review_ns": TIME, "signatures": SIGNATURES},
    ),
    "hold.released": _kind(
        {"hold": ID, "by": PSEUDONYMS, "proof": WORD},
        {"signatures": SIGNATURES},
    ),
    "deletion.aborted": _kind({"parts": COUNT, "of": COUNT, "reason": WORD}),
    "deletion.confirmed": _kind(
        {"parts": COUNT, "by": PSEUDONYMS, "proof": WORD},
        {"signatures": SIGNATURES},
    ),
    "erasure.decided": _kind(
        {"request": REFERENCE, "recording": ID, "status": WORD},
        {"erased": NAMES, "refused": NAMES, "codes": CODES, "by": PSEUDONYM},
    ),
    **{name: _kind(_named(must), _named(may)) for name, (must, may) in PEOPLE.items()},
    "log.summarised": _kind({"entries": COUNT, "sha256": HASH}),
    "log.recovered": _kind({"bytes": COUNT, "entries": COUNT}),
    "log.file_abandoned": _kind({"file": FILE, "bytes": COUNT}),
}
