"""Deleted is deleted: perfect remanence against the shred store.

A box records calls of ten days on a real ext4 below which every write is kept, and purges them in
several turns: whole days that are due, and single parts out of days that stay, with recording going
on between. Then somebody comes who has every octet that was ever written to the block device, what
the TPM holds today, and the private keys of head office and console. He shares no code with the
recorder (:mod:`greffier_sim.carver`) and asks no file system. What he opens is not deleted.

That his zero means something: he opens everything that was not purged, and with copies of the TPM
from before each purge everything that was. Without a TPM (class C) the same attack is counted too.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import purge
from greffier.recorder.purge import Verdict
from greffier.seal.keys import PrivateKey
from greffier.store import playback
from greffier.store.index import PartRow
from greffier.store.shred_format import PART, Name
from greffier_sim import block_disk
from greffier_sim.carver import Carver, Holder, effaceable_keys
from greffier_sim.filled_disk import FilledDisk, memory, watched
from greffier_sim.many_calls import DUTY, VOLUNTARY, ManyCalls, plans
from greffier_sim.medium import find, windows
from greffier_sim.sickdisk import Unable
from greffier_sim.soak_missing import Missing

DAYS: Final = 10
DUE: Final = 4
"""So many of the first days are purged whole, when they are due."""
KEPT_DAYS: Final = 89
_TURNS: Final = 4


@dataclass
class Story:
    """What was recorded and purged, and copies of the TPM from before each purge."""

    voluntary: set[bytes] = field(default_factory=set)
    duty: set[bytes] = field(default_factory=set)
    purged: set[bytes] = field(default_factory=set)
    purges: int = 0
    chips: list[bytes] = field(default_factory=list)
    played: set[bytes] = field(default_factory=set)
    """Parts that the recorder's own reader opens at the end."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--voluntary", type=int, default=200, help="voluntary calls a day")
    parser.add_argument("--duty", type=int, default=10, help="calls a day under a duty")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run both; the figures."""
    began = time.monotonic()
    try:
        block_disk.own_mounts()
        with tempfile.TemporaryDirectory(prefix="greffier-deletion-", dir=memory()) as name:
            folder = Path(name)
            program = block_disk.build(folder)
            with_tpm = attack(folder / "a", program, words, say, tpm=True)
            without = attack(folder / "c", program, words, say, tpm=False)
    except Unable as error:
        raise Missing(str(error)) from error
    good = (
        with_tpm["purged_voluntary_opened"] == 0
        and with_tpm["others_opened"] == with_tpm["others"] == with_tpm["others_played"]
        and with_tpm["purged_opened_by_old_tpm_states"] == with_tpm["purged_voluntary"]
        and with_tpm["keys_in_clear"] == with_tpm["stray_envelopes"] == 0
        and without["others_opened"] == without["others"] == without["others_played"]
    )
    found = {"with_tpm": with_tpm, "without_tpm": without}
    return {**found, "seconds": round(time.monotonic() - began, 1), "ok": good}


def attack(
    folder: Path,
    program: Path,
    words: argparse.Namespace,
    say: Callable[[str], None],
    *,
    tpm: bool,
) -> dict[str, Any]:
    """Live a box's life on a disk below *folder*, and attack what it left."""
    folder.mkdir()
    with FilledDisk(folder, program, words.voluntary * DAYS, tpm=tpm) as disk, watched() as secrets:
        story = live(disk, words.voluntary, words.duty)
        disk.power_off()
        medium, octets = disk.ever()
        chip = disk.chip if tpm else b""
    letter = "A" if tpm else "C"
    say(f"class {letter}: {len(story.voluntary) + len(story.duty)} parts, {octets >> 20} MiB")
    carver = Carver(medium, [Holder(disk.key.seed), Holder(disk.console.seed, role=2)])
    keys = windows(chip) | effaceable_keys(medium)
    opened = carver.look(keys)
    purged = story.purged & story.voluntary
    others = story.voluntary - purged
    before = carver.look(windows(*story.chips)) if tpm else None
    clear = find(secrets.effaceable | secrets.buckets | secrets.contents, medium.blocks)
    say(f"class {letter}: {len(opened.parts & purged)} of {len(purged)} purged parts opened")
    return {
        "class": letter,
        "octets_ever_written": octets,
        "blocks_ever": len(medium.blocks),
        "purges": story.purges,
        "keys_tried_on_roots": len(keys),
        "voluntary": len(story.voluntary),
        "purged_voluntary": len(purged),
        "purged_voluntary_opened": len(opened.parts & purged),
        "others": len(others),
        "others_opened": len(opened.parts & others),
        "others_played": len(story.played & others),
        "purged_opened_by_old_tpm_states": len(before.parts & purged) if before else None,
        "duty": len(story.duty),
        "duty_class": "C",
        "duty_purged": len(story.purged & story.duty),
        "duty_purged_opened": len(opened.parts & story.purged & story.duty),
        "stray_envelopes": len(carver.stray()),
        "keys_in_clear": len(clear),
    }


def live(disk: FilledDisk, voluntary: int, duty: int) -> Story:
    """Ten days of calls, and purges of a part of them with recording going on between."""
    story = Story()
    draw = random.Random(f"deletion {voluntary}")
    with ManyCalls(disk.data) as box:
        for day in range(DAYS):
            box.record(plans(VOLUNTARY, day, voluntary))
            if day:  # the first day has nothing but voluntary parts: its bucket goes whole
                box.record(plans(DUTY, day, duty))
        rest = box.rows(VOLUNTARY, range(DUE, DAYS))
        single = draw.sample(rest, voluntary * DAYS // 2 - voluntary * DUE)
        share = -(-len(single) // _TURNS)
        for turn in range(_TURNS):
            _purge(disk, box, story, single[turn * share : (turn + 1) * share])
            box.record(plans(VOLUNTARY, DAYS, max(1, voluntary // 50), seed=turn + 2))
        for day in range(DUE):
            box.move_to(KEPT_DAYS + day)
            due = [one.row for one in purge.plan(box.archive, 0, lambda _row: False).doomed]
            _purge(disk, box, story, due)
            box.record(plans(DUTY, DAYS, 1, seed=day + 2))
        _purge(disk, box, story, box.rows(DUTY, range(DUE)))
        _listen(box, disk.key, story)
    return story


def _purge(disk: FilledDisk, box: ManyCalls, story: Story, rows: list[PartRow]) -> None:
    if disk.tpm is not None:
        story.chips.append(disk.chip)
    purge.carry_out(box.archive, [Verdict(row, DELETE_SPACE) for row in rows])
    story.purges += 1
    story.purged |= {bytes.fromhex(row.part_id) for row in rows}
    for row in rows:
        (story.voluntary if row.line == VOLUNTARY else story.duty).add(bytes.fromhex(row.part_id))


def _listen(box: ManyCalls, private: PrivateKey, story: Story) -> None:
    """Open every part that is there, as an export does."""
    for row in box.archive.index.parts():
        name = bytes.fromhex(row.part_id)
        (story.voluntary if row.line == VOLUNTARY else story.duty).add(name)
        block = box.archive.shred.get(Name(PART, name)).block
        opened = playback.open_part(box.archive.vault.path_of(row.part_id), block, private)
        if sum(len(leg.packets) for leg in opened.legs.values()):
            story.played.add(name)
