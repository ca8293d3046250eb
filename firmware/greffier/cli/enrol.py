"""``greffier enrol``: this device and a head office get to know each other, by two files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, data_option, json_option
from greffier.clock import SystemClock, day_of, format_time
from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadEnrolment, UsageError
from greffier.language import translate as _
from greffier.store import layout
from greffier.sync import installation
from greffier.sync.claim import BadClaim
from greffier.sync.enrolment import MOST_RESPONSE, Refused
from greffier.sync.folder import DEFAULT, SyncFolder

sync_option = click.option(
    "--sync",
    "sync",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    help=_("the folder of sync"),
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Refusals of the file *path* as errors that a user may see."""
    try:
        yield
    except Refused as error:
        raise BadEnrolment(path=path, reason=error.reason, number=error.number) from None


def read_file(path: Path, most: int) -> bytes:
    """The content of the file *path*, at most one octet more than *most*. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(reason=f"{path}: {error.strerror}") from None


@click.group(help=_("Make this device known to a head office."))
def group() -> None:
    """The commands below."""


@group.command("request", help=_("Make keys and a request for head office."))
@data_option
@sync_option
@click.option("--claim", "code", required=True, help=_("the claim code that head office gave"))
@click.option(
    "-o", "output", required=True, type=click.Path(path_type=Path), help=_("the file to write")
)
@json_option
def make_request(data: str, sync: Path, code: str, output: Path, as_json: bool) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    if output.exists():  # looked at first: a request that waits is not forgotten for a wrong name
        raise AlreadyThere(path=output)
    disk = Disk()
    try:
        now_ns = SystemClock().wall_ns()
        made = installation.request(directory, SyncFolder(sync), code, disk, now_ns)
    except BadClaim:
        reason = _("the claim code is not right: it has 20 letters and digits; read it out again")
        raise UsageError(reason=reason) from None
    disk.write_file(output, made, 0o644)
    value: dict[str, Any] = {"request": str(output), "device": directory.identity.device}
    answer(
        value,
        as_json,
        lambda: _(
            "{request}: send it to head office; install its answer with `greffier enrol install`."
        ).format(**value),
    )
    return 0


@group.command("install", help=_("Install the answer of head office."))
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@sync_option
@click.option("--replace", is_flag=True, help=_("take the place of another head office"))
@json_option
def install(file: Path, data: str, sync: Path, replace: bool, as_json: bool) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    with explained(file):
        content = read_file(file, MOST_RESPONSE)
        done = installation.install(
            content, directory, SyncFolder(sync), Disk(), SystemClock().wall_ns(), replace
        )
    value: dict[str, Any] = {
        "device": done.enrolment.device,
        "head_office": done.enrolment.name,
        "brokers": list(done.enrolment.brokers),
        "bulk_brokers": list(done.enrolment.bulk_brokers),
        "expires": format_time(done.expires_ns, digits=0),
        "changed": done.changed,
    }
    answer(
        value,
        as_json,
        lambda: _("{device} belongs to head office {name}, until {day}.").format(
            device=value["device"], name=value["head_office"], day=day_of(done.expires_ns)
        ),
    )
    return 0
