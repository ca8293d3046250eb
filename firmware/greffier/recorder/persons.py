"""Who orders what needs two persons: different ones, under pseudonyms, proved or declared.

On a box that has operators both sign (docs/operator-keys.md section 1); on one that has none their
names are what somebody typed, and the log says *declared*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greffier import canonical
from greffier.recorder import operators
from greffier.recorder.archive import Archive
from greffier.recorder.operators import Roll
from greffier.store.layout import DataDirectory
from greffier.trust import load_log_key
from greffier.trust.operators import BadProof, Proof, signed_by_two

ONE_PERSON: Final = "TWO_PERSONS_NEEDED"
UNSIGNED: Final = "SIGNATURES_NEEDED"
STRANGER: Final = "UNKNOWN_OPERATOR"
FORGED: Final = "SIGNATURE_FORGED"
DECLARED: Final = "declared"
SIGNED: Final = "signed"
_CODES: Final = {"count": UNSIGNED, "unknown": STRANGER, "same": ONE_PERSON, "forged": FORGED}


class NotVouched(ValueError):
    """Two different persons did not order it; ``code`` says what is missing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Persons:
    """Who says that they order it: operators' *names* and *signatures* (hex), one each, where the
    box has operators; else names alone.
    """

    names: Sequence[str]
    signatures: Sequence[str] = field(default=())


def vouched(
    archive: Archive, persons: Persons, purpose: str, order: Mapping[str, str]
) -> dict[str, Any]:
    """What the log says of *persons* who give *order*. Raises NotVouched."""
    names = [plain(name) for name in persons.names]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise NotVouched(ONE_PERSON)
    key = load_log_key(archive.data.log_key)
    by = [key.person(name) for name in names]
    listed = dict(archive.sealing.roll.listed)  # the roll is another thread's
    if not listed:
        return {"by": by, "proof": DECLARED}
    cards = operators.cards(archive.data, Roll(listed))
    here = {name: card.operator for name, card in cards.items()}
    pairs = zip(persons.names, persons.signatures, strict=False)
    proofs = [Proof(name, bytes.fromhex(signature)) for name, signature in pairs]
    try:
        signed_by_two(here, proofs, purpose, octets_of(archive.data.identity.device, order))
    except BadProof as error:
        raise NotVouched(_CODES[error.code]) from None
    return {"by": by, "proof": SIGNED, "signatures": list(persons.signatures)}


def plain(name: str) -> str:
    """The name of a person without what somebody may type otherwise next time."""
    return " ".join(name.split()).casefold()


def pseudonym(data: DataDirectory, name: str) -> str:
    """What the log of *data* calls the person *name*."""
    return load_log_key(data.log_key).person(plain(name))


def octets_of(device: str, order: Mapping[str, str]) -> bytes:
    """What two operators of *device* sign: canonical JSON of the order and the device."""
    return canonical.dump({**order, "device": device})
