"""Receipts and batches of entries, against the vectors of docs/sync-protocol.md."""

import base64
import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from greffier.audit import batch, note, receipt
from greffier.audit.batch import BadBatch, Batch
from greffier.audit.receipt import BadReceipt, Receipt

HERE = Path(__file__).parents[1] / "vectors" / "sync"
RECEIPTS = json.loads((HERE / "receipts.json").read_text("utf-8"))
BATCHES = json.loads((HERE / "batches.json").read_text("utf-8"))
KEYS = [note.read_key(line) for line in RECEIPTS["keys"]]
EXAMPLE = RECEIPTS["valid"]["the example"].encode()


@pytest.mark.parametrize("name", RECEIPTS["valid"])
def test_a_receipt_is_read_and_made_again(name: str) -> None:
    data = RECEIPTS["valid"][name].encode()
    found = receipt.read(data, KEYS)
    assert found.key == KEYS[0]
    assert receipt.rebuild(found.receipt.device, receipt.entry_of(found)) == data


@pytest.mark.parametrize("name", RECEIPTS["invalid"])
def test_what_is_no_receipt_is_refused_for_its_reason(name: str) -> None:
    wanted = RECEIPTS["invalid"][name]
    with pytest.raises(BadReceipt) as caught:
        receipt.read(wanted["receipt"].encode(), KEYS)
    assert caught.value.code == wanted["reason"]


def test_a_receipt_altered_in_any_byte_is_refused() -> None:
    for at in range(len(EXAMPLE)):
        for change in (1, 0x20, 0x80):
            altered = bytearray(EXAMPLE)
            altered[at] ^= change
            with pytest.raises(BadReceipt):
                receipt.read(bytes(altered), KEYS)


def test_a_receipt_by_a_witness_key_or_by_nobody_known_is_unsigned() -> None:
    for keys in ([], KEYS[1:]):
        with pytest.raises(BadReceipt) as caught:
            receipt.read(EXAMPLE, keys)
        assert caught.value.code == "unsigned"


def test_what_a_witness_signed_as_a_witness_is_no_receipt() -> None:
    """Its key is known and the signature is its own, of a text that is a receipt's."""
    witness = note.Signer("siege", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    told = receipt.read(EXAMPLE, KEYS).receipt
    line = witness.cosign(SimpleNamespace(text=told.text), 1_795_305_600)  # type: ignore[arg-type]
    with pytest.raises(BadReceipt) as caught:
        receipt.read(f"{told.text}\n".encode() + line, [*KEYS, witness.witness_key])
    assert caught.value.code == "unsigned"


@pytest.mark.parametrize(
    "change",
    [
        {"device": "a b"}, {"part": "1"}, {"size": 0}, {"size": 2**34},
        {"sha256": "0"},
        {"envelope": ""}, {"time_s": -1}, {"time_s": 2**63},
    ],
)  # fmt: skip
def test_a_receipt_of_something_impossible_cannot_be_made(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "device": "box-1", "part": "1" * 32, "size": 1, "sha256": "0" * 64, "envelope": "0" * 64,
        "time_s": 0,
    }  # fmt: skip
    Receipt(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="receipt"):
        Receipt(**(good | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BATCHES["valid"])
def test_a_batch_is_read_and_written_again(name: str) -> None:
    wanted = BATCHES["valid"][name]
    payload = bytes.fromhex(wanted["payload"])
    found = batch.decode(payload)
    assert found.first == wanted["first"]
    assert [entry.hex() for entry in found.entries] == wanted["entries"]
    assert len(found.proof) == wanted["proof"]
    assert batch.encode(found) == payload


@pytest.mark.parametrize("name", BATCHES["invalid"])
def test_what_is_no_batch_is_refused(name: str) -> None:
    text = BATCHES["invalid"][name]
    try:
        payload = bytes.fromhex(text)
    except ValueError:
        payload = zlib.decompress(base64.b64decode(text))
    with pytest.raises(BadBatch):
        batch.decode(payload)


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), st.integers(0, 2**40))
def test_any_batch_comes_back_and_none_survives_an_altered_byte(
    entries: list[bytes], first: int
) -> None:
    made = Batch(first, tuple(entries), b"a\n", (bytes(32),))
    payload = batch.encode(made)
    assert batch.decode(payload) == made
    for at in range(0, len(payload), 7):
        altered = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        try:
            assert batch.decode(altered) != made
        except BadBatch:
            continue


def test_a_batch_that_is_too_long_is_never_written() -> None:
    with pytest.raises(BadBatch):
        batch.encode(Batch(0, (bytes(60_000), bytes(60_000)), b"a\n"))
