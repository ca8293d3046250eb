"""A judge of what the recorder kept of simulated cards: every sample of every part, every gap.

It opens parts with head office's key and knows what each card sent
(:func:`greffier_sim.faketap.pattern`), so it needs no copy of it. Runs as a process of its own: a
line of JSON on stdin for each sealed part, one on stdout for each that was judged.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greffier.encode import audio
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier.store import playback
from greffier.store.playback import Leg
from greffier_sim.faketap import channel_pattern

SEEN_FRAMES = 16
STEP = 1 << 17
"""Frames that are looked through at once."""
FAR_S = 600
"""How far from where it is expected the sound of another call is looked for: times are less exact
than gaps, and a card that runs faster than time makes that many times as much of it."""
EVERYWHERE_S = 48 * 3600
"""How far it is looked for once it was not found there: a judge that lost its place finds it again.
"""
CUT = "longest"
"""The end of a part whose call goes on as another one at the very next sample."""


@dataclass(slots=True)
class Line:
    """What is known of one line; *frame* of its card is the next that was not heard."""

    rate: int
    speed: float
    period: int
    seed: int
    channel: int
    everywhere_s: int = EVERYWHERE_S
    frame: int | None = None
    told: int = 0  # frames said to be missing since then
    end_us: int = 0  # when the last part's sound ended
    cut: bool = False  # the last call was cut in two, not ended
    parts: int = 0
    samples: int = 0
    wrong: int = 0
    lost: int = 0  # times that its sound was found far from where it was expected
    gaps: list[tuple[int, int, int]] = field(default_factory=list)  # next frame, told, true


def judge(line: Line, leg: Leg, reason: str, origin_us: int) -> None:
    """Compare a part's only leg, whose sample 0 was at *origin_us*, with what the card sent."""
    line.parts += 1
    if not line.cut:
        line.told = max(origin_us - line.end_us, 0) * line.rate // 1_000_000
    first = True
    at = 0
    for low, sound in runs(leg):
        line.told += low - at
        found = _find(line, sound, surely=line.cut or not first)
        line.samples += len(sound)
        if found is None:
            line.wrong += len(sound)
            line.told += len(sound)
        else:
            expected = channel_pattern(found, len(sound), line.channel, line.seed)
            line.wrong += int(np.count_nonzero(expected != sound))
            line.frame, line.told = found + len(sound), 0
        at, first = low + len(sound), False
    line.told += max([gap.end - at for gap in leg.gaps if gap.end > at], default=0)
    line.cut = reason == CUT
    line.end_us = origin_us + at * 1_000_000 // line.rate


def runs(leg: Leg) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """The sound between the gaps, with its positions."""
    if not leg.packets:
        return
    start = min(packet.position for packet in leg.packets)
    end = max(packet.position + packet.samples for packet in leg.packets)
    pcm = audio.decode(leg.stored, leg.packets, start=start, end=end).samples
    at = start
    for gap in sorted(leg.gaps, key=lambda one: one.start):
        if min(gap.start, end) > at:
            yield at, pcm[at - start : min(gap.start, end) - start]
        at = max(at, gap.end)
    if at < end:
        yield at, pcm[at - start :]


def _find(line: Line, sound: NDArray[np.int16], *, surely: bool) -> int | None:
    """The card's frame at which *sound* begins; *surely*: what is missing before it was told.

    None: the card never sent it.
    """
    if line.frame is None:
        near, within = 0, round(line.rate * line.speed * 60)
    else:
        near = line.frame + line.told
        within = 50 * line.period if surely else FAR_S * line.rate
    found = _locate(line, sound[:SEEN_FRAMES], near, within)
    if found is None:
        line.lost += 1
        found = _locate(line, sound[:SEEN_FRAMES], near, line.everywhere_s * line.rate)
    if found is None or line.frame is None:
        return found
    if not surely or line.told or found != near:
        line.gaps.append((found, line.told if surely else -1, found - line.frame))
    return found


def _locate(line: Line, sound: NDArray[np.int16], near: int, within: int) -> int | None:
    """Where the card sent *sound*: looked for from *near* on, alternately after and before it."""
    least, most = max(0, near - within), near + within
    after = before = near
    while after <= most or before > least:
        for start, stop in (
            (after, min(after + STEP, most + 1)),
            (max(before - STEP, least), before),
        ):
            found = _seen(line, sound, start, stop)
            if found is not None:
                return found
        after, before = after + STEP, max(before - STEP, least)
    return None


def _seen(line: Line, sound: NDArray[np.int16], start: int, stop: int) -> int | None:
    """The frame in [start, stop) from which on the card sent *sound*."""
    if start >= stop:
        return None
    many = channel_pattern(start, stop - start + len(sound), line.channel, line.seed)
    for offset in np.flatnonzero(many[: stop - start] == sound[0]):
        if np.array_equal(many[offset : offset + len(sound)], sound):
            return start + int(offset)
    return None


def work(key: PrivateKey, lines: dict[str, Line], orders: Sequence[str] | Iterator[str]) -> None:
    """Judge the part of each order, and answer with what is known of its line."""
    for order in orders:
        wanted = json.loads(order)
        block = bytes.fromhex(wanted["block"])
        part = playback.open_part(Path(wanted["path"]), block, key)
        for leg in part.legs.values():
            name = str(leg.table["source"])
            judge(lines[name], leg, part.reason, int(part.about["origin_us"]))
            print(json.dumps({"path": wanted["path"], "line": name, **asdict(lines[name])}))
            lines[name].gaps.clear()
        sys.stdout.flush()


def main() -> int:
    """The key's file, and the lines as JSON, are the arguments."""
    key = keys.read_private(Path(sys.argv[1]), Role.OFFICE)
    lines = {name: Line(**made) for name, made in json.loads(sys.argv[2]).items()}
    work(key, lines, iter(sys.stdin.readline, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
