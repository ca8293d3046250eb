"""Small wrongs in what takes a part to head office and lets it go: the tests must notice each.

Each is one replacement in a copy of the sources, and the test files that are to fail by it. The
same files pass without it first. A text that is not there exactly once any more is an error too:
then the mutant is to be made anew.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier_sim.soak_missing import Missing

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("firmware", "tools", "tests", "docs")
_TEST_S: Final = 60
"""A test that goes on for so long fails: some wrongs make a loop."""
_PATIENCE_S: Final = 600
PARTS: Final = ("firmware/greffier/sync/parts.py", "tests/sync/test_sync_parts.py")
LOG: Final = ("firmware/greffier/sync/logkeeper.py", "tests/sync/test_sync_logkeeper.py")
SENDING: Final = ("firmware/greffier/sync/sending.py", "tests/sync/test_sync_sending.py")
RECEIPTS: Final = ("firmware/greffier/sync/receipts.py", "tests/sync/test_sync_receipts.py")
RECEIPT: Final = ("firmware/greffier/audit/receipt.py", "tests/audit/test_audit_receipt.py")
WITNESS: Final = ("firmware/greffier/audit/witness.py", "tests/audit/test_audit_witness.py")
TERM: Final = ("firmware/greffier/policy/lifecycle.py", "tests/policy/test_policy_lifecycle.py")
REPLICA: Final = ("tools/greffier_office/replica.py", "tests/office/test_office_logs.py")


@dataclass(frozen=True, slots=True)
class Mutant:
    """In the first file of *place* *old* becomes *new*; the tests of the second must fail."""

    place: tuple[str, str]
    old: str
    new: str


MUTANTS: Mapping[str, Mutant] = {
    "a broker's acknowledgement counts as a receipt": Mutant(
        PARTS,
        '            self.troubles -= {"sync.denied", "sync.broker", "sync.no_collector"}\n',
        "            for one in list(self._flights.values()):\n"
        "                self._received(one.sealed.part, True, 0)\n",
    ),
    "a receipt is believed without the recorder": Mutant(
        PARTS,
        '            flight.state = "receipt"\n',
        "            self._received(part, True, 0)\n",
    ),
    "a receipt that the recorder refuses counts": Mutant(
        PARTS, 'if result in ("received", "known"):', "if result:"
    ),
    "octets behind the end may be asked for": Mutant(
        PARTS, "            or need.ranges[-1].end > flight.sealed.size\n", ""
    ),
    "parts go while they may not": Mutant(PARTS, "            or not self.allowed\n", ""),
    "an offer without an answer waits for ever": Mutant(
        PARTS, "if now_ns >= flight.until_ns and", "if now_ns < 0 and"
    ),
    "a part goes before its entries": Mutant(
        PARTS,
        'one.state == "prepared" and one.sealed.seq < self.reached',
        'one.state == "prepared"',
    ),
    "what was refused is offered at once again": Mutant(
        PARTS, "        self._queue.refuse(refused.part, now_ns, wall_ns)\n", ""
    ),
    "a grant is overdrawn": Mutant(
        SENDING, "BLOCK - start % BLOCK, chosen.credit)", "BLOCK - start % BLOCK)"
    ),
    "a grant has no end": Mutant(
        SENDING, "not one.exhausted and now_ns < one.grant.until_ns", "not one.exhausted"
    ),
    "receipts of nobody's parts fill the memory": Mutant(
        RECEIPTS, "(part in self._held or strays >= MOST_STRAY)", "part in self._held"
    ),
    "the recorder is asked without end": Mutant(
        RECEIPTS, "while len(self._unanswered) < MOST_HAND_OVERS:", "while True:"
    ),
    "a log is sent that nobody has asked for": Mutant(
        LOG, "behind = self._answered and self.head", "behind = self.head"
    ),
    "a size that is not ours is believed": Mutant(LOG, "if have.size > self.size:", "if False:"),
    "nobody there is asked without a pause": Mutant(
        LOG, "        self._hold_ns = now_ns + self._absent.next_ns()\n", ""
    ),
    "a cosignature that is not believed is no alarm": Mutant(
        LOG, '        self.troubles.add("sync.cosignature")\n', ""
    ),
    "a witness's key signs receipts": Mutant(
        RECEIPT, "[key for key in keys if key.kind == ED25519]", "list(keys)"
    ),
    "the latest of several witnesses counts": Mutant(
        WITNESS, "time_s = min(one.time_s", "time_s = max(one.time_s"
    ),
    "a duty that nobody received may go": Mutant(
        TERM, "if not received and not (due and voluntary):", "if not received and not due:"
    ),
    "the shortest purpose decides": Mutant(
        TERM, "elapsed_ns >= max(most) * DAY_NS", "elapsed_ns >= min(most) * DAY_NS"
    ),
    "a hold keeps nothing": Mutant(
        TERM, "    if held:\n        return KEEP_HOLD\n    voluntary", "    voluntary"
    ),
    "an entry may bear another number": Mutant(REPLICA, "if entry.seq != number:", "if False:"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--only", help="those whose name holds this")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    began = time.monotonic()
    chosen = {name: one for name, one in MUTANTS.items() if (words.only or "") in name}
    survived = []
    with tempfile.TemporaryDirectory(prefix="greffier-mutants-") as folder:
        tree = copied(Path(folder))
        for tests in sorted({one.place[1] for one in chosen.values()}):
            if passes(tree, tests):
                continue
            raise Missing(f"{tests} does not pass as it is: nothing can be said of mutants")
        for name, one in chosen.items():
            with_it = applied(tree, one)
            noticed = not passes(tree, one.place[1])
            (tree / one.place[0]).write_text(with_it)
            say(f"{'noticed' if noticed else 'SURVIVED'}: {name}")
            if not noticed:
                survived.append(name)
    return {
        "mutants": len(chosen),
        "mutants_noticed": len(chosen) - len(survived),
        "survived": survived,
        "seconds": round(time.monotonic() - began, 1),
        "ok": not survived,
    }


def copied(folder: Path) -> Path:
    """The sources once more, to be changed, in *folder*."""
    for name in _COPIED:
        skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def applied(tree: Path, mutant: Mutant) -> str:
    """Put *mutant* into *tree*; the text of the file before. Raises Missing if it does not fit."""
    path = tree / mutant.place[0]
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise Missing(f"{mutant.place[0]} holds {mutant.old!r} {text.count(mutant.old)} times")
    path.write_text(text.replace(mutant.old, mutant.new))
    return text


def passes(tree: Path, tests: str) -> bool:
    """Whether the tests of the file *tests* pass in *tree*; one that never ends does not."""
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    words += [f"--timeout={_TEST_S}", "--timeout-method=thread", tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPYCACHEPREFIX", None)  # of the same size and second: the same to Python
    try:
        done = subprocess.run(
            words,
            cwd=tree,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
