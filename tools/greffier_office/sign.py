"""``greffier-office sign``: two people sign a policy before a recorder adopts it."""

from collections.abc import Sequence
from pathlib import Path

import click

from greffier.audit.note import Signer
from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder import signing
from greffier.trust import load_log_key


@click.command(help=_("Sign a policy; a recorder adopts it with the signatures of two people."))
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("a signer's secret key; may be given twice"),
)
@json_option
def command(policy: Path, keys: Sequence[Path], as_json: bool) -> int:
    """Run it."""
    try:
        content = policy.read_bytes()
    except OSError as error:
        raise UsageError(reason=f"{policy}: {error.strerror}") from error
    secrets = [load_log_key(key) for key in keys]
    people = [Signer(secret.name, secret.private) for secret in secrets]
    lines = signing.sign(policy, content, people, Disk())
    value = {"signature": str(signing.beside(policy)), "signers": lines}
    answer(
        value,
        as_json,
        lambda: _("{signature}: signed by {names}").format(
            signature=signing.beside(policy), names=", ".join(lines)
        ),
    )
    return 0
