"""RFC 6962 hashing: known roots, an independent tree as oracle, and proofs that cannot be bent."""

import hashlib

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier import merkle

# The entries and roots of the Certificate Transparency reference implementation.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
MANY = [merkle.leaf_hash(str(number).encode()) for number in range(70)]


def by_the_text_of_the_rfc(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = by_the_text_of_the_rfc(leaves[:k]), by_the_text_of_the_rfc(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_known_roots(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


def test_roots_proofs_and_paths_agree_with_pymerkle() -> None:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [str(number).encode() for number in range(40)]
    for entry in entries:
        oracle.append_entry(entry)
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    for size in range(1, len(entries) + 1):
        assert merkle.root(leaves[:size]) == oracle.get_root(size)
        for index in range(size):
            proof = oracle.prove_inclusion(index + 1, size)
            pymerkle.verify_inclusion(leaves[index], oracle.get_root(size), proof)
            theirs = [bytes.fromhex(node) for node in proof.serialize()["path"]]
            ours = merkle.inclusion_proof(leaves, index, size)
            assert ours == theirs[1:]  # theirs begins with the leaf itself


def test_a_frontier_agrees_with_the_text_and_survives_a_restart() -> None:
    frontier = merkle.Frontier()
    for size, leaf in enumerate(MANY):
        assert frontier.root() == by_the_text_of_the_rfc(MANY[:size])
        assert frontier.size == size
        frontier = merkle.Frontier(frontier.size, frontier.peaks)
        frontier.append(leaf)
    assert frontier.root() == merkle.root(MANY)


def test_every_inclusion_proof_verifies_and_no_other_place_does() -> None:
    for size in range(1, 34):
        root = merkle.root(MANY[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(MANY, index, size)
            assert merkle.verify_inclusion(MANY[index], index, size, proof, root)
            for other in range(size):
                if other != index:
                    assert not merkle.verify_inclusion(MANY[index], other, size, proof, root)
            for longer in ([*proof, root], proof[:-1] if proof else [root]):
                assert not merkle.verify_inclusion(MANY[index], index, size, longer, root)
            assert not merkle.verify_inclusion(MANY[index + 1], index, size, proof, root)
            if proof:
                bent = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
                assert not merkle.verify_inclusion(MANY[index], index, size, bent, root)


def test_every_consistency_proof_verifies_and_a_changed_past_does_not() -> None:
    for new in range(34):
        new_root = merkle.root(MANY[:new])
        for old in range(new + 1):
            old_root = merkle.root(MANY[:old])
            proof = merkle.consistency_proof(MANY, old, new)
            assert merkle.verify_consistency(old, new, proof, old_root, new_root)
            assert not merkle.verify_consistency(old, new, [*proof, new_root], old_root, new_root)
            assert not merkle.verify_consistency(old, new, proof, MANY[69], new_root)
            if old:
                assert not merkle.verify_consistency(old, new, proof, old_root, MANY[69])
            if proof:
                assert not merkle.verify_consistency(old, new, proof[:-1], old_root, new_root)
                bent = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
                assert not merkle.verify_consistency(old, new, bent, old_root, new_root)


def test_paths_ask_a_cache_for_few_hashes() -> None:
    size, asked = 1_000_003, 0

    def subtree(level: int, index: int) -> bytes:
        nonlocal asked
        asked += 1
        assert (index + 1) << level <= size
        return merkle.leaf_hash(b"%d %d" % (level, index))

    for index in (0, 1, 524_288, 999_999, size - 1):
        asked = 0
        merkle.inclusion_path(subtree, index, size)
        assert asked <= 40
    for old in (1, 2, 524_288, 524_289, 999_999, size):
        asked = 0
        merkle.consistency_path(subtree, old, size)
        assert asked <= 60


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_arbitrary_arguments_never_crash_a_verifier(data: st.DataObject) -> None:
    number = st.integers(-3, 70)
    text = st.one_of(st.binary(max_size=33), st.sampled_from(MANY))
    proof = data.draw(st.lists(text, max_size=8))
    first, second = data.draw(number), data.draw(number)
    root = merkle.leaf_hash(b"nobody's root")
    assert not merkle.verify_inclusion(data.draw(text), first, second, proof, root)
    if first > 0:
        assert not merkle.verify_consistency(first, second, proof, data.draw(text), root)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (1, 71)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="tree"):
        merkle.inclusion_proof(MANY, index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3), (1, 71)])
def test_a_tree_is_consistent_only_with_its_own_beginnings(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="tree"):
        merkle.consistency_proof(MANY, old, new)


def test_a_frontier_takes_only_hashes_and_its_own_peaks() -> None:
    for size, peaks in ((1, []), (-1, []), (3, MANY[:1]), (1, [b"short"])):
        with pytest.raises(ValueError, match="peak"):
            merkle.Frontier(size, peaks)
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.Frontier().append(b"short")
    with pytest.raises(ValueError, match="range"):
        merkle.range_root(lambda _level, _index: b"", 2, 6)
