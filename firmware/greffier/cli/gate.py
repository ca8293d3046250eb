"""``greffier gate``: the process that takes facts over HTTP, its tokens and the desks' links."""

import asyncio
import re
import socket as sockets
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config
from greffier.clock import SystemClock, format_time
from greffier.config.records import Config
from greffier.control.client import ask
from greffier.control.fields import NAME_PATTERN
from greffier.errors import UsageError
from greffier.gate.registry import Registry
from greffier.gate.rights import allowances
from greffier.gate.running import Gate, origin_of
from greffier.gate.tokens import Token
from greffier.language import translate as _

PATIENCE_S = 6.0


def _config(path: Path | None) -> Config:
    found = find_config(path)
    if found is None:
        raise UsageError(reason="--config FILE")
    return found


def _named(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII):
        reason = _("a name has letters, digits (at most six), - _ and .")
        raise UsageError(reason=reason)
    return name


@click.group(help=_("Facts over HTTP, the desks' page, and outputs that act on calls."))
def group() -> None:
    """The commands below."""


@group.command("run", help=_("Take facts and serve desks, until stopped (a service)."))
@config_option
def run_command(config: Path | None) -> int:
    """Run it."""
    found = _config(config)
    path = found.control.socket
    device = sockets.gethostname().partition(".")[0] or "greffier"
    gate = Gate(found, lambda request: ask(path, request, PATIENCE_S), SystemClock(), device)
    asyncio.run(gate.run())
    return 0


@group.group("token", help=_("Who may tell facts: make, list, revoke."))
def token_group() -> None:
    """The commands below."""


@token_group.command("add", help=_("Make a token for an agent or a system; it is shown once."))
@click.argument("name")
@click.option("--agent", is_flag=True, help=_("NAME is an agent of the agents' table"))
@click.option(
    "--allow", multiple=True, metavar="FACT[=VALUE]", help=_("a fact that the system may tell")
)
@config_option
@json_option
def add_command(
    name: str, agent: bool, allow: tuple[str, ...], config: Path | None, as_json: bool
) -> int:
    """Run it."""
    if agent == bool(allow):
        raise UsageError(reason="--agent | --allow FACT ...")
    unknown = [one for one in allow if one not in allowances()]
    if unknown:
        reason = _("{names} cannot be allowed; what can: {known}")
        raise UsageError(
            reason=reason.format(names=", ".join(unknown), known=", ".join(allowances()))
        )
    registry = Registry(_config(config).gate.folder)
    kind = "agent" if agent else "system"
    text = registry.add(kind, _named(name), SystemClock().wall_ns(), dict.fromkeys(allow))
    answer({"name": name, "kind": kind, "token": text}, as_json, lambda: text)
    return 0


@token_group.command("list", help=_("The tokens, without their secrets."))
@config_option
@json_option
def list_command(config: Path | None, as_json: bool) -> int:
    """Run it."""
    now = SystemClock().wall_ns()
    rows = [_row(one, now) for one in Registry(_config(config).gate.folder).tokens()]
    heads = (_("token"), _("kind"), _("name"), _("may tell"), _("since"), _("state"))
    answer(
        {"tokens": rows},
        as_json,
        lambda: table(
            heads,
            [
                (one["id"], one["kind"], one["name"], " ".join(one["allow"]), one["created"][:19],
                 one["state"])
                for one in rows
            ],
        ),
    )  # fmt: skip
    return 0


@token_group.command("revoke", help=_("A token counts no more from now on; also a desk's."))
@click.argument("token")
@config_option
@json_option
def revoke_command(token: str, config: Path | None, as_json: bool) -> int:
    """Run it."""
    changed = Registry(_config(config).gate.folder).revoke(token, SystemClock().wall_ns())
    said = _("{token} is revoked") if changed else _("{token} was revoked already")
    value = {"done": [token] if changed else [], "refused": []}
    answer(value, as_json, lambda: said.format(token=token))
    return 0


@group.command("desk", help=_("A link that makes a browser the page of the desk EXTENSION."))
@click.argument("extension")
@config_option
@json_option
def desk_command(extension: str, config: Path | None, as_json: bool) -> int:
    """Run it."""
    found = _config(config)
    registry = Registry(found.gate.folder)
    code = registry.add("code", _named(extension), SystemClock().wall_ns())
    link = f"{origin_of(found.gate)}/enrol?code={code}"
    answer({"extension": extension, "link": link}, as_json, lambda: link)
    return 0


def _row(token: Token, now_ns: int) -> dict[str, Any]:
    state = "valid"
    if token.revoked_ns:
        state = "revoked"
    elif not token.holds_at(now_ns):
        state = "expired"
    return {
        "id": token.id,
        "kind": token.kind,
        "name": token.name,
        "allow": list(token.allow),
        "created": format_time(token.created_ns),
        "state": state,
    }
