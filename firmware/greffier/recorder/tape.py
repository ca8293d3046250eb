"""A part in the making: what the encoders give becomes sealed frames, and frames become a file.

A tape is made when a verdict allows it, and takes audio at once; its file begins with the next
tick of the archive, when its envelopes and the verdict are durable. Until then its frames wait in
memory, sealed already. While the archive's valve is closed audio is dropped before it is sealed,
and the part says so.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greffier.clock import SECOND, day_of
from greffier.encode import Coded
from greffier.encode import Gap as Missing
from greffier.encode.codecs import Codec
from greffier.encode.core import OpusCoder
from greffier.encode.leg import Item, LegEncoder
from greffier.encode.stored import Kind
from greffier.encode.timeline import Placed
from greffier.policy.purposes import MANDATORY
from greffier.recorder.batch import Opening, Piece
from greffier.recorder.outcome import Span
from greffier.seal import envelope
from greffier.seal.core import CoreWriter
from greffier.seal.envelope import What
from greffier.seal.frames import NO_LEG, Content, FrameType, Gap, Mask, Meta, audio_bytes
from greffier.seal.header import wipe
from greffier.seal.keys import PublicKey, Role
from greffier.seal.part import new_content_key
from greffier.trust import DeletionClass

_MASKED = "card"  # why: the only reason for a pause that the law knows
LARGEST_LEG = NO_LEG - 1
"""The highest number of a leg in a part."""


def first_sample(instant_ns: int, origin_ns: int, rate: int) -> int:
    """The first sample of the line from *origin_ns* that lies wholly at or after *instant_ns*."""
    return -((origin_ns - instant_ns) * rate // 1_000_000_000)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """What a new part is for.

    *number* counts the parts of the recording; *purposes* maps a purpose to its (min, max) days;
    *start_ns* is the instant before which no sample may be kept, *origin_ns* that of the
    recording's sample 0. *in_file*: the file carries head office's envelope itself (duties).
    *delayed*: its sound waits, packet by packet, in memory that can be wiped before it is sealed.
    """

    device: str
    line: str
    uid: str
    epoch: str
    recording: bytes
    number: int
    previous: str | None
    purposes: Mapping[str, tuple[int, int]]
    kind: Kind
    origin_ns: int
    start_ns: int
    in_file: bool
    deletion: DeletionClass
    delayed: bool = False

    @property
    def until_ns(self) -> int | None:
        """When the key is destroyed, whether head office has the part or not: at the end of the
        longest purpose. None: never; a duty among the purposes waits for head office.
        """
        if not self.purposes or any(name in MANDATORY for name in self.purposes):
            return None
        return self.start_ns + max(most for _, most in self.purposes.values()) * 86_400 * SECOND


@dataclass(slots=True)
class Valve:
    """Whether sealed audio may be handed on. Closed while memory is full of what no disk took.

    The archive's owner opens and closes it; every tape of the archive looks at it.
    """

    open: bool = True


@dataclass(slots=True)
class _Track:
    """One leg of the part. Owned by the tape's thread."""

    encoder: LegEncoder
    table: dict[str, Any]
    waiting: list[Coded]
    told: dict[str, Any]
    missing: list[int] = field(default_factory=list)  # first and last position not yet told
    missing_packets: int = 0
    masked: list[int] = field(default_factory=list)  # a span that the part does not tell of yet


