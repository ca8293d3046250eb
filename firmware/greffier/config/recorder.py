"""Reads the recorder's configuration (schema ``recorder/1``) from TOML.

As with a policy, a file with wrong keys is refused once, in one line that names them all, and a key
that nobody knows is wrong. Whether the policy's lines and ours agree is for the doctor to say.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from greffier.clock import BadZone, zone
from greffier.config import agents
from greffier.config.bandwidth import BadLimit, read_limit
from greffier.config.fields import Problems, Table
from greffier.config.gate import read_gate
from greffier.config.inputs import read_analogue, read_inside, read_matches, read_taps
from greffier.config.numbers import Numbering
from greffier.config.outputs import read_outputs
from greffier.config.records import Assignment, Config, Control, Limits, Storage, Sync
from greffier.config.star_codes import read_star_codes
from greffier.errors import BadConfig
from greffier.language import translate

SCHEMA = "recorder/1"
DEFAULT_PATH = Path("/etc/greffier/recorder.toml")
DEFAULT_SOCKET = Path("/run/greffier/control.sock")
DEFAULT_SYNC = Path("/var/lib/greffier-sync")
DEFAULT_SYNC_SOCKET = Path("/run/greffier-sync/sync.sock")
# A commit later than this would lose more than a second at a power cut.
LONGEST_TICK_MS = 750


def load(path: Path, *, agents_too: bool = True) -> Config:
    """The configuration in the TOML file *path*. Raises BadConfig, naming every wrong key.

    Without *agents_too* the file that ``[agents]`` names is not read: it may not be there yet.
    """
    try:
        data = path.read_bytes()
        tables = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise BadConfig(path=path, reason=error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise BadConfig(path=path, reason=translate("it is not UTF-8 text")) from error
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, or a NUL in the path
        raise BadConfig(path=path, reason=str(error)) from error
    return parse(tables, path, hashlib.sha256(data).hexdigest(), agents_too=agents_too)


def parse(
    tables: Mapping[str, object],
    path: Path = Path("-"),
    sha256: str = "",
    *,
    agents_too: bool = True,
) -> Config:
    """The configuration of parsed *tables*; *path* names it and is where relative paths begin.

    Raises BadConfig.
    """
    problems = Problems()
    top = Table(tables, "", problems)
    base = path.absolute().parent
    top.choice("schema", (SCHEMA,))
    timezone = _timezone(top)
    policy = _path(top, "policy", base)
    taps = read_taps(top)
    analogue = read_analogue(top, base)
    config = Config(
        data=_path(top, "data", base),
        policy=policy,
        policy_signature=_path(top, "policy_signature", base, f"{policy}.sig"),
        policy_signers=_path(top, "policy_signers", base, "/etc/greffier/policy-signers"),
        notices=_path(top, "notices", base, "/etc/greffier/notices"),
        packs=_path(top, "packs", base) if "packs" in top.values else None,
        timezone=timezone,
        tick_ms=top.whole("tick_ms", 50, LONGEST_TICK_MS, default=500),
        numbering=_numbering(top),
        control=_control(top, base),
        taps=taps,
        analogue=analogue,
        matches=read_matches(top, {one.name for one in taps}),
        inside=read_inside(top),
        assignments=_assignments(top, base, timezone, file_too=agents_too),
        outputs=read_outputs(top, base),
        limits=_limits(top),
        storage=_storage(top, base),
        sync=_sync(top, base),
        gate=read_gate(top, base),
        star_codes=read_star_codes(top),
        path=path,
        sha256=sha256,
        agents_file=_agents_file(top, base),
    )
    if not taps and not analogue:
        top.wrong("taps", "or [analogue] must name at least one input")
    top.done()
    if problems.lines:
        raise BadConfig(path=path, reason="; ".join(problems.lines))
    return config


def _path(table: Table, name: str, base: Path, default: str | None = None) -> Path:
    """A path; a relative one is below *base*. A NUL has no place in one."""
    text = table.text(name) if default is None else table.text(name, default=default)
    if "\0" in text:
        table.wrong(name, "must be a path")
        return base
    return base / text


def _timezone(top: Table) -> ZoneInfo:
    try:
        return zone(top.text("timezone", default="Europe/Paris") or "UTC")
    except BadZone:
        top.wrong("timezone", "is not a time zone of the tz database")
        return ZoneInfo("UTC")


def _numbering(top: Table) -> Numbering:
    table = top.table("numbering")
    usual = Numbering()
    texts = {}
    for name, most in (("country_code", 3), ("trunk_prefix", 3), ("international_prefix", 5)):
        texts[name] = table.text(name, default=getattr(usual, name))
        if texts[name] and not (texts[name].isascii() and texts[name].isdecimal()):
            table.wrong(name, "must hold digits only")
        elif len(texts[name]) > most:
            table.wrong(name, "is too long")
    digits = table.whole("extension_digits", 0, 10, default=usual.extension_digits)
    table.done()
    return Numbering(**texts, extension_digits=digits)


def _control(top: Table, base: Path) -> Control:
    table = top.table("control")
    control = Control(
        socket=_socket(table, base, DEFAULT_SOCKET),
        watch=_users(table, "watch"),
        operate=_users(table, "operate"),
        stop=_users(table, "stop"),
        sync=_users(table, "sync"),
        retain=_users(table, "retain"),
        tell=_users(table, "tell"),
    )
    table.done()
    return control


def _socket(table: Table, base: Path, default: Path) -> Path:
    socket = _path(table, "socket", base, str(default))
    if len(str(socket).encode("utf-8", "surrogateescape")) > 107:
        table.wrong("socket", "is too long for a socket (107 bytes)")
    return socket


def _sync(top: Table, base: Path) -> Sync:
    table = top.table("sync")
    limits = []
    for line in table.texts("limits", default=()):
        try:
            limits.append(read_limit(line))
        except BadLimit:
            table.wrong("limits", "must hold lines such as Mon-Fri 08:00-19:00 256k")
    sync = Sync(
        folder=_path(table, "folder", base, str(DEFAULT_SYNC)),
        socket=_socket(table, base, DEFAULT_SYNC_SOCKET),
        limits=tuple(limits),
        least_chunk_kib=table.whole("least_chunk_kib", 1, 111, default=16),
        most_chunk_kib=table.whole("most_chunk_kib", 1, 111, default=111),
        alarm_hours=table.whole("alarm_hours", 1, 8760, default=24),
    )
    sound = table.sound("least_chunk_kib", "most_chunk_kib")
    if sound and sync.least_chunk_kib > sync.most_chunk_kib:
        table.wrong("least_chunk_kib", "must not be above most_chunk_kib")
    table.done()
    return sync


def _users(table: Table, name: str) -> tuple[str | int, ...]:
    table.asked.add(name)
    value = table.values.get(name, [])
    if not isinstance(value, list) or not all(
        (isinstance(one, str) and one) or (type(one) is int and 0 <= one < 2**32 - 1)
        for one in value
    ):
        table.wrong(name, "must be a list of users, by name or number")
        return ()
    return tuple(value)


def _agents_file(top: Table, base: Path) -> Path | None:
    table = top.values.get("agents")
    file = table.get("file") if isinstance(table, Mapping) else None
    return base / file if isinstance(file, str) and file and "\0" not in file else None


def _assignments(
    top: Table, base: Path, timezone: ZoneInfo, *, file_too: bool
) -> tuple[Assignment, ...]:
    table = top.table("agents")
    found = agents.read_rows(table.rows("entry"), timezone)
    if "file" in table.values:
        file = _path(table, "file", base)
        if file_too:
            found += agents.read_csv(file, timezone, table.key("file"), table.problems)
    if top.sound("timezone"):
        agents.check_overlaps(found, "agents", table.problems)
    table.done()
    return tuple(found)


def _limits(top: Table) -> Limits:
    table = top.table("limits")
    limits = Limits(
        calls=table.whole("calls", 1, 10_000, default=1000),
        undecided_s=table.whole("undecided_s", 1, 60, default=60),
        stall_s=table.whole("stall_s", 1, 300, default=30),
        encoder_threads=table.whole("encoder_threads", 0, 64, default=0),
    )
    table.done()
    return limits


def _storage(top: Table, base: Path) -> Storage:
    table = top.table("storage")
    usual = Storage()
    steps = ("alarm_percent", "refuse_percent", "duties_percent")
    percents = {name: table.whole(name, 50, 99, default=getattr(usual, name)) for name in steps}
    if table.sound(*steps) and not (
        percents["alarm_percent"] + 3 <= percents["refuse_percent"] < percents["duties_percent"]
    ):
        table.wrong("refuse_percent", "must be 3 above alarm_percent and below duties_percent")
    storage = Storage(
        **percents,
        reserve_mib=table.whole("reserve_mib", 0, 4096, default=usual.reserve_mib),
        rate_hours=table.whole("rate_hours", 1, 168, default=usual.rate_hours),
        mirror=_path(table, "mirror", base) if "mirror" in table.values else None,
    )
    table.done()
    return storage
