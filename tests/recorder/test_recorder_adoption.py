"""Whose signatures make a policy one that may run: the published vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from greffier.audit.note import BadNote, read_key
from greffier.policy import packs
from greffier.recorder import adoption
from greffier.recorder.adoption import NotAdopted

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors/policy/signatures.json").read_text("ascii")
)
SIGNERS = [read_key(line) for line in VECTORS["signers"]]
PACKS = packs.load()


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_two_persons_signed_these_bytes_or_not(case: dict[str, Any]) -> None:
    content, signature = case["policy"].encode(), case["signature"].encode()
    with pytest.raises(NotAdopted) as found:
        adoption.examine(content, signature, SIGNERS, PACKS, "p.toml")
    # What two persons signed goes on to its reader, which finds most keys missing.
    assert found.value.code == (case["code"] or "malformed")
    assert "\n" not in str(found.value)
    assert found.value.sha256 == adoption.sha256_of(content)


def test_a_policy_or_a_signature_that_is_too_long_is_not_read() -> None:
    with pytest.raises(NotAdopted) as found:
        adoption.examine(b"#" * (adoption.LARGEST + 1), b"", SIGNERS, PACKS)
    assert found.value.code == "too_large"
    with pytest.raises(BadNote):
        adoption.signatures_of(b"", b"x" * (adoption.LARGEST_SIGNATURE + 1), SIGNERS)
