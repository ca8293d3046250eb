"""The delay line against a list that does the same, and what it promises of its memory."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.encode import Gap
from greffier.encode.codecs import Codec, by_payload_type
from greffier.encode.delay import FAR_AHEAD_NS, Dated, DelayLine, Scrubbed
from greffier.encode.timeline import Placed

CODECS = [one for one in map(by_payload_type, (0, 8, 9)) if one is not None]
ROOM = 400_000


def sound(position: int, octets: int, codec: Codec = CODECS[0], kind: int = 0) -> Placed:
    payload = bytes((position + one) % 251 + 1 for one in range(octets))
    return Placed(position, octets, 3, codec, kind, position + (1 << 33), payload)


@dataclass
class Model:
    """What a delay line does, slowly."""

    items: list[Dated] = field(default_factory=list)

    def take(self, until: int, now: int | None) -> list[Dated]:
        found = []
        ahead = 1 << 62 if now is None else now + FAR_AHEAD_NS
        while self.items:
            at, item = self.items[0]
            if isinstance(item, Placed) and until <= at <= ahead:
                break
            found.append(self.items.pop(0))
        return found

    def scrub(self, since: int) -> Scrubbed | None:
        first = next((n for n, (at, _) in enumerate(self.items) if at >= since), None)
        if first is None:
            return None
        gone = [item for _, item in self.items[first:]]
        del self.items[first:]
        begin = gone[0].position if isinstance(gone[0], Placed) else gone[0].start
        last = gone[-1]
        end = last.position + last.samples if isinstance(last, Placed) else last.end
        sounds = [item.samples for item in gone if isinstance(item, Placed)]
        return Scrubbed(begin, end, len(sounds), sum(sounds))

    def drop(self, until: int) -> int:
        before = len(self.items)
        while self.items and self.items[0][0] < until:
            self.items.pop(0)
        return before - len(self.items)

    def copy(self, since: int) -> list[Dated]:
        return [one for one in self.items if one[0] >= since]


times = st.integers(0, 60)
step = st.one_of(
    st.tuples(st.just("sound"), times, st.integers(1, 4000)),
    st.tuples(st.just("many"), times, st.integers(1, 700)),
    st.tuples(st.just("gap"), times, st.integers(0, 400)),
    st.tuples(st.just("take"), times, st.booleans()),
    st.tuples(st.sampled_from(("scrub", "drop", "copy")), times, st.none()),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(step, max_size=40))
def test_it_does_what_a_list_does(steps: list[tuple[str, int, int]]) -> None:
    line, model, position = DelayLine(64 << 20), Model(), 0
    for what, at, much in steps:
        if what in ("sound", "many"):
            for number in range(much if what == "many" else 1):
                octets = 20 if what == "many" else much
                codec = CODECS[(at + number) % 3]
                item = sound(position, octets, codec, at % 128)
                position += octets
                assert line.append(at, item)
                model.items.append((at, item))
        elif what == "gap":
            gap = Gap(position, position + much, 2, "lost" if at % 2 else "dtx")
            position += much
            assert line.append(at, gap)
            model.items.append((at, gap))
        elif what == "take":
            now = at - FAR_AHEAD_NS if much else None
            assert line.take(at, now) == model.take(at, now)
        elif what == "scrub":
            assert line.scrub(at) == model.scrub(at)
        elif what == "drop":
            assert line.drop(at) == model.drop(at)
        else:
            assert line.copy(at) == model.copy(at)
        assert line.counts().items == len(model.items)
    assert line.take(61) == model.items
    assert line.counts()[:4] == (0, 0, 0, 0)


def test_what_does_not_fit_is_refused_and_counted() -> None:
    line = DelayLine(ROOM)
    stored = 0
    while line.append(stored, sound(stored * 160, 160)):
        stored += 1
    counts = line.counts()
    assert (counts.items, counts.refused) == (stored, 1)
    assert stored * 160 < counts.held <= counts.most == ROOM
    assert counts.locked in (0, counts.held)
    assert not line.append(0, sound(0, (1 << 20) + 1)), "no packet is that long"
    assert len(line.take(stored)) == stored
    assert line.append(stored, sound(0, 160))
