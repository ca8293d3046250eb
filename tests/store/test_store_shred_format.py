"""Bytes of the shred store against vectors that another program wrote, and against noise."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.store import shred_format as form
from greffier.store.shred_format import BadBucket, BadRoot, BucketKey, Entry, Name, Root
from greffier.trust import BadEffaceable, parse_effaceable, write_effaceable
from greffier_sim import fuzz_store

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "store" / "shred.json").read_text("utf-8")
)
KEY = bytes(range(32))
DAY = "2026-03-01"
BUCKET = BucketKey(5, KEY)


def read(vector: dict[str, Any]) -> dict[str, Any]:
    data, key = bytes.fromhex(vector["data"]), bytes.fromhex(vector["key"])
    if vector["kind"] == "effaceable":
        sequence, found = parse_effaceable(data)
        return {"effaceable": [sequence, found.hex()]}
    if vector["kind"] == "root":
        root = form.open_root(data, key)
        return {"buckets": [[day, one[0], one[1].hex()] for day, one in root.buckets.items()]}
    walked = form.walk([data], vector["day"], BucketKey(vector["generation"], key))
    return {
        "entries": [
            {
                "id": one.entry.name.id.hex(),
                "what": one.entry.name.what,
                "class": one.entry.deletion_class,
                "block": one.entry.block.hex(),
            }
            for one in walked.placed
        ]
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: str(one["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    if "refused" in vector:
        with pytest.raises((BadBucket, BadRoot, BadEffaceable)) as refused:
            read(vector)
        found = refused.value
        assert {"reason": found.reason, "offset": found.offset} == vector["refused"]
    else:
        found = read(vector)
        assert found == {key: vector[key] for key in found}


def test_most_vectors_are_invalid() -> None:
    valid = sum("refused" not in one and bool(one.get("entries", True)) for one in VECTORS)
    assert valid < len(VECTORS) / 2


entries = st.builds(
    Entry,
    st.builds(Name, st.sampled_from([1, 2, 3]), st.binary(min_size=16, max_size=16)),
    st.sampled_from(["A", "B", "C"]),
    st.binary(min_size=1, max_size=60),
)
days = st.dates().map(str)
roots = st.integers(1, 2**64 - 1).flatmap(
    lambda newest: st.builds(
        Root,
        st.just(newest),
        st.dictionaries(
            days, st.builds(BucketKey, st.integers(1, newest), st.binary(min_size=32, max_size=32))
        ),
    )
)


@settings(deadline=None)
@given(
    root=roots, key=st.binary(min_size=32, max_size=32), salt=st.binary(min_size=32, max_size=32)
)
def test_a_root_is_read_back_and_only_with_its_key(root: Root, key: bytes, salt: bytes) -> None:
    data = form.seal_root(root, key, salt)
    again = form.open_root(data, key)
    assert (again.generation, again.buckets) == (root.generation, root.buckets)
    with pytest.raises(BadRoot):
        form.open_root(data, bytes([key[0] ^ 1]) + key[1:])


@settings(deadline=None)
@given(entry=entries, seq=st.integers(0, 2**32 - 1), salt=st.binary(min_size=16, max_size=16))
def test_a_record_is_read_back_and_only_in_its_place(entry: Entry, seq: int, salt: bytes) -> None:
    data = form.seal_record(DAY, BUCKET, seq, entry, salt)
    assert form.open_record(data, 0, DAY, BUCKET, seq) == entry
    for day, bucket, other in (
        ("2026-03-02", BUCKET, seq),
        (DAY, BucketKey(6, KEY), seq),
        (DAY, BucketKey(5, bytes(32)), seq),
        (DAY, BUCKET, seq ^ 1),
    ):
        with pytest.raises(BadBucket):
            form.open_record(data, 0, day, bucket, other)


def test_every_bit_of_a_root_and_of_a_record_counts() -> None:
    root = form.seal_root(Root(5, {DAY: BUCKET}), KEY, bytes(32))
    record = form.seal_record(DAY, BUCKET, 0, Entry(Name(1, bytes(16)), "C", b"x"), bytes(16))
    for at in range(len(root) * 8):
        with pytest.raises(BadRoot):
            form.open_root(flip(root, at), KEY)
    for at in range(len(record) * 8):
        with pytest.raises(BadBucket):
            form.open_record(flip(record, at), 0, DAY, BUCKET, 0)
    whole = write_effaceable(1, KEY)
    for at in range(len(whole) * 8):
        with pytest.raises(BadEffaceable):
            parse_effaceable(flip(whole, at))


def flip(data: bytes, bit: int) -> bytes:
    at, mask = bit // 8, 1 << bit % 8
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


@pytest.mark.parametrize(
    "wrong",
    [
        Entry(Name(1, bytes(15)), "C", b"x"),
        Entry(Name(0, bytes(16)), "C", b"x"),
        Entry(Name(4, bytes(16)), "C", b"x"),
        Entry(Name(1, bytes(16)), "C", b""),
        Entry(Name(1, bytes(16)), "C", bytes(65536)),
        Entry(Name(1, bytes(16)), "D", b"x"),  # type: ignore[arg-type]
        Entry(Name(1, bytes(16)), "", b"x"),  # type: ignore[arg-type]
    ],
)
def test_what_no_reader_would_accept_is_not_written(wrong: Entry) -> None:
    with pytest.raises(ValueError, match=r"16 bytes|listed"):
        form.seal_record(DAY, BUCKET, 0, wrong, bytes(16))


@pytest.mark.parametrize("name", fuzz_store.TARGETS)
def test_fuzz_targets_end_only_in_documented_errors(name: str) -> None:
    target, seeds = fuzz_store.TARGETS[name], fuzz_store.SEEDS[name]
    undocumented = []
    for seed in seeds:
        inputs = [seed]
        for at in range(0, len(seed), 3):
            inputs += [seed[:at] + bytes([seed[at] ^ 0x80]) + seed[at + 1 :], seed[:at]]
            inputs.append(seed[:at] + b"\xff\xff\xff\xff" + seed[at + 4 :])
        for data in inputs:
            try:
                target(data)
            except Exception as error:  # noqa: BLE001 - whatever it is, the input is what helps
                undocumented.append((data.hex(), repr(error)))
    assert undocumented == []
