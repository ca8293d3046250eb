"""No draw is steered: a thousand manipulations of a day are found, and no honest day is accused.

Honest days of a branch under four policies (:mod:`greffier_sim.sampling_days`) are checked as head
office checks its replica; then each is manipulated in every way of
:mod:`greffier_sim.sampling_frauds`, numbered and signed anew as a thief of the log key would.
What the log alone cannot show, a day rewritten with the revealed keys, head office's memory must:
that class goes through the replica's own rules, which hold what was cosigned during the day.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from greffier import merkle
from greffier.audit import batch as batches
from greffier.audit import entry as entries
from greffier.audit.batch import Batch
from greffier.audit.entry import Entry
from greffier.audit.note import Checkpoint, Signer
from greffier.seal.keys import Keyring
from greffier.trust import LogKey
from greffier_office import draw_check, replica
from greffier_office.catalogue import Log
from greffier_office.draw_result import Result
from greffier_sim import sampling_days, sampling_frauds, sampling_story
from greffier_sim.sampling_story import Story

REWRITTEN: Final = ("renumbered", "cut")
_CALLS: Final = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--frauds", type=int, default=1000, help="manipulated days")
    parser.add_argument("--days", type=int, default=200, help="honest days")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it; the figures."""
    began = time.monotonic()
    judge = Judge()
    accused, calls, undecided = 0, 0, 0
    for seed in range(words.days):
        result = judge.judge(sampling_days.live(seed))
        calls += result.as_json()["calls"]
        accused += len(result.findings)
        undecided += len(result.unknown)
    say(f"{words.days} honest days, {calls} calls: {accused} false findings")
    done, missed = judge.defraud(words.frauds)
    say(f"{sum(done.values())} manipulations of {len(done)} kinds: {sum(missed.values())} missed")
    kinds = {*sampling_frauds.FRAUDS, *REWRITTEN}
    return {
        "honest_days": words.days,
        "honest_calls": calls,
        "false_findings": accused,
        "not_decided": undecided,
        "manipulations": sum(done.values()),
        "kinds": len(done),
        "found": sum(done.values()) - sum(missed.values()),
        "missed": dict(missed),
        "of_each": dict(sorted(done.items())),
        "seconds": round(time.monotonic() - began, 1),
        "ok": not accused
        and not undecided
        and not missed
        and set(done) == kinds
        and sum(done.values()) >= words.frauds,
    }


class Judge:
    """Head office: its key, its policies, and what it knows of agents."""

    def __init__(self) -> None:
        self._replays = draw_check.replays_of(sampling_story.policies(), sampling_story.PACKS)
        self._opener = Keyring([sampling_story.office()])

    def judge(self, story: Story, log: Sequence[Entry] | None = None) -> Result:
        """What is said of *story*, or of another *log* that it is said to have."""
        return draw_check.check(
            sampling_story.DEVICE,
            story.entries() if log is None else log,
            self._replays,
            opener=self._opener,
            names=sampling_story.AGENTS,
        )

    def defraud(self, wanted: int) -> tuple[Counter[str], Counter[str]]:
        """At least *wanted* manipulations, every kind about as often: done, and missed, by kind.

        Goes on from day to day until there are enough; every kind suits some day in sixteen.
        """
        done: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        kinds = (*sampling_frauds.FRAUDS, *REWRITTEN)
        share = -(-wanted // len(kinds))
        seed = 0
        while any(done[kind] < share for kind in kinds):
            seed += 1
            if seed > 40 * share + 40:
                raise RuntimeError(f"no day suits {[one for one in kinds if done[one] < share]}")
            story = sampling_days.live(seed, _CALLS)
            untold = sampling_days.live(seed, _CALLS, facts=False)
            for kind in (one for one in kinds if done[one] < share):
                found = self._found(
                    kind, untold if kind in REWRITTEN else story, random.Random(f"{seed} {kind}")
                )
                if found is not None:
                    done[kind] += 1
                    if not found:
                        missed[kind] += 1
        return done, missed

    def _found(self, kind: str, story: Story, draw: random.Random) -> bool | None:
        if kind in REWRITTEN:
            return rewritten(kind, story, draw)
        said = sampling_frauds.FRAUDS[kind](story, draw)
        if said is None:
            return None
        return bool(self.judge(story, story.entries(said)).findings)


def rewritten(kind: str, story: Story, draw: random.Random) -> bool | None:
    """Whether head office refuses a history that contradicts what it cosigned in the day.

    None where the day has nothing to rewrite before that.
    """
    honest = [_octets(one) for one in story.entries()]
    said = (
        sampling_frauds.renumbered(story, draw)
        if kind == "renumbered"
        else [*story.said[:-8], *story.said[-7:]]
    )
    if said is None:
        return None
    other = [_octets(one) for one in story.entries(said)]
    same = next(
        (at for at, pair in enumerate(zip(honest, other, strict=False)) if pair[0] != pair[1]),
        len(other),
    )
    if same + 1 >= len(honest):
        return None
    seen = draw.randrange(same + 1, len(honest))  # head office saw so much of the true day
    key = LogKey.new(f"greffier/{sampling_story.DEVICE}")
    signer = Signer(key.name, key.private)
    held = Log()
    batch = _batch(signer, honest[:seen], 0)
    held = replica.grown(held, batch, replica.head_of(held, batch, signer.log_key, _none)).log
    batch = _batch(signer, other, min(seen, len(other)))
    try:
        head = replica.head_of(held, batch, signer.log_key, lambda size: _root(honest[:size]))
        if not head.old:
            replica.grown(held, batch, head)
    except replica.Forked:
        return True
    return False


def _octets(entry: Entry) -> bytes:
    """What the log holds; the seed's own times fit in."""
    return entries.encode(entry)


def _batch(signer: Signer, log: Sequence[bytes], first: int) -> Batch:
    """What a box sends of *log* from entry *first* on, signed."""
    leaves = [merkle.leaf_hash(one) for one in log]
    head = Checkpoint(signer.name, len(leaves), merkle.root(leaves))
    sent = Batch(first, tuple(log[first:]), signer.sign(head.text), ())
    return batches.decode(batches.encode(sent))


def _root(log: Sequence[bytes]) -> bytes:
    return merkle.root([merkle.leaf_hash(one) for one in log])


def _none(_size: int) -> bytes:
    return merkle.empty_root()
