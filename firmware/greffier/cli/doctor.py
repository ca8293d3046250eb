"""``greffier doctor``: what keeps this box from recording, and what mends each point."""

from pathlib import Path

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config
from greffier.clock import SECOND, SystemClock, format_time
from greffier.config.recorder import DEFAULT_PATH
from greffier.config.records import Config
from greffier.control.client import ask
from greffier.control.messages import AskStatus, Status
from greffier.errors import BadConfig, GreffierError, NotRunning
from greffier.language import translate as _
from greffier.policy import rules
from greffier.recorder import load
from greffier.recorder.checks import Subject, examine
from greffier.recorder.finding import Finding
from greffier.recorder.load import Load
from greffier.sync.folder import SyncFolder

EXPIRES_SOON_NS = 30 * 86_400 * SECOND
START = "systemctl start greffier-recorder"
MARKS = {"ok": "ok", "warn": "!", "fail": "X"}


@click.command(
    help=_("Look at everything that recording needs; exit code 1 where something fails.")
)
@click.option(
    "--load",
    "with_load",
    is_flag=True,
    help=_("measure how many channels this machine carries; takes some seconds"),
)
@config_option
@json_option
def command(config: Path | None, with_load: bool, as_json: bool) -> int:
    """Run it."""
    findings = _findings(config)
    measured = _measure(config, findings) if with_load else None
    failed = any(one.state == "fail" for one in findings)
    value = {
        "ok": not failed,
        "checks": [
            {"check": one.check, "state": one.state, "cause": one.cause, "mend": one.mend}
            for one in findings
        ],
    }
    if with_load:
        value["load"] = None if measured is None else measured.as_json()
    answer(
        value,
        as_json,
        lambda: table(
            ("", _("check"), _("found"), _("mend with")),
            [(MARKS[one.state], one.check, one.cause, one.mend) for one in findings],
        ),
    )
    if measured is not None and not as_json:
        click.echo(_table_of(measured))
    return 1 if failed else 0


def _measure(path: Path | None, findings: list[Finding]) -> Load | None:
    """Measure, and add what follows to *findings*; None where something fails that it needs."""
    if any(one.check == "config" and one.state == "fail" for one in findings):
        return None
    try:
        config = find_config(path)
        if config is None:
            return None
        policy = rules.load(config.policy)
        measured = load.measure(config, policy)
    except GreffierError as error:
        findings.append(_of_error("load", error))
        return None
    findings += load.findings(measured, config)
    return measured


def _table_of(measured: Load) -> str:
    heads = (_("codec"), _("CPU a second, µs"), _("legs a core"), _("KiB a leg"))
    return "\n" + table(
        heads,
        [
            (one.kind, f"{one.cpu_us:.0f}", str(one.legs_a_core), str(one.memory >> 10))
            for one in measured.costs
        ],
    )


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
    looks = [*examine(subject), *_sync(config, subject.clock.wall_ns())]
    return [Finding("config", "ok", str(config.path)), *looks, *recorder]


def _sync(config: Config, now_ns: int) -> list[Finding]:
    """Whether the transfer to head office could connect, and for how long; nothing without one."""
    folder = SyncFolder(config.sync.folder)
    if not config.control.sync and not folder.enrolment.exists():
        return []
    try:
        ready = folder.open(now_ns)
    except GreffierError as error:
        return [_of_error("sync", error)]
    day = format_time(ready.expires_ns, digits=0)
    told = _("{name}; its certificates hold until {day}").format(name=ready.enrolment.name, day=day)
    if ready.expires_ns - now_ns < EXPIRES_SOON_NS:
        return [Finding("sync", "warn", told, "greffier enrol request")]
    return [Finding("sync", "ok", told)]


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
