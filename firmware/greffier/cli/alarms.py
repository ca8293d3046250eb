"""``greffier alarms``: what is wrong now; say that it was seen; carry alarms to people."""

import os
import secrets
import signal
import socket as sockets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config, find_socket, socket_option
from greffier.clock import SystemClock, format_time
from greffier.control.client import ask
from greffier.control.messages import Acknowledge, Alarm, Alarms, AskAlarms, Done
from greffier.control.notify import Notifier
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder import outputs
from greffier.recorder.alarm import sentence
from greffier.recorder.forwarder import Forwarder

POLL_S = 2.0
PATIENCE_S = 3.0


@click.group(
    help=_("The alarms that stand; see, acknowledge, forward."), invoke_without_command=True
)
@config_option
@socket_option
@json_option
@click.pass_context
def group(
    context: click.Context, config: Path | None, socket: Path | None, as_json: bool
) -> int | None:
    """List them where no other word follows."""
    if context.invoked_subcommand is not None:
        return None
    found = ask(find_socket(socket, config), AskAlarms())
    assert isinstance(found, Alarms)  # noqa: S101 - the server answers what it was asked
    rows = [alarm_as_json(one) for one in found.alarms]
    value = {"alarms": rows, "serial": found.serial, "run": found.run}
    answer(value, as_json, lambda: alarm_rows(rows))
    return 0


@group.command("acknowledge", help=_("Say that an alarm was seen; it stands until it is mended."))
@click.argument("number", type=click.IntRange(0))
@config_option
@socket_option
@json_option
def acknowledge_command(
    number: int, config: Path | None, socket: Path | None, as_json: bool
) -> int:
    """Run it."""
    done = ask(find_socket(socket, config), Acknowledge(number))
    assert isinstance(done, Done)  # noqa: S101 - the server answers what it was asked
    value = {"done": [number] if done.changed else [], "refused": []}
    said = _("alarm {number} is acknowledged") if done.changed else _("alarm {number} was already")
    answer(value, as_json, lambda: said.format(number=number))
    return 0


@group.command("forward", help=_("Carry alarms to the outputs, until stopped (a service)."))
@config_option
def forward_command(config: Path | None) -> int:
    """Run it."""
    found = find_config(config)
    if found is None:
        raise UsageError(reason="--config FILE")
    path = found.control.socket
    clock = SystemClock()
    forwarder = Forwarder(
        lambda request: ask(path, request, PATIENCE_S), clock, secrets.token_hex(16)
    )
    device = sockets.gethostname().partition(".")[0] or "greffier"
    told = [one for one in found.outputs if one.tells_alarms]
    carried = outputs.make((one for one in told if not one.in_recorder), device, forwarder.trouble)
    own = outputs.make((one for one in told if one.in_recorder), device, forwarder.trouble)
    forwarder.serve(carried, own)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    for box in (*carried, *own):
        box.start()
    notifier = Notifier(os.environ)
    notifier.ready(f"{len(carried)} + {len(own)} outputs")
    while not over.is_set():
        forwarder.poll()
        notifier.alive()
        over.wait(POLL_S)
    notifier.stopping()
    for box in (*carried, *own):
        box.stop()
    return 0


def alarm_as_json(alarm: Alarm) -> dict[str, Any]:
    """One alarm as the commands print it."""
    return {
        "id": alarm.id,
        "name": alarm.name,
        "subject": alarm.subject,
        "severity": alarm.severity,
        "acknowledged": alarm.acknowledged,
        "count": alarm.count,
        "since": format_time(alarm.since_ns),
        "last": format_time(alarm.last_ns),
        "text": sentence(alarm),
    }


def alarm_rows(alarms: Sequence[Mapping[str, Any]]) -> str:
    """The alarms as a table for people."""
    if not alarms:
        return _("no alarm stands")
    severities = {"info": _("info"), "warning": _("warning"), "critical": _("critical")}
    return table(
        (_("alarm"), _("severity"), _("seen"), _("since"), _("meaning")),
        [
            (
                str(one["id"]),
                severities[one["severity"]],
                _("yes") if one["acknowledged"] else _("no"),
                one["since"][:19],
                one["text"],
            )
            for one in alarms
        ],
    )
