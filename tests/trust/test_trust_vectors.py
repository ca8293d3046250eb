"""The vectors of docs/operator-keys.md, made by somebody who shares no code with us."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from greffier.seal.keys import Role
from greffier.seal.month import BadMonth, operator_pair, parse_month
from greffier.trust import passphrase, wrapping
from greffier.trust.operators import BadProof, Operator, Proof, signed_by_two
from greffier.trust.passphrase import BadPassphrase
from greffier.trust.wrapping import BadCard, DoesNotUnwrap, parse_card, unwrap

FOLDER = Path(__file__).parents[1] / "vectors" / "trust"


def vectors(name: str) -> list[Any]:
    found = json.loads((FOLDER / name).read_text())["vectors"]
    return [pytest.param(one, id=one.get("name", one.get("typed"))) for one in found]


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id of the same octets is asked for again and again: once is enough."""
    monkeypatch.setattr(wrapping, "stretch", _stretch)


_KNOWN: dict[tuple[bytes, bytes, wrapping.Cost], bytes] = {}
_REAL = wrapping.stretch


def _stretch(secret: bytes, salt: bytes, cost: wrapping.Cost) -> bytes:
    asked = (secret, salt, cost)
    if asked not in _KNOWN:
        _KNOWN[asked] = _REAL(*asked)
    return _KNOWN[asked]


@pytest.mark.parametrize("vector", vectors("cards.json"))
def test_a_card_opens_or_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    data = vector["text"].encode()
    if "reasons" in vector:
        with pytest.raises(BadCard) as refused:
            parse_card(data, vector["file"])
        assert refused.value.number in vector["reasons"]
        return
    card = parse_card(data, vector["file"])
    assert card.to_bytes() == data
    pepper = bytes.fromhex(vector["pepper"] or "")
    secret = bytes.fromhex(vector["secret"])
    if vector["seed"] is None:
        with pytest.raises(DoesNotUnwrap):
            unwrap(card, secret, lambda place, authorization: pepper)
        return
    seed = unwrap(card, secret, lambda place, authorization: pepper)
    assert seed.hex() == vector["seed"]
    stretched = wrapping.stretch(secret, card.salt, card.cost)
    assert wrapping.wrap(card, seed, stretched, pepper).sealed == card.sealed


def test_every_reason_of_a_card_has_a_vector() -> None:
    found = json.loads((FOLDER / "cards.json").read_text())["vectors"]
    assert {reason for one in found for reason in one.get("reasons", [])} == set(range(1, 13))


def test_the_vectors_are_what_their_script_makes() -> None:
    path = FOLDER / "generate_operators.py"
    spec = importlib.util.spec_from_file_location("generate_operators", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    months = json.loads((FOLDER / "months.json").read_text())
    made = {
        "cards.json": script.cards(),
        "passphrases.json": script.passphrases(),
        "signatures.json": script.signatures(),
        "months.json": script.months(months["sealed"]),
    }
    for name, rows in made.items():
        assert json.loads((FOLDER / name).read_text())["vectors"] == rows, name


@pytest.mark.parametrize("vector", vectors("passphrases.json"))
def test_a_drawn_passphrase_is_read_or_mistyped(vector: dict[str, Any]) -> None:
    if vector["letters"] is None:
        with pytest.raises(BadPassphrase):
            passphrase.generated_octets(vector["typed"])
    else:
        assert passphrase.generated_octets(vector["typed"]).decode() == vector["letters"]


@pytest.mark.parametrize("vector", vectors("signatures.json"))
def test_two_different_operators_agreed_or_not(vector: dict[str, Any]) -> None:
    people = [
        Operator(one["name"], bytes.fromhex(one["public"]), bytes.fromhex(one["verify"]))
        for one in vector["operators"]
    ]
    here = {one.name: one for one in people}
    proofs = [Proof(one["operator"], bytes.fromhex(one["signature"])) for one in vector["proofs"]]
    octets = bytes.fromhex(vector["octets"])
    if vector["agreed"]:
        found = signed_by_two(here, proofs, vector["purpose"], octets)
        assert [one.name for one in found] == [one.operator for one in proofs]
    else:
        with pytest.raises(BadProof):
            signed_by_two(here, proofs, vector["purpose"], octets)


@pytest.mark.parametrize("vector", vectors("months.json"))
def test_a_month_opens_for_its_operators_or_is_refused(vector: dict[str, Any]) -> None:
    data, pair = vector["text"].encode(), operator_pair(bytes.fromhex(vector["seed"]))
    if vector.get("refused") == "form":
        with pytest.raises(BadMonth):
            parse_month(data, vector["file"])
        return
    month = parse_month(data, vector["file"])
    assert month.to_bytes() == data
    if vector.get("refused"):
        with pytest.raises(BadMonth):
            month.opened(pair)
        return
    found = month.opened(pair)
    if vector["console"] is None:
        assert found is None
    else:
        assert found is not None and found.seed.hex() == vector["console"]
        assert found.find(Role.CONSOLE, month.public.key_id) is found


def test_what_is_drawn_reads_back_has_the_bits_that_are_said_and_never_repeats() -> None:
    drawn = {passphrase.generate() for _ in range(200)}
    assert len(drawn) == 200
    for text in drawn:
        assert passphrase.shown(passphrase.generated_octets(text).decode()) == text
    assert passphrase.BITS >= 70
    assert passphrase.years(passphrase.BITS, 0.1) > 10**7
    assert passphrase.years(30, 0.1) < 1e-3


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("neuf char", "short"),
        ("aaaabbbbcccc", "simple"),
        ("   ", "empty"),
        ("a" * 257, "long"),
        ("un\x00deux\x07trois", "letters"),
    ],
)
def test_a_chosen_passphrase_that_is_too_easy_is_refused(typed: str, code: str) -> None:
    with pytest.raises(BadPassphrase) as refused:
        passphrase.check_chosen(typed)
    assert refused.value.code == code


def test_a_chosen_passphrase_is_the_same_however_its_accents_are_written() -> None:
    passphrase.check_chosen("pêche à la ligne")
    composed, apart = "pêche à la ligne", "pe\u0302che a\u0300 la ligne"
    assert passphrase.chosen_octets(f" {apart}\n") == passphrase.chosen_octets(composed)
