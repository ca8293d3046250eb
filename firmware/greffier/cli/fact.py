"""``greffier fact``: tell the recorder something about a call, as a technician or a console."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import click

from greffier.cli.output import answer, json_option
from greffier.cli.running import config_option, find_socket, socket_option
from greffier.control.client import ask
from greffier.control.facts import FactTaken, Tell
from greffier.control.forms import BadMessage
from greffier.control.wire import write_request
from greffier.errors import Refused, UsageError
from greffier.language import translate as _


@click.command(help=_("Tell the recorder something about a call; docs/facts.md says what."))
@click.argument("fact", metavar="FACT")
@click.argument("value", metavar="VALUE")
@click.option("--line", default="", help=_("the call that runs on this line"))
@click.option("--call", default="", help=_("this call, by its number, also when it is over"))
@click.option("--recording", default="", help=_("the call of this recording"))
@click.option("--by", "actor", default="", help=_("who says so"))
@click.option(
    "--at", "at", default="", help=_("when it happened, such as 2026-11-22T10:15:00+01:00")
)
@click.option(
    "--id", "identity", default="", help=_("the same again is the same fact: 32 hex digits")
)
@config_option
@socket_option
@json_option
def command(
    fact: str,
    value: str,
    line: str,
    call: str,
    recording: str,
    actor: str,
    at: str,
    identity: str,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it. Raises UsageError, Refused, and what ``ask`` raises."""
    try:
        told = Tell(
            id=identity or secrets.token_hex(16),
            fact=fact,
            value=value,
            source="console",
            call=call,
            line=line,
            recording=recording,
            actor=actor,
            at_ns=_time(at) if at else 0,
        )
        write_request(told)
    except BadMessage as error:
        raise UsageError(reason=error.reason) from None
    except ValueError:
        raise UsageError(reason="--line LINE | --call NUMBER | --recording ID") from None
    taken = ask(find_socket(socket, config), told)
    assert isinstance(taken, FactTaken)  # noqa: S101 - the server answers what it was asked
    if taken.state == "refused":
        reason = _said().get(taken.code, taken.code)
        raise Refused(reason=reason, code="refused", word=taken.code)
    value_of = {
        "done": [line or call or recording],
        "refused": [],
        "state": taken.state,
        "code": taken.code,
        "codes": list(taken.codes),
    }
    answer(value_of, as_json, lambda: _text(taken))
    return 0


def _time(text: str) -> int:
    """Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.astimezone()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _text(taken: FactTaken) -> str:
    if taken.code == "second_person_needed":
        return _("noted; it counts when another person says the same")
    if taken.code == "held":
        return _("noted; what is held stays")
    text = {
        "taken": _("it counts from now on"),
        "known": _("it was told before"),
        "late": _("the call is over; what the law lets it change is changed"),
    }[taken.state]
    return f"{text} ({' '.join(taken.codes)})" if taken.codes else text


def _said() -> dict[str, str]:
    return {
        "no_such_call": _("no such call is known"),
        "no_such_line": _("no such line"),
        "no_such_recording": _("no such recording is known"),
        "several_calls": _("several calls run on this line: name one with --call"),
        "other_content": _("another fact was told under this id"),
        "unknown_fact": _("no such fact can be told"),
        "bad_value": _("this fact has no such value"),
        "in_the_future": _("that time is still to come"),
        "only_lowers": _("an earlier fact forbids it, and only the outside party may accept again"),
        "proof_needed": _("nobody enters an acceptance for somebody else"),
        "too_late": _("something is captured already"),
        "not_pausable": _("the policy lets nobody pause this line from here"),
        "pause_disabled_emergency": _("an emergency line is never paused"),
    }
