"""Whoever has a leg, Python or the core: the same sound in the same parts, the same numbers."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.live_scene import NOON_NS, Scene
from tests.stories.box import PAIR, Box, coded, command

from greffier.capture.datagram import Address, Datagram
from greffier.capture.record import Record
from greffier.cli.calls import list_calls
from greffier.clock import SECOND
from greffier.policy import rules
from greffier.recorder.trunk import AT_ONCE, Trunk
from greffier.store import journal, layout, playback
from greffier_sim import captures
from greffier_sim.captures import EVENT, MS, PCMA, PCMU, Plan
from greffier_sim.packets import frames_of

DESK_POLICY = rules.builtin("paris-desk.toml")
DESK = ("paris-desk.toml", '[[match]]\nline = "desk"\n')
NOT_KEPT = ("paris-desk.toml", '[[match]]\nline = "accueil"\n')


@dataclass(frozen=True)
class Schedule:
    """Frames, and when the recorder looks: after how many frames, and which looks are ticks."""

    datagrams: tuple[Datagram, ...]
    looks: tuple[tuple[int, bool], ...]


class Run:
    """One recorder that hears a schedule; with *lends* the core gets what it may have."""

    def __init__(
        self, folder: Path, line: tuple[str, str], *, lends: bool, at_once: int = AT_ONCE
    ) -> None:
        self.scene = Scene(folder, *line)
        assert isinstance(self.scene.source, Trunk)
        self.scene.source.at_once = at_once
        self.held = 0
        self.armory = self.scene.source.armory
        self.most = 0
        if not lends:
            self.armory.lend = lambda *_: True  # type: ignore[method-assign]

    def hear(self, schedule: Schedule) -> None:
        at = 0
        for count, tick in schedule.looks:
            for datagram in schedule.datagrams[at : at + count]:
                for time_ns, data in frames_of([datagram]):
                    self.scene.port.flows.feed(Record(time_ns, 1, data, len(data)))
                self.scene.clock.now = datagram.time_ns
            at += count
            self.scene.source.work(self.scene.clock.now)
            if tick:
                self.scene.tick()
            self.most = max(self.most, len(self.armory))
            self.held = max(self.held, self.armory.held)
        while self.scene.source.behind:
            self.scene.source.work(self.scene.clock.now)
        self.scene.wait(70)
        self.scene.stop()

    def told(self) -> dict[str, Any]:
        """Everything that is said of the calls, but for what is drawn by chance."""
        directory = layout.open(self.scene.config.data)
        calls = []
        for path in sorted(directory.calls.iterdir()):
            for record in journal.read(path.read_bytes()).records:
                clear = dict(record.clear)
                for key in ("recording", "uid", "number", "call_id"):
                    clear.pop(key)
                # Which one is linked first may hang on when time is looked at.
                clear["legs"] = sorted(clear["legs"], key=lambda leg: (leg["source"], leg["ssrc"]))
                calls.append(clear)
        ends = ("result", "reason", "legs", "packets", "lost")
        coverage = self.scene.told("coverage")
        # Which of two calls ends first may hang on when time is looked at, too.
        return {
            "calls": sorted(calls, key=str),
            "coverage": sorted(
                ({**one, "channel": str(one["channel"])[-4:]} for one in coverage), key=str
            ),
            "ends": sorted(
                ({key: one[key] for key in ends} for one in self.scene.told("call.ended")), key=str
            ),
            "parts": self.parts(),
        }

    def parts(self) -> list[Any]:
        """The legs of every part, by what its call is: packets and gaps, however framed."""
        found = []
        for path in sorted(self.scene.config.data.rglob("*.gpart")):
            part = playback.open_part(path, None, PAIR)
            legs = sorted(
                (str(leg.table), leg.stored.rate, leg.packets, leg.gaps)
                for leg in part.legs.values()
            )
            found.append((part.about["call_id"], part.header.number, part.reason, legs))
        return sorted(found, key=str)


def plan(number: int, **words: Any) -> Plan:
    return replace(
        Plan(
            call_id=f"armed-{number}@sim",
            start_ns=NOON_NS + 1_000 * MS + number * 300 * MS,
            talk_ms=6_000,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        ),
        **words,
    )


def looks(chance: random.Random, total: int, most: int) -> tuple[tuple[int, bool], ...]:
    """Looks at random distances, a quarter of them ticks."""
    found: list[tuple[int, bool]] = []
    while total > 0:
        count = min(chance.randint(1, most), total)
        found.append((count, chance.random() < 0.25))
        total -= count
    return tuple(found)


def compare(line: tuple[str, str], schedule: Schedule, at_once: int = AT_ONCE) -> Run:
    """Both ways, and the run with the core, which follows *at_once* frames at a look."""
    told = []
    for lends in (False, True):
        with TemporaryDirectory() as folder:
            run = Run(Path(folder), line, lends=lends, at_once=at_once if lends else AT_ONCE)
            run.hear(schedule)
            told.append(run.told())
    python, core = told
    assert core["calls"] == python["calls"]
    assert core["ends"] == python["ends"]
    assert core["parts"] == python["parts"]
    assert core["coverage"] == python["coverage"]
    return run


def plainly(datagrams: list[Datagram], each: int = 20) -> Schedule:
    every = captures.in_order(datagrams)
    count = -(-len(every) // each)
    return Schedule(tuple(every), tuple((each, at % 4 == 3) for at in range(count)))


@pytest.mark.parametrize("line", [DESK, NOT_KEPT])
def test_calls_are_the_same_whoever_has_their_legs(line: tuple[str, str]) -> None:
    calls = [one for number in range(3) for one in captures.call(plan(number))]
    assert compare(line, plainly(calls)).most == 6


def opus(folder: Path) -> tuple[str, str]:
    """The desk, its sound kept as Opus."""
    return str(coded(folder, "opus", DESK_POLICY, "desk").resolve()), DESK[1]


def test_calls_kept_as_opus_are_the_same_whoever_has_their_legs(tmp_path: Path) -> None:
    calls = [one for number in range(3) for one in captures.call(plan(number))]
    assert compare(opus(tmp_path), plainly(calls)).most == 6


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([5, 40, 400]))
def test_no_schedule_tells_them_apart_where_opus_is_kept(seed: int, most: int) -> None:
    datagrams = wild(seed)
    chance = random.Random(seed)
    with TemporaryDirectory() as folder:
        schedule = Schedule(tuple(datagrams), looks(chance, len(datagrams), most))
        compare(opus(Path(folder)), schedule)


def test_another_payload_type_brings_a_leg_back() -> None:
    one = plan(0)
    other = replace(one, codings=(PCMU, EVENT))
    every = captures.opening(replace(one, codings=(PCMA, PCMU, EVENT))) + captures.closing(one)
    every += captures.speech(one, "caller", count=150)
    every += captures.speech(other, "caller", first=150, count=100)
    every += captures.speech(one, "caller", first=250)
    every += captures.speech(one, "callee")
    assert compare(DESK, plainly(every)).most == 2


def keys(one: Plan, at: int) -> Iterator[Datagram]:
    """Telephone events in the place of packets *at* to *at* + 5 of the caller."""
    spoken = captures.speech(one, "caller", first=at, count=5)
    for i, datagram in enumerate(spoken):
        body = captures.event(5, i >= 3, 160 * (i + 1))
        index, ssrc = one.caller_sequence + at + i, one.caller_ssrc
        packet = captures.rtp(index, at * 160, ssrc, body, payload_type=101)
        yield datagram._replace(payload=packet)


@pytest.mark.parametrize("line", [DESK, NOT_KEPT])
def test_keys_are_counted_alike(line: tuple[str, str]) -> None:
    one = plan(0)
    every = captures.opening(one) + captures.closing(one) + captures.speech(one, "callee")
    every += captures.speech(one, "caller", count=120) + list(keys(one, 120))
    every += captures.speech(one, "caller", first=125, count=75) + list(keys(one, 200))
    every += captures.speech(one, "caller", first=205)
    assert compare(line, plainly(every)).most == 2


def test_a_call_on_the_addresses_of_one_whose_end_was_missed_gets_nothing_of_it() -> None:
    """The stall: both calls are over before the recorder looks, and the SSRC is the same."""
    first = plan(0, talk_ms=4_000)
    second = replace(
        first, call_id="armed-9@sim", start_ns=first.end_ns + 400 * MS, caller_sequence=20_000
    )
    late = replace(second, caller_ssrc=first.caller_ssrc)
    every = captures.call(first)[:-2] + captures.call(late)
    calm = [one for one in every if one.time_ns < first.start_ns + 3 * SECOND]
    rest = captures.in_order(one for one in every if one.time_ns >= first.start_ns + 3 * SECOND)
    looks = [(10, False)] * -(-len(calm) // 10)
    ordered = tuple(captures.in_order(calm)) + tuple(rest)
    extra = 10 * len(looks) - len(calm)
    schedule = Schedule(ordered, (*looks, (len(rest) - extra, True)))
    assert compare(DESK, schedule).most == 2


def wild(seed: int) -> list[Datagram]:
    """Calls that overlap, one after another on the same addresses, with every accident."""
    chance = random.Random(seed)
    every: list[Datagram] = []
    now = NOON_NS + SECOND
    for number in range(chance.randint(2, 4)):
        place = chance.randrange(2)
        one = plan(
            number,
            start_ns=now,
            talk_ms=chance.choice([2_500, 4_000]),
            caller_media=Address(f"10.1.0.{place}", 4000),
            callee_media=Address(chance.choice(["10.2.0.9", f"10.2.0.{place}"]), 5000),
            caller_ssrc=chance.choice([0x11111111, number]),
            callee_sequence=chance.choice([1, 30_000, 65_400]),
        )
        now += chance.choice([500, 1_500, 2_700, 4_500]) * MS
        if chance.random() < 0.9:
            every += captures.opening(one)
        if chance.random() < 0.8:
            every += captures.closing(one)
        for side in captures.Side.__args__:  # type: ignore[attr-defined]
            spoken = captures.speech(one, side)
            cut = chance.randrange(len(spoken))
            match chance.randrange(6):
                case 0:  # another source
                    spoken[cut:] = [
                        each._replace(payload=each.payload[:8] + b"\0\0\7\7" + each.payload[12:])
                        for each in spoken[cut:]
                    ]
                case 1:  # it begins its numbers anew
                    spoken[cut:] = [
                        each._replace(payload=each.payload[:2] + number_of(each, 9_000))
                        for each in spoken[cut:]
                    ]
                case 2:  # it is silent for a while
                    spoken[cut : cut + chance.choice([20, 90, 140])] = []
                case 3:  # comfort noise, or a type that nobody named
                    kind = chance.choice([13, 97, 0])
                    spoken[cut:cut] = [typed(each, kind) for each in spoken[cut : cut + 1]]
                case _:
                    pass
            every += spoken
        if chance.random() < 0.4:  # a re-INVITE in the middle
            when = one.answer_ns + chance.randrange(500, 2_000) * MS
            media = replace(one, codings=chance.choice([(PCMA, EVENT), (PCMU,), (PCMA,)]))
            body = captures.offer(media, "caller")
            every.append(captures.request(one, when, "INVITE", 5, body=body))
            body = captures.offer(media, "callee")
            every.append(captures.response(one, when + 30 * MS, 200, "5 INVITE", body=body))
    told = [one for one in every if 5060 in (one.source.port, one.destination.port)]
    spoken = [one for one in every if 5060 not in (one.source.port, one.destination.port)]
    # What is delayed longer than a stream waits is late, whoever has it.
    harm = captures.Harm(lost=0.01, doubled=0.01, delayed=0.05)
    late = replace(harm, delay_ms=400 if seed % 3 == 0 else 45)
    heard = captures.harmed(captures.in_order(told), harm, seed)
    heard += captures.harmed(captures.in_order(spoken), late, seed + 1)
    # No two frames of one tap have the same time, and where two would, their order is no matter.
    return [
        one._replace(time_ns=one.time_ns + at) for at, one in enumerate(captures.in_order(heard))
    ]


def number_of(datagram: Datagram, step: int) -> bytes:
    number = int.from_bytes(datagram.payload[2:4], "big") + step
    return (number & 0xFFFF).to_bytes(2, "big") + datagram.payload[4:]


def typed(datagram: Datagram, kind: int) -> Datagram:
    return datagram._replace(payload=datagram.payload[:1] + bytes([kind]) + datagram.payload[2:])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([5, 40, 400]))
def test_no_schedule_tells_the_core_from_python(seed: int, most: int) -> None:
    datagrams = wild(seed)
    chance = random.Random(seed)
    compare(DESK, Schedule(tuple(datagrams), looks(chance, len(datagrams), most)))


def busy(calls: int) -> list[Datagram]:
    """Calls that all speak at once."""
    every = []
    for number in range(calls):
        one = plan(number, start_ns=NOON_NS + SECOND + number * 7 * MS, talk_ms=3_000)
        every += captures.call(one)
    return captures.in_order(every)


@pytest.mark.parametrize("line", [DESK, NOT_KEPT])
def test_a_recorder_that_is_behind_gets_the_better_of_it(line: tuple[str, str]) -> None:
    """40 frames come between two looks, and 25 are followed: only the core can catch up."""
    run = compare(line, plainly(busy(8), 40), at_once=25)
    assert run.held >= 8
    assert run.most == 16


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**32), st.sampled_from([2, 7, 30]))
def test_no_schedule_tells_a_recorder_that_is_behind(seed: int, at_once: int) -> None:
    datagrams = wild(seed)
    chance = random.Random(seed)
    schedule = Schedule(tuple(datagrams), looks(chance, len(datagrams), 2 * at_once))
    compare(DESK, schedule, at_once)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32))
def test_no_schedule_tells_them_apart_where_nothing_is_kept(seed: int) -> None:
    datagrams = wild(seed)
    chance = random.Random(seed)
    compare(NOT_KEPT, Schedule(tuple(datagrams), looks(chance, len(datagrams), 60)))


@pytest.mark.parametrize("kind", [0, 13, 97])
def test_a_packet_that_waits_in_the_stream_goes_not_to_the_core_as_sound(kind: int) -> None:
    one = plan(0)
    spoken = captures.speech(one, "caller")
    spoken[100] = typed(spoken[100], kind)
    spoken[99:101] = []
    late = captures.speech(one, "caller")[100]
    spoken.insert(99, typed(late, kind))
    every = captures.opening(one) + spoken + captures.speech(one, "callee") + captures.closing(one)
    assert compare(DESK, plainly(every, each=3)).most == 2


@pytest.mark.parametrize("delay_ms", [45, 400])
def test_an_import_of_the_same_frames_says_and_sounds_the_same(
    delay_ms: int, tmp_path: Path
) -> None:
    calls = [one for number in range(2) for one in captures.call(plan(number, talk_ms=4_000))]
    told = [one for one in calls if 5060 in (one.source.port, one.destination.port)]
    spoken = captures.in_order(one for one in calls if one not in told)
    harm = captures.Harm(lost=0.03, doubled=0.02, delayed=0.1, delay_ms=delay_ms)
    every = captures.in_order(told + captures.harmed(spoken, harm, seed=5))
    for name in ("live", "import"):
        (tmp_path / name).mkdir()
    live = Run(tmp_path / "live", DESK, lends=True)
    live.hear(plainly(every))
    assert live.most == 4
    box = Box(tmp_path / "import")
    imported = box.calls(every, "desk", DESK_POLICY)
    listed = list_calls(layout.open(live.scene.config.data), PAIR)
    assert len(listed) == len(imported) == 2
    for one, other in zip(imported, listed, strict=True):
        for key in ("call_id", "start", "duration_s", "result", "record", "accounted", "legs"):
            assert one[key] == other[key]
        assert sound_of(box.data, one, tmp_path) == sound_of(
            live.scene.config.data, other, tmp_path
        )


def sound_of(data: Path, call: dict[str, Any], folder: Path) -> bytes:
    """The WAV file of a call's recording."""
    path = folder / "export.wav"
    key = folder / "import" / "office.key"
    words = ("export", call["recording"], "--data", data, "--key", key, "--format", "wav")
    said = command(*words, "-o", path)
    assert said.code == 0, said.err
    octets = path.read_bytes()
    path.unlink()
    return octets


