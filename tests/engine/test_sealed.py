"""A sealed measurement shows nothing; one function opens it."""

import copy
import json
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cleanroom.engine.sealed import Sealed, open_sealed
from policies.disclose import Measured

MEASURED = Measured((424242,), {})


@pytest.mark.parametrize(
    "reveal", [int, float, list, len, vars, json.dumps, pickle.dumps, copy.copy, copy.deepcopy, operator.index]
)
def test_nothing_reads_a_sealed_value(reveal: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError) as refused:
        reveal(Sealed(MEASURED))
    assert "424242" not in str(refused.value)


def test_it_prints_the_same_whatever_it_holds() -> None:
    other = Sealed(Measured((1, 2, 3), {}))
    for show in (repr, str, format):
        assert show(Sealed(MEASURED)) == show(other) == "<Sealed>"


def test_equal_contents_do_not_make_equal_seals() -> None:
    assert Sealed(MEASURED) != Sealed(MEASURED)


def test_the_one_function_opens_it() -> None:
    assert open_sealed(Sealed(MEASURED)) is MEASURED
