"""``greffier policy adopt``, ``diff`` and ``sign``: how a policy comes into force."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from greffier.audit import note
from greffier.audit.note import Signer
from greffier.cli import unlocking
from greffier.cli.output import answer, data_option, json_option, table
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.control.client import ask
from greffier.control.governance import MOST_CONTENT, AdoptPolicy
from greffier.control.messages import Done
from greffier.durable import Disk
from greffier.errors import BadPolicy
from greffier.language import translate as _
from greffier.policy import rules
from greffier.policy.difference import LOOSER, STRICTER, differences
from greffier.recorder import adopted_policies, adoption, signing
from greffier.store import layout
from greffier.trust.operators import signing_key

_FILE = click.Path(path_type=Path)


@click.command("adopt", help=_("let the recorder that runs adopt a policy that two people signed"))
@click.argument("policy", type=_FILE)
@click.option("--signature", type=_FILE, help=_("its signatures; without it FILE.sig"))
@config_option
@socket_option
@json_option
def adopt_command(
    policy: Path,
    signature: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Bring it; calls that begin afterwards are recorded under it."""
    site = rules.load(policy)
    content = adopted_policies.packed(_content(policy))
    if len(content) > MOST_CONTENT:
        reason = _("it is too long to be brought; put it where the configuration names it")
        raise BadPolicy(path=policy, reason=reason)
    signed = _content(signature or signing.beside(policy))
    try:
        note.parse(signed)
    except note.BadNote as error:
        raise BadPolicy(path=signature or signing.beside(policy), reason=error.reason) from error
    done = ask(find_socket(socket, config), AdoptPolicy(content, signed.decode("utf-8")))
    assert isinstance(done, Done)  # noqa: S101 - the server answers what it was asked
    said = {"policy": site.id, "version": site.version, "sha256": site.sha256}
    value = {"done": [said] if done.changed else [], "refused": []}
    phrase = (
        _("{policy} {version} is in force for calls that begin from now on")
        if done.changed
        else _("{policy} {version} was in force already")
    )
    answer(value, as_json, lambda: phrase.format(**said))
    return 0


@click.command("diff", help=_("what differs between two policies, and by what more is recorded"))
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@json_option
def diff_command(before: Path, after: Path, as_json: bool) -> int:
    """Print each key that differs."""
    tables = []
    for path in (before, after):
        rules.load(path)  # a file that is no policy is refused in one line
        tables.append(rules.read_tables(path)[0])
    found = [one.as_json() for one in differences(*tables)]
    effects = {name: sum(one["effect"] == name for one in found) for name in (LOOSER, STRICTER)}
    answer({"changed": found, **effects}, as_json, lambda: _diff_text(found))
    return 0


@click.command("sign", help=_("sign a policy as an operator of this box"))
@click.argument("policy", type=_FILE)
@click.option("--by", required=True, help=_("the operator who signs"))
@data_option
@passphrase_option
@key_option
@json_option
def sign_command(
    *,
    policy: Path,
    by: str,
    data: str,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
) -> int:
    """Add the operator's signature to FILE.sig."""
    content = _content(policy)
    directory = layout.open(Path(data))
    unlocked = unlocking.unlock(directory, by, Sources(passphrases, key_files))
    signer = Signer(by, signing_key(unlocked.seed))
    names = signing.sign(policy, content, [signer], Disk())
    value = {"signature": str(signing.beside(policy)), "signers": names}
    phrase = _("{signature}: signed by {names}")
    answer(
        value,
        as_json,
        lambda: phrase.format(signature=value["signature"], names=", ".join(names)),
    )
    return 0


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(adoption.LARGEST + 1)
    except OSError as error:
        raise BadPolicy(path=path, reason=error.strerror) from error
    if len(content) > adoption.LARGEST:
        raise BadPolicy(path=path, reason=_("it is too long"))
    return content


def _diff_text(found: Sequence[Mapping[str, object]]) -> str:
    if not found:
        return _("they say the same")
    effects = {LOOSER: _("looser"), STRICTER: _("stricter")}
    rows = [
        (
            str(one["key"]),
            _shown(one["before"]),
            _shown(one["after"]),
            effects.get(str(one["effect"]), ""),
        )
        for one in found
    ]
    return table((_("key"), _("before"), _("after"), _("effect")), rows)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
