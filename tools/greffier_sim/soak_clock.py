"""Whatever clocks do, nothing is deleted early, nor kept long after trusted time is back.

A sequence is a few deeds in the life of a box: its wall clock is set by seconds or by ten years
either way, its battery is lost, it boots, it is off for months; head office cosigns, in time, late,
again what it cosigned before, or a stranger does; who holds the witness's key states any time.
Calls are recorded all the while, and the purge has its turn as rarely as a recorder that runs may.
Recorder, log, lower bound, receipts and purge are real; what the machine's clocks show is made up.

Beside it stands a model that knows what time it really is, and nothing else of the recorder's. It
says of each part that went by how much that was too early, and of each that is still there, by how
much too late. A part that was created under a wrong wall clock, in a boot in which trusted time
never came back, is *adrift*: nobody could know when that was. Those are counted apart; one under a
duty must not go early even then, and waits, whatever its wall clock was worth.

One attacker nobody can stop: who holds the witness's key *and* sets the box's clock
(docs/retention.md). That the model notices him shows that it would notice anybody.
"""

import argparse
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import note, origins, receipt
from greffier.audit.origins import Origins
from greffier.audit.receipt import Receipt
from greffier.audit.witness import BadCosigned
from greffier.clock import BUILT_NS, SECOND
from greffier.control.board import Board, Order
from greffier.control.messages import AskStatus
from greffier.durable import Disk
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import archive as archives
from greffier.recorder import purge, recovery
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.head_office import HeadOffice
from greffier.recorder.tape import PartPlan, Tape
from greffier.recorder.troubles import Troubles
from greffier.seal import keys
from greffier.seal.keys import PublicKey, Role
from greffier.store import layout
from greffier_sim.filled_disk import memory
from greffier_sim.soak_clock_world import (
    A_BOX,
    DUTY,
    TOLERANCE_NS,
    TURN_NS,
    Born,
    Figures,
    MadeUpClock,
    World,
    rounds,
)

_YEAR_NS: Final = 365 * DAY_NS
_KINDS: Final = (
    {"quality": (0, 30)},
    {"quality": (0, 89), "training": (0, 89)},
    {"evidence": (0, 365)},
    {"incident": (0, 7)},
    {"regulatory": (200, 230)},
)


def _signer(name: str, number: int) -> note.Signer:
    return note.Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


_RECEIPTS, _WITNESS, _STRANGER = _signer("siege/r", 1), _signer("siege", 2), _signer("siege", 3)