def test_legs_come_back_while_no_disk_takes_what_is_sealed(tmp_path: Path) -> None:
    run = Run(tmp_path, DESK, lends=True)
    every = captures.call(plan(0, talk_ms=9_000))
    valve = run.scene.archive.valve
    for at in range(0, len(every), 20):
        valve.open = not 400 <= at < 500
        for datagram in every[at : at + 20]:
            for time_ns, data in frames_of([datagram]):
                run.scene.port.flows.feed(Record(time_ns, 1, data, len(data)))
            run.scene.clock.now = datagram.time_ns
        run.scene.source.work(run.scene.clock.now)
        run.scene.tick()
        if at >= 320:
            assert len(run.armory) == (0 if not valve.open or at >= 900 else 2), at
    valve.open = True
    run.scene.wait(70)
    run.scene.stop()
    ((_, _, _, legs),) = run.parts()
    for _, _, packets, gaps in legs:
        late, gap = gaps
        assert (late.cause, gap.cause) == ("late_start", "storage")
        assert 40 <= gap.packets <= 60
        assert len(packets) + gap.packets == 450
        assert sum(one.samples for one in packets) + gap.end - gap.start == 450 * 160


@pytest.mark.parametrize("line", [DESK, NOT_KEPT])
def test_a_clock_that_was_set_makes_no_call_long(line: tuple[str, str]) -> None:
    every = captures.call(plan(0, talk_ms=5_000))
    late = [one._replace(time_ns=one.time_ns + 9 * 3_600 * SECOND) for one in every[360:]]
    assert compare(line, plainly(every[:360] + late)).most == 2


@pytest.mark.parametrize("line", [DESK, NOT_KEPT])
@pytest.mark.parametrize("named", ["never", "both", "one", "another"])
def test_a_call_without_signalling_is_the_same_too(line: tuple[str, str], named: str) -> None:
    one = plan(0, talk_ms=18_000)
    every = captures.speech(one, "caller") + captures.speech(one, "callee")
    late = replace(one, start_ns=one.start_ns + 14_000 * MS, talk_ms=3_000)
    match named:
        case "both":
            opening = captures.opening(late)
            every += [opening[0], opening[3], *captures.closing(late)]
        case "one":  # a re-INVITE, of which the answer is not heard
            body = captures.offer(late, "caller")
            every.append(captures.request(late, late.start_ns, "INVITE", 7, body=body))
        case "another":
            media = Address("10.3.0.1", 4000)
            other = replace(late, call_id="armed-8@sim", callee_media=media, talk_ms=2_000)
            every += captures.call(other)
        case _:
            pass
    assert compare(line, plainly(every)).most >= 2
