"""How a command makes sure of an operator: the secret is asked on the terminal, or read of a file.

Never an argument: the list of processes shows arguments to everybody.
"""

import getpass
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from greffier.errors import BadKeyFile, NotTwoPersons, UsageError
from greffier.language import translate as _
from greffier.recorder import operators
from greffier.store.layout import DataDirectory
from greffier.trust import stick
from greffier.trust.operators import Proof, Unlocked

LONGEST_FILE = 1024
TRIES = 3

passphrase_option = click.option(
    "--passphrase-file",
    "passphrases",
    multiple=True,
    metavar="[NAME=]FILE",
    help=_("a file that holds an operator's passphrase; without it the terminal asks"),
)
key_option = click.option(
    "--key-file",
    "key_files",
    multiple=True,
    metavar="[NAME=]FILE",
    help=_("an operator's key file, on a stick"),
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Files that hold secrets, as they were given: ``FILE``, or ``NAME=FILE`` where two sign."""

    passphrases: tuple[str, ...]
    keys: tuple[str, ...]

    def passphrase_of(self, name: str, alone: bool) -> Path | None:
        """The passphrase's file of the operator *name*, if one was given. Raises UsageError."""
        return _of(self.passphrases, name, alone)

    def key_of(self, name: str, alone: bool) -> Path | None:
        """The key file of the operator *name*, if one was given. Raises UsageError."""
        return _of(self.keys, name, alone)


def unlock(data: DataDirectory, name: str, sources: Sources, *, alone: bool = True) -> Unlocked:
    """The operator *name*, after they proved who they are.

    The command is one of those that :mod:`greffier.cli.main` guards. Raises NoSuchOperator,
    WrongSecret, LockedOut, BadKeyFile, UsageError, TpmFailed.
    """
    card = operators.card_of(data, name)
    if card.kind == "file":
        key = sources.key_of(name, alone)
        if key is None:
            reason = _("the keys of {operator} need --key-file").format(operator=name)
            raise UsageError(reason=reason)
        return operators.unlock(card, stick.read(key))
    typed = passphrase(name, sources, alone=alone)
    return operators.unlock(card, operators.secret_octets(card.kind, typed, name))


def two_proofs(
    data: DataDirectory, names: Sequence[str], sources: Sources, purpose: str, octets: bytes
) -> tuple[Proof, Proof]:
    """Signatures of *octets* for *purpose* by two different operators, each unlocked in turn.

    Raises NotTwoPersons, and what :func:`unlock` raises.
    """
    if len(names) != 2:
        raise NotTwoPersons(reason=_("two proofs are needed"))
    if names[0] == names[1]:
        raise NotTwoPersons(reason=_("both are {operator}").format(operator=names[0]))
    first, second = (
        unlock(data, name, sources, alone=False).sign(purpose, octets) for name in names
    )
    return first, second


def passphrase(name: str, sources: Sources, *, alone: bool = True) -> str:
    """The passphrase of the operator *name*, as typed. Raises UsageError, BadKeyFile."""
    path = sources.passphrase_of(name, alone)
    if path is not None:
        return read_passphrase(path)
    return ask(_("Passphrase of {operator}: ").format(operator=name))


def new_passphrase(name: str, path: Path | None) -> str:
    """A passphrase that a person chooses, twice if it is typed. Raises UsageError, BadKeyFile."""
    if path is not None:
        return read_passphrase(path)
    for _number in range(TRIES):
        first = ask(_("New passphrase of {operator}: ").format(operator=name))
        if ask(_("The same again: ")) == first:
            return first
        click.echo(_("They differ."), err=True)
    raise UsageError(reason=_("no passphrase was chosen"))


def ask(prompt: str) -> str:
    """What is typed on the terminal, unseen. Raises UsageError where there is none."""
    if not sys.stdin.isatty():
        raise UsageError(reason=_("no terminal to ask on: give --passphrase-file"))
    return getpass.getpass(prompt)


def read_passphrase(path: Path) -> str:
    """The first and only line of the file *path*. Raises BadKeyFile."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise BadKeyFile(path=path, reason=error.strerror) from None
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if len(data) > LONGEST_FILE or not text or "\n" in text:
        raise BadKeyFile(path=path, reason=_("it does not hold one passphrase in one line"))
    return text


def _of(given: Sequence[str], name: str, alone: bool) -> Path | None:
    for one in given:
        who, equals, path = one.partition("=")
        if equals and who == name:
            return Path(path)
    if alone:
        plain = [one for one in given if "=" not in one]
        if len(plain) > 1:
            raise UsageError(reason=_("one file for one operator"))
        return Path(plain[0]) if plain else None
    return None