class Tape:
    """One part, from its first packet to FINAL. One thread owns it."""

    def __init__(
        self, plan: PartPlan, recipients: Sequence[PublicKey], about: Mapping[str, Any]
    ) -> None:
        """*about* is what the part says of its call under its key: numbers, names, Call-ID."""
        self.plan = plan
        self.part = secrets.token_bytes(16)
        self.day = day_of(plan.start_ns)
        self.ended = False
        self.last_sample = 0
        """The position behind the last sample that was handed to the file, of the longest leg."""
        content_key = new_content_key()
        self.envelopes = envelope.seal(content_key, What.PART, self.part, recipients)
        office = [one for one in recipients if one.role is Role.OFFICE]
        inside = envelope.seal(content_key, What.PART, self.part, office) if plan.in_file else b""
        self._writer = CoreWriter(
            part_id=self.part,
            recording_id=plan.recording,
            number=plan.number,
            meta=self._meta(),
            content_key=content_key,
            envelopes=inside,
        )
        wipe(content_key)
        self._tracks: dict[int, _Track] = {}
        self._frames: list[bytes] = []
        self._sealed_end = 0  # of the leg of which the most is sealed
        self._quiet = False  # nothing was taken since the last flush
        self.valve = Valve()
        self.stirred: dict[Tape, None] = {}
        """The tapes of an archive of which something may be taken; its owner looks at no other."""
        self.unwritten: list[Span] = []
        """Time whose audio was dropped because no disk took what came before."""
        self.sealed: dict[str, Any] = {}  # what the log says of the part, once it ended
        self._put(Meta(about))

        self._offered = hashlib.sha256(envelope.block_for(Role.OFFICE, self.envelopes)).hexdigest()

    @property
    def recording(self) -> bytes:
        """The 16-byte id of the recording that this is a part of."""
        return self.plan.recording

    @property
    def delayed(self) -> bool:
        """Whether every packet must come through :meth:`take`: its sound waits before."""
        return self.plan.delayed

    @property
    def commitment(self) -> str:
        """64 hex digits that name the content key without telling it."""
        return self._writer.commitment.hex()

    def _meta(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "device": plan.device,
            "line": plan.line,
            "codec": plan.kind,
            "created_ns": str(plan.start_ns),
            "purposes": {name: list(days) for name, days in plan.purposes.items()},
            "epoch": plan.epoch,
            "deletion": plan.deletion,
            "previous": plan.previous,
        }

    def opened(self) -> dict[str, Any]:
        """What the log says when the part begins."""
        return {
            "part": self.part.hex(),
            "recording": self.recording.hex(),
            "number": self.plan.number,
            "uid": self.plan.uid,
            "line": self.plan.line,
            "purposes": sorted(self.plan.purposes),
            "class": self.plan.deletion,
            "commitment": self.commitment,
            "envelope": self._offered,
            "created_ns": self.plan.start_ns,
            "until_ns": self.plan.until_ns,
        }

    # --- audio in ---

    def take(self, leg: int, table: Mapping[str, Any], items: Sequence[Item]) -> None:
        """Encode and seal *items* of the timeline of *leg*, or drop them while the valve is closed.

        *table* is what the part says of the leg: addresses, SSRC, side, codec. Raises NotDecodable
        when the part's kind needs sound that this machine cannot make.
        """
        self._stir()
        track = self._tracks.get(leg)
        if track is None:
            track = self._begun(leg, table, items)
            if track is None:
                return
        self._tell_mask(leg, track)
        if self.valve.open:
            self._sort(leg, track, track.encoder.feed(items))
        else:
            self._drop(track, items)

    def _drop(self, track: _Track, items: Sequence[Item]) -> None:
        """Leave *items* out: what cannot be written must not fill the memory.

        What the encoder has already is sealed all the same: so who gives knows at once what of it
        is dropped.
        """
        start = first_sample(self.plan.start_ns, self.plan.origin_ns, track.encoder.stored.rate)
        for item in items:
            if isinstance(item, Missing):
                low, high, packets = max(item.start, start), item.end, 0
            else:
                low, high, packets = max(item.position, start), item.position + item.samples, 1
            if low < high:
                track.missing = [min([low, *track.missing]), max([high, *track.missing])]
                track.missing_packets += packets

    def _stir(self) -> None:
        self._quiet = False
        self.stirred[self] = None

    def _begun(self, leg: int, table: Mapping[str, Any], items: Sequence[Item]) -> _Track | None:
        first = next((item for item in items if isinstance(item, Placed)), None)
        if first is None:
            return None
        return self._new_track(leg, table, first.codec, first.payload_type)

    def _new_track(
        self, leg: int, table: Mapping[str, Any], codec: Codec, payload_type: int
    ) -> _Track:
        self._stir()
        start = first_sample(self.plan.start_ns, self.plan.origin_ns, codec.rate)
        encoder = LegEncoder(self.plan.kind, codec, payload_type, start_at=start)
        track = self._tracks[leg] = _Track(encoder, dict(table), [], {})
        self._tell_legs()
        return track

    def know(self, leg: int, table: Mapping[str, Any], codec: Codec, payload_type: int) -> None:
        """List *leg* though nothing of it may be kept. Raises NotDecodable as :meth:`take`."""
        if leg not in self._tracks:
            self._new_track(leg, table, codec, payload_type)

    def mask(self, leg: int, start: int, end: int) -> None:
        """Say that samples [start, end) of *leg* were left out on purpose: a frame tells it when
        sound follows, or with the next tick.
        """
        self._stir()
        track = self._tracks[leg]
        rate = track.encoder.stored.rate
        start = max(start, first_sample(self.plan.start_ns, self.plan.origin_ns, rate))
        if start < end:
            track.masked = [min([start, *track.masked]), max([end, *track.masked])]

    def _tell_mask(self, leg: int, track: _Track) -> None:
        if track.masked:
            self._put(Mask(track.masked[0], track.masked[1], _MASKED), leg)
            track.masked = []

    def holds(self, leg: int, codec: Codec, payload_type: int) -> bool:
        """Whether the part takes packets of *codec* of *leg*, and says what they are, without
        anything more being said: as they come, or in the stream of its :meth:`coder`."""
        track = self._tracks.get(leg)
        if track is None or self.ended or not self.valve.open:
            return False
        if track.encoder.coder is not None:
            return track.encoder.stored.rate == codec.rate
        return track.encoder.stored.codecs.get(payload_type) == codec

    def coder(self, leg: int) -> OpusCoder | None:
        """What encodes *leg*, for the C core, which goes on with it; None: it is kept as it is."""
        return self._tracks[leg].encoder.coder

    @property
    def writer(self) -> CoreWriter:
        """What seals its frames, for the C core: whatever it seals belongs into :meth:`add`."""
        return self._writer

    def add(self, frames: bytes, end: int) -> None:
        """Take frames that the C core sealed for this part, up to sample *end*."""
        self._frames.append(frames)
        self.stirred[self] = None
        self._sealed_end = max(self._sealed_end, end)

    def flush(self) -> None:
        """Seal what waits, though its second is not full (a tick is due)."""
        if self._quiet:
            return
        self._quiet = True
        self._tell_legs()  # a payload type may be new: without it a torn part could not be read
        for leg, track in self._tracks.items():
            self._seal_audio(leg, track)
            self._tell_mask(leg, track)

    def finish(self, reason: str) -> None:
        """The part ends; its last frames are sealed, its key forgotten."""
        for leg, track in self._tracks.items():
            self._sort(leg, track, track.encoder.flush())
            self._seal_audio(leg, track)
            self._tell_missing(leg, track)
            self._tell_mask(leg, track)
        self._tell_legs()
        final = self._writer.finish(reason)
        self._frames.append(final.frame)
        self.sealed = {
            "part": self.part.hex(),
            "recording": self.recording.hex(),
            "number": self.plan.number,
            "bytes": final.size,
            "sha256": final.sha256.hex(),
            "root": final.root.hex(),
            "commitment": self.commitment,
            "frames": final.frames,
            "end": reason,
        }
        self.ended = True
        self.stirred[self] = None

    def _sort(self, leg: int, track: _Track, out: Sequence[Coded | Missing]) -> None:
        rate = track.encoder.stored.rate
        for item in out:
            if isinstance(item, Missing):
                self._put(Gap(item.start, item.end, item.packets, item.cause), leg)
                continue
            if item.samples > rate:  # no frame may hold more than a second
                self._put(Gap(item.position, item.position + item.samples, 1, "oversize"), leg)
                continue
            if track.waiting and item.position + item.samples - track.waiting[0].position > rate:
                self._seal_audio(leg, track)
            track.waiting.append(item)

    def _seal_audio(self, leg: int, track: _Track) -> None:
        if not track.waiting:
            return
        start = track.waiting[0].position
        end = track.waiting[-1].position + track.waiting[-1].samples  # positions only grow
        self._tell_missing(leg, track)
        self._sealed_end = max(self._sealed_end, end)
        plaintext = audio_bytes(start, end - start, track.waiting)
        track.waiting = []
        self._frames.append(self._writer.seal_frame(FrameType.AUDIO, leg, plaintext))

    def _tell_missing(self, leg: int, track: _Track) -> None:
        if not track.missing:
            return
        start, end = track.missing
        rate = track.encoder.stored.rate
        low, high = (self.plan.origin_ns + at * SECOND // rate for at in (start, end))
        self.unwritten.append(Span(low, high, track.missing_packets))
        self._put(Gap(start, end, track.missing_packets, "storage"), leg)
        track.missing, track.missing_packets = [], 0

    def _tell_legs(self) -> None:
        """Put the table of legs into the part, if it changed since it was told."""
        now = {
            str(leg): {**track.table, "stored": track.encoder.stored.record()}
            for leg, track in self._tracks.items()
        }
        told = {str(leg): track.told for leg, track in self._tracks.items()}
        if now == told:
            return
        for leg, track in self._tracks.items():
            track.told = now[str(leg)]
        self._put(Meta({"legs": now}))

    def _put(self, content: Content, leg: int | None = None) -> None:
        frame = self._writer.seal(content) if leg is None else self._writer.seal(content, leg)
        self._frames.append(frame)
        self.stirred[self] = None

    # --- bytes out, called by the archive only ---

    def opening(self) -> Opening:
        """How its file begins."""
        writer = self._writer
        return Opening(self.part, self.day, writer.header, self.envelopes, writer.sha256)

    def take_sealed(self) -> Piece | None:
        """The sealed bytes that nobody took yet, in order; None where there are none."""
        if not self.ended:
            self.flush()
        if not self._frames:
            return None
        data, self._frames = b"".join(self._frames), []
        self.last_sample = self._sealed_end
        return Piece(self.part, data, self._sealed_end)

    def abandon(self) -> None:
        """Forget the key; what is in the file stays unfinished for ever."""
        self._writer.abandon()


def unwritten_of(tapes: Sequence[Tape]) -> tuple[Span, ...]:
    """What no disk took, of the part that lost most: the account is never better than the truth."""
    lost = [tuple(tape.unwritten) for tape in tapes]
    return max(lost, key=lambda spans: sum(span.packets for span in spans), default=())
