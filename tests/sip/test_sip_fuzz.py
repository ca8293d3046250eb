"""A short run of the fuzz targets; the long one is `./build.sh fuzz`."""

from random import Random

import pytest

from greffier_sim import fuzz_sip


@pytest.mark.parametrize("name", fuzz_sip.TARGETS)
def test_each_seed_passes_as_it_is(name: str) -> None:
    assert fuzz_sip.SEEDS[name]
    for seed in fuzz_sip.SEEDS[name]:
        fuzz_sip.TARGETS[name](seed)


@pytest.mark.parametrize("name", fuzz_sip.TARGETS)
def test_four_hundred_mutations_raise_nothing(name: str) -> None:
    random, seeds = Random(f"greffier {name}"), fuzz_sip.SEEDS[name]
    tried = set()
    for _ in range(400):
        mutated = fuzz_sip.mutate(random, random.choice(seeds), seeds)
        fuzz_sip.TARGETS[name](mutated)
        tried.add(mutated)
    assert len(tried - set(seeds)) > 300, "hardly any input was another"


def test_a_broken_promise_would_be_seen() -> None:
    """The stream target compares; feed it a framer that answers by segments and it must object."""
    feed = fuzz_sip.stream.Framer.feed
    try:
        fuzz_sip.stream.Framer.feed = lambda self, data: [data]  # type: ignore[method-assign]
        with pytest.raises(fuzz_sip.Broken):
            fuzz_sip.read_stream(b"abc")
    finally:
        fuzz_sip.stream.Framer.feed = feed  # type: ignore[method-assign]
