"""Merkle trees of RFC 6962 / RFC 9162 over SHA-256: roots, proofs, and their verification.

A leaf's hash is SHA-256(0x00 ‖ entry), a node's SHA-256(0x01 ‖ left ‖ right); n leaves split at the largest power of
two below n. Whoever holds a tree gives it as a `Node` function over its complete subtrees; roots and proofs are made
from O(log n) calls of it. Verifiers never raise on malformed input of the right type: they answer False.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""(level, index) -> hash of the complete subtree over leaves [index * 2^level, (index + 1) * 2^level)."""


def leaf_hash(entry: bytes) -> bytes:
    """32 bytes: the hash of a leaf (RFC 9162, section 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """32 bytes: the hash of an inner node (RFC 9162, section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def nodes_of(leaf_hashes: Sequence[bytes]) -> Node:
    """The `Node` function of a tree held in memory; it takes about twice the leaves' space."""
    levels = [list(leaf_hashes)]
    while len(below := levels[-1]) > 1:
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def root(size: int, node: Node) -> bytes:
    """32 bytes: the root of the tree's first `size` leaves."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Sibling hashes from leaf `index` up to the root of the first `size` leaves (RFC 9162, section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in a tree of this size")
    path, start, width = [], 0, size
    while width > 1:
        left = _split(width)
        if index < start + left:
            path.append(_range_hash(start + left, width - left, node))
            width = left
        else:
            path.append(_range_hash(start, left, node))
            start, width = start + left, width - left
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, node: Node) -> tuple[bytes, ...]:
    """Hashes proving that the first `new` leaves begin with the first `old` ones (RFC 9162, section 2.1.4.1).

    The empty tree is the beginning of every tree: its proof is empty.
    """
    if not 0 <= old <= new:
        raise ValueError("the older tree is larger than the newer one")
    if old == 0:
        return ()
    path, start, known, width = [], 0, old, new
    while known != width:
        left = _split(width)
        if known <= left:
            path.append(_range_hash(start + left, width - left, node))
            width = left
        else:
            path.append(_range_hash(start, left, node))
            start, known, width = start + left, known - left, width - left
    if start:  # otherwise the old root itself is the last hash, and the verifier holds it
        path.append(_range_hash(start, width, node))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether `path` proves that the leaf hash stands at `index` of the tree (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or not _all_hashes(leaf, root_hash, *path):
        return False
    number, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if number & 1 or number == last:
            result = node_hash(sibling, result)
            number, last = _climb(number, last)
        else:
            result = node_hash(result, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and result == root_hash


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `path` proves that the old tree is the beginning of the new one (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new or not _all_hashes(old_root, new_root, *path):
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not path:
        return False
    first, *rest = path if old & (old - 1) else (old_root, *path)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_result = new_result = first
    for sibling in rest:
        if last == 0:
            return False
        if number & 1 or number == last:
            old_result, new_result = node_hash(sibling, old_result), node_hash(sibling, new_result)
            number, last = _climb(number, last)
        else:
            new_result = node_hash(new_result, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and old_result == old_root and new_result == new_root


def _split(width: int) -> int:
    """The largest power of two below `width`, for width > 1."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(start: int, width: int, node: Node) -> bytes:
    """The hash of leaves [start, start + width), where `start` is a multiple of a power of two not below `width`."""
    level = _lowest_bit(width)
    width -= 1 << level
    result = node(level, (start + width) >> level)
    while width:
        level = _lowest_bit(width)
        width -= 1 << level
        result = node_hash(node(level, (start + width) >> level), result)
    return result


def _lowest_bit(number: int) -> int:
    return (number & -number).bit_length() - 1


def _climb(number: int, last: int) -> tuple[int, int]:
    """Both positions, moved up past the levels at which a right-most node has no sibling."""
    while number and not number & 1:
        number, last = number >> 1, last >> 1
    return number, last


def _all_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
