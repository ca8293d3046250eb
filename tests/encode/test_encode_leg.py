"""What a part stores of a leg: original, Opus and FLAC, cuts, gaps and losses."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import bare_codecs
from tests.reference.bare_codecs import voice

from greffier.encode import CUT_END, CUT_FRONT, Coded, Gap, audio, codecs, core, stored
from greffier.encode.decoders import decoder_of
from greffier.encode.leg import Item, LegEncoder, Out
from greffier.encode.timeline import OtherRate, Placed

Samples = NDArray[np.int16]
PCMU, GSM, PCMA, G722 = (codecs.STATIC[i] for i in (0, 3, 8, 9))
L16 = codecs.by_name("L16", 16000)
OPUS = codecs.by_name("opus", 48000, 2)
KINDS: tuple[stored.Kind, ...] = ("original", "opus", "flac")


def payloads(codec: codecs.Codec, seconds: float, seed: int = 1) -> list[bytes]:
    """20 ms packets of something like speech in *codec*."""
    pcm = voice(int(codec.rate * seconds), codec.rate, seed)
    if codec.name == "opus":
        return bare_codecs.opus_packets(pcm, 48000)
    if codec.name == "G722":
        data, size = bare_codecs.g722_octets(pcm), 160
    elif codec.name == "GSM":
        data, size = bare_codecs.gsm_octets(pcm), 33
    elif codec.name == "L16":
        data, size = pcm.astype(">i2").tobytes(), codec.rate // 50 * 2
    else:
        data, size = core.encode_g711(codec.name, pcm), codec.rate // 50
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def placed(
    codec: codecs.Codec, parts: list[bytes], first: int = 0, number: int = 8
) -> list[Placed]:
    """Packets one after the other from position *first* on."""
    out, at = [], first
    for i, payload in enumerate(parts):
        samples = codec.samples(payload)
        out.append(Placed(at, samples, 0, codec, number, 65530 + i, payload))
        at += samples
    return out


def sound_of(codec: codecs.Codec, parts: list[bytes]) -> Samples:
    return decoder_of(codec).decode(parts).pcm


def with_losses(items: list[Placed], lost: set[int]) -> list[Item]:
    """*items* without those of the indexes *lost*, a gap in place of each run of them."""
    out: list[Item] = []
    for i, item in enumerate(items):
        if i not in lost:
            out.append(item)
        elif out and isinstance(out[-1], Gap):
            out[-1] = Gap(out[-1].start, item.position + item.samples, out[-1].packets + 1, "lost")
        else:
            out.append(Gap(item.position, item.position + item.samples, 1, "lost"))
    return out


def run(encoder: LegEncoder, items: list[Item], tick: int = 50) -> list[Out]:
    out: list[Out] = []
    for at in range(0, len(items), tick):
        out += encoder.feed(items[at : at + tick])
    return out + encoder.flush()


def coded(out: list[Out]) -> list[Coded]:
    return [item for item in out if isinstance(item, Coded)]


def gaps(out: list[Out]) -> list[Gap]:
    return [item for item in out if isinstance(item, Gap)]


def heard(encoder: LegEncoder, out: list[Out], end: int) -> Samples:
    return audio.decode(encoder.stored, coded(out), end=end).samples


@pytest.mark.parametrize("codec", [PCMA, PCMU, L16, G722, GSM, OPUS], ids=lambda c: c.name)
def test_original_keeps_every_payload_bit_by_bit(codec: codecs.Codec) -> None:
    parts = payloads(codec, 1)
    encoder = LegEncoder("original", codec, 8)
    out = run(encoder, list(placed(codec, parts, 77)))
    assert [item.data for item in coded(out)] == parts
    assert [item.sequence for item in coded(out)] == [65530 + i for i in range(len(parts))]
    assert {item.flags for item in coded(out)} == {0}
    sound = sound_of(codec, parts)
    assert np.array_equal(heard(encoder, out, 77 + len(sound))[77:], sound)


@pytest.mark.parametrize("codec", [PCMA, PCMU, L16, G722, GSM, OPUS], ids=lambda c: c.name)
@pytest.mark.parametrize("tick", [1, 7, 50])
def test_flac_gives_back_the_sound_sample_for_sample(codec: codecs.Codec, tick: int) -> None:
    parts = payloads(codec, 1.1)
    encoder = LegEncoder("flac", codec, 8)
    out = run(encoder, list(placed(codec, parts, 333)), tick)
    sound = sound_of(codec, parts)
    assert np.array_equal(heard(encoder, out, 333 + len(sound))[333:], sound)
    assert gaps(out) == []
    assert max(item.samples for item in coded(out)) <= encoder.stored.rate


@pytest.mark.parametrize("codec", [PCMA, PCMU, L16, G722, GSM], ids=lambda c: c.name)
@pytest.mark.parametrize("tick", [1, 7, 50])
def test_opus_equals_bare_libopus_octet_for_octet(codec: codecs.Codec, tick: int) -> None:
    parts = payloads(codec, 2)
    encoder = LegEncoder("opus", codec, 8)
    out = run(encoder, list(placed(codec, parts, 41)), tick)
    assert [item.data for item in coded(out)] == bare_codecs.opus_packets(
        sound_of(codec, parts), codec.rate
    )
    frame = codec.rate // 50
    assert [item.position for item in coded(out)] == [41 + i * frame for i in range(len(parts))]


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_kept_as_silence(kind: stored.Kind) -> None:
    encoder = LegEncoder(kind, PCMU, 0)
    out = run(encoder, list(placed(PCMU, [b"\xff" * 160] * 60, number=0)))
    whole = audio.decode(encoder.stored, coded(out), end=9600).samples
    assert np.abs(whole).max() <= (2 if kind == "opus" else 0)
    some = audio.decode(encoder.stored, coded(out)[3:], end=9600).samples
    assert np.abs(some).max() <= (2 if kind == "opus" else 0)


def test_opus_with_gaps_equals_bare_libopus_fed_the_blocks_that_have_sound() -> None:
    parts = payloads(PCMA, 3)
    items = placed(PCMA, parts)
    del items[20:23]  # three whole blocks
    items = items[:50] + [
        Placed(p.position + 1000, p.samples, 0, PCMA, 8, p.sequence, p.payload) for p in items[50:]
    ]
    out = run(LegEncoder("opus", PCMA, 8), list(items))
    line = np.zeros(items[-1].position + 160 + 160, np.int16)
    for item in items:
        line[item.position : item.position + 160] = sound_of(PCMA, [item.payload])
    has = sorted({(item.position + k) // 160 for item in items for k in (0, 159)})
    pcm = np.concatenate([line[block * 160 : block * 160 + 160] for block in has])
    assert [item.data for item in coded(out)] == bare_codecs.opus_packets(pcm, 8000)
    assert [item.position for item in coded(out)] == [block * 160 for block in has]


def test_an_opus_tail_is_padded_and_its_true_length_kept() -> None:
    items = placed(PCMA, [*payloads(PCMA, 1), bytes([0x35]) * 99])
    out = coded(run(LegEncoder("opus", PCMA, 8), list(items)))
    assert (out[-1].samples, out[-1].flags, out[-1].position) == (99, CUT_END, 8000)
    flac = coded(run(LegEncoder("flac", PCMA, 8), list(items)))
    assert (flac[-1].samples, flac[-1].flags) == (8099 % 1024, 0)


def test_opus_that_came_as_opus_is_not_encoded_again() -> None:
    parts = payloads(OPUS, 1)
    encoder = LegEncoder("opus", OPUS, 96)
    out = run(encoder, list(placed(OPUS, parts, number=96)))
    assert encoder.stored.kind == "original"
    assert [item.data for item in coded(out)] == parts


def test_a_rate_that_libopus_lacks_is_kept_without_loss() -> None:
    codec = codecs.by_name("L16", 11025)
    encoder = LegEncoder("opus", codec, 11)
    out = run(encoder, list(placed(codec, payloads(codec, 0.5))))
    assert encoder.stored.kind == "flac"
    sound = sound_of(codec, payloads(codec, 0.5))
    assert np.array_equal(heard(encoder, out, len(sound)), sound)


def test_g711_is_cut_at_any_sample_and_says_so() -> None:
    parts = payloads(PCMA, 0.2)
    sound = sound_of(PCMA, parts)
    for start, stop in [(0, 1), (159, 161), (160, 320), (161, 1000), (1, 1599), (37, 37), (400, 9)]:
        encoder = LegEncoder("original", PCMA, 8, start_at=start, stop_at=stop)
        out = coded(run(encoder, list(placed(PCMA, parts))))
        assert sum(item.samples for item in out) == max(stop - start, 0)
        for item in out:
            assert len(item.data) == item.samples
            assert bool(item.flags & CUT_FRONT) == (item.position == start and start % 160 != 0)
            end = item.position + item.samples
            assert bool(item.flags & CUT_END) == (end == stop and stop % 160 != 0)
        if out:
            whole = audio.decode(encoder.stored, out, start=start, end=stop).samples
            assert np.array_equal(whole, sound[start:stop])


@pytest.mark.parametrize("codec", [G722, GSM, OPUS], ids=lambda c: c.name)
def test_block_codecs_are_cut_between_packets_and_the_rest_is_a_gap(codec: codecs.Codec) -> None:
    items = placed(codec, payloads(codec, 0.2))
    size = items[0].samples
    encoder = LegEncoder("original", codec, 8, start_at=size + 5, stop_at=5 * size - 7)
    out = run(encoder, list(items))
    assert [item.data for item in coded(out)] == [item.payload for item in items[2:4]]
    assert gaps(out) == [
        Gap(size + 5, 2 * size, 1, "cut"),
        Gap(4 * size, 5 * size - 7, 1, "cut"),
    ]


@pytest.mark.parametrize("kind", ["opus", "flac"])
def test_a_later_start_reaches_no_earlier_sample(kind: Literal["opus", "flac"]) -> None:
    parts = payloads(PCMA, 1)
    quiet = [bytes([0xD5]) * 160] * len(parts)
    start, stop = 1777, 7001
    loud = run(LegEncoder(kind, PCMA, 8, start_at=start, stop_at=stop), list(placed(PCMA, parts)))
    mixed = bytearray(b"".join(quiet))
    mixed[start:stop] = b"".join(parts)[start:stop]
    other = [bytes(mixed[at : at + 160]) for at in range(0, len(mixed), 160)]
    same = run(LegEncoder(kind, PCMA, 8, start_at=start, stop_at=stop), list(placed(PCMA, other)))
    assert loud == same
    assert coded(loud)[0].position == start
    assert coded(loud)[-1].position + coded(loud)[-1].samples == stop
    if kind == "opus":
        bare = np.zeros(-(-(stop - start) // 160) * 160, np.int16)
        bare[: stop - start] = sound_of(PCMA, parts)[start:stop]
        assert [item.data for item in coded(loud)] == bare_codecs.opus_packets(bare, 8000)


def test_gaps_are_clipped_to_the_part() -> None:
    encoder = LegEncoder("flac", PCMA, 8, start_at=1000, stop_at=2000)
    given_gaps: list[Item] = [
        Gap(0, 900, 5, "lost"),
        Gap(900, 1100, 1, "lost"),
        Gap(1100, 1100, 1, "late"),
        Gap(1900, 2500, 3, "dtx"),
        Gap(2500, 2500, 1, "late"),
    ]
    assert run(encoder, given_gaps) == [
        Gap(1000, 1100, 1, "lost"),
        Gap(1100, 1100, 1, "late"),
        Gap(1900, 2000, 3, "dtx"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_discarded_part_gives_nothing_back(kind: stored.Kind) -> None:
    encoder = LegEncoder(kind, PCMA, 8)
    encoder.feed([Placed(0, 99, 0, PCMA, 8, 0, bytes([0x35]) * 99)])
    encoder.discard()
    assert encoder.flush() == []


def test_another_sample_rate_is_refused() -> None:
    encoder = LegEncoder("flac", PCMA, 8)
    encoder.feed(placed(PCMA, payloads(PCMA, 0.1)))
    with pytest.raises(OtherRate):
        encoder.feed(placed(G722, payloads(G722, 0.1), 800))


def test_a_codec_may_change_within_the_rate() -> None:
    a, u = payloads(PCMA, 0.5), payloads(PCMU, 0.5, seed=3)
    first = placed(PCMA, a)
    items: list[Item] = [*first, *placed(PCMU, u, 4000, 0)]
    sound = np.concatenate((sound_of(PCMA, a), sound_of(PCMU, u)))
    for kind in ("original", "flac"):
        encoder = LegEncoder(kind, PCMA, 8)
        out = run(encoder, items)
        assert np.array_equal(heard(encoder, out, 8000), sound)
    assert LegEncoder("opus", PCMA, 8).feed(items)


def test_a_payload_type_that_changes_its_meaning_is_not_stored_wrongly() -> None:
    items = placed(PCMA, payloads(PCMA, 0.04))
    other = placed(PCMU, payloads(PCMU, 0.02), 320, 8)
    out = run(LegEncoder("original", PCMA, 8), [*items, *other])
    assert len(coded(out)) == 2
    assert gaps(out) == [Gap(320, 480, 1, "unknown_codec")]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=8))
def test_opus_payloads_of_noise_are_survived(noise: list[bytes]) -> None:
    parts = [part for part in noise if bare_codecs.opus_duration(part) > 0]
    items = placed(OPUS, parts)
    out = run(LegEncoder("flac", OPUS, 96), list(items))
    assert sum(item.samples for item in coded(out)) == sum(item.samples for item in items)
    assert {gap.cause for gap in gaps(out)} <= {"damaged"}


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["original", "flac"]),
    lost=st.sets(st.integers(0, 59), max_size=40),
    first=st.integers(0, 2000),
    cut=st.tuples(st.integers(0, 12000), st.integers(0, 12000)),
    tick=st.integers(1, 60),
)
def test_outside_its_gaps_an_export_is_what_was_sent(
    kind: Literal["original", "flac"],
    lost: set[int],
    first: int,
    cut: tuple[int, int],
    tick: int,
) -> None:
    parts = payloads(PCMU, 1.2)
    items = placed(PCMU, parts, first)
    start, stop = sorted(cut)
    encoder = LegEncoder(kind, PCMU, 8, start_at=start, stop_at=stop)
    out = run(encoder, with_losses(items, lost), tick)
    sent = np.zeros(first + 9600, np.int16)
    sent[first:] = sound_of(PCMU, parts)
    missing = np.zeros(len(sent), bool)
    for gap in gaps(out):
        assert not missing[gap.start : gap.end].any()
        missing[gap.start : gap.end] = True
    there = np.zeros(len(sent), int)
    for item in coded(out):
        assert item.position >= start
        assert item.position + item.samples <= max(stop, start) or kind == "flac"
        there[item.position : item.position + item.samples] += 1
    assert there.max(initial=0) <= 1
    low, high = max(start, first), min(stop, len(sent))
    got = heard(encoder, out, len(sent))
    keep = ~missing
    keep[:low] = keep[max(high, low) :] = False
    assert np.array_equal(got[keep], sent[keep])
    assert (there[keep] == 1).all()
    assert not got[~keep].any()


@settings(deadline=None, max_examples=40)
@given(
    lost=st.sets(st.integers(0, 59), max_size=50),
    cut=st.tuples(st.integers(0, 9600), st.integers(0, 9600)),
    kind=st.sampled_from(KINDS),
)
def test_parts_over_the_same_audio_agree_on_where_it_lies(
    lost: set[int], cut: tuple[int, int], kind: stored.Kind
) -> None:
    items = with_losses(placed(PCMA, payloads(PCMA, 1.2)), lost)
    start, stop = sorted(cut)
    whole = run(LegEncoder("original", PCMA, 8), items)
    part = run(LegEncoder(kind, PCMA, 8, start_at=start, stop_at=stop), items)
    wanted = {
        k
        for item in coded(whole)
        for k in range(item.position, item.position + item.samples)
        if start <= k < stop
    }
    kept = {k for item in coded(part) for k in range(item.position, item.position + item.samples)}
    listed = {k for gap in gaps(part) for k in range(gap.start, gap.end)}
    assert wanted <= kept
    assert kept - wanted <= listed
    assert not any(k < start or k >= stop for k in kept | listed)
