"""Turns the placed packets of one leg into what one part stores of them.

One encoder per part and leg: parts over the same audio with other starts have encoders of their
own, fed from the same timeline. ``original`` keeps RTP payloads bit by bit; ``opus`` and ``flac``
decode to PCM at the source's rate and encode blocks on a grid that starts at the first sample of
the part. The cut at a part's start and stop is made before the encoder: no sample outside
[start_at, stop_at) ever reaches it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from greffier.encode import CUT_END, CUT_FRONT, Coded, Gap
from greffier.encode.codecs import Codec
from greffier.encode.core import FlacEncoder, OpusCoder
from greffier.encode.decoders import Decoder, decoder_of
from greffier.encode.grid import Blocks, Grid
from greffier.encode.stored import Kind, Stored, effective_kind, flac_block
from greffier.encode.timeline import OtherRate, Placed

Samples = NDArray[np.int16]
Item = Placed | Gap
Out = Coded | Gap

_NEVER = 1 << 62
_NO_TYPE = 0xFF
_SEQUENCE = 0xFFFFFFFF
# Coded of a whole tuple at once, without a call of Python code for each.
_coded = partial(tuple.__new__, Coded)


class LegEncoder:
    """Encodes one leg for one part.

    *kind* is what is wanted, :attr:`stored` says what is done (see ``stored.effective_kind``).
    *source* is the codec of the first packet, *payload_type* its number. Raises NotDecodable when
    *kind* needs sound that this machine cannot make of *source*.
    """

    def __init__(
        self,
        kind: Kind,
        source: Codec,
        payload_type: int = _NO_TYPE,
        *,
        start_at: int = 0,
        stop_at: int | None = None,
        bitrate: int = 24000,
        complexity: int = 5,
    ) -> None:
        self._start = start_at
        self._stop = _NEVER if stop_at is None else stop_at
        self._rate = source.rate
        self._coder: _Original | _Blocks
        done = effective_kind(kind, source)
        if done == "original":
            self._coder = _Original(source, payload_type)
        elif done == "opus":
            self._coder = _Blocks(source, _Opus(source.rate, bitrate, complexity))
        else:
            self._coder = _Blocks(source, _Flac(source.rate))

    @property
    def stored(self) -> Stored:
        """What a reader must know of the packets so far (original: grows with payload types)."""
        return self._coder.stored

    @property
    def coder(self) -> OpusCoder | None:
        """What encodes kind "opus": a voice of the C core may borrow it between two calls."""
        encoder = self._coder.encoder
        return encoder.coder if isinstance(encoder, _Opus) else None

    def feed(self, items: Iterable[Item]) -> list[Out]:
        """What *items*, in the order of the timeline, make ready to be stored.

        Give a tick's packets at once: the C core is entered once for a run of them. Raises
        OtherRate for a codec of another sample rate, which the leg's timeline refuses already.
        """
        out: list[Out] = []
        start, stop, take = self._start, self._stop, self._coder.take
        for item in self._coder.continue_run(items, stop):
            if isinstance(item, Gap):
                self._gap(item, out)
                continue
            if item.codec.rate != self._rate:
                raise OtherRate(f"{item.codec.name} in a leg of {self._rate} Hz")
            end = item.position + item.samples
            if item.position >= start and end <= stop:
                take(item, 0, 0, out)
            elif start < stop and end > start and item.position < stop:
                take(item, max(start - item.position, 0), max(end - stop, 0), out)
        self._coder.settle(out)
        return out

    def flush(self) -> list[Out]:
        """The end of the part: what was held back. An Opus tail is padded, its true length kept.

        The encoder is of no use afterwards; what it held of audio is zeroed.
        """
        out: list[Out] = []
        self._coder.finish(out)
        return out

    def discard(self) -> None:
        """The part is not to be: what is held of decoded audio is zeroed, and nothing comes out.

        The encoder is of no use afterwards.
        """
        self._coder.discard()

    def _gap(self, gap: Gap, out: list[Out]) -> None:
        if gap.start == gap.end:
            if self._start <= gap.start <= self._stop:
                out.append(gap)
            return
        start, end = max(gap.start, self._start), min(gap.end, self._stop)
        if start < end:
            out.append(Gap(start, end, gap.packets, gap.cause))


class _Original:
    """RTP payloads as they came; only codecs with single samples are ever cut."""

    encoder = None

    def __init__(self, source: Codec, payload_type: int) -> None:
        self._codecs = {} if payload_type == _NO_TYPE else {payload_type: source}
        self._rate = source.rate

    @property
    def stored(self) -> Stored:
        return Stored("original", self._rate, codecs=dict(self._codecs))

    def continue_run(self, items: Iterable[Item], stop: int) -> Iterable[Item]:
        """Packets are not joined."""
        return items

    def take(self, item: Placed, front: int, back: int, out: list[Out]) -> None:
        known = self._codecs.get(item.payload_type)
        if known is item.codec and not (front or back or item.skip):  # nearly every packet
            sequence, kind = item.sequence & _SEQUENCE, item.payload_type
            out.append(Coded(item.position, item.samples, sequence, kind, 0, item.payload))
            return
        position, samples = item.position + front, item.samples - front - back
        front += item.skip
        if (front or back) and not item.codec.cuttable:
            cause = "overlap" if item.skip else "cut"
            out.append(Gap(position, position + samples, 1, cause))
            return
        # A payload type that changes its meaning within a leg would make the table lie.
        known = self._codecs.setdefault(item.payload_type, item.codec)
        if known != item.codec:
            out.append(Gap(position, position + samples, 1, "unknown_codec"))
            return
        data = item.payload
        if front or back:
            width = item.codec.width
            data = data[front * width : len(data) - back * width]
        flags = (CUT_FRONT if front else 0) | (CUT_END if back else 0)
        sequence = item.sequence & _SEQUENCE
        out.append(Coded(position, samples, sequence, item.payload_type, flags, data))

    def settle(self, out: list[Out]) -> None:
        """Nothing is held back."""

    def finish(self, out: list[Out]) -> None:
        """Nothing is held back."""

    def discard(self) -> None:
        """Nothing is held back."""


class _Opus:
    """libopus on 20 ms blocks; one packet a block at once."""

    def __init__(self, rate: int, bitrate: int, complexity: int) -> None:
        self.coder = OpusCoder(rate, bitrate=bitrate, complexity=complexity)
        self.stored = Stored("opus", rate, self.coder.block, self.coder.delay)

    def write(self, position: int, pcm: Samples) -> list[Coded]:
        return self.coder.write(position, pcm)

    def finish(self) -> list[Coded]:
        return self.coder.finish()

    def discard(self) -> None:
        self.coder.discard()


class _Flac:
    """libFLAC on fixed blocks; a frame comes out with the first sample of the next block."""

    def __init__(self, rate: int) -> None:
        block = flac_block(rate)
        self._encoder = FlacEncoder(rate, block)
        self._grid = Grid(block)
        self._due: deque[int] = deque()  # positions of blocks not out yet
        self._sequence = 0
        self.stored = Stored("flac", rate, block)

    def write(self, position: int, pcm: Samples) -> list[Coded]:
        return [one for blocks in self._grid.write(position, pcm) for one in self._encode(blocks)]

    def finish(self) -> list[Coded]:
        out: list[Coded] = []
        last = self._grid.flush()
        if last:
            self._due.append(last.position)
            pcm = last.pcm[: len(last.pcm) - last.padding]
            out += self._collect(self._encoder.encode(pcm))
            last.pcm.fill(0)
        out += self._collect(self._encoder.finish())
        if last and last.padding:
            out[-1] = out[-1]._replace(samples=self.stored.block - last.padding)
        return out

    def discard(self) -> None:
        self._due.clear()
        self._grid.wipe()

    def _encode(self, blocks: Blocks) -> list[Coded]:
        end = blocks.position + len(blocks.pcm)
        self._due.extend(range(blocks.position, end, self.stored.block))
        made = self._collect(self._encoder.encode(blocks.pcm))
        blocks.pcm.fill(0)
        return made

    def _collect(self, packets: list[bytes]) -> list[Coded]:
        """*packets* are those of the oldest blocks that are due."""
        first, due = self._sequence, self._due
        self._sequence += len(packets)
        positions = [due.popleft() for _ in packets]
        numbers = [number & _SEQUENCE for number in range(first, self._sequence)]
        always = (repeat(self.stored.block), numbers, repeat(_NO_TYPE), repeat(0), packets)
        return list(map(_coded, zip(positions, *always, strict=False)))


class _Blocks:
    """Decodes runs of packets and encodes the blocks that they fill."""

    def __init__(self, source: Codec, encoder: _Opus | _Flac) -> None:
        self.encoder = encoder
        self.stored = encoder.stored
        self._codec = source
        self._decoder: Decoder = decoder_of(source)
        self._run: list[bytes] = []
        self._position = 0  # of the run's first wanted sample
        self._front = 0  # unwanted samples at the front of the run
        self._end = 0  # position behind the run's last wanted sample

    def continue_run(self, items: Iterable[Item], stop: int) -> Iterator[Item]:
        """Take the packets that simply go on with the run; yield those that need a look."""
        run, codec, end = self._run, self._codec, self._end
        for item in items:
            if run and isinstance(item, Placed) and item[0] == end and item[3] is codec:
                _, samples, skip, _, _, _, payload = item
                if not skip and end + samples <= stop:
                    run.append(payload)
                    self._end = end = end + samples
                    continue
            yield item
            codec, end = self._codec, self._end

    def take(self, item: Placed, front: int, back: int, out: list[Out]) -> None:
        position = item.position + front
        if position != self._end or item.codec != self._codec or front or item.skip:
            self.settle(out)
        if item.codec != self._codec:
            self._decoder = decoder_of(item.codec)
        self._codec = item.codec
        if not self._run:
            self._position, self._front = position, front + item.skip
        self._run.append(item.payload)
        self._end = item.position + item.samples - back
        if back:
            self.settle(out)

    def settle(self, out: list[Out]) -> None:
        """Decode the run and encode the blocks that are whole now."""
        if not self._run:
            return
        decoded = self._decoder.decode(self._run)
        self._run.clear()
        first, end = self._front, self._front + self._end - self._position
        for offset, samples in decoded.damaged:
            low, high = max(offset, first), min(offset + samples, end)
            if low < high:
                shift = self._position - first
                out.append(Gap(low + shift, high + shift, 1, "damaged"))
        out += self.encoder.write(self._position, decoded.pcm[first:end])
        decoded.pcm.fill(0)

    def finish(self, out: list[Out]) -> None:
        self.settle(out)
        out += self.encoder.finish()

    def discard(self) -> None:
        self._run.clear()
        self.encoder.discard()
