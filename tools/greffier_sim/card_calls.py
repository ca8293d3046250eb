"""Calls in which a card is keyed in, and a recorder that hears them and is killed meanwhile.

Everything is decided by the number of the call. From the first digit on, until the card is done,
the sides that must be hidden say nothing but a marker tone; all else is noise that nobody else has.
"""

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.calls.events import CallStarted
from greffier.calls.limits import Limits
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier.clock import SECOND, CaptureClock, SystemClock
from greffier.policy import packs, rules
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.pausable import hurried, release_all
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules
from greffier_sim import captures, keypad
from greffier_sim.captures import MS, Plan, Side

Samples = NDArray[np.int16]

RATE: Final = 8000
TALK_MS: Final = 42_000
MARKER_HZ: Final = 2600
"""Its period is 40 samples, so each packet of it begins alike."""
PREFIX: Final = "497010"
"""What all cards begin with."""
FORMS: Final = {"original": "vente", "flac": "vente", "duty": "desk"}
"""How a box keeps calls -> their line."""
_POLICIES: Final = {"vente": "fr-retail.toml", "desk": "paris-desk.toml"}
_TICK_NS: Final = 300 * MS
_FIRST_NS: Final = 1_796_000_000 * SECOND
_AWAY_NS: Final = 500 * MS


def marker(samples: int) -> Samples:
    """The marker tone, from its phase 0 on."""
    at = np.arange(samples) / RATE
    return np.asarray(np.rint(8000 * np.sin(2 * np.pi * MARKER_HZ * at)), np.int16)


