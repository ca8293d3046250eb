"""``greffier-office sign``: two people sign a policy before a recorder adopts it."""

from collections.abc import Sequence
from pathlib import Path

import click

from greffier.audit import note
from greffier.audit.note import BadNote, Signer
from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder.adoption import statement
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
    text = statement(content)
    target = policy.with_name(policy.name + ".sig")
    lines: dict[str, str] = {}
    if target.exists():
        try:
            old = note.parse(target.read_bytes())
        except BadNote:
            old = None
        if old is not None and old.text == text:  # another person signed this very policy before
            before = target.read_text("utf-8").partition("\n\n")[2].splitlines()
            lines = {line.split(" ")[1]: line for line in before}
    for key in keys:
        secret = load_log_key(key)
        one = Signer(secret.name, secret.private)
        lines[one.name] = one.sign(text).decode("utf-8").partition("\n\n")[2].rstrip("\n")
    Disk().write_file(
        target, f"{text}\n{''.join(line + chr(10) for line in lines.values())}".encode(), 0o644
    )
    value = {"signature": str(target), "signers": sorted(lines)}
    answer(
        value,
        as_json,
        lambda: _("{signature}: signed by {names}").format(
            signature=target, names=", ".join(value["signers"])
        ),
    )
    return 0
