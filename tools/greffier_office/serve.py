"""``greffier-office serve``: collect what the boxes send, until told to stop."""

import json
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import click

from greffier.cli.output import json_option
from greffier.durable import Disk
from greffier.errors import GreffierError, UsageError
from greffier.language import translate as _
from greffier.language import visible
from greffier.sync import topics
from greffier_office import place
from greffier_office.broker import Address
from greffier_office.collector import Collector, Settings
from greffier_office.office_init import office_option

LOOK_S = 1.0
COUNTS_S = 60.0
"""Between two lines that say only that more was dropped, or failed."""
MIB = 1 << 20
# The bulk thread computes while an entry of a log waits for the interpreter: 5 ms by default.
SWITCH_S = 0.001


@click.command(help=_("Collect recordings and logs from the boxes; ends with SIGTERM."))
@office_option
@click.option("--broker", help=_("HOST:PORT of the broker, when it is not the first of the office"))
@click.option("--lane", help=_("name of this collector among several; any other each time"))
@click.option("--memory", default=256, type=click.IntRange(16), help=_("MiB for parts under way"))
@click.option(
    "--reserve", default=1024, type=click.IntRange(0), help=_("MiB of the disk that stay free")
)
@json_option
def command(
    office: Path, broker: str | None, lane: str | None, memory: int, reserve: int, as_json: bool
) -> int:
    """Run it."""
    opened = place.open(office)
    address = Address.parse(broker) if broker else opened.brokers[0]
    bulk = opened.bulk_brokers[0] if opened.bulk_brokers and not broker else address
    lane = lane or secrets.token_hex(4)
    if not topics.is_lane(lane):
        raise UsageError(reason=_("a lane is 1 to 32 of a-z 0-9 -"))
    sys.setswitchinterval(SWITCH_S)
    settings = Settings(address, bulk, lane, memory * MIB, reserve * MIB)
    collector = Collector(opened, settings, Disk(), lambda line: _tell(as_json, alarm=line))
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    collector.start()
    return _look_after(collector, stopping, as_json)


def _look_after(collector: Collector, stopping: threading.Event, as_json: bool) -> int:
    """Say when it is ready and when not; end where a thread is dead. Raises GreffierError."""
    was_ready = None
    why = ""
    counts, counted_s = collector.status()["counts"], time.monotonic()
    while not stopping.wait(LOOK_S if was_ready else 0.05):
        troubles = collector.troubles()
        if troubles:
            reason = _("its thread {name} stands still").format(name=", ".join(troubles))
            raise GreffierError(reason=reason)
        lost = collector.control.lost or collector.bulk.lost
        if collector.ready != was_ready or (not was_ready and lost != why):
            was_ready, why = collector.ready, lost
            _tell(as_json, **collector.status(), lost=lost)
        now_s = time.monotonic()
        if now_s - counted_s > COUNTS_S and collector.status()["counts"] != counts:
            counts, counted_s = collector.status()["counts"], now_s
            _tell(as_json, **collector.status(), lost=lost)
    collector.stop()
    _tell(as_json, **collector.status(), stopped=True)
    return 0


def _tell(as_json: bool, **said: object) -> None:
    """One line: an alarm on stderr, anything else on stdout."""
    if as_json:
        click.echo(visible(json.dumps(said, ensure_ascii=False)))
    elif "alarm" in said:
        click.echo(visible(_("alarm: {what}").format(what=said["alarm"])), err=True)
    elif said.get("stopped"):
        click.echo(_("Stopped."))
    elif said["ready"]:
        click.echo(_("Ready on lane {lane}.").format(lane=said["lane"]))
        if said["counts"]:
            click.echo(visible(_("Dropped or failed: {counts}").format(counts=said["counts"])))
    else:
        click.echo(_("Not connected: {why}").format(why=visible(str(said["lost"] or "…"))))
