"""``greffier replay``: what was said last on an emergency line, at once and from memory."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from greffier.cli.output import answer, json_option
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.control.client import replay
from greffier.control.messages import MOST_REPLAY_S, Replay
from greffier.durable import Disk
from greffier.errors import AlreadyThere, UsageError
from greffier.language import translate as _

USUAL_S = 30
_STDOUT = "-"
_CHUNK = 1 << 20


def pieces(fd: int) -> Iterator[bytes]:
    """What sealed memory holds, from its beginning."""
    at = 0
    while piece := os.pread(fd, _CHUNK, at):
        yield piece
        at += len(piece)


@click.command(help=_("Hear again what was said last on an emergency line (a WAV file)."))
@click.option("--line", required=True, help=_("the line"))
@click.option(
    "--seconds",
    type=click.IntRange(1, MOST_REPLAY_S),
    default=USUAL_S,
    show_default=True,
    help=_("how many of the last seconds"),
)
@click.option(
    "-o",
    "output",
    default=_STDOUT,
    show_default=True,
    help=_("the file to write, which nothing seals or deletes; - is stdout, for `| aplay`"),
)
@config_option
@socket_option
@json_option
def command(
    line: str,
    seconds: int,
    output: str,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    to_stdout = output == _STDOUT
    if to_stdout and as_json:
        raise UsageError(reason="--json: -o FILE")
    if to_stdout and sys.stdout.isatty():
        raise UsageError(reason=_("sound is not for a terminal: add `| aplay`, or -o FILE"))
    if not to_stdout and Path(output).exists():
        raise AlreadyThere(path=output)
    with replay(find_socket(socket, config), Replay(line, seconds)) as fd:
        if to_stdout:
            for piece in pieces(fd):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return 0
        content = b"".join(pieces(fd))
    Disk().create_file(Path(output), content)
    value = {"line": line, "output": output, "bytes": len(content)}
    answer(value, as_json, lambda: _("{output}: the last sound of {line}").format(**value))
    return 0
