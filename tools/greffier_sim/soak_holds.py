"""What is held stays, whatever else happens: holds, releases, purges, requests to erase, want of
space, and the clocks of :mod:`greffier_sim.soak_clock`, in any order.

The recorder's own holding, purge and erasure are at work. Beside them stands a model that was
written from SPEC 4.7 and 8.14 alone: a part is held from the moment in which two persons placed a
hold on it, or on its recording, until two persons released it; a hold of mode `suspend` adds its
time to the term. Holds are also placed between a purge's plan and its deed, and the box boots in
between. A purge that looks at no hold must be noticed.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from greffier.audit import holds as holds_room
from greffier.audit.holds import Mode
from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import erasure, holding, purge
from greffier.recorder.erasure import Request
from greffier.recorder.holding import Wish
from greffier.recorder.persons import Persons
from greffier.recorder.purge import Verdict
from greffier.seal import keys
from greffier.seal.keys import PublicKey, Role
from greffier_sim.filled_disk import memory
from greffier_sim.soak_clock import Life
from greffier_sim.soak_clock_world import A_BOX, TOLERANCE_NS, Figures, rounds

_MODES: Final[tuple[Mode, ...]] = ("floor", "suspend")
_PERSONS: Final = (Persons(("Anne Roy", "Paul Sy")), Persons(("a. roy", "l. d")))
_NOBODY: Final = (Persons(("Anne Roy", "anne  roy")), Persons(("Anne Roy",)))


@dataclass
class Held:
    """A hold as the model knows it, in true time."""

    names: frozenset[str]
    mode: str
    since_ns: int
    until_ns: int | None = None


@dataclass
class Counted:
    """What all sequences showed about holds."""

    placed: int = 0
    released: int = 0
    refused: int = 0
    raced: int = 0
    gone_due: int = 0
    gone_space: int = 0
    gone_erased: int = 0
    kept_held: int = 0
    held_purged: int = 0
    suspended: int = 0
    suspended_short: int = 0
    first: list[str] = field(default_factory=list)


class HeldLife(Life):
    """A life with holds in it."""

    def __init__(
        self, folder: Path, public: PublicKey, seed: str, figures: Figures, counted: Counted
    ) -> None:
        self._counted = counted
        self._held: dict[str, Held] = {}
        self._recordings: dict[str, str] = {}
        super().__init__(folder, public, seed, figures)

    def play(self) -> None:
        """One sequence."""
        for _ in range(self._draw.randrange(2, 6)):
            deed = self._draw.choices(
                (self._place, self._release, self._erase, self._want_space, self._turn),
                (5, 3, 2, 2, 1),
            )[0]
            deed()
        super().play()

    # --- deeds ---

    def _record(self) -> None:
        """As ever; and the calls are over, so that somebody may ask for their erasure."""
        known = set(self.parts)
        super()._record()
        archive = self._opened
        for row in archive.index.parts():
            if row.part_id in self.parts.keys() - known:
                said = {
                    "uid": "box-00000000/desk/0000000001",
                    "result": "ok",
                    "recording": row.recording,
                }
                archive.learn(archive.log.append("call.ended", row.recording, said))
        archive.tick()

    def _names(self) -> list[str]:
        """Parts as they were born, and recordings, that are there.

        A part's id is of the operating system's making: in its order no seed would decide a run.
        """
        rows = self._opened.index.parts()
        self._recordings |= {row.part_id: row.recording for row in rows}
        parts = self._as_born(row.part_id for row in rows)
        return parts + sorted({row.recording for row in rows})

    def _as_born(self, names: Iterable[str]) -> list[str]:
        known = set(names)
        return [name for name in self.parts if name in known]

    def _place(self, names: Sequence[str] = ()) -> None:
        """Two persons hold a part or a recording; or fewer try."""
        wanted = list(names) or self._names()
        if not wanted:
            return
        draw, archive = self._draw, self._opened
        target, mode = draw.choice(wanted), draw.choice(_MODES)
        people = draw.choice((*_PERSONS, *_PERSONS, *_NOBODY))
        found = holding.place(archive, Wish(target, "claim-7", mode, people))
        assert found.done == (people in _PERSONS), found  # noqa: S101 - else nothing is proved
        if found.done:
            self._held[found.name] = Held(frozenset({target}), mode, self.world.now_ns)
        self._counted.placed += found.done
        self._counted.refused += not found.done

    def _release(self) -> None:
        """Two persons let one go; or fewer try."""
        standing = [name for name, one in self._held.items() if one.until_ns is None]
        if not standing:
            return
        name, people = self._draw.choice(standing), self._draw.choice((*_PERSONS, _NOBODY[0]))
        found = holding.release(self._opened, name, people)
        assert found.done == (people in _PERSONS), found  # noqa: S101 - else nothing is proved
        if found.done:
            self._held[name].until_ns = self.world.now_ns
        self._counted.released += found.done
        self._counted.refused += not found.done

    def _erase(self) -> None:
        """Somebody asks that a recording be erased."""
        recordings = sorted({row.recording for row in self._opened.index.parts()})
        if not recordings:
            return
        self._names()
        wish = Request(self._draw.choice(recordings), "ask-1", self._draw.random() < 0.5)
        for one in erasure.erase(self._opened, wish).done:
            if one.name in self.parts and not one.purpose:
                self._counted.gone_erased += 1
                self._gone(one.name)
                del self.parts[one.name]

    def _want_space(self) -> None:
        """Head office has something more; then there is no room."""
        waiting = [name for name in self.parts if self._opened.unconfirmed.find(name)]
        for name in self._draw.sample(waiting, min(2, len(waiting))):
            self._receive(name)
        self._purge(self._draw.choice((1, 5_000, 10**9)))

    def _turn(self) -> None:
        self._figures.turns += 1
        self._purge(0)
        for part in self.parts.values():
            self._judge_kept(part)

    def _purge(self, space: int) -> None:
        archive = self._opened
        self._names()
        doomed = purge.plan(archive, space, lambda _row: False).doomed
        if doomed and self._draw.random() < 0.2:  # while the purge waits for its turn
            self._counted.raced += 1
            self._place(self._as_born(one.row.part_id for one in doomed))
        for one in purge.carry_out(archive, doomed):
            self._took(one)
        self._counted.kept_held += sum(bool(self._standing(name)) for name in self.parts)

    # --- the model ---

    def _took(self, verdict: Verdict) -> None:
        name = verdict.row.part_id
        part = self.parts.pop(name)
        self._gone(name)
        if verdict.code == DELETE_SPACE:
            self._counted.gone_space += 1
            return
        self._counted.gone_due += 1
        self._judge_gone(part)
        added = self._suspended_ns(name, part.due_ns)
        self._counted.suspended += bool(added)
        short = added > 0 and self.world.now_ns < part.due_ns + added - TOLERANCE_NS
        self._counted.suspended_short += short and not part.adrift

    def _gone(self, name: str) -> None:
        if held := self._standing(name):
            self._counted.held_purged += 1
            self._counted.first.append(f"{self._seed}: {name} was held: {held}")

    def _judge_kept(self, part: Any) -> None:
        """Late is only what no hold ever touched."""
        name = next(one for one, known in self.parts.items() if known is part)
        if not self._of(name):
            super()._judge_kept(part)

    def _of(self, name: str) -> list[Held]:
        names = {name, self._recordings.get(name, name)}
        return [one for one in self._held.values() if one.names & names]

    def _standing(self, name: str) -> list[Held]:
        return [one for one in self._of(name) if one.until_ns is None]

    def _suspended_ns(self, name: str, due_ns: int) -> int:
        """The time of claims that begin before the term, each moment once."""
        added = counted = 0
        spans = sorted(
            (one.since_ns, one.until_ns)
            for one in self._of(name)
            if one.mode == "suspend" and one.until_ns is not None
        )
        for since, until in spans:
            if since <= due_ns + added and until > max(since, counted):
                added += until - max(since, counted)
                counted = until
        return added


def run(
    count: int,
    seed: int,
    say: Callable[[str], None],
    enough: Callable[[Figures, Counted], bool] = lambda _figures, _counted: True,
) -> tuple[Figures, Counted]:
    """*count* sequences, and more until *enough* is true: :func:`.rounds`."""
    figures, counted = Figures(), Counted()
    public = keys.generate(Role.OFFICE).public
    with tempfile.TemporaryDirectory(prefix="greffier-holds-", dir=memory()) as name:
        for lived in rounds(figures, count, lambda: enough(figures, counted)):
            folder = Path(name) / "box"
            life = HeldLife(folder, public, f"{seed}/{figures.sequences}", figures, counted)
            for _ in range(lived):
                life.play()
            life.leave()
            shutil.rmtree(folder)
            if figures.sequences % (50 * A_BOX) == 0:
                say(f"{figures.sequences} of {count}, {counted.held_purged} held parts purged")
    return figures, counted


@contextmanager
def blind() -> Iterator[None]:
    """A recorder that looks at no hold."""
    kind = vars(holds_room)["Holds"]
    claims, standing = kind.claims, kind.standing
    kind.claims, kind.standing = lambda *_: (), lambda *_: ()
    try:
        yield
    finally:
        kind.claims, kind.standing = claims, standing


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--count", type=int, default=10_000, help="sequences")
    parser.add_argument("--seed", type=int, default=1)


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    began = time.monotonic()
    figures, found = run(words.count, words.seed, say)
    with blind():
        noticed = run(max(words.count // 50, 3 * A_BOX), words.seed, say)[1].held_purged
    spent = round(time.monotonic() - began, 1)
    good = not found.held_purged and not figures.early and noticed > 0 and found.kept_held > 0
    told = {"sequences": figures.sequences, "boots": figures.boots, "parts": figures.parts}
    told |= {"early": figures.early, "late": figures.late}
    return {**told, **vars(found), "blind_purged": noticed, "seconds": spent, "ok": good}
