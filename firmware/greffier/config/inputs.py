"""Reads what the recorder listens to: taps, analogue lines, match rules, and who is inside."""

import re
from collections.abc import Callable, Collection
from ipaddress import ip_network
from pathlib import Path
from typing import cast

from greffier.config.fields import Table
from greffier.config.numbers import BadPattern, check_number_pattern, check_text_pattern
from greffier.config.records import AnalogueLine, Detection, Direction, Inside, Match, Network, Tap

# As the audit log takes it: with more than six digits it could be somebody's number.
NAME = re.compile(r"(?!(?:\D*\d){7})[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A name of an interface as Linux takes it (IFNAMSIZ is 16 with its NUL).
INTERFACE = re.compile(r"(?!\.{1,2}\Z)[^\s/:]{1,15}")
RATES = (8000, 16000, 48000)
DIRECTIONS = ("in", "out", "int")
_MOST_CHANNELS = 64
MOST_SIP_PORTS = 16
"""As many as the kernel's filter takes."""


def named_tables(top: Table, name: str) -> list[tuple[str, Table]]:
    """The tables ``[name.X]``, each X checked."""
    found = top.table(name).tables()
    for key, table in found:
        if not NAME.fullmatch(key):
            table.problems.add(
                table.path, "must be named with letters, digits (at most six), - and _"
            )
    return found


def line_name(table: Table) -> str:
    """The key ``line``: the name of a line of the policy."""
    name = table.text("line")
    if name and not NAME.fullmatch(name):
        table.wrong("line", "must be named with letters, digits (at most six), - and _")
    return name


def read_taps(top: Table) -> tuple[Tap, ...]:
    """``[taps.NAME]``."""
    found: list[Tap] = []
    for name, table in named_tables(top, "taps"):
        interface = table.text("interface")
        if interface and not INTERFACE.fullmatch(interface):
            table.wrong("interface", "is not the name of an interface")
        elif interface in (one.interface for one in found):
            table.wrong("interface", "is used twice")
        tap = Tap(
            name=name,
            interface=interface,
            promiscuous=table.flag("promiscuous", default=True),
            ring_blocks=table.whole("ring_blocks", 8, 4096, default=256),
            block_kib=table.choice_whole("block_kib", (64, 128, 256, 512, 1024), default=128),
            retire_ms=table.whole("retire_ms", 1, 1000, default=60),
            sip_ports=_wholes(table, "sip_ports", 1, 65535, default=(5060,)),
            blind_after_s=table.whole("blind_after_s", 10, 86_400, default=300),
        )
        sound = table.sound("ring_blocks", "retire_ms")
        if sound and tap.ring_blocks * tap.retire_ms < 10_000:
            table.wrong("ring_blocks", "times retire_ms must be at least 10 s")
        if table.sound("sip_ports") and not 1 <= len(tap.sip_ports) <= MOST_SIP_PORTS:
            table.wrong("sip_ports", "must hold 1 to 16 ports")
        table.done()
        found.append(tap)
    return tuple(found)


def read_analogue(top: Table, base: Path) -> tuple[AnalogueLine, ...]:
    """``[analogue.NAME]``."""
    found: list[AnalogueLine] = []
    used: dict[tuple[str, int], str] = {}
    clocks: dict[str, tuple[int, ...]] = {}
    for name, table in named_tables(top, "analogue"):
        detection = _detection(table, base)
        channels = table.whole("channels", 1, _MOST_CHANNELS, default=1)
        line = AnalogueLine(
            name=name,
            line=line_name(table),
            pcm=table.text("pcm"),
            channel=table.whole("channel", 0, _MOST_CHANNELS - 1, default=0),
            channels=channels,
            rate=table.choice_whole("rate", RATES, default=8000),
            period_ms=table.whole("period_ms", 5, 100, default=20),
            buffer_ms=table.whole("buffer_ms", 40, 5000, default=500),
            mixer=table.text("mixer", default=""),
            card=table.text("card", default=""),
            gain_percent=table.optional_whole("gain_percent", 0, 100),
            direction=cast(Direction, table.choice("direction", DIRECTIONS, default="in")),
            extension=table.text("extension", default=""),
            detection=detection,
        )
        if line.channel >= channels:
            table.wrong("channel", "must be less than channels")
        timed = table.sound("period_ms", "buffer_ms", "rate", "channels")
        if timed and line.buffer_ms < 2 * line.period_ms:
            table.wrong("buffer_ms", "must hold at least two periods")
        if line.gain_percent is not None and not line.mixer:
            table.wrong("gain_percent", "needs mixer")
        if (line.pcm, line.channel) in used:
            table.wrong("channel", "belongs to two lines")
        used[line.pcm, line.channel] = name
        form = (line.channels, line.rate, line.period_ms, line.buffer_ms)
        if timed and clocks.setdefault(line.pcm, form) != form:
            table.wrong("pcm", "is opened once: channels, rate, period and buffer must agree")
        table.done()
        found.append(line)
    return tuple(found)


def _detection(table: Table, base: Path) -> Detection:
    kind = table.choice("detect", ("level", "off_hook", "both"), default="level")
    source = table.text("off_hook_input", default="")
    if kind != "level" and not source:
        table.wrong("off_hook_input", "is missing")
    start = table.number("start_dbfs", -90, 0, default=-45)
    end = table.number("end_dbfs", -96, 0, default=-50)
    if end > start and table.sound("start_dbfs", "end_dbfs"):
        table.wrong("end_dbfs", "must not be above start_dbfs")
    return Detection(
        kind=kind,  # type: ignore[arg-type]
        input=base / source if source and "\0" not in source else None,
        active=table.text("off_hook_active", default="1"),
        start_dbfs=start,
        end_dbfs=end,
        onset_ms=table.whole("onset_ms", 20, 5000, default=200),
        hang_over_s=table.number("hang_over_s", 0.5, 600, default=15),
        longest_s=table.whole("longest_s", 60, 86_400, default=14_400),
    )


def read_matches(top: Table, taps: Collection[str]) -> tuple[Match, ...]:
    """``[[match]]``, in order; *taps* are the names that exist."""
    found = []
    for table in top.rows("match"):
        rule = Match(
            line=line_name(table),
            tap=table.texts("tap", taps, default=()),
            did=_patterns(table, "did", check_number_pattern),
            called=_patterns(table, "called", check_number_pattern),
            caller=_patterns(table, "caller", check_number_pattern),
            uri=_patterns(table, "uri", check_text_pattern),
            networks=_networks(table, "networks"),
            vlans=_wholes(table, "vlans", 0, 4094),
            direction=cast(tuple[Direction, ...], table.texts("direction", DIRECTIONS, default=())),
        )
        for name in ("tap", "did", "called", "caller", "uri", "networks", "vlans", "direction"):
            # An empty condition would hold for every call: whoever wrote it meant none.
            if table.values.get(name) == []:
                table.wrong(name, "must not be empty")
        table.done()
        found.append(rule)
    return tuple(found)


def read_inside(top: Table) -> Inside:
    """``[direction]``."""
    table = top.table("direction")
    inside = Inside(
        numbers=_patterns(table, "inside_numbers", check_number_pattern),
        networks=_networks(table, "inside_networks"),
        otherwise=cast(Direction, table.choice("otherwise", DIRECTIONS, default="in")),
    )
    table.done()
    return inside


def _patterns(table: Table, name: str, check: Callable[[str], None]) -> tuple[str, ...]:
    found = table.texts(name, default=())
    for pattern in found:
        try:
            check(pattern)
        except BadPattern as error:
            table.wrong(name, error.reason)
            return ()
    return found


def _networks(table: Table, name: str) -> tuple[Network, ...]:
    found = []
    for text in table.texts(name, default=()):
        try:
            found.append(ip_network(text))
        except ValueError:
            table.wrong(name, "must hold networks such as 10.0.0.0/8 or an address")
    return tuple(found)


def _wholes(
    table: Table, name: str, low: int, high: int, default: tuple[int, ...] = ()
) -> tuple[int, ...]:
    table.asked.add(name)
    value = table.values.get(name, list(default))
    if not isinstance(value, list) or not all(
        type(one) is int and low <= one <= high for one in value
    ):
        table.wrong(name, "must hold whole numbers from {low} to {high}", low=low, high=high)
        return ()
    return tuple(value)
