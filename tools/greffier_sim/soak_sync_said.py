"""What head office can play, compared with what was said: packet by packet, in every part it has.

Each packet that a party of the soak sends has its own octets, so one that is in the wrong place,
twice, or of nobody shows. Parts are read from head office's objects with its own key.
"""

import argparse
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from greffier.capture.datagram import Datagram
from greffier.errors import GreffierError
from greffier.seal.keys import PrivateKey
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier_office.place import Office
from greffier_sim import captures, parties
from greffier_sim.captures import Side
from greffier_sim.soak_kills import spans_of
from greffier_sim.soak_sync_reader import envelope_block
from greffier_sim.sync_lab import SyncLab, filled

EARLY_S = 2.0
"""What a kill may cost before it, and what a call's own times may be off."""
DUTY_LINE = "desk"
_RTP_HEADER = 12
_SIDES = 2
Spoken = Mapping[bytes, tuple[str, int]]
"""The payload of each packet that was sent: by whom, and the how many-th of them."""


@dataclass(slots=True)
class Heard:
    """What all parts hold together."""

    faults: list[str] = field(default_factory=list)
    packets: int = 0
    recordings: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    """Those that hold every packet of both sides."""


def heard(place: SyncLab, words: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What head office plays, against what the soak of *words* said: figures, and faults."""
    speeches = [(name, parties.said(name, words.talk)) for name in get_args(Side)]
    for call in filled(words.backlog, words.long):
        speeches += [
            (f"{call.call_id} {one}", captures.speech(call, one)) for one in get_args(Side)
        ]
    found = listen(place.head.office, place.device, place.box.private, spoken(speeches))
    listed = place.box.ask("calls", key=True)["calls"]
    offs = spans_of(place.box, "off") + spans_of(place.box, "lost")
    for call in listed:
        recording = call["recording"] if call["line"] == DUTY_LINE else None
        if recording and recording not in found.whole and not _touched(call, offs):
            found.faults.append(f"head office has not all of {recording}")
    figures = {
        "calls_listed": len(listed),
        "calls_recorded": sum(bool(call["recording"]) for call in listed),
        "recordings_at_head_office": len(found.recordings),
        "recordings_whole": len(found.whole),
        "packets_heard": found.packets,
    }
    return figures, found.faults


def _touched(call: dict[str, Any], offs: list[tuple[int, int]]) -> bool:
    """Whether the recorder was off during a call, or so shortly after that its end is missing."""
    if call["duration_s"] is None:
        return True  # nobody heard its end
    start = datetime.fromisoformat(call["start"]).timestamp() - EARLY_S
    end = start + call["duration_s"] + 2 * EARLY_S
    return any(low / 1e9 < end and high / 1e9 > start for low, high in offs)


def spoken(speeches: Iterable[tuple[str, Iterable[Datagram]]]) -> dict[bytes, tuple[str, int]]:
    """The payloads of what each side sends, by its name."""
    return {
        one.payload[_RTP_HEADER:]: (name, index)
        for name, datagrams in speeches
        for index, one in enumerate(datagrams)
    }


def listen(office: Office, device: str, private: PrivateKey, said: Spoken) -> Heard:
    """Open every part, and compare."""
    heard = Heard()
    length = Counter(name for name, _ in said.values())
    recordings: dict[str, list[OpenedPart]] = defaultdict(list)
    for part in opened(office, device, private, heard.faults):
        recordings[part.header.recording_id.hex()].append(part)
    for recording, parts in sorted(recordings.items()):
        last: dict[str, int] = {}
        count: Counter[str] = Counter()
        for part in sorted(parts, key=lambda one: one.header.number):
            for leg in part.legs.values():
                sides = set()
                for packet in leg.packets:
                    name, index = said.get(packet.data, ("", -1))
                    sides.add(name)
                    if index <= last.get(name, -1):
                        what = "comes twice or too late" if name else "is nobody's"
                        heard.faults.append(f"a packet of {recording} {what}: {name} {index}")
                        break
                    last[name] = index
                    count[name] += 1
                if len(sides) > 1:
                    heard.faults.append(f"a leg of {recording} holds {sorted(sides)}")
        heard.packets += count.total()
        heard.recordings.add(recording)
        if len(count) == _SIDES and all(count[name] == length[name] for name in count):
            heard.whole.add(recording)
    return heard


def opened(
    office: Office, device: str, private: PrivateKey, faults: list[str]
) -> Iterator[OpenedPart]:
    """Every part of *device* that head office has stored; what does not open is a fault."""
    with (
        closing(sqlite3.connect(f"file:{office.catalogue}?mode=ro", uri=True)) as catalogue,
        closing(sqlite3.connect(f"file:{office.envelopes}?mode=ro", uri=True)) as envelopes,
        tempfile.TemporaryDirectory() as folder,
    ):
        envelopes.row_factory = sqlite3.Row
        rows = catalogue.execute(
            "SELECT part FROM parts WHERE device = ? AND stored_ns IS NOT NULL", (device,)
        ).fetchall()
        for (part,) in rows:
            names = catalogue.execute(
                "SELECT object FROM part_blocks JOIN blocks USING (sha256)"
                " WHERE device = ? AND part = ? ORDER BY number",
                (device, part),
            ).fetchall()
            row = envelopes.execute(
                "SELECT * FROM envelopes WHERE device = ? AND part = ?", (device, part)
            ).fetchone()
            block = envelope_block(office.path, row)
            path = Path(folder) / f"{part}.gpart"
            try:
                whole = b"".join((office.objects / name).read_bytes() for (name,) in names)
                path.write_bytes(whole)
                yield playback.open_part(path, block, private, unfinished=True)
            except (GreffierError, OSError) as error:
                faults.append(f"part {part}: {error}")
            path.unlink(missing_ok=True)
