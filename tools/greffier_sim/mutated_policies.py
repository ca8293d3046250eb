"""Policies with faults, by the thousand: each is one clear line and its exit code, none is adopted.

Text is harmed as in the fuzzing of parsers, tables by values that do not belong there. Each harmed
file goes to ``greffier policy check`` and, signed by two persons, to what a recorder adopts by:
adopted is what compiles without an error, and nothing else; the signatures of the file before the
harm never help it.
"""

import io
import json
import random
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit.note import Signer
from greffier.cli.main import COMMANDS, run
from greffier.policy import packs as law_packs
from greffier.policy import rules
from greffier.recorder import adoption
from greffier.recorder.adoption import NotAdopted
from greffier_sim.fuzz import mutate

EXAMPLES: Final = ("fr-retail.toml", "paris-desk.toml", "sdis18.toml", "casa-desk.toml")
SEEDS: Final = [rules.builtin(name).read_bytes() for name in EXAMPLES]
PACKS: Final = law_packs.load()
PEOPLE: Final = [
    Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number, name in enumerate(("alice", "bob"), 1)
]
KEYS: Final = [one.log_key for one in PEOPLE]
_VALUES: Final = (
    b"true", b"false", b"-1", b"0", b"1", b"0.5", b"1.0", b"2.0", b"nan", b"inf", b"1e400",
    b"9999999999999999999", b'""', b'"\\u0000"', b'"FR"', b'"ZZ"', b'"opt_in"', b'"none"', b"[]",
    b'["quality"]', b'["quality", "quality"]', b'[1, "a"]', b"{}", b'{a = 1}', b"1979-05-27",
    b"1979-05-27T07:32:00Z", b"07:32:00", b'"Mon-Fri 09:00-18:00"', b'"' + b"x" * 70 + b'"',
    b'"0123456789"', b"'''\na\n'''", b'"end"', b'"screenshots"', b'"video"',
)  # fmt: skip
_NAMES: Final = (b"rate", b"quality", b"purposes", b"sector", b"mode", b"x", b"version", b'"a b"')
_EXIT_CODES: Final = (0, 1, 2)


def harmed(draw: random.Random) -> bytes:
    """An example with one or two faults, or with those of a parser's fuzzing."""
    seed = draw.choice(SEEDS)
    if draw.random() < 0.3:
        return mutate(seed, draw)
    lines = seed.split(b"\n")
    for _ in range(draw.randint(1, 2)):
        at = draw.randrange(len(lines))
        kind = draw.randrange(6)
        name, equals, _rest = lines[at].partition(b"=")
        if kind <= 2 and equals:  # most often a value that does not belong there
            lines[at] = name + b"= " + draw.choice(_VALUES)
        elif kind == 3:
            del lines[at]
            lines = lines or [b""]
        elif kind == 4:
            lines.insert(at, lines[draw.randrange(len(lines))])
        elif equals:
            lines[at] = draw.choice(_NAMES) + b" =" + lines[at].partition(b"=")[2]
    return b"\n".join(lines)


def check(content: bytes, folder: Path) -> tuple[str | None, str]:
    """What is wrong with how *content* is answered (None: nothing), and which answer it was."""
    path = folder / "policy.toml"
    path.write_bytes(content)
    said, complained = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(complained):
            code = run("greffier", COMMANDS, ["policy", "check", str(path), "--json"], "test")
    except BaseException as error:  # noqa: BLE001 - whatever escapes is what is looked for
        return "".join(traceback.format_exception_only(error)).strip(), "escaped"
    told = complained.getvalue()
    wrong = None
    if code not in _EXIT_CODES:
        wrong = f"exit code {code}"
    elif code == 2 and (told.count("\n") != 1 or said.getvalue()):
        wrong = f"not one line: {told!r}"
    elif code != 2 and told:
        wrong = f"complained, and answered: {told!r}"
    elif "Traceback" in told or "erreur dans le programme" in told:
        wrong = told
    elif code != 2:
        errors = json.loads(said.getvalue().splitlines()[-1])["errors"]
        if bool(errors) != (code == 1):
            wrong = f"exit code {code} with {errors} errors"
    if wrong is None:
        wrong = _adopted_alike(content, code)
    return wrong, ("fits", "errors", "no policy")[code] if code in _EXIT_CODES else "other"


def _adopted_alike(content: bytes, code: int) -> str | None:
    """What is wrong with what a recorder makes of it, or None."""
    for seed in SEEDS:
        if seed != content and _outcome(content, _note(seed)) != "another":
            return "signatures of another policy were taken"
    found = _outcome(content, _note(content))
    expected = {0: ("adopted", "nameless"), 1: ("errors", "nameless"), 2: ("malformed",)}[code]
    return None if found in expected else f"exit code {code}, but {found}"


@lru_cache(maxsize=8)
def _note(content: bytes) -> bytes:
    text = adoption.statement(content)
    lines = [one.sign(text).decode().partition("\n\n")[2] for one in PEOPLE]
    return f"{text}\n{''.join(lines)}".encode()


def _outcome(content: bytes, note: bytes) -> str:
    try:
        adoption.examine(content, note, KEYS, PACKS)
    except NotAdopted as error:
        return error.code if "\n" not in str(error) else "more than one line"
    return "adopted"


def look(examples: int, folder: Path, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """Try so many; how often each answer came, and what was wrong (at most five)."""
    answers: Counter[str] = Counter()
    wrong: list[str] = []
    for index in range(examples):
        content = harmed(random.Random(f"{seed}/{index}"))
        fault, answer = check(content, folder)
        answers[answer] += 1
        if fault is not None:
            wrong.append(f"seed {seed}, example {index}: {fault}")
            if len(wrong) == 5:
                break
    return answers, wrong
