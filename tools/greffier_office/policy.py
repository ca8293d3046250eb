"""``greffier-office policy``: people of head office, and what they sign."""

import click

from greffier.cli.governing import diff_command
from greffier.language import translate as _
from greffier_office import sign, signer


@click.group(help=_("Policies: people who sign them, and their signatures."))
def group() -> None:
    """The group of commands; it does nothing by itself."""


group.add_command(signer.command, "signer")
group.add_command(sign.command, "sign")
group.add_command(diff_command, "diff")