class Life:
    """One data directory through some sequences, with the model beside it."""

    def __init__(self, folder: Path, public: PublicKey, seed: str, figures: Figures) -> None:
        self._folder, self._figures, self._seed = folder, figures, seed
        self._draw = draw = random.Random(seed)
        # A hostile witness beside a clock that runs ahead is the attacker whom nobody can stop.
        self.hostile = draw.random() < 0.3
        self.both = False
        self.world = World(ppm=draw.randint(-90, 90))
        self._boot()
        archives.create(folder, MadeUpClock(self.world), public.format().encode())
        trusted = f"{_RECEIPTS.log_key.text}\n{_WITNESS.witness_key.text}\n"
        (folder / "keys" / "head-office.pub").write_text(trusted)
        self.parts: dict[str, Born] = {}
        self._trust_ns = 0  # trusted time is back since then; 0: it is not
        self._archive: Archive | None = None
        self._stale: bytes = b""
        self._start()

    def play(self) -> None:
        """One sequence."""
        self._figures.sequences += 1
        for _ in range(self._draw.randrange(3, 8)):
            deed = self._draw.choices(
                (self._set, self._off, self._live, self._cosign, self._record, self._odd),
                (3, 3, 4, 3, 5, 2),
            )[0]
            deed()
        self._record()
        self._live()

    def leave(self) -> None:
        """The box is gone."""
        self._stop()

    # --- deeds ---

    def _set(self) -> None:
        """Somebody, or something, sets the wall clock."""
        draw, world = self._draw, self.world
        self._figures.steps += 1
        if draw.random() < 0.4:
            world.wall_off_ns = draw.randint(-2, 2) * SECOND
        else:
            far = int(10 ** draw.uniform(0, 5.5)) * 1000 * SECOND
            world.wall_off_ns = draw.choice((-1, 1)) * min(far, 10 * _YEAR_NS)
        if self.hostile and not self.both:
            world.wall_off_ns = min(world.wall_off_ns, 0)
        self._trust_ns = 0

    def _off(self) -> None:
        """Off for a moment or for months; the battery may be gone then."""
        draw, world = self._draw, self.world
        self._stop()
        shown = world.wall_ns
        world.now_ns += draw.choice((SECOND, DAY_NS // 3, draw.randrange(300) * DAY_NS))
        if draw.random() < 0.35:
            self._figures.lost_clocks += 1
            past = draw.choice((0, 946_684_800 * SECOND, BUILT_NS, shown))
            world.wall_off_ns = past - world.now_ns
        self._start()

    def _live(self) -> None:
        """Some days, each with its purge; head office is there, or not."""
        there = self._draw.random() < 0.5
        for _ in range(self._draw.choice((1, 2, 3, 30))):
            if there:
                if self._draw.random() < 0.5:
                    self.world.wall_off_ns = 0  # and so is a time server
                self._honest()
            self._pass(DAY_NS)

    def _pass(self, span_ns: int) -> None:
        """Time goes by while the box is on; the purge has its turns, as rarely as it may."""
        end_ns = self.world.now_ns + span_ns
        while self._turn_ns <= end_ns:
            self.world.now_ns = self._turn_ns
            self._turn_ns += TURN_NS
            self._turn()
        self.world.now_ns = end_ns

    def _cosign(self) -> None:
        """Head office cosigns, or somebody who pretends to."""
        way = self._draw.random()
        if way < 0.5:
            self._honest()
        elif way < 0.65 and self._stale:
            self._bring(self._stale)
        elif way < 0.8:
            self._bring(self._cosigned(_STRANGER, self.world.now_ns + 5 * _YEAR_NS))
        elif self.hostile:
            off = self._draw.randint(-10 * _YEAR_NS, 10 * _YEAR_NS)
            self._bring(self._cosigned(_WITNESS, max(0, self.world.now_ns + off)))
        if self._draw.random() < 0.5:
            self._turn()

    def _odd(self) -> None:
        """A purge out of its turn; or, of him whom nobody can stop, both clocks at once."""
        if self.both:
            self.world.wall_off_ns = 2 * _YEAR_NS
            self._bring(self._cosigned(_WITNESS, self.world.wall_ns))
        self._turn()

    def _record(self) -> None:
        """One to three calls; head office has what it must have before a duty may go."""
        archive, draw, world = self._opened, self._draw, self.world
        for _ in range(draw.randint(1, 3)):
            purposes = draw.choice(_KINDS)
            tape = _tape(archive, draw, world.wall_ns, purposes)
            archive.add(tape)
            archive.tick()
            tape.finish("ended")
            archive.tick()
            archive.tick()
            name = tape.part.hex()
            right = world.wall_right
            trusted = self._trust_ns > 0 or self._met
            self.parts[name] = Born(world.now_ns, dict(purposes), world.boot, right, trusted)
            self._figures.parts += 1
            if DUTY in purposes:
                self._receive(name)
            self._pass(draw.randrange(1, 3600) * SECOND)

    # --- the recorder ---

    @property
    def _opened(self) -> Archive:
        assert self._archive is not None  # noqa: S101 - between start and stop there is one
        return self._archive

    def _boot(self) -> None:
        self.world.boot, self.world.booted_ns = secrets.token_hex(16), self.world.now_ns
        self._turn_ns = self.world.now_ns + TURN_NS
        self._met = False  # whether trusted time was there in this boot
        self._trust_ns = 0

    def _start(self) -> None:
        self._boot()
        self._figures.boots += 1
        clock = MadeUpClock(self.world)
        self._archive = archive = Archive(layout.open(self._folder), clock, Disk())
        recovery.recover(archive)
        archive.open_epoch()
        alarms = AlarmRoom(clock, "0" * 32)
        self._office = HeadOffice(archive, Board(), Troubles(alarms, clock))

    def _stop(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def _receive(self, name: str) -> None:
        archive = self._opened
        one = archive.unconfirmed.find(name)
        assert one is not None  # noqa: S101 - it was sealed just now
        device = archive.data.identity.device
        said = Receipt(device, name, one.size, one.sha256, one.envelope, BUILT_NS // SECOND)
        archive.receive(receipt.read(said.signed(_RECEIPTS), (_RECEIPTS.log_key,)))
        archive.tick()

    def _cosigned(self, signer: note.Signer, t_ns: int) -> bytes:
        archive = self._opened
        self._heartbeat()
        checkpoint, signed = archive.log.signed
        return signed + signer.cosign(checkpoint, t_ns // SECOND)

    def _heartbeat(self) -> None:
        """An entry, as a recorder writes one each minute."""
        self._opened.log.append("recorder.stopped", None, {"reason": "asked"})
        self._opened.tick()

    def _honest(self) -> None:
        """Head office, right now: if the wall clock bears it out, trusted time is back."""
        data = self._cosigned(_WITNESS, self.world.now_ns)
        self._bring(data)
        self._heartbeat()
        self._stale = data
        if self.world.wall_right:
            self._met = True
            self._trust_ns = self._trust_ns or self.world.now_ns
            for one in self.parts.values():
                one.trusted = one.trusted or one.boot == self.world.boot
        else:
            self._trust_ns = 0

    def _bring(self, data: bytes) -> None:
        archive = self._opened
        try:
            found = archive.log.believed(data, (_WITNESS.witness_key,))
        except BadCosigned:
            self._figures.refused += 1
            return
        self._office._witness(Order(AskStatus(), 0, lambda _reply: None), found)
        archive.tick()
        self._figures.cosigned += 1

    def _turn(self) -> None:
        """The purge's daily turn, and what the model says of it."""
        archive = self._opened
        self._figures.turns += 1
        doomed = purge.plan(archive, 0, lambda _row: False).doomed
        purge.carry_out(archive, doomed)
        for one in doomed:
            self._judge_gone(self.parts.pop(one.row.part_id))
        for part in self.parts.values():
            self._judge_kept(part)

    # --- the model ---

    def _judge_gone(self, part: Born) -> None:
        figures = self._figures
        figures.deleted += 1
        early = part.due_ns - self.world.now_ns > TOLERANCE_NS
        if part.adrift:
            figures.adrift += 1
            figures.adrift_early += early
            figures.adrift_duty_early += early and DUTY in part.purposes
        elif early:
            figures.early += 1
            self._tell(part, "early", part.due_ns - self.world.now_ns)
        elif self._trust_ns:
            late = self.world.now_ns - max(part.due_ns, self._trust_ns)
            figures.latest_h = max(figures.latest_h, round(late / 3600e9, 2))

    def _judge_kept(self, part: Born) -> None:
        since = max(part.due_ns, self._trust_ns)
        late = self.world.now_ns - since > DAY_NS
        if not self._trust_ns or not late:
            return
        if part.adrift:
            self._figures.adrift_late += 1
        else:
            self._figures.late += 1
            self._tell(part, "late", self.world.now_ns - since)

    def _tell(self, part: Born, how: str, by_ns: int) -> None:
        if len(self._figures.first) < 5:
            days = by_ns / DAY_NS
            self._figures.first.append(f"{self._seed}: {days:.1f} days {how}: {part}")


def _tape(archive: Archive, draw: random.Random, wall_ns: int, purposes: Any) -> Tape:
    assert archive.epoch is not None  # noqa: S101 - it was opened at the start
    device = archive.data.identity.device
    plan = PartPlan(
        device=device,
        line="desk",
        uid=f"{device}/desk/{draw.getrandbits(30):010d}",
        epoch=archive.epoch.name,
        recording=draw.randbytes(16),
        number=0,
        previous=None,
        purposes=purposes,
        kind="original",
        origin_ns=wall_ns,
        start_ns=wall_ns,
        in_file=False,
        deletion="C",
    )
    return Tape(plan, archive.recipients, {})


def run(
    count: int,
    seed: int,
    say: Callable[[str], None],
    enough: Callable[[Figures], bool] = lambda _figures: True,
    *,
    both: bool = False,
) -> Figures:
    """*count* sequences, and more until *enough* is true, as :func:`.rounds` says.

    *both*: with the attacker whom nobody can stop.
    """
    figures = Figures()
    public = keys.generate(Role.OFFICE).public
    with tempfile.TemporaryDirectory(prefix="greffier-clock-", dir=memory()) as name:
        for lived in rounds(figures, count, lambda: enough(figures)):
            folder = Path(name) / "box"
            life = Life(folder, public, f"{seed}/{figures.sequences}", figures)
            life.both = both
            life.hostile = life.hostile or both
            for _ in range(lived):
                life.play()
            life.leave()
            shutil.rmtree(folder)
            if figures.sequences % (50 * A_BOX) == 0:
                say(f"{figures.sequences} of {count}, {figures.early} early, {figures.late} late")
    return figures


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--count", type=int, default=10_000, help="sequences")
    parser.add_argument("--seed", type=int, default=1)


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    began = time.monotonic()
    found = run(words.count, words.seed, say)
    few = max(words.count // 50, 3 * A_BOX)
    noticed = {"both_hostile_early": run(few, words.seed, say, both=True).early}
    with _credulous():
        noticed["credulous_early"] = run(few, words.seed, say).early
    good = not found.early and not found.late and not found.adrift_duty_early
    spent = round(time.monotonic() - began, 1)
    return {**vars(found), **noticed, "seconds": spent, "ok": good and all(noticed.values())}


@contextmanager
def _credulous() -> Iterator[None]:
    """A purge that believes what the wall clock said when a part was created."""
    real = Origins.created_ns
    vars(origins)["Origins"].created_ns = lambda _self, _part, said_ns: said_ns
    try:
        yield
    finally:
        vars(origins)["Origins"].created_ns = real
