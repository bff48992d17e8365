"""Between what an engine measured and the release there is no float, and no randomness but the drawn noise.

Once by reading the source of everything that the gate's disclosure can reach, once by running it among traps.
"""

import ast
import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np
import pytest

from cleanroom import gate, noise
from cleanroom.engine.sealed import Sealed
from policies import budget
from policies.cells import cells
from policies.disclose import Measured
from policies.purpose import Purpose
from policies.question import Matched, Question
from policies.terms import Mode
from tests.policies.strategies import A, D
from tests.policies.tables import CITY, SPEND, TIER, agreement
from tests.test_imports import ROOT, imports, within

BEGIN = ("policies.disclose", "cleanroom.noise", "cleanroom.engine.sealed")
RANDOM = ("random", "secrets", "numpy", "os", "uuid")
# Of these, only what returns whole numbers for whole numbers.
MATH = {"ceil", "prod"}
WAYS = [("cleanroom/noise.py", "scale=float(scale)")]
"""The one float: OpenDP takes the scale, a public number, as a double that holds it exactly."""


def reached() -> dict[str, ast.Module]:
    """The source of our own modules that disclosure imports, directly or through others."""
    found: dict[str, ast.Module] = {}
    waiting = list(BEGIN)
    while waiting:
        name = waiting.pop()
        path = ROOT / f"{name.replace('.', '/')}.py"
        if name in found or not path.exists():
            continue
        source = path.read_text(encoding="utf-8")
        found[name] = ast.parse(source)
        waiting += [module for module in imports(source) if within(module, "policies", "cleanroom", "partners")]
    return found


def test_what_is_reached_is_what_discloses() -> None:
    assert {"policies.margins", "policies.cells", "policies.decision", "policies.populations", *BEGIN} <= set(reached())
    assert not [name for name in reached() if within(name, "partners")]


def test_no_source_of_randomness_is_reached() -> None:
    for name, tree in reached().items():
        assert not [module for module in imports(ast.unparse(tree)) if within(module, *RANDOM)], name
        if name != "cleanroom.noise":
            assert not [module for module in imports(ast.unparse(tree)) if within(module, "opendp", "cleanroom.noise")]


def test_no_float_is_written() -> None:
    ways = []
    for name, tree in reached().items():
        for node in ast.walk(tree):
            match node:
                case ast.Constant(float() | complex()):
                    pytest.fail(f"{name}:{node.lineno} has a float")
                case ast.ImportFrom("math", names):
                    assert {alias.name for alias in names} <= MATH, name
                case ast.keyword(arg, ast.Call(ast.Name("float"))):
                    ways.append((f"{name.replace('.', '/')}.py", f"{arg}={ast.unparse(node.value)}"))
        used = sum(isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(tree))
        # `policies.canonical` names the type to refuse it.
        assert used == (name == "cleanroom.noise") or name == "policies.canonical", name
    assert ways == WAYS


class Trapped(int):
    """A measured integer that fails where somebody takes it for a real number."""

    def _trap(self, *_: object) -> NoReturn:
        raise AssertionError("a measured integer became a float")

    __float__ = __truediv__ = __rtruediv__ = __complex__ = _trap

    def __add__(self, other: int) -> "Trapped":
        return Trapped(int(self) + int(other))

    __radd__ = __add__


@pytest.fixture
def no_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's and numpy's generators fail."""

    def trap(*_: object, **__: object) -> NoReturn:
        raise AssertionError("somebody drew from another generator")

    for name in ("random", "randint", "randrange", "gauss", "uniform", "choice", "choices", "sample", "shuffle"):
        monkeypatch.setattr(random, name, trap)
    for name in ("random", "normal", "laplace", "exponential", "randint", "default_rng"):
        monkeypatch.setattr(np.random, name, trap)
    for kind in (random.Random, random.SystemRandom):
        monkeypatch.setattr(kind, "random", trap)


class Watch:
    """Looks at every local value, line by line, of our own code that runs within the block."""

    def __init__(self) -> None:
        self.lines, self.floats = 0, list[str]()

    def __enter__(self) -> "Watch":
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        path = Path(frame.f_code.co_filename)
        ours = path.is_relative_to(ROOT / "policies") or path in (Path(gate.__file__), Path(noise.__file__))
        return self._line if ours else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.lines += 1
        values = [*frame.f_locals.values(), *([argument] if event == "return" else [])]
        if any(isinstance(part, float) for value in values for part in _parts(value)):
            self.floats.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return self._line


def _parts(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, list | tuple | set | frozenset) and len(value) < 100:
        for each in value:
            yield from _parts(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _parts(each)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.usefixtures("no_dice")
def test_disclosure_runs_among_traps(mode: Mode) -> None:
    agreed = agreement(mode)
    question = Question(A, Matched(D), (CITY, TIER), (SPEND,), Purpose.INSIGHTS).canonical(agreed.domain)
    (price,) = budget.price((question,), agreed)
    size = len(cells(question, agreed))
    counts, amounts = [[Trapped(each) for each in range(start, start + size)] for start in (40, 1000)]
    with Watch() as watch:
        release = gate._disclose(agreed, question, price, Sealed(Measured(tuple(counts), {SPEND: tuple(amounts)})))
    assert watch.lines > 100
    assert watch.floats == []
    for figure in release.figures:
        assert type(figure.value) in (Decimal, type(None))
        assert type(figure.margin95) in (Decimal, type(None))
    assert all(type(charge) is Fraction for charge in price.charges.values())


def test_the_watch_sees_a_float() -> None:
    with Watch() as watch:
        budget.charge([budget.Price(None, {"ada": 0.5})])  # type: ignore[dict-item]  # on purpose
    assert watch.floats
    with pytest.raises(AssertionError):
        Trapped(1) / 2
