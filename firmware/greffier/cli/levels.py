"""``greffier levels``: how loud each channel is."""

from pathlib import Path

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.control.client import ask
from greffier.control.messages import AskLevels, Levels
from greffier.language import translate as _


@click.command(help=_("How loud each channel is now."))
@config_option
@socket_option
@json_option
def command(config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    found = ask(find_socket(socket, config), AskLevels())
    assert isinstance(found, Levels)  # noqa: S101 - the server answers what it was asked
    value = {
        "levels": [
            {
                "line": one.line,
                "channel": one.channel,
                "rms_dbfs": one.rms_mb / 100,
                "peak_dbfs": one.peak_mb / 100,
                "clipped": one.clipped,
            }
            for one in found.levels
        ]
    }
    answer(
        value,
        as_json,
        lambda: table(
            (_("line"), _("channel"), _("level, dBFS"), _("peak, dBFS"), _("clipped samples")),
            [
                (
                    one.line,
                    one.channel,
                    f"{one.rms_mb / 100:.1f}",
                    f"{one.peak_mb / 100:.1f}",
                    str(one.clipped),
                )
                for one in found.levels
            ],
        ),
    )
    return 0
