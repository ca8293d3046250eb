"""``greffier run``: the recorder, until it is told to stop."""

import functools
import secrets
import signal
from pathlib import Path

import click

from greffier.capture.tap import Tap
from greffier.clock import Clock, SystemClock
from greffier.config import recorder as configuration
from greffier.config import records
from greffier.control import access
from greffier.control.board import Board
from greffier.control.server import Server
from greffier.language import translate as _
from greffier.policy import packs as law
from greffier.recorder import cards, memory, outputs
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.governing import Governor
from greffier.recorder.service import Inputs, Service
from greffier.recorder.taps import Port
from greffier.store import layout


@click.command(help=_("Record, as the configuration and the policy say, until told to stop."))
@click.option("--config", "path", required=True, type=click.Path(path_type=Path))
def command(path: Path) -> int:
    """Run it."""
    memory.forbid_core_files()
    memory.keep_what_is_freed()
    memory.look_rarely_for_cycles()
    locked = memory.lock_all()
    config = configuration.load(path)
    packs = law.load(config.packs)
    governor = Governor(config, packs)
    clock = SystemClock()
    board = Board()
    device = layout.open(config.data).identity.device
    alarms = AlarmRoom(clock, secrets.token_hex(16))
    alarms.set(not locked, "memory.unlocked")
    boxes = outputs.make(
        [one for one in config.outputs if one.kind == "syslog"],
        device,
        lambda name, fails: alarms.set(fails, "output.failed", name),
    )
    service = Service(
        config,
        governor.policy,
        packs,
        clock,
        board,
        alarms,
        device,
        open_inputs=lambda: _inputs(config, clock),
        say=lambda line: click.echo(line, err=True),
        governor=governor,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: service.stop())
    for box in boxes:
        alarms.listen(box.offer)
        box.start()
    try:
        with Server(config.control.socket, board, access.of_config(config), clock):
            service.run()
    finally:
        for box in boxes:
            box.stop()
    return 0


def _inputs(config: records.Config, clock: Clock) -> Inputs:
    """What the configuration listens to; of a tap that is opened the kernel keeps frames."""
    taps = [
        Port(tap.name, functools.partial(_open, tap), clock, tap.blind_after_s)
        for tap in config.taps
    ]
    return Inputs(taps, cards.of(config, clock))


def _open(tap: records.Tap) -> Tap:
    """The interface of *tap*, as it is configured. Raises DeviceNotFound."""
    return Tap(
        tap.interface,
        blocks=tap.ring_blocks,
        block_octets=tap.block_kib * 1024,
        retire_ms=tap.retire_ms,
        promiscuous=tap.promiscuous,
        sip_ports=tap.sip_ports,
    )
