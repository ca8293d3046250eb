"""With what a command opens recordings: head office's secret key, or an operator's secret."""

from pathlib import Path

import click

from greffier.cli import unlocking
from greffier.cli.unlocking import Sources
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder.console_keys import OperatorKeys, months
from greffier.seal import keys
from greffier.seal.keys import Opener, Role
from greffier.store.layout import DataDirectory

operator_option = click.option(
    "--operator", help=_("open with an operator's keys; the log says so before")
)


def opener(
    data: DataDirectory, key: Path | None, operator: str | None, sources: Sources
) -> Opener | None:
    """What *key* (a file) or *operator* (a name) comes to; None where neither was given.

    Raises UsageError where both were, and what reading a key or unlocking raises.
    """
    if key is not None and operator is not None:
        raise UsageError(reason=_("give --key or --operator, not both"))
    if key is not None:
        return keys.read_private(key, Role.OFFICE)
    if operator is None:
        return None
    return OperatorKeys(unlocking.unlock(data, operator, sources), months(data))
