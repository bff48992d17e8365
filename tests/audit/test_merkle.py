"""Roots and proofs against the definitions of RFC 9162 written out naively; every mutated proof is refused."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.transparency.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    nodes_of,
    root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(600)]
NODE = nodes_of(LEAVES)


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*naive_subproof(old, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(old - k, leaves[k:], False), naive_root(leaves[:k])]


def test_hashes_are_domain_separated() -> None:
    assert leaf_hash(b"ab") == sha256(b"\x00ab").digest()
    assert node_hash(b"a", b"b") == sha256(b"\x01ab").digest()


def test_all_trees_up_to_64_leaves() -> None:
    for size in range(65):
        leaves = LEAVES[:size]
        whole = naive_root(leaves)
        assert root(size, NODE) == whole
        for index in range(size):
            path = inclusion_proof(index, size, NODE)
            assert list(path) == naive_path(index, leaves)
            assert verify_inclusion(leaves[index], index, size, path, whole)
        for old in range(size + 1):
            path = consistency_proof(old, size, NODE)
            assert list(path) == (naive_subproof(old, leaves, True) if old else [])
            assert verify_consistency(old, size, path, naive_root(leaves[:old]), whole)


def test_all_pairs_up_to_300_leaves() -> None:
    roots = [root(size, NODE) for size in range(301)]
    assert roots == [naive_root(LEAVES[:size]) for size in range(301)]
    for size in range(1, 301):
        for index in range(size):
            assert verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, NODE), roots[size])
        for old in range(size + 1):
            assert verify_consistency(old, size, consistency_proof(old, size, NODE), roots[old], roots[size])


@given(st.integers(1, 600), st.data())
@settings(deadline=None)
def test_larger_trees(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    whole = root(size, NODE)
    assert whole == naive_root(LEAVES[:size])
    assert list(inclusion_proof(index, size, NODE)) == naive_path(index, LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, NODE), whole)
    assert verify_consistency(old, size, consistency_proof(old, size, NODE), root(old, NODE), whole)


def mutations(path: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Each hash changed, dropped, doubled, shortened; neighbours swapped; one more at either end."""
    found: list[tuple[bytes, ...]] = [(*path, LEAVES[0]), (LEAVES[0], *path), (*path, b"")]
    found += [()] if path else []
    for i, digest in enumerate(path):
        before, after = path[:i], path[i + 1 :]
        changed = bytes([digest[0] ^ 1]) + digest[1:]
        found += [(*before, changed, *after), (*before, *after), (*before, digest, digest, *after)]
        found.append((*before, digest[:-1], *after))
    found += [(*path[:i], path[i + 1], path[i], *path[i + 2 :]) for i in range(len(path) - 1)]
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21])
def test_no_mutated_inclusion_proof_passes(size: int) -> None:
    whole = root(size, NODE)
    for index in range(size):
        path = inclusion_proof(index, size, NODE)
        for other in mutations(path):
            assert not verify_inclusion(LEAVES[index], index, size, other, whole)
        assert not verify_inclusion(LEAVES[index + 1], index, size, path, whole)
        assert not verify_inclusion(LEAVES[index], index, size, path, LEAVES[99])
        for wrong in range(-1, size + 2):
            assert verify_inclusion(LEAVES[index], wrong, size, path, whole) == (wrong == index)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21])
def test_no_mutated_consistency_proof_passes(size: int) -> None:
    whole = root(size, NODE)
    for old in range(size + 1):
        path, before = consistency_proof(old, size, NODE), root(old, NODE)
        for other in mutations(path):
            assert not verify_consistency(old, size, other, before, whole)
        assert not verify_consistency(old, size, path, LEAVES[99], whole)
        if old:
            assert not verify_consistency(old, size, path, before, LEAVES[99])
        assert not verify_consistency(old, old - 1, path, before, whole)


numbers = st.integers(-3, 20) | st.integers(-3, 2**70)
hashes = st.sampled_from(LEAVES[:3]) | st.binary(max_size=40)


@given(numbers, numbers, st.lists(hashes, max_size=80), hashes, hashes)
@settings(max_examples=300, deadline=None)
def test_verifiers_never_raise(a: int, b: int, path: list[bytes], x: bytes, y: bytes) -> None:
    assert verify_inclusion(x, a, b, path, y) in (True, False)
    assert verify_consistency(a, b, path, x, y) in (True, False)


def test_lengths_are_checked() -> None:
    """A path too short for the sizes, or hashes cut at another place, must not pass by luck of the bytes."""
    assert not verify_consistency(1, 4, consistency_proof(1, 2, NODE), root(1, NODE), root(2, NODE))
    pair, joined = root(2, NODE), LEAVES[0] + LEAVES[1]
    assert verify_inclusion(joined[:32], 0, 2, (joined[32:],), pair)
    assert not verify_inclusion(joined[:31], 0, 2, (joined[31:],), pair)
    assert not verify_inclusion(b"", 0, 1, (), b"")
    assert not verify_consistency(1, 1, (), b"", b"")


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert verify_consistency(0, 7, (), EMPTY_ROOT, root(7, NODE))
    assert not verify_consistency(0, 7, (), LEAVES[0], root(7, NODE))
    assert not verify_consistency(0, 7, (LEAVES[0],), EMPTY_ROOT, root(7, NODE))
    assert verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_a_leaf_outside(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_proof(index, size, NODE)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_there_is_no_proof_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="larger"):
        consistency_proof(old, new, NODE)
