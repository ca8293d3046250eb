"""The claim code: what people mistype is found, what they mean is understood."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greffier.sync import claim
from greffier.sync.claim import ALPHABET, BadClaim, Claim

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors/enrolment/claims.json").read_text("utf-8")
)
CODE = VECTORS["valid"][0]["symbols"]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda one: one["typed"])
def test_a_code_is_understood_as_the_vectors_say(vector: dict[str, str]) -> None:
    assert claim.read_code(vector["typed"]) == vector["symbols"]
    found = Claim.of(vector["typed"])
    assert (found.claim, found.key.hex()) == (vector["id"], vector["key"])


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda one: one["name"])
def test_a_wrong_code_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(BadClaim):
        claim.read_code(vector["typed"])


def test_codes_are_fresh_grouped_and_their_own() -> None:
    codes = {claim.new_code() for _ in range(50)}
    assert len(codes) == 50
    for code in codes:
        assert re.fullmatch(rf"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{4}}", code)
        assert claim.grouped(claim.read_code(code)) == code


def refused(symbols: str) -> bool:
    try:
        claim.read_code(symbols)
    except BadClaim:
        return True
    return False


def test_every_wrong_symbol_is_found() -> None:
    for at, right in enumerate(CODE):
        for wrong in set(ALPHABET) - {right}:
            assert refused(CODE[:at] + wrong + CODE[at + 1 :])


def test_any_two_exchanged_symbols_are_found() -> None:
    for one, other in combinations(range(20), 2):
        symbols = list(CODE)
        symbols[one], symbols[other] = symbols[other], symbols[one]
        assert "".join(symbols) == CODE or refused("".join(symbols))


@given(
    at=st.lists(st.integers(0, 19), min_size=2, max_size=2, unique=True),
    put=st.text(ALPHABET, min_size=2, max_size=2),
)
def test_any_two_wrong_symbols_are_found(at: list[int], put: str) -> None:
    symbols = list(CODE)
    for place, symbol in zip(at, put, strict=True):
        symbols[place] = symbol
    assert "".join(symbols) == CODE or refused("".join(symbols))


@given(st.text(max_size=100))
def test_whatever_is_typed_is_a_code_or_refused(typed: str) -> None:
    if not refused(typed):
        assert set(claim.read_code(typed)) <= set(ALPHABET)
