"""The Merkle tree of RFC 6962 section 2 over SHA-256: roots, inclusion and consistency proofs.

Pure hashing, shared by the parts (a salted tree over frames) and by the audit log. A *leaf* here
is always the 32-byte leaf hash; :func:`leaf_hash` makes one from the bytes of an entry.
Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2, whose trees are the same.

A caller that holds every leaf uses :func:`inclusion_proof` and :func:`consistency_proof`. A caller
with a big tree gives a :data:`Subtree` function over its cache to :func:`inclusion_path` and
:func:`consistency_path`, which ask it for O(log n) hashes.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
_sha256 = hashlib.sha256

Subtree = Callable[[int, int], bytes]
"""``subtree(level, index)``: the root of the 2**level leaves from ``index << level`` on."""


def leaf_hash(data: bytes) -> bytes:
    """The 32-byte leaf hash of an entry, SHA-256(00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of an inner node, SHA-256(01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def empty_root() -> bytes:
    """The root of a tree without leaves, SHA-256 of nothing."""
    return hashlib.sha256().digest()


class Frontier:
    """A tree that only grows, held as the roots of its perfect subtrees (at most log2 n hashes).

    ``peaks`` are those roots, biggest subtree first; with ``size`` they are all that a restart
    needs. One thread owns an instance.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Continue the tree of *size* leaves. Raises ValueError if *peaks* are not its peaks."""
        if size < 0 or len(peaks) != size.bit_count():
            raise ValueError("a tree has one peak for each bit of its size")
        if any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError("a peak is 32 bytes")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, biggest first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes). Raises ValueError for another length."""
        if len(leaf) != HASH_BYTES:
            raise ValueError("a leaf hash is 32 bytes")
        size, peaks = self._size, self._peaks
        self._size = size + 1
        while size & 1:
            leaf = _sha256(b"\x01" + peaks.pop() + leaf).digest()  # node_hash, without the call
            size >>= 1
        peaks.append(leaf)

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return _folded(self._peaks) if self._peaks else empty_root()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over a sequence of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]): the proof that leaf *index* is in the tree of the first *size* leaves.

    Raises ValueError unless 0 <= index < size <= len(leaves).
    """
    return inclusion_path(_subtrees(leaves, size), index, size)


def consistency_proof(leaves: Sequence[bytes], old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]): the proof that the first *old* of *new* leaves are unchanged.

    Raises ValueError unless 0 <= old <= new <= len(leaves).
    """
    return consistency_path(_subtrees(leaves, new), old, new)


def inclusion_path(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """The inclusion proof of RFC 6962 section 2.1.1, asking *subtree* for O(log size) hashes.

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            path.append(range_root(subtree, middle, end))
            end = middle
        else:
            path.append(range_root(subtree, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """The consistency proof of RFC 6962 section 2.1.2, asking *subtree* for O(log new) hashes.

    Empty for old = 0 and for old = new. Raises ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError("the old tree is not a beginning of the new one")
    if old == 0:
        return []
    path = []
    start, end = 0, new
    while old != end:
        middle = start + _left_size(end - start)
        if old <= middle:
            path.append(range_root(subtree, middle, end))
            end = middle
        else:
            path.append(range_root(subtree, start, middle))
            start = middle
    if start:  # the verifier cannot compute this subtree from the old root alone
        path.append(range_root(subtree, start, end))
    path.reverse()
    return path


def range_root(subtree: Subtree, start: int, end: int) -> bytes:
    """MTH(D[start:end]) from the perfect subtrees that make it up.

    *start* must be a multiple of the smallest power of two that is not below ``end - start``, as
    it is for every range that RFC 6962 hashes. Raises ValueError otherwise, or if it is empty.
    """
    if end <= start or start % (1 << (end - start - 1).bit_length()):
        raise ValueError("not a range of the tree")
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(subtree(level, start >> level))
        start += 1 << level
    return _folded(peaks)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> bool:
    """Whether *proof* shows that *leaf* (a leaf hash) is number *index* of the *size* under a root.

    False for anything malformed; never raises (RFC 9162 section 2.1.3.2).
    """
    if not 0 <= index < size or not _all_hashes(leaf, root_hash, *proof):
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and computed == root_hash


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether *proof* shows that the tree of *old* leaves is a beginning of the tree of *new*.

    For old = 0 the proof must be empty and the old root that of the empty tree. False for
    anything malformed; never raises (RFC 9162 section 2.1.4.2).
    """
    if not 0 <= old <= new or not _all_hashes(old_root, new_root, *proof):
        return False
    if old == 0:
        return not proof and old_root == empty_root() and (new > 0 or new_root == old_root)
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if not old & (old - 1):  # a perfect old tree is a node of the new one: its root is the start
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    was = now = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            now = node_hash(now, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and was == old_root and now == new_root


def _left_size(count: int) -> int:
    """The largest power of two below *count* (RFC 6962: k < n <= 2k)."""
    return 1 << ((count - 1).bit_length() - 1)


def _folded(peaks: Sequence[bytes]) -> bytes:
    computed = peaks[-1]
    for peak in reversed(peaks[:-1]):
        computed = node_hash(peak, computed)
    return computed


def _subtrees(leaves: Sequence[bytes], size: int) -> Subtree:
    if size > len(leaves):
        raise ValueError("the tree has fewer leaves")

    def subtree(level: int, index: int) -> bytes:
        return root(leaves[index << level : (index + 1) << level])

    return subtree


def _all_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
