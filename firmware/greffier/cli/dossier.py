"""``greffier dossier``: all that an inspection asks for, in one ZIP that opens offline."""

from pathlib import Path
from typing import Any

import click

from greffier.cli.coverage import instant
from greffier.cli.output import answer, data_option, json_option
from greffier.cli.paper import notice_page
from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadPolicy
from greffier.language import LANGUAGES
from greffier.language import translate as _
from greffier.policy import notices, rules
from greffier.policy import packs as law
from greffier.policy.purposes import SAMPLED
from greffier.policy.terms import sampled_rate
from greffier.recorder import dossier
from greffier.recorder.dossier import Span
from greffier.store import layout

_FILE = click.Path(path_type=Path)


@click.command(help=_("Write a dossier for an inspection: no name, no number, the same each time."))
@data_option
@click.option("--policy", "policies", multiple=True, type=_FILE, help=_("a policy of the site"))
@click.option("--packs", type=_FILE, help=_("law packs instead of the built-in ones"))
@click.option("--from", "since", help=_("what happened from here on (RFC 3339)"))
@click.option("--to", "until", help=_("and before this (RFC 3339)"))
@click.option("-o", "output", required=True, type=_FILE, help=_("the ZIP to write"))
@json_option
def command(
    data: str,
    policies: tuple[Path, ...],
    packs: Path | None,
    since: str | None,
    until: str | None,
    output: Path,
    as_json: bool,
) -> int:
    """Run it."""
    if output.exists():
        raise AlreadyThere(path=output)
    span = Span(instant(since, "--from") or 0, instant(until, "--to") or Span().to_ns)
    papers: dict[str, bytes] = {}
    targets: dict[str, float] = {}
    laws = law.load(packs)
    for path in policies:
        site = rules.load(path)
        name = f"policies/{site.id}-{site.version}"
        papers[f"{name}.toml"] = _read(path)
        signature = path.with_name(f"{path.name}.sig")
        if signature.is_file():
            papers[f"{name}.toml.sig"] = _read(signature)
        for language in LANGUAGES:
            printed = notice_page(path, packs, language, None)
            papers[f"{name}.notice.{language}.html"] = printed.html.encode()
            record = notices.record(site, laws, language)
            papers[f"{name}.record.{language}.html"] = record.html.encode()
        rate = sampled_rate(site, laws)
        drawn = [one.name for one in site.lines.values() if set(one.purposes) & set(SAMPLED)]
        targets |= dict.fromkeys(drawn, rate)
    content, found = dossier.make(layout.open(Path(data)), span, papers, targets)
    Disk().create_file(output, content)
    value: dict[str, Any] = {
        "output": str(output),
        "bytes": len(content),
        "entries": found.size,
        "sections": {name: len(entries) for name, entries in found.sections.items()},
        "strata": len(found.shares),
    }
    answer(value, as_json, lambda: _("{output} is written").format(output=output))
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadPolicy(path=path, reason=error.strerror or str(error)) from error
