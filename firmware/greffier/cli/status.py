"""``greffier status``: what the recorder does now, and how much of it survives a power cut."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from greffier.audit import verify
from greffier.cli.alarms import alarm_as_json, alarm_rows
from greffier.cli.init import told_class
from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config, find_socket, socket_option
from greffier.clock import SystemClock, format_time
from greffier.config.records import Config
from greffier.control.client import ask
from greffier.control.messages import AskStatus, Status
from greffier.durable import Disk
from greffier.errors import NotRunning
from greffier.language import translate as _
from greffier.recorder.operators import cards, guards, roll_of
from greffier.store import layout


@click.command(help=_("What the recorder does now; where none runs, what it left."))
@click.option("--data", type=click.Path(path_type=Path), help=_("the data directory"))
@config_option
@socket_option
@json_option
def command(data: Path | None, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    path = find_socket(socket, config)
    try:
        status = ask(path, AskStatus())
        assert isinstance(status, Status)  # noqa: S101 - the server answers what it was asked
        value = _as_json(status)
    except NotRunning:
        found = None if socket else find_config(config)
        left = data or (found.data if found else None)
        if left is None:
            raise
        value = _at_rest(left, found)
    answer(value, as_json, lambda: _text(value))
    return 0


def _as_json(status: Status) -> dict[str, Any]:
    return {
        "running": True,
        "armed": status.armed,
        "device": status.device,
        "run": status.run,
        "age_ms": status.age_ms,
        "lines": [
            {"line": one.line, "state": one.state, "calls": one.calls} for one in status.lines
        ],
        "committed": [
            {"part": one.part, "bytes": one.bytes, "last_sample": one.last_sample}
            for one in status.committed
        ],
        "alarms": [alarm_as_json(one) for one in status.alarms],
        "storage": {
            "free_bytes": status.storage.free_bytes,
            "total_bytes": status.storage.total_bytes,
            "hours_to_first_unsynced_loss": status.storage.hours_to_first_unsynced_loss,
            "step": status.storage.step or None,
            "mirror": _mirror_of(status),
        },
        "clock": {
            "lower_bound": format_time(status.clock.lower_bound_ns),
            "source": status.clock.source,
        },
        "office": {
            "waiting": status.office.waiting,
            "bytes": status.office.size,
            "oldest": format_time(status.office.oldest_ns) if status.office.oldest_ns else None,
            "received": status.office.received,
            "unnamed": status.office.unnamed,
            "cosigned_size": status.office.cosigned_size,
        },
        "deletion_class": status.deletion or None,
        "operators": status.operators.split("+") if status.operators else [],
    }


def _mirror_of(status: Status) -> dict[str, Any] | None:
    storage = status.storage
    if not storage.mirror:
        return None
    return {"state": storage.mirror, "missing": storage.mirror_missing}


def _at_rest(data: Path, config: Config | None) -> dict[str, Any]:
    """The same of a directory that nobody writes. Raises NotADataDirectory, Busy, StorageFailed."""
    directory = layout.open(data)
    bound = SystemClock().lower_bound()
    with directory.lock(Disk()):
        space = shutil.disk_usage(data)
    return {
        "running": False,
        "armed": False,
        "device": directory.identity.device,
        "run": None,
        "age_ms": None,
        "lines": [
            {"line": line, "state": "off", "calls": 0} for line in (config.lines if config else ())
        ],
        "committed": [],
        "alarms": [],
        "storage": {
            "free_bytes": space.free,
            "total_bytes": space.total,
            "hours_to_first_unsynced_loss": None,
            "step": None,
            "mirror": None,
        },
        "clock": {"lower_bound": format_time(bound.t_ns), "source": bound.source},
        "office": None,
        "deletion_class": directory.deletion_class,
        "operators": guards(cards(directory, roll_of(verify.entries(data))).values()),
    }


def _text(value: Mapping[str, Any]) -> str:
    states = {
        "recorded": _("recorded"),
        "idle": _("idle"),
        "not_recorded": _("not recorded"),
        "paused": _("paused"),
        "lost": _("lost"),
        "blind": _("blind"),
        "off": _("off"),
    }
    if not value["running"]:
        head = _("No recorder runs on {device}.")
    elif value["armed"]:
        head = _("The recorder on {device} is armed.")
    else:
        head = _("The recorder on {device} is not armed.")
    lines = [(one["line"], states[one["state"]], str(one["calls"])) for one in value["lines"]]
    storage = value["storage"]
    free = storage["free_bytes"]
    hours = storage["hours_to_first_unsynced_loss"]
    parts = [
        head.format(device=value["device"]),
        table((_("line"), _("state"), _("calls")), lines),
        _("parts being written: {count}").format(count=len(value["committed"])),
        _("free space: {size}; hours until something unsynced is lost: {hours}").format(
            size="-" if free is None else f"{free / 1e9:.1f} GB",
            hours="-" if hours is None else hours,
        ),
        *_storage_rows(storage),
        _("certainly not earlier than {time} ({source})").format(
            time=value["clock"]["lower_bound"], source=value["clock"]["source"]
        ),
        *_office_rows(value["office"]),
        *([told_class(value["deletion_class"])] if value["deletion_class"] else []),
        _told_operators(value["operators"]),
        alarm_rows(value["alarms"]),
    ]
    return "\n".join(parts)


def _told_operators(guarded: Sequence[str]) -> str:
    words = {
        "tpm": _("the TPM"),
        "passphrase": _("a drawn passphrase"),
        "key-file": _("a key file"),
    }
    if not guarded:
        return _("Nobody can replay here; head office can.")
    return _("Operators' keys hang on {guards}.").format(
        guards=", ".join(words.get(one, one) for one in guarded)
    )


def _storage_rows(storage: Mapping[str, Any]) -> list[str]:
    steps = {
        "alarm": _("The disk is filling up: what head office has is deleted, oldest first."),
        "refuse": _("The disk has room for duties alone: other calls are not recorded."),
        "duties": _("The disk is nearly full: whatever is no duty is not recorded."),
    }
    rows = [steps[storage["step"]]] if storage["step"] in steps else []
    if storage["mirror"] is not None:
        said = _("second medium: {state}; {missing} parts are not on it")
        rows.append(said.format(**storage["mirror"]))
    return rows


def _office_rows(office: Mapping[str, Any] | None) -> list[str]:
    if office is None:
        return []
    said = _("head office has {received} parts; {waiting} wait ({size})")
    size = f"{office['bytes'] / 1e6:.1f} MB"
    return [said.format(received=office["received"], waiting=office["waiting"], size=size)]
