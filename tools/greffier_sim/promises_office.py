"""The promises about head office: what lies there is what was recorded, and it can prove it.

What lies there is read by the pages of docs/ alone (:mod:`greffier_sim.soak_sync_reader`), not by
the code that wrote it.
"""

import json
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier.language import translate as _
from greffier_sim.collection import Sites
from greffier_sim.soak_sync_reader import Log, Office, rebuilt, receipt_faults, size_of
from greffier_sim.stage import Told, command


@dataclass(frozen=True, slots=True)
class Seen:
    """What the device's log says of parts that ended, and how much of it nobody cosigned."""

    received: int
    waiting: int
    not_cosigned: int


def look_at_log(sites: Sites) -> Seen:
    """Read the device's log, which may be growing."""
    log = Log(sites.device)
    size = log.follow()
    received = sum(bool(said.received) for said in log.parts.values())
    return Seen(received, len(log.parts) - received, size - size_of(log.cosigned))


def seen_by_office(sites: Sites) -> dict[str, Any] | None:
    """The box as `fleet` shows it, once it is online and nothing of it waits. Raises Broken."""
    (box,) = command("greffier-office", "fleet", "--office", str(sites.office))["boxes"]
    return dict(box) if box["online"] and not box["waiting"] else None


def device_of(sites: Sites) -> str:
    """The box's name."""
    return str(json.loads((sites.device / "device.json").read_bytes())["device"])


@dataclass(frozen=True, slots=True)
class Held:
    """How many recordings are at head office whole, and of how many all receipts verify."""

    recordings: int
    receipts: int


def check_collection(sites: Sites, told: Told) -> Held:
    """Compare both sides, part by part, and the two copies of the log. Raises Broken."""
    log = Log(sites.device)
    log.follow()
    office = Office(sites.office, device_of(sites))
    synced = receipts = 0
    recordings = [call for call in told.calls if call["recording"]]
    for call in recordings:
        parts = [one["part"] for one in call["parts"]]
        synced += all(_is_held(office, log, part) for part in parts)
        receipts += all(_is_received(office, log, part) for part in parts)
    told.check(
        _("head office holds each of {count} recordings whole, with its envelope").format(
            count=len(recordings)
        ),
        synced == len(recordings) > 0,
    )
    told.check(
        _("of each recording the device has a receipt whose signature holds"),
        receipts == len(recordings) > 0,
    )
    told.check(
        _("no receipt came while the line was cut, and what waited then was not lost"),
        told.confirmed_while_cut == 0 < told.waited,
    )
    same = not office.log_faults(log) and 0 < office.cosigned <= office.size
    told.check(_("head office has the same log, entry by entry, and has cosigned it"), same)
    return Held(synced, receipts)


def _is_held(office: Office, log: Log, part: str) -> bool:
    """Whether head office holds *part* as the device's log says that it is."""
    said = log.parts.get(part)
    return said is not None and not office.faults(part, said)


def _is_received(office: Office, log: Log, part: str) -> bool:
    """Whether the device's log holds one receipt of *part*, and its signature holds."""
    said = log.parts.get(part)
    if said is None or len(said.received) != 1:
        return False
    note = rebuilt(office.device, said.received[0])
    return not receipt_faults(note, office.vkey, office.wanted(part, said))


def check_opened(sites: Sites, told: Told) -> None:
    """Open every recording from head office's store: the sound is the device's. Raises Broken."""
    recordings = [call["recording"] for call in told.calls if call["recording"]]
    same = True
    for recording in recordings:
        sound = sites.work / f"{recording}.office.wav"
        words = ("greffier-office", "open", recording, "--office", str(sites.office))
        command(*words, "--key", str(sites.keys / "office.key"), "-o", str(sound))
        same = same and _samples(sound) == _samples(sites.work / f"{recording}.wav")
    told.check(_("opened at head office, each recording sounds the same, sample for sample"), same)


def _samples(path: Path) -> tuple[int, bytes]:
    """Channels, and all that they say."""
    with wave.open(str(path)) as file:
        return file.getnchannels(), file.readframes(file.getnframes())


VERIFY = ("greffier-office", "verify", "--office")


def check_store(sites: Sites, told: Told) -> None:
    """What head office holds verifies."""
    report = command(*VERIFY, str(sites.office), allowed=range(256))
    whole = report["exit"] == 0 and bool(report["ok"])
    told.check(_("head office's store is whole: every hash and every signature"), whole)


def check_altered_store(sites: Sites, told: Told) -> bool:
    """A bit that is flipped in a copy of what head office holds is found."""
    copy = sites.work / "tampered-office"
    shutil.copytree(sites.office, copy)
    block = next(path for path in (copy / "objects" / "blocks").rglob("*") if path.is_file())
    data = bytearray(block.read_bytes())
    data[len(data) // 2] ^= 1
    block.chmod(0o600)
    block.write_bytes(data)
    report = command(*VERIFY, str(copy), allowed=range(256))
    return told.check(
        _("one flipped bit in a copy of head office's store is found"), report["exit"] == 20
    )
