"""``greffier sync``: the process that carries parts and log to head office, and asking it."""

import re
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.cli.running import config_option, find_config
from greffier.clock import SECOND, BadTime, SystemClock, format_time, parse_time
from greffier.config import recorder as configuration
from greffier.config.recorder import DEFAULT_SYNC_SOCKET
from greffier.control.client import ask
from greffier.control.messages import Answer, Done, Request
from greffier.control.transfer import AskSync, SyncNow, SyncPause, SyncState
from greffier.errors import NotRunning, Refused, TransferNotRunning, UsageError
from greffier.language import translate as _
from greffier.sync.service import Service
from greffier.sync.troubles import TEXTS

_TIMES = ("oldest_ns", "last_receipt_ns", "last_cosigned_ns", "pause_until_ns", "clock_ns")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_UNITS = {"m": 60, "h": 3600, "d": 86_400}

socket_option = click.option(
    "--socket", type=click.Path(path_type=Path), help=_("the socket of the transfer")
)


@click.group(help=_("Carry what is recorded to head office, and see how that goes."))
def group() -> None:
    """The commands."""


@group.command(name="run", help=_("Carry until told to stop; a service does this."))
@click.option("--config", "path", required=True, type=click.Path(path_type=Path))
def run(path: Path) -> int:
    """Run it."""
    config = configuration.load(path)
    service = Service(config, SystemClock(), lambda line: click.echo(line, err=True))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: service.stop())
    service.run()
    return 0


@group.command(name="status", help=_("What waits, how fast it goes, what head office confirmed."))
@config_option
@socket_option
@json_option
def status(config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    state = _asked(_socket(socket, config), AskSync())
    assert isinstance(state, SyncState)  # noqa: S101 - the server answers what it was asked
    answer(_as_json(state), as_json, lambda: _text(state))
    return 0


@group.command(name="now", help=_("Forget waits and a pause, and try at once."))
@click.option("--part", default="", help=_("this part goes first"))
@config_option
@socket_option
@json_option
def now(part: str, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    if part and not re.fullmatch(r"[0-9a-f]{32}", part):
        raise UsageError(reason=_("--part needs 32 hex digits"))
    said = _("it tries at once")
    return _order(_socket(socket, config), SyncNow(part), part or "now", said, as_json)


@group.command(name="pause", help=_("Send no parts for a while; the log still goes."))
@click.option("--until", default="", help=_("a time such as 2026-11-23T19:00:00+01:00"))
@click.option("--for", "span", default="", help=_("a span such as 30m, 2h or 1d"))
@config_option
@socket_option
@json_option
def pause(until: str, span: str, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    until_ns = _until(until, span)
    at = _local(until_ns, config)
    said = _("no parts are sent until {at}; the log still goes").format(at=at)
    return _order(_socket(socket, config), SyncPause(until_ns), "pause", said, as_json)


def _asked(socket: Path, request: Request) -> Answer:
    """What the transfer answers. Raises TransferNotRunning, and what ``ask`` raises."""
    try:
        return ask(socket, request)
    except NotRunning:
        raise TransferNotRunning(path=socket) from None


def _order(socket: Path, request: Request, name: str, said: str, as_json: bool) -> int:
    try:
        done = _asked(socket, request)
    except Refused as error:
        if not as_json:
            raise
        refused = [{"id": name, "code": str(error.fields.get("word", "refused"))}]
        answer({"done": [], "refused": refused}, as_json, str)
        return 1
    assert isinstance(done, Done)  # noqa: S101 - the server answers what it was asked
    answer({"done": [name], "refused": []}, as_json, lambda: said)
    return 0


def _until(until: str, span: str) -> int:
    """The end of the pause. Raises UsageError."""
    now_ns = SystemClock().wall_ns()
    if bool(until) == bool(span):
        raise UsageError(reason=_("give --until TIME or --for SPAN"))
    if span:
        found = _SPAN.fullmatch(span)
        if found is None:
            raise UsageError(reason=_("--for needs a span such as 30m, 2h or 1d"))
        return now_ns + int(found[1]) * _UNITS[found[2]] * SECOND
    try:
        until_ns = parse_time(until)
    except BadTime as error:
        raise UsageError(reason=f"--until: {error}") from None
    if until_ns <= now_ns:
        raise UsageError(reason=_("--until must lie ahead"))
    return until_ns


def _socket(socket: Path | None, config: Path | None) -> Path:
    if socket is not None:
        return socket
    found = find_config(config)
    return found.sync.socket if found else DEFAULT_SYNC_SOCKET


def _as_json(state: SyncState) -> dict[str, Any]:
    value = asdict(state)
    for name in _TIMES:
        at = value.pop(name)
        value[name.removesuffix("_ns")] = format_time(at) if at else None
    value["trouble_text"] = _trouble(state)
    return value


def _trouble(state: SyncState) -> str:
    text = TEXTS.get(f"sync.{state.trouble}", state.trouble)
    return _(text) if text else ""


def _local(at_ns: int, config: Path | None = None) -> str:
    """The local time of day, with the day where it is another."""
    zone = find_config(config)
    from datetime import datetime  # noqa: PLC0415

    moment = datetime.fromtimestamp(at_ns / SECOND, zone.timezone if zone else None)
    today = datetime.fromtimestamp(SystemClock().wall_ns() / SECOND, moment.tzinfo)
    form = "%H:%M" if moment.date() == today.date() else "%Y-%m-%d %H:%M"
    return moment.strftime(form)


def _text(state: SyncState) -> str:
    words = {
        "not_enrolled": _("This box is not enrolled at a head office."),
        "offline": _("There is no connection to head office."),
        "connecting": _("Connecting to head office."),
        "idle": _("Connected to head office; nothing is being sent."),
        "sending": _("Sending to head office."),
        "paused": _("Connected to head office; sending is paused."),
    }
    lines = [words[state.state]]
    if state.trouble:
        lines.append("! " + _trouble(state))
    waiting = state.queued + state.offered + state.sending + state.waiting + state.refused
    if waiting:
        text = _("{parts} parts wait ({size} MB), the oldest since {since}")
        since = _local(state.oldest_ns) if state.oldest_ns else "-"
        lines.append(text.format(parts=waiting, size=f"{state.size / 1e6:.1f}", since=since))
        if state.rate_bps:
            rate = state.rate_bps
            text = _("{rate} kbit/s now, about {minutes} min to go")
            minutes = -(-state.size * 8 // max(1, rate) // 60)
            lines.append(text.format(rate=rate // 1000, minutes=max(1, minutes)))
    if state.state != "not_enrolled" and state.log_size:
        until_ns = state.oldest_ns if waiting else state.clock_ns
        if until_ns:
            text = _("Everything up to {at} is at head office.")
            lines.append(text.format(at=_local(until_ns)))
    if state.refused:
        lines.append(_("{parts} parts were refused").format(parts=state.refused))
    if state.pause_until_ns:
        lines.append(_("Paused until {at}.").format(at=_local(state.pause_until_ns)))
    if state.limit_bps:
        lines.append(_("At most {rate} kbit/s now.").format(rate=state.limit_bps // 1000))
    lines.append(
        _("Log: {size} entries, {head} at head office, {cosigned} cosigned{when}").format(
            size=state.log_size,
            head=state.head_size,
            cosigned=state.cosigned_size,
            when=f" ({_local(state.last_cosigned_ns)})" if state.last_cosigned_ns else "",
        )
    )
    receipt = _local(state.last_receipt_ns) if state.last_receipt_ns else "-"
    text = _("{count} receipts, the last at {at}")
    lines.append(text.format(count=state.received, at=receipt))
    return "\n".join(lines)
