"""Several parts of one recording on one line: what two runs heard is never put over each other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.encode import Coded
from greffier.encode.stored import read
from greffier.seal.frames import Mask
from greffier.seal.header import Header
from greffier.store import playback
from greffier.store.playback import Leg, OpenedPart

RATE = 8_000
SIZE = 160
STORED = read(
    {
        "kind": "original",
        "rate": RATE,
        "codecs": {"8": {"name": "PCMA", "clock": RATE, "channels": 1}},
    }
)
SOURCE = {"source": "10.0.0.1:4000", "destination": "10.0.0.2:4000", "ssrc": "0x00000001"}


def part(number: int, epoch: str, positions: list[int], octet: int, *masks: Mask) -> OpenedPart:
    header = Header(b"p" * 16, b"r" * 16, number, {"epoch": epoch}, b"", b"c" * 32, b"")
    packets = [
        Coded(at, SIZE, index, 8, 0, bytes([octet]) * SIZE) for index, at in enumerate(positions)
    ]
    leg = Leg(SOURCE, STORED, packets, masks=list(masks))
    return OpenedPart(header, {}, {0: leg}, 1, "end")


def values(*parts: OpenedPart) -> list[int]:
    (leg,), _ = playback.sound(parts)
    return [int(value) for value in leg.samples]


def test_what_another_run_holds_of_the_same_instant_comes_behind() -> None:
    first, second = part(0, "a", [0, 160], 0x50), part(1, "b", [200, 360], 0xD0)
    (low, _), (high, _) = (np.unique(values(one), return_counts=True) for one in (first, second))
    assert values(first, second) == [int(low[0])] * 320 + [int(high[0])] * 320


def test_a_run_that_begins_later_stays_where_it_is() -> None:
    played = values(part(0, "a", [0], 0x50), part(1, "b", [400], 0xD0))
    assert played[160:400] == [0] * 240
    assert len(played) == 560
    assert 0 not in played[400:]


def test_what_parts_of_one_run_hold_of_the_same_instant_is_one_sound() -> None:
    assert len(values(part(0, "a", [0, 160], 0x50), part(1, "a", [160, 320], 0x50))) == 480


def test_what_was_left_out_on_purpose_moves_with_its_run() -> None:
    second = part(1, "b", [200, 520], 0xD0, Mask(360, 520, "card"))
    played = values(part(0, "a", [0, 160], 0x50), second)
    assert len(played) == 800
    assert played[480:640] == [0] * 160


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 5)), min_size=1, max_size=5))
def test_no_sample_of_any_run_is_lost(runs: list[tuple[int, int]]) -> None:
    parts = [
        part(number, f"run {number}", [start + SIZE * at for at in range(count)], 0x50)
        for number, (start, count) in enumerate(runs)
    ]
    assert np.count_nonzero(values(*parts)) == SIZE * sum(count for _, count in runs)
