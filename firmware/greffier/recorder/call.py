"""One call while it runs: facts and verdict, its parts, what of its audio went where.

When what is decided is the matter of :mod:`greffier.recorder.deciding`; a call that is never
answered keeps nothing voluntary. No sample before the instant that the verdict names ever reaches
an encoder.
"""

import secrets
from collections.abc import Sequence
from typing import Any, cast

from greffier.calls.events import CallIdentified, CallStarted, LegAdded, LegChanged, LegMedia
from greffier.capture.rtp import Packet
from greffier.encode import Gap
from greffier.encode.codecs import Codec
from greffier.encode.delay import Dated
from greffier.encode.leg import Item
from greffier.encode.stored import Kind
from greffier.encode.timeline import OtherRate, Placed
from greffier.errors import NotDecodable
from greffier.policy.facts import Facts
from greffier.policy.verdict import Verdict
from greffier.recorder.about import about
from greffier.recorder.archive import Archive
from greffier.recorder.curtailed import Curtailed
from greffier.recorder.deciding import Deciding
from greffier.recorder.live_facts import Known
from greffier.recorder.loans import Lender
from greffier.recorder.notice_ear import NoticeEar
from greffier.recorder.numbers import journal_name
from greffier.recorder.outcome import LOSSES, Heard, Span
from greffier.recorder.pausable import Pausable
from greffier.recorder.pauses import Pauses
from greffier.recorder.plans import Plan
from greffier.recorder.recall import CallRecall
from greffier.recorder.recovery import EarlierPart
from greffier.recorder.rules import Rules
from greffier.recorder.tape import LARGEST_LEG, PartPlan, Tape, first_sample, unwritten_of
from greffier.recorder.times import with_known_times
from greffier.recorder.track import Frames, Track, codec_of
from greffier.recorder.withheld import Withheld

_SECOND = 1_000_000_000


