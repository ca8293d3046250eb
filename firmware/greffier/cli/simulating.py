"""``greffier policy simulate``: last month's calls under another policy."""

import json
from pathlib import Path

import click

from greffier.cli.output import answer, json_option, table
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.policy import packs as law_packs
from greffier.policy import rules
from greffier.policy.simulation import Simulated, simulate

_FILE = click.Path(path_type=Path)
_WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@click.command("simulate", help=_("what another policy would have made of calls that took place"))
@click.option("--policy", required=True, type=_FILE, help=_("the policy file"))
@click.option("--calls", required=True, type=_FILE, help=_("what `greffier calls --json` said"))
@click.option("--packs", type=_FILE, help=_("law packs instead of the built-in ones"))
@json_option
def simulate_command(policy: Path, calls: Path, packs: Path | None, as_json: bool) -> int:
    """Print how many would have been recorded, by code, and what they take."""
    site = rules.load(policy)
    laws = law_packs.load(packs)
    try:
        told = json.loads(calls.read_bytes())
        found = simulate(site, laws, told["calls"])
    except OSError as error:
        raise UsageError(reason=f"{calls}: {error.strerror}") from error
    except _WRONG as error:
        reason = _("{path} is not what `greffier calls --json` said: {reason}")
        raise UsageError(reason=reason.format(path=calls, reason=error)) from error
    value = {"before": found.before.as_json(), "after": found.after.as_json()}
    answer(value, as_json, lambda: _text(found))
    return 0


def _text(found: Simulated) -> str:
    rows = [
        (_("calls"), str(found.before.calls), str(found.after.calls)),
        (_("recorded"), str(found.before.recorded), str(found.after.recorded)),
        ("MiB", f"{found.before.octets / 2**20:.1f}", f"{found.after.octets / 2**20:.1f}"),
    ]
    for code in sorted(found.before.codes | found.after.codes):
        rows.append((code, str(found.before.codes[code]), str(found.after.codes[code])))
    return table((_("what"), _("before"), _("after")), rows)
