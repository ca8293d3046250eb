"""From sealed parts back to the legs of a recording, with a key that opens them.

A part is verified whole before one packet of it is used. Parts that one run of the recorder wrote
of a recording share its sample line: what two of them hold of the same instant is the same sound.
Another run finds its own place on that line, by when it heard the first packet; what it holds comes
behind what the run before it held of the same source (docs/part-format.md, several runs).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from greffier.encode import Coded, audio, stored
from greffier.encode.audio import BadAudio
from greffier.encode.export import LegSound
from greffier.encode.resample import resample
from greffier.encode.stored import BadStored, Stored
from greffier.errors import GreffierError, IntegrityError, KeyDoesNotOpen
from greffier.seal import envelope
from greffier.seal.envelope import BadEnvelope, DoesNotOpen, What
from greffier.seal.frames import NO_LEG, Audio, Gap, Mask, Meta
from greffier.seal.header import BadPart, Header
from greffier.seal.keys import Opener
from greffier.seal.reader import Reader

_MOST_BYTES = 1 << 32
"""Of the sound of all legs of a recording together, as a WAV file's sizes can say."""
_LEG = re.compile(r"0|[1-9][0-9]{0,2}")
_SOURCE = ("source", "destination", "ssrc")


@dataclass(slots=True)
class Leg:
    """One leg as a part holds it: packets, and spans without sound with their cause."""

    table: Mapping[str, Any]
    stored: Stored
    packets: list[Coded] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    masks: list[Mask] = field(default_factory=list)

    @property
    def rate(self) -> int:
        """Samples per second of its positions."""
        return self.stored.rate


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A verified part: its clear header, what it says of its call, its legs by number."""

    header: Header
    about: Mapping[str, Any]
    legs: Mapping[int, Leg]
    frames: int
    reason: str


def content_key(header: Header, block: bytes | None, opener: Opener) -> bytes:
    """The content key of the part with *header*, from an envelope *block* or from the file itself.

    *block* is the shred store's entry, None where there is none (a shredded part, or a file far
    from its device). Raises KeyDoesNotOpen (no envelope is for this key), IntegrityError.
    """
    name = f"part {header.part_id.hex()}"
    blocks = [one for one in (block, header.envelopes) if one]
    for one in blocks:
        try:
            return envelope.open_block(one, What.PART, header.part_id, opener)
        except DoesNotOpen as error:
            if error.number != 10:  # an envelope names this key and yet does not open
                raise IntegrityError(what=name, reason=error.reason) from error
        except BadEnvelope as error:
            raise IntegrityError(what=name, reason=error.reason) from error
    raise KeyDoesNotOpen(what=name)


def open_part(
    path: Path, block: bytes | None, opener: Opener, *, unfinished: bool = False
) -> OpenedPart:
    """Verify and open the part in the file *path*, all of it.

    A part without FINAL, as a power cut leaves it, is refused unless *unfinished*: then its whole
    frames count. Raises KeyDoesNotOpen, IntegrityError.
    """
    name = f"part {path.stem}"
    try:
        with path.open("rb") as file:
            reader = Reader(file)
            opened = reader.open(content_key(reader.header, block, opener))
            try:
                outline = opened.verify(allow_unfinished=unfinished)
                frames = opened.frames(allow_unfinished=unfinished)
                contents = [(frame.leg, frame.content) for frame in frames]
            finally:
                opened.close()
        final = outline.final
        reason = final.reason if final else ""
        return _sorted_out(reader.header, contents, outline.frames, reason)
    except (BadPart, BadStored) as error:
        raise IntegrityError(what=name, reason=error) from error


def _sorted_out(
    header: Header, contents: Sequence[tuple[int, Any]], frames: int, reason: str
) -> OpenedPart:
    about: dict[str, Any] = {}
    for _, content in contents:
        if isinstance(content, Meta):
            about.update(content.value)
    tables = about.pop("legs", {})
    legs: dict[int, Leg] = {}
    _check(about, tables)
    for number, table in tables.items():
        rest = {key: value for key, value in table.items() if key != "stored"}
        legs[int(number)] = Leg(rest, stored.read(table.get("stored")))
    for number, content in contents:
        leg = legs.get(number)
        if leg is None:
            continue
        if isinstance(content, Audio):
            leg.packets += _packets(content)
        elif isinstance(content, Gap):
            leg.gaps.append(content)
        elif isinstance(content, Mask):
            leg.masks.append(content)
    return OpenedPart(header, about, legs, frames, reason)


def _check(about: Mapping[str, Any], tables: Any) -> None:
    """Whoever has the public key can make a part, and put anything there. Raises BadStored."""
    origin = about.get("origin_us", 0)
    if not isinstance(origin, int) or isinstance(origin, bool):
        raise BadStored("origin_us")
    if not isinstance(tables, dict):
        raise BadStored("legs")
    for number, table in tables.items():
        if not _LEG.fullmatch(number) or int(number) >= NO_LEG or not isinstance(table, dict):
            raise BadStored("leg")
        if not all(isinstance(table.get(key), str | None) for key in _SOURCE):
            raise BadStored("source")


def _packets(frame: Audio) -> list[Coded]:
    return [
        Coded(
            frame.position + one.offset,
            one.samples,
            one.sequence,
            one.payload_type,
            one.flags,
            one.data,
        )
        for one in frame.packets
    ]


def sound(parts: Sequence[OpenedPart]) -> tuple[list[LegSound], float]:
    """The legs of a recording on one line, and where the line begins.

    All legs begin together, at the first instant that any part holds; what a leg lacks is silence.
    The second value is that instant, in seconds after the recording's sample 0. What one RTP source
    sent at several rates is one leg at the highest of them. Raises IntegrityError for packets that
    cannot be, NotDecodable, GreffierError for more sound than a file can hold.
    """
    parts = _in_turn(parts)
    starts = [
        packet.position / leg.stored.rate
        for part in parts
        for leg in part.legs.values()
        for packet in leg.packets
    ]
    first = min(starts, default=0.0)
    _check_length(parts, first)
    # By what was sent from where: after a restart the same source may have another number.
    sources: dict[object, list[Leg]] = {}
    for source, leg in _sources(parts):
        sources.setdefault(source, []).append(leg)
    return [_joined(legs, first) for legs in sources.values()], first


def _check_length(parts: Sequence[OpenedPart], first: float) -> None:
    """Positions are only numbers: memory is asked for after it is known to be enough."""
    legs = [(number, leg) for part in parts for number, leg in part.legs.items()]
    rate = max((leg.stored.rate for _, leg in legs), default=0)
    ends = (
        (one.position + one.samples) / leg.stored.rate for _, leg in legs for one in leg.packets
    )
    tracks = len({(_source_of(leg, number), leg.stored.rate) for number, leg in legs})
    if (max(ends, default=first) - first) * rate * tracks * 2 > _MOST_BYTES:
        raise GreffierError(reason="more sound than a file can hold")


def _in_turn(parts: Sequence[OpenedPart]) -> list[OpenedPart]:
    """*parts* with the legs of each run behind what the runs before it held of the same source.

    A packet that came late when a run began puts all that the run heard of its source later than
    it was said; the next run may then begin on samples that are taken.
    """
    taken: dict[object, Fraction] = {}  # seconds from sample 0 on, of each source
    turned: list[OpenedPart] = []
    for _, run in groupby(parts, lambda part: part.header.meta.get("epoch")):
        held = list(run)
        spans: dict[object, list[Fraction]] = {}  # where a source begins and ends
        for source, leg in _sources(held):
            lows = [packet.position for packet in leg.packets]
            highs = [packet.position + packet.samples for packet in leg.packets]
            if lows:
                low, high = Fraction(min(lows), leg.rate), Fraction(max(highs), leg.rate)
                known = spans.get(source, [low, high])
                spans[source] = [min(low, known[0]), max(high, known[1])]
        late = {
            name: max(taken.get(name, low) - low, Fraction()) for name, (low, _) in spans.items()
        }
        turned += [_later(part, late) for part in held]
        taken |= {name: high + late[name] for name, (_, high) in spans.items()}
    return turned


def _sources(parts: Sequence[OpenedPart]) -> Iterator[tuple[object, Leg]]:
    """Every leg with its source."""
    for part in parts:
        for number, leg in sorted(part.legs.items()):
            yield _source_of(leg, number), leg


def _later(part: OpenedPart, seconds: Mapping[object, Fraction]) -> OpenedPart:
    """*part* with the legs of each source that much later."""
    legs = {
        number: _moved(leg, ceil(seconds.get(_source_of(leg, number), 0) * leg.rate))
        for number, leg in part.legs.items()
    }
    return replace(part, legs=legs)


def _moved(leg: Leg, samples: int) -> Leg:
    if not samples:
        return leg
    return replace(
        leg,
        packets=[one._replace(position=one.position + samples) for one in leg.packets],
        gaps=[replace(one, start=one.start + samples, end=one.end + samples) for one in leg.gaps],
        masks=[replace(one, start=one.start + samples, end=one.end + samples) for one in leg.masks],
    )


def _source_of(leg: Leg, number: int) -> object:
    named = tuple(leg.table.get(key) for key in _SOURCE)
    return number if None in named else named


def _joined(legs: Sequence[Leg], first: float) -> LegSound:
    """The sound of one source, which may have been stored at several rates."""
    by_rate: dict[int, list[Leg]] = {}
    for leg in legs:
        by_rate.setdefault(leg.stored.rate, []).append(leg)
    sounds = [_leg_sound(held, first) for held in by_rate.values()]
    if len(sounds) == 1:
        return sounds[0]
    rate = max(by_rate)
    tracks = [resample(one.samples, one.rate, rate) for one in sounds]
    whole = np.zeros(max(len(track) for track in tracks), np.int16)
    for held, one, track in zip(by_rate.values(), sounds, tracks, strict=True):
        start = round(first * one.rate)
        for low, high in _runs(held):
            span = slice((low - start) * rate // one.rate, (high - start) * rate // one.rate)
            whole[span] = track[span]
    return LegSound(whole, rate)


def _runs(held: Sequence[Leg]) -> list[tuple[int, int]]:
    """The spans [low, high) of samples that *held* has, touching ones joined."""
    spans = sorted(
        (packet.position, packet.position + packet.samples)
        for leg in held
        for packet in leg.packets
    )
    runs: list[tuple[int, int]] = []
    for low, high in spans:
        if runs and low <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], high))
        else:
            runs.append((low, high))
    return runs


def _leg_sound(held: Sequence[Leg], first: float) -> LegSound:
    """The sound of *held*, which are of one source and one rate, in the order of their parts."""
    rate = held[0].stored.rate
    start = round(first * rate)
    ends = [packet.position + packet.samples for leg in held for packet in leg.packets]
    whole = np.zeros(max(max(ends, default=start) - start, 0), np.int16)
    for leg in reversed(held):
        if not leg.packets:
            continue
        low = min(packet.position for packet in leg.packets)
        silent = [(mask.start, mask.end) for mask in leg.masks]
        silent += [(gap.start, gap.end) for gap in leg.gaps]
        try:
            heard = audio.decode(leg.stored, leg.packets, silent=silent, start=low).samples
        except BadAudio as error:
            raise IntegrityError(what="the sound of a leg", reason=error.reason) from error
        whole[low - start : low - start + len(heard)] = heard
    return LegSound(whole, rate)
