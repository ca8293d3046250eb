"""The frozen vectors of docs/: the package agrees with a writer that shares no code with it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from greffier.seal import envelope, header, keys, salted
from greffier.seal.frames import FrameType
from greffier.seal.reader import Reader
from greffier.trust import key_text

FOLDER = Path(__file__).parents[1] / "vectors" / "seal"


def vectors(name: str) -> list[Any]:
    listed = json.loads((FOLDER / name).read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(vector, id=vector["name"]) for vector in listed]


def test_the_vectors_are_what_the_slow_writer_makes() -> None:
    spec = importlib.util.spec_from_file_location("generate_seal", FOLDER / "generate_seal.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, content in module.everything().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == module.written(content), name


def read_all(vector: dict[str, Any]) -> dict[str, Any]:
    opened = Reader(bytes.fromhex(vector["part"])).open(bytes.fromhex(vector["content_key"]))
    outline = opened.verify()
    assert outline.complete
    assert outline.final
    assert (outline.final.root, outline.final.sha256) == (outline.root, outline.sha256)
    listed = [
        {"type": int(frame.kind), "leg": frame.leg, "plaintext": frame.plaintext.hex()}
        for frame in opened.frames()
    ]
    return {
        "frames": listed,
        "root": outline.root.hex(),
        "sha256": outline.sha256.hex(),
        "end": outline.final.reason,
    }


@pytest.mark.parametrize("vector", vectors("parts.json"))
def test_a_part_is_accepted_or_refused_for_its_reason(vector: dict[str, Any]) -> None:
    if not vector["reasons"]:
        found = read_all(vector)
        assert found == {key: vector[key] for key in found}
        return
    with pytest.raises(header.BadPart) as caught:
        read_all(vector)
    assert caught.value.number in vector["reasons"]
    assert 0 <= caught.value.offset <= len(vector["part"]) // 2


@pytest.mark.parametrize("vector", vectors("parts.json"))
def test_a_scan_without_keys_finds_the_state(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["part"])
    if vector["scan"] is None:
        with pytest.raises(header.BadPart):
            Reader(data)
        return
    scan = Reader(data).scan()
    found = {"state": scan.state.value, "good": scan.good, "final": scan.final}
    assert found == vector["scan"]
    assert (scan.refusal is None) == (scan.state.value == "complete")


@pytest.mark.parametrize("vector", vectors("proofs.json"))
def test_a_partial_proof_holds_or_not(vector: dict[str, Any]) -> None:
    def holds() -> bool:
        proof = salted.parse_proof(vector["proof"].encode())
        assert bytes(proof).decode() == vector["proof"]
        return proof.holds(vector["frames"], bytes.fromhex(vector["root"]))

    if vector["ok"]:
        assert holds()
        return
    try:
        assert not holds()
    except salted.BadProof as error:
        assert str(error)


@pytest.mark.parametrize("vector", vectors("envelopes.json"))
def test_an_envelope_opens_or_not(vector: dict[str, Any]) -> None:
    private = keys.PrivateKey(keys.Role(vector["role"]), bytes.fromhex(vector["seed"]))
    what, identity = envelope.What(vector["what"]), bytes.fromhex(vector["id"])
    block = bytes.fromhex(vector["block"])
    if "key" in vector:
        assert envelope.open_block(block, what, identity, private).hex() == vector["key"]
        assert envelope.encode_block(envelope.parse_block(block)) == block
        return
    refused = envelope.DoesNotOpen if set(vector["reasons"]) & {10, 11} else envelope.BadEnvelope
    with pytest.raises(refused) as caught:
        envelope.open_block(block, what, identity, private)
    assert caught.value.number in vector["reasons"]


@pytest.mark.parametrize("vector", vectors("key_files.json"))
def test_a_key_file_is_read_or_refused_for_its_reason(vector: dict[str, Any]) -> None:
    role = keys.Role(vector["role"])
    if "key" not in vector:
        with pytest.raises(key_text.BadKey) as caught:
            (keys.parse_private if vector["private"] else keys.parse_public)(vector["text"], role)
        assert caught.value.number in vector["reasons"]
        return
    if vector["private"]:
        private = keys.parse_private(vector["text"], role)
        assert (private.seed.hex(), private.public.key_id.hex()) == (
            vector["key"],
            vector["key_id"],
        )
    else:
        public = keys.parse_public(vector["text"], role)
        assert (public.data.hex(), public.key_id.hex()) == (vector["key"], vector["key_id"])


def test_every_reason_has_a_vector() -> None:
    for name, reasons in (
        ("parts.json", header.REASONS),
        ("envelopes.json", envelope.REASONS),
        ("key_files.json", key_text.REASONS),
    ):
        listed = json.loads((FOLDER / name).read_text(encoding="utf-8"))["vectors"]
        alone = {v["reasons"][0] for v in listed if len(v.get("reasons", [])) == 1}
        shared = {reason for v in listed for reason in v.get("reasons", [])}
        assert shared == set(reasons), name
        assert len(set(reasons) - alone) <= 2, name
        assert len({v["name"] for v in listed}) == len(listed)


def test_the_example_of_the_document_is_the_vector() -> None:
    text = (FOLDER.parents[2] / "docs" / "part-format.md").read_text(encoding="utf-8")
    block = text.split("```")[1].strip("\n").split("\n\n")[0]
    data = "".join(line[7:54] for line in block.splitlines())
    listed = json.loads((FOLDER / "parts.json").read_text(encoding="utf-8"))["vectors"]
    assert bytes.fromhex(data) == bytes.fromhex(listed[0]["part"])
    assert FrameType.META.has_leg is False
