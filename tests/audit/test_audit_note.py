"""Signed notes, checkpoints and cosignatures, against the specification's own examples."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.scene import SIGNER, WITNESS, signer

from greffier import trust
from greffier.audit import note

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit" / "notes.json").read_text())
HEAD = note.Checkpoint(SIGNER.name, 7, bytes(32))


def test_the_example_of_the_specification_verifies() -> None:
    example = VECTORS["c2sp"]
    key = note.read_key(example["vkey"])
    parsed = note.parse(example["note"].encode())
    assert (key.name, key.key_id.hex(), key.text) == (
        "example.com/foo", "530d903a", example["vkey"]
    )  # fmt: skip
    assert parsed.text == "This is an example message.\n"
    assert note.verified_by(parsed, [key]) == ((key, None),)


def test_the_example_of_go_is_signed_byte_for_byte(tmp_path: Path) -> None:
    example = VECTORS["go"]
    (tmp_path / "log.key").write_text(example["skey"])
    key = trust.load_log_key(tmp_path / "log.key")
    ours = note.Signer(key.name, key.private)
    assert ours.log_key == note.read_key(example["vkey"])
    assert key.public_line() == ours.log_key.text == example["vkey"]
    assert ours.sign(example["text"]) == example["note"].encode()


def test_a_checkpoint_and_its_cosignature_hold() -> None:
    line = WITNESS.cosign(HEAD, 1_795_305_600)
    opened = note.open_checkpoint(
        SIGNER.sign(HEAD.text) + line, SIGNER.log_key, [WITNESS.witness_key]
    )
    assert opened.checkpoint == HEAD
    assert opened.cosignatures == (note.Cosignature(WITNESS.name, 1_795_305_600),)


def test_a_witness_that_is_not_trusted_counts_for_nothing() -> None:
    data = SIGNER.sign(HEAD.text) + WITNESS.cosign(HEAD, 1)
    assert note.open_checkpoint(data, SIGNER.log_key).cosignatures == ()


def test_a_cosignature_is_bound_to_its_time() -> None:
    later = WITNESS.cosign(HEAD, 2**40)
    altered = later.decode().replace(later.decode().split()[2], _with_time(later, 2**40 + 1))
    with pytest.raises(note.BadNote) as caught:
        note.open_checkpoint(
            SIGNER.sign(HEAD.text) + altered.encode(), SIGNER.log_key, [WITNESS.witness_key]
        )
    assert caught.value.code == "forged"


def _with_time(line: bytes, time_s: int) -> str:
    raw = base64.b64decode(line.decode().split()[2])
    return base64.b64encode(raw[:4] + time_s.to_bytes(8, "big") + raw[12:]).decode()


@pytest.mark.parametrize("case", VECTORS["checkpoints"], ids=lambda case: case["name"])
def test_a_checkpoint_of_the_vectors(case: dict[str, Any]) -> None:
    log_key = note.read_key(VECTORS["log"])
    witnesses = [note.read_key(text) for text in VECTORS["witnesses"]]
    data = case["note"].encode("utf-8", "surrogateescape")
    if case["error"] is None:
        opened = note.open_checkpoint(data, log_key, witnesses)
        assert opened.checkpoint.size == case["size"]
        assert [[one.name, one.time_s] for one in opened.cosignatures] == case["cosigned"]
        return
    with pytest.raises(note.BadNote) as caught:
        note.open_checkpoint(data, log_key, witnesses)
    assert caught.value.code == case["error"]


@pytest.mark.parametrize("text", VECTORS["bad_keys"])
def test_a_bad_key_line_is_refused(text: str) -> None:
    with pytest.raises(note.BadNote):
        note.read_key(text)


def test_a_trust_file_names_the_bad_line() -> None:
    good = SIGNER.log_key.text
    text = f"# ours\n{good}\n\n{WITNESS.witness_key.text}\n"
    assert note.read_keys(text) == (SIGNER.log_key, WITNESS.witness_key)
    with pytest.raises(note.BadNote) as caught:
        note.read_keys(f"{good}\nnonsense\n")
    assert caught.value.offset == 2


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\tb", "a\u2028b", "a\x00"])
def test_a_key_name_holds_no_space_and_no_plus(name: str) -> None:
    with pytest.raises(note.BadNote):
        signer(name, bytes(32))


def test_every_changed_byte_of_a_checkpoint_is_refused() -> None:
    data = SIGNER.sign(HEAD.text)
    for at in range(len(data)):
        for value in {data[at] ^ 1, data[at] ^ 0x20, data[at] ^ 0x80, 0, 10, 65} - {data[at]}:
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            with pytest.raises(note.BadNote):
                note.open_checkpoint(changed, SIGNER.log_key)
    for size in range(len(data)):
        with pytest.raises(note.BadNote):
            note.open_checkpoint(data[:size], SIGNER.log_key)


def test_a_changed_cosignature_never_counts() -> None:
    base = SIGNER.sign(HEAD.text)
    line = WITNESS.cosign(HEAD, 1_795_305_600)
    for at in range(len(line)):
        changed = base + line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        try:
            opened = note.open_checkpoint(changed, SIGNER.log_key, [WITNESS.witness_key])
        except note.BadNote:
            continue
        assert opened.cosignatures == ()


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_any_bytes_end_in_one_class_of_error(data: bytes) -> None:
    with pytest.raises(note.BadNote):
        note.open_checkpoint(data, SIGNER.log_key)
