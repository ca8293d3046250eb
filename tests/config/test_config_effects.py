"""Every key of the configuration has a reader: what is only read in and kept is refused here."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from greffier.config import records
from greffier.config.bandwidth import Limit
from greffier.config.numbers import Numbering

PACKAGE = Path(records.__file__).parents[1]
RUN, TRUNK, LINES, CARDS = "cli/run.py", "recorder/trunk.py", "config/lines.py", "recorder/cards.py"
OUTPUTS = "recorder/outputs"
# Each record, each field of it: the module in which it has its effect.
READERS: dict[type, dict[str, str]] = {
    records.Config: {
        "data": RUN,
        "policy": RUN,
        "policy_signature": "recorder/governing.py",
        "policy_signers": "recorder/governing.py",
        "notices": "recorder/notices.py",
        "packs": RUN,
        "timezone": "config/recorder.py",  # the agent table's days
        "tick_ms": "recorder/live.py",
        "numbering": LINES,
        "control": "control/access.py",
        "taps": RUN,
        "analogue": CARDS,
        "matches": LINES,
        "inside": LINES,
        "assignments": "recorder/channels.py",
        "outputs": RUN,
        "limits": TRUNK,
        "storage": "recorder/live.py",
        "sync": "sync/service.py",
        "gate": "gate/running.py",
        "star_codes": "recorder/trunk_rules.py",
        "path": "recorder/checks.py",
        "sha256": "recorder/live.py",
        "agents_file": "cli/agents.py",
    },
    records.Tap: {
        "name": RUN,
        "interface": RUN,
        "promiscuous": RUN,
        "ring_blocks": RUN,
        "block_kib": RUN,
        "retire_ms": RUN,
        "sip_ports": TRUNK,
        "blind_after_s": RUN,
    },
    records.Match: dict.fromkeys(
        (
            "line",
            "tap",
            "did",
            "called",
            "caller",
            "uri",
            "networks",
            "vlans",
            "direction",
        ),
        LINES,
    ),
    records.Inside: dict.fromkeys(("numbers", "networks", "otherwise"), LINES),
    records.Assignment: {
        **dict.fromkeys(("extension", "agent", "from_ns", "until_ns"), LINES),
        "team": "config/agents.py",
    },
    records.AnalogueLine: {
        "name": "recorder/channels.py",
        "line": "recorder/channels.py",
        "pcm": CARDS,
        "channel": "recorder/card.py",
        "channels": CARDS,
        "rate": CARDS,
        "period_ms": CARDS,
        "buffer_ms": CARDS,
        "mixer": CARDS,
        "card": CARDS,
        "gain_percent": CARDS,
        "direction": "recorder/channels.py",
        "extension": "recorder/channels.py",
        "detection": "recorder/card_line.py",
    },
    records.Detection: {
        "kind": "recorder/card_line.py",
        "input": "recorder/channels.py",
        "active": "recorder/channels.py",
        "start_dbfs": "calls/line.py",
        "end_dbfs": "calls/line.py",
        "onset_ms": "calls/line.py",
        "hang_over_s": "calls/line.py",
        "longest_s": "calls/line.py",
    },
    records.Output: {
        "name": OUTPUTS,
        "kind": OUTPUTS,
        "severity": OUTPUTS,
        "language": OUTPUTS,
        "address": OUTPUTS,
        "host": OUTPUTS,
        "port": OUTPUTS,
        "security": OUTPUTS,
        "user": OUTPUTS,
        "sender": OUTPUTS,
        "recipients": OUTPUTS,
        "secret": OUTPUTS,
        "on": OUTPUTS,
        "off": OUTPUTS,
        "actions": "recorder/actions.py",
        "lines": "config/records.py",
        "deadline_s": "gate/acting.py",
        "gpio": "gate/actors.py",
        "pulse_ms": "gate/actors.py",
    },
    records.Gate: {
        **dict.fromkeys(("folder", "listen", "url", "certificate", "key"), "gate/running.py"),
        **dict.fromkeys(("language", "keys"), "gate/running.py"),
    },
    records.Key: dict.fromkeys(
        ("name", "extension", "fact", "input", "active", "gpio"), "gate/keys.py"
    ),
    records.Control: {
        "socket": RUN,
        "watch": "control/access.py",
        "operate": "control/access.py",
        "stop": "control/access.py",
        "sync": "control/access.py",
        "retain": "control/access.py",
        "tell": "control/access.py",
    },
    records.Limits: {
        "calls": "recorder/live.py",
        "undecided_s": TRUNK,
        "stall_s": CARDS,
        "encoder_threads": TRUNK,
    },
    records.Storage: {
        **dict.fromkeys(
            ("alarm_percent", "refuse_percent", "duties_percent", "rate_hours", "mirror"),
            "recorder/outage.py",
        ),
        "reserve_mib": "recorder/live.py",
    },
    records.Sync: {
        "folder": "sync/service.py",
        "socket": "sync/service.py",
        "limits": "sync/service.py",
        "least_chunk_kib": "sync/transfer.py",
        "most_chunk_kib": "sync/transfer.py",
        "alarm_hours": "sync/service.py",
    },
    Limit: dict.fromkeys(("days", "begin", "end", "bps"), "config/bandwidth.py"),
    Numbering: dict.fromkeys(
        ("country_code", "trunk_prefix", "international_prefix", "extension_digits"),
        "config/numbers.py",
    ),
}
READ = {"timezone": "timezone = _timezone"}  # where it is used under another name
EVERY = [(record, one.name) for record in READERS for one in fields(record)]


def text_of(place: str) -> str:
    path = PACKAGE / place
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return "\n".join(file.read_text("utf-8") for file in files)


@pytest.mark.parametrize(("record", "name"), EVERY, ids=lambda one: getattr(one, "__name__", one))
def test_a_key_has_an_effect(record: type, name: str) -> None:
    place = READERS[record].get(name)
    assert place, f"nobody is known to read {record.__name__}.{name}"
    reads = bool(re.search(READ.get(name, rf"\.{name}\b"), text_of(place)))
    assert reads, f"{place} does not read {record.__name__}.{name}"


def test_the_table_names_every_record() -> None:
    every = {
        one
        for one in vars(records).values()
        if isinstance(one, type) and hasattr(one, "__dataclass_fields__")
    }
    assert every == set(READERS)
    for record, readers in READERS.items():
        assert {one.name for one in fields(record)} == set(readers)
