"""The doctor's looks at media: how full, how worn, the reserve, the mirror, what is due unsent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from greffier.clock import SECOND
from greffier.config.records import Config
from greffier.errors import NoMedium
from greffier.language import translate as _
from greffier.policy.space import Ladder, Step
from greffier.recorder import reserve
from greffier.recorder.block_device import wear_of
from greffier.recorder.probe import space_of
from greffier.store import layout, medium
from greffier.store.layout import DataDirectory
from greffier.store.medium import names_in
from greffier.store.room import waiting_at

SOON_HOURS: Final = 72
SOON_DAYS: Final = 7
LEAST_YEARS: Final = 5.0
Found = Iterator[tuple[str, str, str]]
"""State, cause and what mends it, of each finding."""


def space(config: Config) -> Found:
    """On which step of the ladder the medium stands."""
    directory = layout.open(config.data)
    found = space_of(directory.path)
    storage = config.storage
    ladder = Ladder(storage.alarm_percent, storage.refuse_percent, storage.duties_percent)
    step = ladder.step(Step.NORMAL, found)
    hours = _hours_left(directory, found.free)
    told = _("{used} % used, hours left at the pace of the last days: {hours}").format(
        used=int(found.used_percent) if found.sane else "-", hours="-" if hours is None else hours
    )
    mend = f"greffier purge --data {directory.path}"
    if step >= Step.REFUSE:
        yield "fail", told, mend
    elif step == Step.ALARM or (hours is not None and hours < SOON_HOURS):
        yield "warn", told, mend
    else:
        yield "ok", told, ""


def _hours_left(directory: DataDirectory, free: int) -> int | None:
    """At the pace of the latest seven days that hold parts; None before the first."""
    days = sorted(one for one in directory.parts.iterdir() if one.is_dir())[-7:]
    written = sum(part.stat().st_size for day in days for part in day.iterdir())
    return None if not written else free * 24 * len(days) // written


def kept_free(config: Config, *, running: bool) -> Found:
    """Whether the reserve for log and keys is there."""
    if not config.storage.reserve_mib:
        yield "warn", _("a full disk would stop the log: there is no reserve"), _edit(config)
        return
    held = reserve.blocks_of(layout.open(config.data).path / reserve.FILE) >> 20
    if running and not held:
        yield (
            "warn",
            _("the reserve for the log is in use, or the disk has no room for it"),
            f"greffier purge --data {config.data}",
        )
    else:
        yield "ok", _("{size} MiB are kept for the log").format(size=held), ""


def mirror(config: Config) -> Found:
    """Whether the second medium is there, and has all that it should."""
    folder = config.storage.mirror
    if folder is None:
        return
    directory = layout.open(config.data)
    try:
        with medium.opened(folder, directory.identity.device) as found:
            there = found.days()
    except NoMedium as error:
        cause, _dash, step = str(error).partition(" — ")
        yield "warn", cause, step  # recording goes on without it
        return
    missing = sum(
        len(names_in(day) - there.get(day.name, set()))
        for day in directory.parts.iterdir()
        if day.is_dir()
    )
    told = _("{count} parts of the vault are not on {path} (yet)").format(
        count=missing, path=folder
    )
    yield ("warn" if missing else "ok"), told, ("greffier alarms" if missing else "")


def wear(config: Config, system: Path) -> Found:
    """What the medium has to bear."""
    found = wear_of(config.data, system)
    if found is None:
        return
    years = found.years
    told = _("{device}: {size} MB written a day, enough for {years} years at that pace").format(
        device=found.device,
        size="-" if found.octets_a_day is None else round(found.octets_a_day / 1e6),
        years="-" if years is None else f"{min(years, 99):.0f}",
    )
    worn = found.ending or (found.used_percent or 0) >= 90
    if worn or (years is not None and years < LEAST_YEARS):
        yield ("fail" if found.ending else "warn"), told, _("plan to replace the medium")
    else:
        yield "ok", told, ""


def retention(config: Config, lower_ns: int) -> Found:
    """Whether something would soon be destroyed that head office has not."""
    directory = layout.open(config.data)
    if not directory.index.exists():
        return
    count = waiting_at(directory.index, lower_ns + SOON_DAYS * 86_400 * SECOND)
    told = _("{count} parts reach their term within {days} days, and head office has not confirmed")
    said = told.format(count=count, days=SOON_DAYS)
    yield ("warn" if count else "ok"), said, ("greffier sync status" if count else "")


def _edit(config: Config) -> str:
    return f"sudoedit {config.path}"
