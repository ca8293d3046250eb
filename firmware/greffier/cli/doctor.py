"""``greffier doctor``: what keeps this box from recording, and what mends each point."""

from pathlib import Path

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config
from greffier.clock import SystemClock
from greffier.config.recorder import DEFAULT_PATH
from greffier.config.records import Config
from greffier.control.client import ask
from greffier.control.messages import AskStatus, Status
from greffier.errors import BadConfig, GreffierError, NotRunning
from greffier.language import translate as _
from greffier.recorder.checks import Finding, Subject, examine

START = "systemctl start greffier-recorder"
MARKS = {"ok": "ok", "warn": "!", "fail": "X"}


@click.command(
    help=_("Look at everything that recording needs; exit code 1 where something fails.")
)
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> int:
    """Run it."""
    findings = _findings(config)
    failed = any(one.state == "fail" for one in findings)
    value = {
        "ok": not failed,
        "checks": [
            {"check": one.check, "state": one.state, "cause": one.cause, "mend": one.mend}
            for one in findings
        ],
    }
    answer(
        value,
        as_json,
        lambda: table(
            ("", _("check"), _("found"), _("mend with")),
            [(MARKS[one.state], one.check, one.cause, one.mend) for one in findings],
        ),
    )
    return 1 if failed else 0


def _findings(path: Path | None) -> list[Finding]:
    try:
        config = find_config(path)
        if config is None:
            raise BadConfig(path=DEFAULT_PATH, reason=_("it does not exist"))
    except BadConfig as error:
        return [_of_error("config", error)]
    recorder = _recorder(config)
    running = recorder[0].mend != START
    subject = Subject(config, SystemClock(), running)
    return [Finding("config", "ok", str(config.path)), *examine(subject), *recorder]


def _recorder(config: Config) -> list[Finding]:
    """Whether a recorder runs, is armed, and has alarms."""
    try:
        status = ask(config.control.socket, AskStatus())
    except NotRunning as error:
        cause = str(error).partition(" — ")[0]
        return [Finding("recorder", "warn", cause, START)]
    except GreffierError as error:
        return [_of_error("recorder", error)]
    assert isinstance(status, Status)  # noqa: S101 - the server answers what it was asked
    found = [Finding("recorder", "ok", _("it is armed"))]
    if not status.armed:
        found = [Finding("recorder", "fail", _("it is not armed"), "greffier alarms")]
    if status.alarms:
        told = _("{count} alarms stand").format(count=len(status.alarms))
        found.append(Finding("alarms", "warn", told, "greffier alarms"))
    return found


def _of_error(check: str, error: GreffierError) -> Finding:
    cause, _dash, step = str(error).partition(" — ")
    return Finding(check, "fail", cause, step)