class Call(Deciding, Withheld, Curtailed, Pausable, Lender):
    """Mutable; owned by the intake's thread."""

    def __init__(
        self,
        archive: Archive,
        rules: Rules,
        started: CallStarted,
        uid: str,
        waits_ns: int = 0,
        recall: CallRecall | None = None,
    ) -> None:
        """*waits_ns*: how long sound waits before it is stored, so that a pause reaches back.

        *recall* keeps what may be asked for again at once.
        """
        assert archive.epoch is not None  # noqa: S101 - an epoch is open while calls run
        self._archive = archive
        self._epoch = archive.epoch.name
        self._rules = rules
        self.uid = uid
        self.journal_id = journal_name(uid)
        self.started: CallStarted | CallIdentified = started
        self.start_ns = started.time_ns
        self.heard_from_ns = started.time_ns
        """Since when this process has heard it: later than its start after a restart."""
        self.answer_ns: int | None = None
        self.known = Known(Facts())
        self.facts: Facts = self.known.facts
        self.verdict = Verdict()
        self.recording: bytes | None = None
        self.frames = Frames()
        self.waits_ns = waits_ns
        self.recall = recall
        self.pauses = Pauses()
        self._begin_to_listen(started.call, started.channel)
        self.left_out = False
        """It should be recorded, and there was no room for it."""
        self._duties_only = False  # the disk had no room for what is voluntary of it
        self._plans: list[Plan] = []  # the first of them have their tapes
        self._tapes: list[Tape] = []
        self._ended_tapes: list[Tape] = []  # before the call did
        self._begun = 0  # parts, also those that were destroyed
        self._given: dict[Tape, int] = {}  # what each has taken of the frames
        self._recording_id: bytes | None = None
        self._held_ever = False
        self.zeroed = 0
        """Packets that were held for too long, and zeroed."""
        self._earlier_parts = 0  # of before a restart
        self.earlier: tuple[EarlierPart, ...] = ()
        """Those of them that are in the vault."""
        self.told_before: tuple[str, int] | None = None
        """The journal's record (epoch, number) of before a restart that says who calls whom."""
        self._previous: str | None = None
        self._legs: dict[int, LegAdded | LegChanged] = {}
        self._tables: dict[int, dict[str, Any]] = {}
        self._tracks: dict[tuple[int, int], Track] = {}
        self._left: list[Track] = []  # of which something was kept, and no more is
        self._media: list[int] = []  # first and last arrival
        self._lost: list[Span] = []
        self._unusable: set[int] = set()
        self.notice_ear = NoticeEar(rules.prompt, self.start_ns) if rules.prompt else None
        """While it is not known whether the notice was said."""

    # --- events ---

    def identify(self, event: CallIdentified) -> None:
        """Bare RTP turned out to have a dialog."""
        self.started = event

    def leg(self, event: LegAdded | LegChanged) -> None:
        """A leg is described, or described anew."""
        self._legs[event.leg] = event
        if isinstance(event, LegAdded):
            self._tables[event.leg] = {
                "source": str(event.source),
                "destination": str(event.destination),
                "ssrc": f"0x{event.ssrc:08x}",
            }
        self._tables[event.leg]["side"] = event.side
        if event.codec is not None:
            self._tables[event.leg]["codec"] = event.codec.name

    def media(self, event: LegMedia) -> None:
        """Packets of a leg, in order: into the parts, or counted as not recorded."""
        latest = self._media[1] if self._media else self.start_ns
        packets = with_known_times(event.packets, latest)
        if not packets:
            return
        arrivals = [packet.arrival_ns for packet in packets]
        self._media = [min([*self._media, *arrivals]), max([*self._media, *arrivals])]
        leg = self._legs[event.leg]
        self._hear_keys(event, packets)
        self._listen(event, packets)
        if not self._plans and not self.holding:
            self.frames.not_recorded += len(packets)
            return
        if leg.encrypted:
            self._unusable.add(event.leg)
            self.frames.not_recorded += len(packets)
            return
        ssrc = int(self._tables[event.leg]["ssrc"], 16)
        items: dict[tuple[int, int], list[Dated]] = {}
        codecs: dict[int, Codec | None] = {}
        for packet in packets:
            kind = packet.payload_type
            if kind not in codecs:
                codecs[kind] = codec_of(event.codecs.get(kind), kind)
            self._place(event.leg, packet, codecs[kind], ssrc, items)
        for key, placed in items.items():
            self._hear(self._tracks[key], placed)

    def _listen(self, event: LegMedia, packets: Sequence[Packet]) -> None:
        """Our side is listened to for the notice, from the answer on."""
        leg = self._legs[event.leg]
        if self.notice_ear is None or self.answer_ns is None or leg.encrypted:
            return
        if leg.side != self._outside:
            ssrc = int(self._tables[event.leg]["ssrc"], 16)
            self.notice_ear.take(event.leg, packets, event.codecs, ssrc)

    def _place(
        self,
        leg: int,
        packet: Packet,
        codec: Codec | None,
        ssrc: int,
        items: dict[tuple[int, int], list[Dated]],
    ) -> None:
        if codec is None or codec.purpose in ("noise", "event"):
            self.frames.silent += 1 if codec else 0
            self.frames.not_recorded += 0 if codec else 1
        elif not codec.decodable:
            self._unusable.add(leg)
            self.frames.not_recorded += 1
            return
        key = self._track_of(leg, codec, packet.payload_type)
        if key is None:
            if codec is not None and codec.decodable:
                self.frames.not_recorded += 1
            return
        track = self._tracks[key]
        try:
            placed = track.timeline.place(packet, codec, ssrc)
        except OtherRate:
            return  # the track was chosen by the rate
        items.setdefault(key, []).extend((packet.arrival_ns, item) for item in placed)

    def _track_of(self, leg: int, codec: Codec | None, payload_type: int) -> tuple[int, int] | None:
        """The track for *codec* of *leg*; a codec of another rate has a track of its own.

        None where there is none: nothing was heard of the leg yet, or a part holds no more legs.
        """
        mine = [key for key in self._tracks if key[0] == leg]
        if codec is None or not codec.decodable:
            return mine[-1] if mine else None
        key = (leg, codec.rate)
        if key not in self._tracks:
            if len(self._tracks) > LARGEST_LEG:
                self._unusable.add(leg)
                return None
            timeline, waiting = self._line(codec.rate)
            self._tracks[key] = Track(
                len(self._tracks),
                timeline,
                self._tables[leg],
                codec,
                payload_type,
                waiting=waiting,
            )
        return key

    def _is_loss(self, gap: Gap) -> bool:
        return gap.cause in LOSSES

    def _lose(self, track: Track, gap: Gap) -> None:
        if gap.end > gap.start:
            rate = track.timeline.rate
            low, high = (self.start_ns + at * _SECOND // rate for at in (gap.start, gap.end))
            self._lost.append(Span(low, high, gap.packets))

    def _store(self, track: Track, dated: Sequence[Dated]) -> None:
        dated = track.with_early(dated)
        placed = [(at, item) for at, item in dated if isinstance(item, Placed)]
        for _, item in dated:
            if isinstance(item, Gap) and self._is_loss(item):
                self._lose(track, item)
        if placed and len(self._tapes) < len(self._plans):
            self._begin_tapes(max(at for at, _ in placed))
        oldest = min(at for at, _ in dated) if dated else 0
        for tape in self._tapes:
            begin = tape.plan.start_ns
            # A packet that arrived before the part's first instant was spoken before it.
            items = [
                (at, item)
                for at, item in dated
                if oldest >= begin or at >= begin or isinstance(item, Gap)
            ]
            try:
                self._give(tape, track, items)
                self._given[tape] = self._given.get(tape, 0) + self._amount(items)
            except NotDecodable:
                self._unusable.add(track.number)
                self.frames.not_recorded += len(placed)
                return
        self._count(track, placed)

    def _amount(self, dated: Sequence[Dated]) -> int:
        """How much sound that is, in what frames are counted in."""
        return sum(isinstance(item, Placed) for _, item in dated)

    def _count(self, track: Track, placed: Sequence[tuple[int, Placed]]) -> None:
        """Note which of *placed* a part has taken."""
        if not self._tapes:
            self.frames.not_recorded += len(placed)
            return
        begin = min(tape.plan.start_ns for tape in self._tapes)
        first = first_sample(begin, self.start_ns, track.timeline.rate)
        taken = [one for at, one in placed if at >= begin and one.position + one.samples > first]
        self.frames.recorded += len(taken)
        self.frames.not_recorded += len(placed) - len(taken)
        if taken:
            # Positions only grow along a timeline.
            low, high = max(taken[0].position, first), taken[-1].position + taken[-1].samples
            track.kept = [min([*track.kept, low]), max([*track.kept, high])]

    def kind(self) -> Kind:
        """How the parts hold its sound."""
        return cast("Kind", self._rules.policy.codec(self._rules.line))

    def _begin_tapes(self, now_ns: int) -> None:
        """Begin the parts whose first instant has come. They stand in order of it."""
        kind = self.kind()
        for planned in self._plans[len(self._tapes) :]:
            if planned.start_ns > now_ns:
                return
            if self.recording is None:
                self._recording_id = self._recording_id or secrets.token_bytes(16)
                self.recording = self._recording_id
            plan = PartPlan(
                device=self._archive.data.identity.device,
                line=self._rules.line,
                uid=self.uid,
                epoch=self._epoch,
                recording=self.recording,
                number=self._earlier_parts + self._begun,
                previous=self._previous,
                purposes=planned.purposes,
                kind=kind,
                origin_ns=self.start_ns,
                start_ns=planned.start_ns,
                in_file=planned.duty,
                # Overwriting the store's key reaches no envelope that lies in the file itself.
                deletion="C" if planned.duty else self._archive.shred.class_name,
                delayed=self.waits_ns > 0,
            )
            tape = Tape(plan, self._archive.recipients, self.about())
            self._previous = tape.commitment
            self._begun += 1
            self._tapes.append(tape)
            self._archive.add(tape)
            self._tell_hidden(tape)

    # --- the end ---

    def finish(self, reason: str) -> None:
        """No more audio comes: the parts end."""
        if self._plans:
            self._drain()
        else:
            self._forget_sound()
        for track in self._tracks.values():
            rest: list[Item] = list(track.timeline.finish())
            for tape in self._tapes:
                tape.take(track.number, track.table, rest)
        for tape in self._tapes:
            tape.finish(reason)

    def about(self) -> dict[str, Any]:
        """What may only be said under a key: numbers, names, Call-ID."""
        return about(self.started, self.start_ns)

    def heard(self, end_ns: int) -> Heard:
        """What happened to the time of the call, which ended at *end_ns*."""
        kept = self._kept()
        recorded = None
        if kept:
            recorded = Span(min(one.from_ns for one in kept), max(one.to_ns for one in kept))
        return Heard(
            start_ns=self.heard_from_ns,
            end_ns=end_ns,
            media=Span(*self._media) if self._media and self._media[0] < self._media[1] else None,
            recorded=recorded,
            lost=tuple(sorted(self._lost, key=lambda span: (span.from_ns, span.to_ns))),
            masked=tuple(self._paused(end_ns)),
            unusable=bool(self._unusable),
            answered=self.answer_ns is not None,
            unwritten=unwritten_of([*self._tapes, *self._ended_tapes]),
        )

    def _kept(self) -> list[Span]:
        """The span of time of what each track kept."""
        return [
            Span(*(self.start_ns + at * _SECOND // track.timeline.rate for at in track.kept))
            for track in (*self._tracks.values(), *self._left)
            if track.kept
        ]
