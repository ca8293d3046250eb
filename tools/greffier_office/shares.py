"""``greffier-office shares``: head office's key on three papers, any two of which bring it back.

SLIP-0039 (Shamir's secret sharing over GF(256), two of three, with a checksum in each paper and a
hash of the secret in the sharing): 33 words from a list of 1,024, of which four letters tell each.
docs/key-files.md, paper shares.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import shamir_mnemonic
from shamir_mnemonic.wordlist import WORDLIST

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import AlreadyThere, BadKeyFile, UsageError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role

SHARES, NEEDED = 3, 2
LONGEST = 4096
_WORD = re.compile(r"[a-z]{3,8}")
_PREFIXES = {word[:4]: word for word in WORDLIST}


class BadShare(BadKeyFile):
    """A paper is mistyped, or two papers do not belong together."""

    cause = "these papers do not bring the key back: {reason}"
    step = "compare each word with its paper; two different papers of one sharing are needed"


def made(private: PrivateKey) -> list[str]:
    """Three papers' words of *private*, drawn anew: papers of two sharings do not mix."""
    (group,) = shamir_mnemonic.generate_mnemonics(1, [(NEEDED, SHARES)], private.seed)
    return list(group)


def joined(texts: Sequence[str]) -> PrivateKey:
    """The key that two of the papers' *texts* bring back. Raises BadShare."""
    words = [words_of(text, number) for number, text in enumerate(texts, start=1)]
    if len(set(words)) != NEEDED:
        raise BadShare(reason=_("two different papers are needed"))
    try:
        seed = shamir_mnemonic.combine_mnemonics(words)
        return PrivateKey(Role.OFFICE, seed)
    except (shamir_mnemonic.MnemonicError, ValueError):
        reason = _("a word is wrong, or they are of two sharings")
        raise BadShare(reason=reason) from None


def words_of(text: str, number: int = 1) -> str:
    """The words of a paper's *text*; lines with ``#`` are none. Raises BadShare."""
    lines = [line for line in text.lower().splitlines() if not line.lstrip().startswith("#")]
    words = [word for word in re.split(r"[\s,;.]+|\d+[.)]?", " ".join(lines)) if word]
    for place, word in enumerate(words, start=1):
        if not _WORD.fullmatch(word) or _PREFIXES.get(word[:4]) not in (word, *_short(word)):
            raise BadShare(
                reason=_("paper {number}: word {place} is none of the list").format(
                    number=number, place=place
                )
            )
    words = [_PREFIXES[word[:4]] for word in words]
    try:
        shamir_mnemonic.Share.from_mnemonic(" ".join(words))
    except (shamir_mnemonic.MnemonicError, ValueError):
        raise BadShare(
            reason=_("paper {number}: a word is wrong, or missing").format(number=number)
        ) from None
    return " ".join(words)


def paper(words: str, number: int, key_id: str) -> str:
    """What is printed of one share."""
    listed = words.split()
    rows = [
        "   ".join(f"{at + 1:2d}. {word:<9}" for at, word in enumerate(listed[row : row + 4], row))
        for row in range(0, len(listed), 4)
    ]
    head = _("Greffier, paper {number} of {all}: any {needed} bring head office's key back.")
    told = head.format(number=number, all=SHARES, needed=NEEDED)
    kept = _("Keep each at another place. One alone says nothing.")
    return "\n".join([f"# {told}", f"# {kept}", f"# key id: {key_id}", *rows, ""])


@click.group(help=_("Head office's key on three papers, any two of which bring it back."))
def group() -> None:
    """The commands below."""


@group.command(help=_("Print three papers for a secret key."))
@click.argument("key", type=click.Path(path_type=Path))
@click.option(
    "-o", "folder", type=click.Path(path_type=Path), help=_("write them as files into this folder")
)
@json_option
def make(key: Path, folder: Path | None, as_json: bool) -> int:
    """Run it."""
    private = keys.read_private(key, Role.OFFICE)
    shares = made(private)
    key_id = private.public.key_id.hex()
    papers = [paper(words, number, key_id) for number, words in enumerate(shares, start=1)]
    value: dict[str, Any] = {"key_id": key_id, "shares": SHARES, "needed": NEEDED}
    if folder is None:
        answer(value | {"papers": shares}, as_json, lambda: "\n".join(papers))
        return 0
    files = [folder / f"share-{number}.txt" for number in range(1, SHARES + 1)]
    for path in files:
        if path.exists():
            raise AlreadyThere(path=path)
    disk = Disk()
    disk.make_dirs(folder)
    for path, text in zip(files, papers, strict=True):
        disk.create_file(path, text.encode())
    said = _("Print {files}, and destroy the files.")
    names = ", ".join(str(path) for path in files)
    answer(value | {"files": names.split(", ")}, as_json, lambda: said.format(files=names))
    return 0


@group.command(help=_("Bring the key back from two papers: files, or typed on the terminal."))
@click.argument("papers", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o", "output", required=True, type=click.Path(path_type=Path), help=_("the file to write")
)
@json_option
def join(papers: tuple[Path, ...], output: Path, as_json: bool) -> int:
    """Run it."""
    if output.exists():
        raise AlreadyThere(path=output)
    private = joined([_read(path) for path in papers] if papers else _typed())
    Disk().create_file(output, private.format().encode("ascii"))
    value = {"key": str(output), "key_id": private.public.key_id.hex()}
    said = _("{key} is the key with the id {key_id}: compare it with the papers.")
    answer(value, as_json, lambda: said.format_map(value))
    return 0


def _short(word: str) -> tuple[str, ...]:
    """A word may be written by its first four letters."""
    return (_PREFIXES[word],) if len(word) == 4 and word in _PREFIXES else ()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or _("it is not text")
        raise BadKeyFile(path=path, reason=reason) from None


def _typed() -> list[str]:
    if not sys.stdin.isatty():
        raise UsageError(reason=_("no terminal to ask on: give the files of two papers"))
    found = []
    for number in range(1, NEEDED + 1):
        prompt = _("Words of paper {number}").format(number=number)
        found.append(words_of(click.prompt(prompt, hide_input=False), number))
    return found
