"""How the commands find the recorder that runs, or the data directory that it left."""

import os
from pathlib import Path

import click

from greffier.config.recorder import DEFAULT_PATH, DEFAULT_SOCKET, load
from greffier.config.records import Config
from greffier.language import translate as _

ENVIRONMENT = "GREFFIER_CONFIG"

config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), help=_("the recorder's configuration")
)
socket_option = click.option(
    "--socket", "socket", type=click.Path(path_type=Path), help=_("the recorder's control socket")
)


def find_config(given: Path | None, *, agents_too: bool = True) -> Config | None:
    """The configuration *given*, else $GREFFIER_CONFIG, else the usual one; None where none is.

    *agents_too* is that of :func:`greffier.config.recorder.load`. Raises BadConfig.
    """
    named = given or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    if named is None and not DEFAULT_PATH.exists():
        return None
    return load(named or DEFAULT_PATH, agents_too=agents_too)


def find_socket(socket: Path | None, config: Path | None) -> Path:
    """The socket given, or that of the configuration, or the usual one. Raises BadConfig."""
    if socket is not None:
        return socket
    found = find_config(config)
    return found.control.socket if found else DEFAULT_SOCKET
