"""``greffier-office enrol``: answer the request of a box, and let it in."""

from pathlib import Path
from typing import Any

import click

from greffier.cli.enrol import explained, read_file
from greffier.cli.output import answer, json_option
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import AlreadyThere
from greffier.language import translate as _
from greffier.sync.enrolment import (
    MOST_REQUEST,
    MOST_RESPONSE,
    Refused,
    digest,
    read_response,
)
from greffier_office import admission, broker, place
from greffier_office.office_init import office_option
from greffier_office.place import Office

pid_option = click.option(
    "--pid-file",
    "pid_file",
    type=click.Path(path_type=Path),
    default=None,
    help=_("the broker's process id; broker/mosquitto.pid without"),
)


def tell_broker(office: Office, pid_file: Path | None) -> tuple[bool, str]:
    """Have the broker read its lists again; whether it was told, and a line for who runs this."""
    told = broker.reload(pid_file or office.broker / broker.PID_FILE)
    if told:
        return True, _("The broker reads its lists again.")
    return False, _("No broker runs here: where it runs, have it read broker/ again (SIGHUP).")


def answers(response: bytes, request: bytes) -> bool:
    """Whether a file holds an answer to *request*, so that the same may be written over it."""
    try:
        return read_response(response).body.request == digest(request)
    except Refused:
        return False


@click.command(help=_("Answer the request of a box that has a claim code, and let it in."))
@click.argument("request", type=click.Path(path_type=Path))
@office_option
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    default=None,
    help=_("the answer's file; the request's name with .response without"),
)
@pid_option
@json_option
def command(
    request: Path, office: Path, output: Path | None, pid_file: Path | None, as_json: bool
) -> int:
    """Run it."""
    opened = place.open(office)
    target = output or request.with_suffix(".response")
    disk = Disk()
    with explained(request):
        data = read_file(request, MOST_REQUEST)
        if target.exists() and not answers(read_file(target, MOST_RESPONSE), data):
            raise AlreadyThere(path=target)
        admitted = admission.admit(opened, data, disk, SystemClock().wall_ns())
    disk.write_file(target, admitted.response, 0o644)
    told, line = tell_broker(opened, pid_file)
    value: dict[str, Any] = {
        "response": str(target),
        "device": admitted.device,
        "label": admitted.label,
        "log_key": admitted.log_key,
        "again": admitted.again,
        "broker_told": told,
    }
    answer(
        value,
        as_json,
        lambda: (
            _("{device} {label} may connect. Its log key: {log_key}").format(**value)
            + "\n"
            + _("{response}: send it to the box.").format(**value)
            + "\n"
            + line
        ),
    )
    return 0
