"""The coder of the C core makes the packets that the grid and libopus make, block by block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.encode import CUT_END, Coded
from greffier.encode.core import OpusCoder, OpusEncoder
from greffier.encode.grid import Grid


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([8000, 16000, 48000]),
    st.integers(0, 5000),
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 100, 159, 160, 5000]), st.integers(1, 2500))),
)
def test_blocks_and_packets_are_those_of_the_grid(
    rate: int, position: int, runs: list[tuple[int, int]]
) -> None:
    coder, grid, bare = OpusCoder(rate), Grid(rate // 50), OpusEncoder(rate)
    noise = np.random.default_rng(1)
    made: list[Coded] = []
    expected: list[Coded] = []

    def expect(start: int, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
        for i, data in enumerate(bare.encode(pcm)):
            at = start + i * coder.block
            expected.append(Coded(at, coder.block, len(expected), 255, 0, data))

    for missing, count in runs:
        position += missing
        pcm = noise.integers(-9000, 9000, count).astype(np.int16)
        made += coder.write(position, pcm)
        for blocks in grid.write(position, pcm):
            expect(blocks.position, blocks.pcm)
        assert made == expected
        position += count
    made += coder.finish()
    if last := grid.flush():
        expect(last.position, last.pcm)
        expected[-1] = expected[-1]._replace(samples=coder.block - last.padding, flags=CUT_END)
    assert made == expected
    assert coder.finish() == []


def test_a_sample_is_written_once_and_what_is_discarded_is_gone() -> None:
    coder = OpusCoder(8000)
    assert len(coder.write(100, np.ones(170, np.int16))) == 1
    with pytest.raises(ValueError, match="only once"):
        coder.write(269, np.ones(10, np.int16))
    coder.discard()
    assert coder.finish() == []