@dataclass(frozen=True, slots=True)
class Scene:
    """One call: *keys* by ms of talk, marker from the first of them to *done_ms*."""

    plan: Plan
    form: str
    way: str
    keys: dict[int, str]
    done_ms: int
    kill_ms: int | None

    @property
    def first_ns(self) -> int:
        """When the first packet of speech comes."""
        return self.plan.answer_ns + 10 * MS

    @property
    def hidden(self) -> tuple[Side, ...]:
        """Who must be hidden."""
        return ("caller",) if self.form == "duty" else ("caller", "callee")

    def said(self, side: Side) -> Samples:
        """What that side says, without the tones of keys, as A-law keeps it."""
        seed = random.Random(f"{self.plan.call_id} {side}").getrandbits(64)
        noise = np.random.default_rng(seed).integers(-3000, 3000, TALK_MS * RATE // 1000)
        pcm = noise.astype(np.int16)
        if side in self.hidden:
            begin, end = (ms // 20 * 160 for ms in (min(self.keys), self.done_ms))
            pcm[begin:end] = marker(end - begin)
        return pcm

    def datagrams(self) -> list[Datagram]:
        """All of it, in order of time."""
        plan, tones = self.plan, self.way in ("tones", "both")
        every = captures.opening(plan) + captures.closing(plan)
        for side in ("caller", "callee"):
            typed = self.keys if tones and side == "caller" else {}
            every += keypad.spoken(plan, side, typed, self.said(side))
        if self.way in ("events", "both"):
            every += keypad.events(plan, "caller", self.keys, drop=(1, 4))
        if self.way == "info":
            every += keypad.info(plan, "caller", self.keys)
        if self.form != "duty":
            goes_on = {self.done_ms + 400: "*", self.done_ms + 800: "5"}
            every += keypad.events(plan, "callee", goes_on)
        return captures.in_order(every)


def scene(number: int, form: str, *, killed: bool) -> Scene:
    """Call *number* of a box that keeps calls in *form*."""
    draw = random.Random(f"card {form} {number}")
    digits = PREFIX + "".join(draw.choices("0123456789", k=draw.choice((6, 10))))
    at_ms, keys = draw.randrange(7000, 10_000), {}
    for digit in digits:
        keys[at_ms] = digit
        at_ms += draw.randrange(180, 420)
    done_ms = at_ms + draw.randrange(500, 3000)
    plan = Plan(
        call_id=f"card-{form}-{number}@sim",
        start_ns=_FIRST_NS + number * (TALK_MS + 200_000) * MS,
        talk_ms=TALK_MS,
        caller_media=Address("10.1.0.1", 4000 + 2 * (number % 1000)),
        callee_media=Address("10.2.0.1", 4000 + 2 * (number % 1000)),
        caller_ssrc=draw.getrandbits(32),
        callee_ssrc=draw.getrandbits(32),
    )
    kill_ms = draw.randrange(min(keys) + 20, done_ms) if killed else None
    way = ("tones", "events", "info", "both")[number % 4]
    return Scene(plan, form, way, keys, done_ms, kill_ms)


class CardBox:
    """A recorder over the data directory *data*, that keeps calls in *form*."""

    def __init__(self, data: Path, form: str, start_ns: int, *, masks: bool) -> None:
        self.clock = CaptureClock(start_ns, SystemClock())
        self.archive = Archive.open(data, self.clock)
        found = recovery.recover(self.archive)
        self.archive.open_epoch()
        self._rules = rules_of(form, masks=masks)
        self._tracker = Tracker(Limits(batch_ns=200 * MS))
        self._intake = Intake(
            self.archive,
            self._rules_for,
            Numbers.of(self.archive.data),
            lambda _: None,
            Resumable(found.calls, start_ns),
        )
        self._due_ns = start_ns

    def _rules_for(self, _call: CallStarted) -> Rules:
        return self._rules

    def hear(self, datagram: Datagram) -> None:
        """One datagram, at its time; a tick whenever it is due."""
        while self._due_ns <= datagram.time_ns:
            self._tick(self._due_ns)
            self._due_ns += _TICK_NS
        self.clock.move_to(datagram.time_ns)
        self._intake.take(self._tracker.feed(datagram))
        if hurried(self._intake.running):
            self.archive.tick()

    def end_calls(self, last_ns: int) -> None:
        """Nothing more of a call comes after *last_ns*."""
        for later in range(1, 121, 10):
            self._tick(last_ns + later * SECOND)
        self._due_ns = last_ns + 121 * SECOND

    def _tick(self, now_ns: int) -> None:
        self.clock.move_to(now_ns)
        self._intake.take(self._tracker.advance(now_ns))
        release_all(self._intake.running, now_ns)
        self.archive.tick()

    def close(self) -> None:
        """End in good order."""
        self._intake.suspend(self.clock.wall_ns())
        self.archive.tick()
        self.archive.tick()
        self.archive.close()


def rules_of(form: str, *, masks: bool) -> Rules:
    """The rules of a box; without *masks* keys pause nothing."""
    line = FORMS[form]
    policy = rules.load(rules.builtin(_POLICIES[line]))
    lines = dict(policy.lines)
    lines[line] = replace(lines[line], codec="original" if form == "duty" else form)
    sources = policy.pause.sources if masks else ("api", "agent_key")
    policy = replace(policy, lines=lines, pause=replace(policy.pause, sources=sources))
    stars = {"resume": "5"}
    return Rules(policy, packs.load(), line, {"window": "true"}, 0.0, stars=stars)


def play(data: Path, form: str, scenes: Sequence[Scene], *, masks: bool = True) -> int:
    """Let processes hear *scenes*, one after another; how many of them were killed on the way.

    Raises RuntimeError where one ended otherwise.
    """
    killed, at, since_ms = 0, 0, -1
    while at < len(scenes):
        child = os.fork()
        if not child:
            try:
                _hear(data, form, scenes[at:], since_ms, masks=masks)
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            if status:
                raise RuntimeError(f"the recorder ended with {status}")
            return killed
        killed += 1
        at = next(n for n in range(at, len(scenes)) if _deadly(scenes[n], at, n, since_ms))
        since_ms = scenes[at].kill_ms or 0
    return killed


def _deadly(one: Scene, first: int, number: int, since_ms: int) -> bool:
    """Whether a process that began in the middle of call *first* is killed in this one."""
    return one.kill_ms is not None and not (number == first and since_ms >= 0)


def _hear(data: Path, form: str, scenes: Sequence[Scene], since_ms: int, *, masks: bool) -> None:
    """Hear *scenes*, the first of them from behind a kill at *since_ms* (-1: none) on."""
    again_ns = scenes[0].first_ns + since_ms * MS + _AWAY_NS
    box = CardBox(data, form, again_ns if since_ms >= 0 else scenes[0].plan.start_ns, masks=masks)
    for number, one in enumerate(scenes):
        dies = _deadly(one, 0, number, since_ms)
        last_ns = one.first_ns + (one.kill_ms or 0) * MS
        for datagram in one.datagrams():
            if dies and datagram.time_ns >= last_ns:
                os.kill(os.getpid(), signal.SIGKILL)
            if number or since_ms < 0 or datagram.time_ns >= again_ns:
                box.hear(datagram)
        box.end_calls(one.plan.end_ns)
    box.close()
