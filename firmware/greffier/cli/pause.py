"""``greffier pause``: from some seconds ago on, nothing more of a call is kept (card data)."""

from collections.abc import Callable
from pathlib import Path

import click

from greffier.cli.output import answer, json_option
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.control.client import ask
from greffier.control.messages import Done, Pause, Resume
from greffier.errors import UsageError
from greffier.language import translate as _

line_option = click.option("--line", default="", help=_("every call that runs on this line"))
call_option = click.option("--call", default="", help=_("this call only, by its number"))


def order(
    kind: type[Pause | Resume],
    line: str,
    call: str,
    socket: Path,
    as_json: bool,
    said: Callable[[bool], str],
) -> int:
    """Give the order *kind* for *line* or *call*; *said* tells a person what became of it.

    Raises UsageError, and what ``ask`` raises.
    """
    if bool(line) == bool(call):
        raise UsageError(reason="--line LINE | --call NUMBER")
    done = ask(socket, kind(line=line, call=call))
    assert isinstance(done, Done)  # noqa: S101 - the server answers what it was asked
    name = line or call
    value = {"done": [name] if done.changed else [], "refused": []}
    answer(value, as_json, lambda: said(done.changed).format(name=name))
    return 0


@click.command(help=_("Keep nothing of a call from some seconds ago on, until `greffier resume`."))
@line_option
@call_option
@config_option
@socket_option
@json_option
def command(line: str, call: str, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    return order(
        Pause,
        line,
        call,
        find_socket(socket, config),
        as_json,
        lambda changed: _("{name} is paused") if changed else _("{name} was paused already"),
    )
