"""Deletion certificates of a box: every vector, every altered octet, and one of a real log."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.audit import certificate, note
from greffier.audit.certificate import BadCertificate

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "audit" / "certificates.json").read_text()
)["boxes"]
KEY, WITNESS = note.read_key(VECTORS["key"]), note.read_key(VECTORS["witness"])


def check(data: bytes) -> certificate.Destruction:
    return certificate.check(certificate.read(data), KEY, [WITNESS])


@pytest.mark.parametrize("name", VECTORS["valid"])
def test_a_certificate_that_holds_says_what_was_destroyed(name: str) -> None:
    case = VECTORS["valid"][name]
    said = check(case["file"].encode())
    assert said.witnessed_s == case["witnessed_s"]
    assert (said.part, said.recording) == ("aa" * 16, "bb" * 16)
    sealed = name != "destroyed before it was sealed"
    assert (said.size, said.sha256) == ((2048, "cc" * 32) if sealed else (None, None))
    assert (said.reason, said.deletion) == (("due", "C") if sealed else ("refused", "A"))
    assert certificate.write(certificate.read(case["file"].encode())) == case["file"].encode()


@pytest.mark.parametrize("name", VECTORS["invalid"])
def test_what_proves_nothing_is_refused_by_its_code(name: str) -> None:
    case = VECTORS["invalid"][name]
    with pytest.raises(BadCertificate) as refused:
        check(case["file"].encode())
    assert refused.value.code == case["code"]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_altered_octet_goes_unnoticed(data: st.DataObject) -> None:
    whole = VECTORS["valid"]["not witnessed"]["file"].encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    altered = bytearray(whole)
    altered[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadCertificate):
        check(bytes(altered))
