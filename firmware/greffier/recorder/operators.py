"""Who the operators of this box are: the log says it, the cards in ``keys/operators`` bear it out.

docs/operator-keys.md. A card that the log does not list makes nobody an operator: whoever can write
here must not become a reader of what is recorded, nor one of the two persons of a hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.errors import (
    IntegrityError,
    LockedOut,
    NoSuchOperator,
    NotTwoPersons,
    TpmFailed,
    WrongSecret,
)
from greffier.language import translate as _
from greffier.store.layout import DataDirectory
from greffier.trust import operators, passphrase, pepper
from greffier.trust.operators import BadProof, Operator, Proof, Unlocked
from greffier.trust.passphrase import BadPassphrase
from greffier.trust.tpm_chip import TooManyGuesses, WrongPassword, connector
from greffier.trust.wrapping import BadCard, Card, DoesNotUnwrap, Kind, Nv, parse_card, unwrap


@dataclass(frozen=True, slots=True)
class Listed:
    """An operator as the log knows one: no name, the digest of the card, the key of signatures."""

    key_id: str
    card: str
    verify: str


@dataclass(frozen=True, slots=True)
class ConsoleKey:
    """The console's public key that is in force: its id, its month and its number in it."""

    key_id: str
    month: str
    number: int


_TOLD = frozenset(
    {
        "device.created",
        "operator.added",
        "operator.removed",
        "console.key",
        "console.closed",
        "office.replaced",
    }
)


@dataclass(slots=True)
class Roll:
    """What the entries say of operators and console keys; one thread owns an instance."""

    listed: dict[str, Listed] = field(default_factory=dict)
    """Those who are operators now, by key id, in the order in which they came."""
    console: ConsoleKey | None = None
    created_console: str | None = None
    """The id of the console key that the device was made with, where it was."""
    office: str | None = None
    """The id of head office's key that is in force."""
    numbers: dict[str, int] = field(default_factory=dict)
    """How many console keys each month had, by ``YYYY-MM``."""
    ever: bool = False
    """Whether there ever was an operator."""

    def read(self, entry: Entry) -> None:
        """Take in the next entry."""
        if entry.ev not in _TOLD:  # a log has a million others
            return
        data = entry.data
        if entry.ev == "operator.added":
            self.ever = True
            one = Listed(data["operator"], data["card"], data["verify"])
            self.listed[one.key_id] = one
        elif entry.ev == "operator.removed":
            self.listed.pop(data["operator"], None)
        elif entry.ev == "console.key":
            self.console = ConsoleKey(data["key"], data["month"], data["number"])
            known = self.numbers.get(data["month"], 0)
            self.numbers[data["month"]] = max(known, data["number"])
        elif entry.ev == "console.closed":
            self.console = None
        elif entry.ev == "device.created":
            self.created_console = data.get("console_key")
            self.office = data.get("office_key")
        elif entry.ev == "office.replaced":
            self.office = data["key"]


def roll_of(entries: Iterable[Entry]) -> Roll:
    """What *entries* say, in their order."""
    roll = Roll()
    for entry in entries:
        roll.read(entry)
    return roll


def cards(data: DataDirectory, roll: Roll) -> dict[str, Card]:
    """The operators' cards that *roll* lists, by name; one that is damaged or strange is not there.

    Raises StorageFailed only as reading a folder may.
    """
    digests = {one.card for one in roll.listed.values()}
    found: dict[str, Card] = {}
    folder = data.operators
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            card = parse_card(path.read_bytes(), path.stem)
        except (OSError, BadCard):
            continue
        if card.operator.digest in digests:
            found[card.operator.name] = card
    return found


def guards(found: Iterable[Card]) -> list[str]:
    """On what the operators' keys hang: ``tpm``, ``passphrase``, ``key-file``, in this order."""
    words = {
        "tpm" if one.nv else "key-file" if one.kind == "file" else "passphrase" for one in found
    }
    return [word for word in ("tpm", "passphrase", "key-file") if word in words]


def known(data: DataDirectory) -> dict[str, Operator]:
    """The operators of this box, by name: those that its log lists and whose card is here.

    Reads the whole log; needs no lock. Raises IntegrityError.
    """
    roll = roll_of(verify.entries(data.path))
    return {name: card.operator for name, card in cards(data, roll).items()}


def two_persons(
    operators_here: Mapping[str, Operator], proofs: Iterable[Proof], purpose: str, octets: bytes
) -> tuple[Operator, Operator]:
    """The two different operators who both signed *octets* for *purpose*, or NotTwoPersons."""
    try:
        return operators.signed_by_two(operators_here, list(proofs), purpose, octets)
    except BadProof as error:
        reasons = {
            "count": _("two proofs are needed"),
            "unknown": _("{operator} is no operator of this box"),
            "same": _("both are {operator}"),
            "forged": _("the signature of {operator} does not hold"),
        }
        raise NotTwoPersons(
            reason=reasons[error.code].format(operator=error.operator or "?")
        ) from None


def card_of(data: DataDirectory, name: str) -> Card:
    """The card of the operator *name*. Raises NoSuchOperator, IntegrityError."""
    card = cards(data, roll_of(verify.entries(data.path))).get(name)
    if card is None:
        raise NoSuchOperator(operator=name if operators.is_name(name) else "?")
    return card


def secret_octets(kind: Kind, typed: str, operator: str) -> bytes:
    """What was typed as the passphrase of *operator*, as octets. Raises WrongSecret."""
    try:
        if kind == "generated":
            return passphrase.generated_octets(typed)
        return passphrase.chosen_octets(typed)
    except BadPassphrase:
        raise WrongSecret(operator=operator) from None


def unlock(card: Card, secret: bytes) -> Unlocked:
    """The operator of *card*, with the seed that *secret* unwraps.

    Takes as long as Argon2id does, and 64 MiB. Raises WrongSecret, LockedOut, IntegrityError (the
    card is not what it was), TpmFailed, TpmLost.
    """
    name = card.operator.name
    try:
        seed = unwrap(card, secret, _pepper)
    except (DoesNotUnwrap, WrongPassword):
        raise WrongSecret(operator=name) from None
    except TooManyGuesses:
        raise LockedOut from None
    if operators.signing_key(seed).public_key().public_bytes_raw() != card.operator.verify:
        raise IntegrityError(what=f"operator {name}", reason="the keys do not belong together")
    return Unlocked(card.operator, seed)


def _pepper(place: Nv, authorization: bytes) -> bytes:
    connect = connector()
    if connect is None:
        raise TpmFailed(reason=_("GREFFIER_TPM says that none is to be used"))
    return pepper.read(connect, place, authorization)
