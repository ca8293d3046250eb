"""``greffier resume``: the end of a pause."""

from pathlib import Path

import click

from greffier.cli.output import json_option
from greffier.cli.pause import call_option, line_option, order
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.control.messages import Resume
from greffier.language import translate as _


@click.command(help=_("End a pause: what is said from now on is kept again."))
@line_option
@call_option
@config_option
@socket_option
@json_option
def command(line: str, call: str, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    return order(
        Resume,
        line,
        call,
        find_socket(socket, config),
        as_json,
        lambda changed: _("{name} goes on") if changed else _("{name} was not paused"),
    )
