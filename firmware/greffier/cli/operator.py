"""``greffier operator``: who may replay on this box, and with which secret.

On a data directory that no recorder uses, but for ``list``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from greffier.audit import verify
from greffier.cli import unlocking
from greffier.cli.output import answer, data_option, json_option, table
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SECOND, SystemClock, format_time, steady_ns
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder import console_keys, enlisting, operators
from greffier.recorder.archive import Archive
from greffier.recorder.enlisting import Secret
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout
from greffier.trust import operators as people
from greffier.trust import passphrase, stick, wrapping
from greffier.trust.passphrase import BadPassphrase
from greffier.trust.tpm_chip import Connect
from greffier.trust.wrapping import KINDS, Kind

FILE_BITS = 256
wrap_option = click.option(
    "--wrap",
    "kind",
    type=click.Choice(KINDS),
    default="generated",
    show_default=True,
    help=_("a passphrase that the box draws, one that you choose (needs a TPM), or a key file"),
)
new_words_option = click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path),
    help=_("a file that holds the passphrase that is chosen; without it the terminal asks"),
)
new_file_option = click.option(
    "--new-key-file",
    type=click.Path(path_type=Path),
    help=_("where the new key file is written, on a stick"),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A new secret, what is to be shown of it once, and what guessing it costs."""

    secret: Secret
    shown: str | None
    bits: float | None
    guess_s: float

    @property
    def years(self) -> float | None:
        """On a million machines, on the average."""
        return None if self.bits is None else passphrase.years(self.bits, self.guess_s)


@click.group(help=_("Who may replay on this box, and with which secret."))
def group() -> None:
    """The commands below."""


