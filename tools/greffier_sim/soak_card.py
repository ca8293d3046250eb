"""Card data that is keyed in is in no octet that the recorder writes, also when it is killed.

Calls in which a card is keyed in, by tones, events, INFO or several at once, are recorded as they
came, as FLAC, and as a duty; in a quarter of them the recorder is killed while the card is entered.
Then every part is opened with head office's key and listened to: no marker tone and no key may be
heard, and whatever is there must be what was said, bit for bit. Where a block device may be made,
every octet that was ever written to it is searched as well. The same search must find the marker
where nothing is masked, and in a file that is written on purpose.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greffier.clock import SECOND, SystemClock
from greffier.encode.decoders import TABLES
from greffier.encode.ear import Ear
from greffier.recorder import archive as archives
from greffier.recorder.archive import Archive
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import PART, Name
from greffier_sim import block_disk, card_calls, keypad
from greffier_sim.block_disk import BlockDisk
from greffier_sim.captures import MS
from greffier_sim.card_calls import FORMS, MARKER_HZ, PREFIX, RATE, Scene
from greffier_sim.sickdisk import Unable
from greffier_sim.soak_unsampled import forms

Samples = NDArray[np.int16]

_BLOCK: Final = 160
_SHARE: Final = 0.3  # of the energy of a block that is a tone's, and no noise's
_BACK_NS: Final = 5 * SECOND
_SLACK_NS: Final = SECOND  # what detection and ticks may hide more
_CONTROL: Final = 4  # calls in which nothing is masked
_KILLED_EVERY: Final = 4


@dataclass(slots=True)
class Found:
    """What was found in the parts."""

    parts: int = 0
    samples: int = 0
    markers: int = 0
    """Blocks of 20 ms in which the marker is heard."""
    keys: int = 0
    wrong: int = 0
    """Samples that are not what was said."""
    missing: int = 0
    """Samples that should be there and are not."""
    faults: list[str] = field(default_factory=list)


def markers(pcm: Samples) -> int:
    """In how many blocks of *pcm* the marker is most of the sound."""
    blocks = pcm[: len(pcm) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    wave = np.exp(-2j * np.pi * MARKER_HZ * np.arange(_BLOCK) / RATE)
    tone = np.abs(blocks @ wave) ** 2 * 2 / _BLOCK
    whole = (blocks**2).sum(axis=1)
    return int(((whole > 0) & (tone > _SHARE * whole)).sum())


def opened(data: Path, key: PrivateKey) -> list[OpenedPart]:
    """Every part, also those that were cut."""
    found = []
    with Archive.open(data, SystemClock()) as archive:
        for path in sorted((data / "vault" / "parts").rglob("*.gpart")):
            block = archive.shred.get(Name(PART, bytes.fromhex(path.stem))).block
            found.append(playback.open_part(path, block, key, unfinished=True))
    return found


def sources_of(scenes: Sequence[Scene]) -> dict[int, tuple[Scene, str]]:
    """Who speaks in which call, by SSRC: a part of after a kill may know neither."""
    return {
        ssrc: (one, side)
        for one in scenes
        for side, ssrc in (
            ("caller", one.plan.caller_ssrc),
            ("callee", one.plan.callee_ssrc),
        )
    }


def judge(parts: Sequence[OpenedPart], scenes: Sequence[Scene]) -> Found:
    """Listen to *parts* and compare them with what was said."""
    found, sources = Found(), sources_of(scenes)
    kept: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for part in parts:
        legs, first = (
            playback.sound([part]) if any(leg.packets for leg in part.legs.values()) else ([], 0.0)
        )
        found.parts += 1
        for sound, leg in zip(legs, part.legs.values(), strict=False):
            one, side = sources[int(str(leg.table["ssrc"]), 16)]
            origin = (one.first_ns - one.plan.start_ns) * RATE // SECOND - round(first * RATE)
            _compare(found, one, side, sound.samples, -origin, leg, kept)
    _look_for_missing(found, scenes, kept)
    return found


def _compare(
    found: Found, one: Scene, side: str, heard: Samples, begin: int, leg: Any,
    kept: dict[tuple[str, str], NDArray[np.bool_]],
) -> None:  # fmt: skip
    """*heard* begins at sample *begin* of what *side* said."""
    said = TABLES["PCMA"][np.frombuffer(keypad.alaw(one.said(side)), np.uint8)]  # type: ignore[arg-type]
    there = np.zeros(len(said), bool)
    for packet in leg.packets:
        low = packet.position - _origin(one)
        there[max(low, 0) : max(low + packet.samples, 0)] = True
    for mask in leg.masks:  # a block of FLAC may reach into one, and is silent there
        low, high = (max(at - _origin(one), 0) for at in (mask.start, mask.end))
        there[low:high] = False
    whole = np.zeros(len(said), np.int16)
    end = min(begin + len(heard), len(said))
    whole[begin:end] = heard[: end - begin]
    found.samples += int(there.sum())
    found.wrong += int((whole[there] != said[there]).sum())
    found.markers += markers(whole)
    ear = Ear(RATE)
    ear.listen(whole, SECOND)
    found.keys += len(ear.take())
    name = (one.plan.call_id, side)
    kept[name] = kept[name] | there if name in kept else there


def _origin(one: Scene) -> int:
    return (one.first_ns - one.plan.start_ns) * RATE // SECOND


def _look_for_missing(
    found: Found, scenes: Sequence[Scene], kept: dict[tuple[str, str], NDArray[np.bool_]]
) -> None:
    """What nothing had to hide is there, but where a kill took it."""
    for one in scenes:
        if one.kill_ms is not None:
            continue
        clear_ns = sorted(one.keys)[2] * MS
        quiet_ns = max(one.keys) * MS + 20 * SECOND if one.form == "duty" else one.done_ms * MS
        for side in ("caller", "callee"):
            there = kept.get((one.plan.call_id, side))
            if there is None:
                found.faults.append(f"nothing is there of {one.plan.call_id} {side}")
                continue
            low = (clear_ns - _BACK_NS - _SLACK_NS) * RATE // SECOND
            high = (quiet_ns + 2 * SECOND) * RATE // SECOND
            wanted = [there[:low], there[high : -RATE // 2]]
            if side not in one.hidden:
                wanted = [there[: -RATE // 2]]
            found.missing += sum(int((~part).sum()) for part in wanted)


@contextmanager
def disk(folder: Path, log: Path | None) -> Iterator[Path]:
    """A place for a data directory: on a block device that is on record, or just a folder."""
    if log is None:
        yield folder
        return
    program = block_disk.build(folder)
    image = folder / "image"
    block_disk.make_file_system(image, mebibytes=512)
    with BlockDisk(program, image, log) as made:
        made.mount()
        (made.path / "control").write_bytes(forms(_mark())["octets"] * 200)
        yield made.path
        made.unmount()


def _mark() -> bytes:
    return keypad.alaw(card_calls.marker(80))


def searched(log: Path) -> Counter[str]:
    """How often the marker, and the beginning of a card, stand in what was written."""
    wanted = {**forms(_mark()), "digits": PREFIX.encode()}
    found: Counter[str] = Counter(octets=0)
    for operation in block_disk.operations(log):
        if operation.kind == block_disk.WRITE:
            found["octets"] += len(operation.data)
            for name, octets in wanted.items():
                found[f"{name} found"] += operation.data.count(octets)
    return found


def run(
    folder: Path, form: str, scenes: Sequence[Scene], *, log: Path | None, masks: bool = True
) -> tuple[Found, int]:
    """Record *scenes*; what is in the parts, and how often the recorder was killed."""
    pair = keys.generate(Role.OFFICE)
    with disk(folder, log) as place:
        data = place / "data"
        archives.create(data, SystemClock(), pair.public.format().encode())
        killed = card_calls.play(data, form, scenes, masks=masks)
        return judge(opened(data, pair), scenes), killed


def configure(parser: argparse.ArgumentParser) -> None:
    """The words behind ``soak card``."""
    parser.add_argument("--spans", type=int, default=200, help="cards that are keyed in")
    parser.add_argument("--no-block-log", action="store_true", help="on no block device")


def _logged(words: argparse.Namespace, say: Callable[[str], None]) -> bool:
    """Whether every octet can be put on record here."""
    if words.no_block_log:
        return False
    try:
        block_disk.own_mounts()
    except Unable as error:
        say(f"soak card: without a block device: {error}")
        return False
    return True


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it all."""
    began = time.monotonic()
    logged = _logged(words, say)
    total, kills, written = Found(), 0, Counter[str]()
    control = 0
    for turn, form in enumerate(FORMS):
        count = len(range(turn, words.spans, len(FORMS)))
        scenes = [card_calls.scene(n, form, killed=not n % _KILLED_EVERY) for n in range(count)]
        plain = [card_calls.scene(n, form, killed=False) for n in range(_CONTROL)]
        folder = Path(tempfile.mkdtemp(prefix="greffier-card-"))
        try:
            log = folder / "log" if logged else None
            found, killed = run(folder, form, scenes, log=log)
            kills += killed
            for name in ("parts", "samples", "markers", "keys", "wrong", "missing"):
                setattr(total, name, getattr(total, name) + getattr(found, name))
            total.faults += found.faults
            written += searched(log) if log is not None else Counter()
            (folder / "plain").mkdir()
            unmasked, _ = run(folder / "plain", form, plain, log=None, masks=False)
            control += bool(unmasked.markers and unmasked.wrong <= unmasked.samples)
            say(f"soak card: {form}: {count} spans, {killed} kills, {found.markers} markers")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    # The octets that were written on purpose, once for each box.
    seeded = written["octets found"]
    hits = sum(written[name] for name in written if name.endswith(" found")) - seeded
    seen = not logged or seeded > 0
    clean = not (
        total.markers or total.keys or total.wrong or total.missing or total.faults or hits
    )
    return {
        "ok": clean and seen and control == len(FORMS),
        "spans": words.spans,
        "kills": kills,
        "parts": total.parts,
        "samples": total.samples,
        "markers": total.markers,
        "keys": total.keys,
        "wrong_samples": total.wrong,
        "missing_samples": total.missing,
        "faults": total.faults[:5],
        "octets_written": written["octets"] if logged else None,
        "found_in_writes": hits if logged else None,
        "control_found": control == len(FORMS) and seen,
        "seconds": round(time.monotonic() - began, 1),
    }
