"""Proofs from cached tiles are those of the whole tree."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier import merkle
from greffier.audit.leaftree import LeafTree

LEAVES = [hashlib.sha256(str(one).encode()).digest() for one in range(3000)]
FILE = b"".join(LEAVES)


def read(offset: int, size: int) -> bytes:
    return FILE[offset : offset + size]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=6))
def test_proofs_and_roots_are_those_of_the_whole_tree(pairs: list[tuple[int, int]]) -> None:
    tree = LeafTree(read)
    for one, other in pairs:
        old, new = sorted((one, other))
        assert tree.consistency(old, new) == merkle.consistency_proof(LEAVES, old, new)
        assert tree.root(new) == merkle.root(LEAVES[:new])


def test_a_tile_is_read_once() -> None:
    asked = []

    def counted(offset: int, size: int) -> bytes:
        asked.append(size)
        return read(offset, size)

    tree = LeafTree(counted)
    tree.root(2816)
    asked.clear()
    tree.consistency(2560, 2816)
    assert asked == []


def test_leaves_that_are_not_there_are_an_error() -> None:
    with pytest.raises(ValueError, match="fewer"):
        LeafTree(read).root(3001)


def test_two_floors_of_tiles_give_the_same_root() -> None:
    leaves = [hashlib.sha256(bytes(one.to_bytes(4, "big"))).digest() for one in range(70_000)]
    data = b"".join(leaves)
    tree = LeafTree(lambda offset, size: data[offset : offset + size])
    assert tree.root(70_000) == merkle.root(leaves)
    proof = tree.consistency(65_700, 70_000)
    assert merkle.verify_consistency(
        65_700, 70_000, proof, merkle.root(leaves[:65_700]), merkle.root(leaves)
    )
