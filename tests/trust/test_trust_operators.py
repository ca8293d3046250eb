"""Two different operators agree by two signatures, and by nothing less."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest

from greffier.seal.keys import PrivateKey, Role
from greffier.trust.operators import (
    BadProof,
    Operator,
    Proof,
    Unlocked,
    signed_by_two,
    signing_key,
)

OCTETS = b'{"hold":"01"}'
PURPOSE = "hold.place"


def person(name: str) -> Unlocked:
    seed = secrets.token_bytes(32)
    public = PrivateKey(Role.CONSOLE, seed).public.data
    verify = signing_key(seed).public_key().public_bytes_raw()
    return Unlocked(Operator(name, public, verify), seed)


MARIE, PAUL = person("marie"), person("paul")
HERE = {one.operator.name: one.operator for one in (MARIE, PAUL)}


def test_two_operators_who_signed_the_same_agree() -> None:
    proofs = [MARIE.sign(PURPOSE, OCTETS), PAUL.sign(PURPOSE, OCTETS)]
    assert signed_by_two(HERE, proofs, PURPOSE, OCTETS) == (MARIE.operator, PAUL.operator)


REFUSED: dict[str, tuple[str, Callable[[Proof, Proof], list[Proof]]]] = {
    "nobody": ("count", lambda ours, theirs: []),
    "one": ("count", lambda ours, theirs: [ours]),
    "three": ("count", lambda ours, theirs: [ours, theirs, ours]),
    "one twice": ("same", lambda ours, theirs: [ours, ours]),
    "a name that is not here": (
        "unknown",
        lambda ours, theirs: [ours, replace(theirs, operator="eve")],
    ),
    "each other's": (
        "forged",
        lambda ours, theirs: [replace(ours, operator="paul"), replace(theirs, operator="marie")],
    ),
    "a changed signature": (
        "forged",
        lambda ours, theirs: [ours, Proof("paul", bytes(1) + theirs.signature[1:])],
    ),
    "a short signature": ("forged", lambda ours, theirs: [Proof("marie", b""), theirs]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_less_is_an_agreement(case: str) -> None:
    code, made = REFUSED[case]
    proofs = made(MARIE.sign(PURPOSE, OCTETS), PAUL.sign(PURPOSE, OCTETS))
    with pytest.raises(BadProof) as refused:
        signed_by_two(HERE, proofs, PURPOSE, OCTETS)
    assert refused.value.code == code


def test_a_signature_for_one_purpose_or_of_other_octets_is_none() -> None:
    proofs = [MARIE.sign(PURPOSE, OCTETS), PAUL.sign(PURPOSE, OCTETS)]
    for purpose, octets in (("hold.release", OCTETS), (PURPOSE, OCTETS + b" ")):
        with pytest.raises(BadProof):
            signed_by_two(HERE, proofs, purpose, octets)


def test_one_person_under_two_names_is_one_person() -> None:
    twin = Unlocked(replace(MARIE.operator, name="marie-2"), MARIE.seed)
    here = HERE | {"marie-2": twin.operator}
    with pytest.raises(BadProof) as refused:
        signed_by_two(here, [MARIE.sign(PURPOSE, b""), twin.sign(PURPOSE, b"")], PURPOSE, b"")
    assert refused.value.code == "same"


@pytest.mark.parametrize("name", ["", "Marie", "a b", "a" * 33, "../x", "é"])
def test_a_name_that_could_be_a_path_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        replace(MARIE.operator, name=name)


def test_what_is_held_in_memory_is_not_shown() -> None:
    assert MARIE.seed.hex() not in repr(MARIE) and str(MARIE.seed) not in repr(MARIE)
