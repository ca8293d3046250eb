"""``greffier-office verify``: is what head office holds what was recorded, all of it?"""

from pathlib import Path
from typing import Any, Final

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import IntegrityError, PartlyDone, UsageError
from greffier.language import translate as _
from greffier_office import checking, place, proof
from greffier_office.checking import Checking
from greffier_office.stored import Holdings

EXIT: Final = {
    "authentic": 0,
    "altered": IntegrityError.exit_code,
    "cannot_tell": PartlyDone.exit_code,
}


@click.command(help=_("Check every hash and signature of all that head office holds."))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--office", "office", type=click.Path(path_type=Path), help=_("head office's directory")
)
@click.option("--trust", type=click.Path(path_type=Path), help=_("file of public keys, one a line"))
@json_option
def command(file: Path | None, office: Path | None, trust: Path | None, as_json: bool) -> int:
    """Run it."""
    if file is not None:
        return _verify_file(file, office, trust, as_json)
    if office is None:
        raise UsageError(reason=_("give head office's directory with --office"))
    opened = place.open(office)
    with Holdings.open(opened, Disk()) as held:
        checks = Checking(held, opened.public_keys()).run()
    state = checking.state_of(checks)
    value = {
        "ok": state == "authentic",
        "state": state,
        "checks": [one.as_json() for one in checks],
    }
    answer(value, as_json, lambda: _text(value))
    return EXIT[state]


def _verify_file(file: Path, office: Path | None, trust: Path | None, as_json: bool) -> int:
    """A certificate, by the keys of a trust file, or those that head office knows."""
    if (office is None) == (trust is None):
        raise UsageError(reason=_("give the keys: with --trust FILE, or with --office DIR"))
    if file.suffix == ".zip":
        raise UsageError(reason=_("evidence bundles are not read by this version"))
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(reason=f"{file}: {error.strerror}") from None
    keys = proof.keys_in(trust) if trust else proof.keys_of(place.open(office or Path()))
    value = proof.verified(data, keys)
    answer(value, as_json, lambda: _certificate_text(value))
    return EXIT[value["state"]]


def _certificate_text(value: dict[str, Any]) -> str:
    words = {
        "authentic": _("The certificate holds."),
        "altered": _("The certificate was altered, or proves nothing."),
        "cannot_tell": _("Nobody whose key was given signed it: nobody can tell."),
    }
    lines = [words[value["state"]]]
    lines += [f"  {one['name']}: {one['detail']}" for one in value["checks"] if one["detail"]]
    lines += [f"  {key}: {said}" for key, said in (value["certificate"] or {}).items()]
    return "\n".join(lines)


def _text(value: dict[str, Any]) -> str:
    words = {
        "authentic": _("Everything is as it was signed."),
        "altered": _("Something was altered."),
        "cannot_tell": _("Something is missing: nobody can tell."),
    }
    names = {
        "logs": _("logs"),
        "cosignatures": _("cosignatures"),
        "forks": _("forks"),
        "parts": _("parts"),
        "receipts": _("receipts"),
        "envelopes": _("envelopes"),
    }
    lines = [words[value["state"]]]
    for check in value["checks"]:
        mark = _("good") if check["ok"] else _("bad")
        lines.append(f"  {names[check['name']]}: {mark} ({check['count']})")
        lines += [f"    {_('altered')}: {one}" for one in check["altered"]]
        lines += [f"    {_('missing')}: {one}" for one in check["missing"]]
    return "\n".join(lines)