@group.command(help=_("Make an operator; one who is there must let them in, but for the first."))
@click.argument("name")
@data_option
@wrap_option
@new_words_option
@new_file_option
@click.option("--operator", "by", help=_("the operator who lets them in"))
@passphrase_option
@key_option
@click.option(
    "--console-key",
    type=click.Path(path_type=Path),
    help=_("secret console key, where the device was made with its public half"),
)
@json_option
def add(
    name: str,
    data: str,
    kind: Kind,
    new_passphrase_file: Path | None,
    new_key_file: Path | None,
    by: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    console_key: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    if not people.is_name(name):
        raise UsageError(reason=_("a name has 1 to 32 of a-z, 0-9 and -"))
    directory = layout.open(Path(data))
    console = keys.read_private(console_key, Role.CONSOLE) if console_key else None
    sources = Sources(passphrases, key_files)
    witness = unlocking.unlock(directory, by, sources) if by else None
    with Archive.open(Path(data), SystemClock()) as archive:
        connect = enlisting.tpm() if kind != "file" else None
        chosen = _choose(name, kind, connect, new_passphrase_file, new_key_file)
        made = enlisting.add(archive, name, chosen.secret, witness, connect, console)
        roll = archive.sealing.roll
        console_id = roll.console.key_id if roll.console else None
    value = {
        "operator": name,
        "key_id": made.key_id,
        "wrap": kind,
        "tpm": connect is not None,
        "console_key": console_id,
        **_cost(chosen),
    }
    answer(value, as_json, lambda: _told(value))
    return 0


@group.command(name="passphrase", help=_("Give an operator another secret."))
@click.argument("name")
@data_option
@wrap_option
@new_words_option
@new_file_option
@passphrase_option
@key_option
@json_option
def change(
    name: str,
    data: str,
    kind: Kind,
    new_passphrase_file: Path | None,
    new_key_file: Path | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    unlocked = unlocking.unlock(directory, name, Sources(passphrases, key_files))
    with Archive.open(Path(data), SystemClock()) as archive:
        connect = enlisting.tpm() if kind != "file" else None
        chosen = _choose(name, kind, connect, new_passphrase_file, new_key_file)
        enlisting.rewrap(archive, unlocked, chosen.secret, connect)
    value = {
        "operator": name,
        "key_id": unlocked.operator.key_id,
        "wrap": kind,
        "tpm": connect is not None,
        **_cost(chosen),
    }
    answer(value, as_json, lambda: _told(value))
    return 0


@group.command(help=_("Take an operator out; what is recorded from now on they cannot open."))
@click.argument("name")
@data_option
@json_option
def remove(name: str, data: str, as_json: bool) -> int:
    """Run it."""
    with Archive.open(Path(data), SystemClock()) as archive:
        gone = enlisting.remove(archive, name)
    value = {
        "operator": name,
        "key_id": gone.operator,
        "pepper_destroyed": gone.pepper,
        "operators_left": gone.left,
        "console_key": gone.console,
    }
    answer(value, as_json, lambda: _told_gone(value))
    return 0


@group.command(help=_("Make a new console key at once; nobody needs to be there."))
@data_option
@json_option
def rotate(data: str, as_json: bool) -> int:
    """Run it."""
    with Archive.open(Path(data), SystemClock()) as archive:
        key_id = enlisting.rotate(archive)
    said = _("From the next recording on, everything is sealed to the console key {key}.")
    answer({"console_key": key_id}, as_json, lambda: said.format(key=key_id))
    return 0


@group.command(name="list", help=_("Who may replay here, and which months."))
@data_option
@json_option
def show(data: str, as_json: bool) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    roll = operators.roll_of(verify.entries(directory.path))
    found = operators.cards(directory, roll)
    there = {card.operator.key_id for card in found.values()}
    value: dict[str, Any] = {
        "operators": [
            {
                "operator": name,
                "key_id": card.operator.key_id,
                "wrap": card.kind,
                "tpm": card.nv is not None,
                "made": format_time(card.made_ns, digits=0),
            }
            for name, card in sorted(found.items())
        ],
        "lost": sorted(roll.listed.keys() - there),
        "guard": operators.guards(found.values()),
        "console_key": roll.console.key_id if roll.console else None,
        "months": [
            {
                "month": one.month,
                "number": one.number,
                "key_id": one.key_id,
                "operators": sorted(one.sealed),
            }
            for one in console_keys.months(directory)
        ],
    }
    answer(value, as_json, lambda: _listed(value))
    return 0


def _choose(
    name: str, kind: Kind, connect: Connect | None, words: Path | None, file: Path | None
) -> Chosen:
    """The new secret. Raises UsageError, BadKeyFile, AlreadyThere, StorageFailed."""
    if kind == "file":
        if file is None:
            raise UsageError(reason=_("say with --new-key-file where the key file is to lie"))
        key = stick.generate()
        Disk().create_file(file, stick.written(key).encode("ascii"))
        return Chosen(Secret(kind, key), None, FILE_BITS, _guess_s())
    if kind == "generated":
        drawn = passphrase.generate()
        octets = passphrase.generated_octets(drawn)
        return Chosen(Secret(kind, octets), drawn, passphrase.BITS, _guess_s())
    if connect is None:
        raise UsageError(
            reason=_("without a TPM that counts guesses a passphrase cannot be chosen")
        )
    typed = unlocking.new_passphrase(name, words)
    try:
        passphrase.check_chosen(typed)
    except BadPassphrase as error:
        raise UsageError(reason=_too_easy(error.code)) from None
    return Chosen(Secret(kind, passphrase.chosen_octets(typed)), None, None, _guess_s())


def _guess_s() -> float:
    """What one guess costs here: Argon2id as it is written into the card."""
    before = steady_ns()
    wrapping.stretch(b"", bytes(wrapping.SALT_BYTES), wrapping.Cost())
    return (steady_ns() - before) / SECOND


def _too_easy(code: str) -> str:
    return {
        "short": _("a passphrase that is chosen has at least 10 characters"),
        "simple": _("a passphrase that is chosen has at least 5 different characters"),
        "long": _("a passphrase has at most 256 characters"),
        "empty": _("no passphrase was chosen"),
    }.get(code, _("a passphrase holds only what can be printed"))


def _cost(chosen: Chosen) -> dict[str, Any]:
    return {
        "passphrase": chosen.shown,
        "bits": None if chosen.bits is None else round(chosen.bits, 1),
        "guess_s": round(chosen.guess_s, 3),
        "years": None if chosen.years is None else float(f"{chosen.years:.2g}"),
    }


def _told(value: Mapping[str, Any]) -> str:
    lines = [_("Operator {operator}, key id {key_id}.").format_map(value)]
    if value["passphrase"]:
        lines.append(_("Passphrase, shown only now: {passphrase}").format_map(value))
    if value["years"] is None:
        said = _("The TPM takes ten wrong passphrases, then one each two hours.")
    else:
        said = _(
            "Guessing it: {bits} bits, {guess_s} s each, {years:.2g} years on a million machines."
        )
    lines.append(said.format_map(value))
    if value["tpm"] and value["years"] is not None:
        lines.append(_("And the TPM has to be asked for each guess, as long as nobody opens it."))
    return "\n".join(lines)


def _told_gone(value: Mapping[str, Any]) -> str:
    lines = [_("{operator} is no operator any more; {operators_left} are left.").format_map(value)]
    if value["pepper_destroyed"] is False:
        lines.append(_("What the TPM kept for them could not be destroyed there."))
    if value["console_key"]:
        said = _("From the next recording on, everything is sealed to the console key {key}.")
        lines.append(said.format(key=value["console_key"]))
    else:
        lines.append(_("Nobody can replay here any more; head office can open everything."))
    return "\n".join(lines)


def _listed(value: Mapping[str, Any]) -> str:
    kinds = {
        "generated": _("drawn passphrase"),
        "chosen": _("chosen passphrase"),
        "file": _("key file"),
    }
    rows = [
        [
            one["operator"],
            one["key_id"],
            kinds[one["wrap"]],
            "TPM" if one["tpm"] else "-",
            one["made"],
            str(sum(one["key_id"] in month["operators"] for month in value["months"])),
        ]
        for one in value["operators"]
    ]
    headings = [_("operator"), _("key id"), _("secret"), "TPM", _("since"), _("months")]
    lost = [
        _("The card of operator {key} is damaged or missing: remove it by this id.").format(key=key)
        for key in value["lost"]
    ]
    return "\n".join([table(headings, rows), *lost])
