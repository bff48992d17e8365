"""Linking finds exactly the equal tokens, also where the sorted half of them is equal."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.engine.linking import link, repeats, sort

# Few prefixes and few suffixes, so that tokens often share the half that is sorted, or the other one.
_halves = st.sampled_from([bytes(8), b"\xff" * 8, b"prefix 1", b"prefix 2"])
_token = st.one_of(st.none(), st.tuples(_halves, _halves).map(b"".join))


def _audience() -> st.SearchStrategy[list[bytes | None]]:
    return st.lists(_token, max_size=20).map(
        lambda tokens: [token if token not in tokens[:index] else None for index, token in enumerate(tokens)]
    )


@given(_audience(), _audience())
def test_links_are_the_equal_tokens(one: list[bytes | None], other: list[bytes | None]) -> None:
    def find(token: bytes | None, among: list[bytes | None]) -> int:
        return among.index(token) if token is not None and token in among else -1

    forward, backward = link(*(sort(*_arrays(tokens)) for tokens in (one, other)))
    assert forward.tolist() == [find(token, other) for token in one]
    assert backward.tolist() == [find(token, one) for token in other]


@given(st.lists(_token, max_size=20))
def test_a_token_in_two_rows_is_seen(tokens: list[bytes | None]) -> None:
    there = [token for token in tokens if token is not None]
    assert repeats(*_arrays(tokens)) == (len(set(there)) < len(there))


def test_a_row_without_a_token_repeats_nothing() -> None:
    zeros, alike = bytes(16), bytes(8) + b"suffix 1"
    assert not repeats(*_arrays([zeros, alike, None]))
    assert repeats(*_arrays([zeros, alike, zeros]))


def _arrays(tokens: list[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
    data = b"".join(token or bytes(16) for token in tokens)
    return np.frombuffer(data, np.uint8).reshape(-1, 16), np.array([token is not None for token in tokens], np.bool_)
