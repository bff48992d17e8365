"""Noise: integers of the discrete Laplace distribution, drawn by OpenDP.

Rules: only the gate draws. Integers in, integers out; the scale is a whole number that a double holds exactly. The
64-bit type is named on purpose: OpenDP reads a bare `int` as 32 bits and saturates without a word.
Source of the sampler: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", 2020, algorithm 2.
"""

from functools import lru_cache
from typing import Any

import opendp.prelude as dp

LARGEST_SCALE = 2**53


def draw(scale: int, count: int) -> tuple[int, ...]:
    """`count` independent draws with P(X = x) proportional to exp(-|x| / scale)."""
    if not 1 <= scale <= LARGEST_SCALE:
        raise ValueError("the scale of the noise is out of range")
    return tuple(_mechanism(scale)([0] * count))


@lru_cache(maxsize=256)
def _mechanism(scale: int) -> Any:
    dp.enable_features("contrib")
    return dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=float(scale))
