"""``greffier erase``: a person asked for it; the answer per purpose, and the deed."""

import re
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.cli.retaining import (
    Place,
    carried_out,
    data_option,
    in_words,
    lists_of,
    policy_option,
)
from greffier.cli.running import config_option, socket_option
from greffier.clock import BadTime, parse_time
from greffier.control.retention import Erase
from greffier.errors import PartlyDone, UsageError
from greffier.language import translate as _
from greffier.recorder.erasure import NOTHING_HELD
from greffier.recorder.people import recordings_with
from greffier.seal import keys
from greffier.seal.keys import Role

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@click.command(help=_("Erase what somebody asks to be erased, as far as the law lets it."))
@click.argument("recording", required=False)
@click.option("--number", default="", help=_("every recording in which this number takes part"))
@click.option("--key", type=click.Path(path_type=Path), help=_("secret key that opens numbers"))
@click.option("--request", required=True, help=_("the reference of the request"))
@click.option(
    "--requested", default="", help=_("when it was made: a hold placed later needs the DPO")
)
@click.option("--dpo-agreed", is_flag=True, help=_("the DPO agrees that such a hold counts"))
@click.option(
    "--uncontested",
    is_flag=True,
    help=_("what evidence proves cannot be disputed any more"),
)
@data_option
@policy_option
@config_option
@socket_option
@json_option
def command(
    recording: str | None,
    number: str,
    key: Path | None,
    request: str,
    requested: str,
    dpo_agreed: bool,
    uncontested: bool,
    data: Path | None,
    policy_file: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place = Place(data, socket, config, policy_file)
    if bool(recording) == bool(number) or bool(number) != bool(key):
        raise UsageError(reason="RECORDING | --number N --key K")
    if recording:
        if not _ID.fullmatch(recording):
            raise UsageError(reason=_("a recording has 32 hex digits"))
        names = [recording]
    else:
        assert key is not None  # noqa: S101 - asked above
        names = recordings_with(place.folder, number, keys.read_private(key, Role.OFFICE))
    value: dict[str, Any] = {"done": [], "refused": [{"id": "number", "code": NOTHING_HELD}]}
    if names:
        order = Erase(tuple(names), request, not uncontested, _time(requested), dpo_agreed)
        value = lists_of(carried_out(place, order))
    answer(value, as_json, lambda: "\n".join(in_words(value, "done", "refused")))
    if not value["refused"]:
        return 0
    return PartlyDone.exit_code if value["done"] else 1


def _time(text: str) -> int:
    if not text:
        return 0
    try:
        return parse_time(f"{text}T23:59:59Z" if _DATE.fullmatch(text) else text)
    except BadTime as error:
        raise UsageError(reason=f"--requested: {error}") from None
