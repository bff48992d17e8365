"""Patterns over digits -> one table that reads whole columns of digits, a position at a time.

Rules:
* The part of regular expressions that phone metadata is written in: digits, `\\d`, `[…]`, groups, `|`, `?` and `{…}`.
  Anything else raises `NotSimple`, and then nothing may be concluded: the library has to be asked.
* Several patterns share a table; each has a bit of its own in what is found.
* Sets of states by subset construction: a pattern is matched whole, and the order of alternatives plays no part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partners.identifiers.texts import Bytes, Counts

DIGITS = frozenset(range(10))
END = 10  # what stands behind the last digit of a row
WIDTH = END + 1
MAX_STATES = 20_000

Found = NDArray[np.uint32]


class NotSimple(ValueError):
    """A pattern that uses more than this module reads."""


class _Automaton:
    """States with edges by digits and edges for free, built from the text of one pattern after the other."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[frozenset[int], int]]] = []
        self.free: list[list[int]] = []
        self.bits: dict[int, int] = {}
        self.start = self.state()

    def state(self) -> int:
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def add(self, pattern: str, bit: int) -> None:
        """A pattern that has to fit the whole of the digits; `bit` is found where it does."""
        first = self.state()
        self.free[self.start].append(first)
        last, rest = self._choice(first, pattern)
        if rest:
            raise NotSimple
        self.bits[last] = self.bits.get(last, 0) | bit

    def begin(self, pattern: str, bit: int) -> None:
        """A pattern that has to fit the first digits."""
        first = self.state()
        self.free[self.start].append(first)
        last, rest = self._choice(first, pattern)
        if rest:
            raise NotSimple
        end = self.state()
        self.free[last].append(end)
        self.edges[end].append((DIGITS, end))
        self.bits[end] = bit

    def _choice(self, first: int, text: str) -> tuple[int, str]:
        end = self.state()
        while True:
            begin = self.state()
            self.free[first].append(begin)
            last, text = self._sequence(begin, text)
            self.free[last].append(end)
            if not text.startswith("|"):
                return end, text
            text = text[1:]

    def _sequence(self, state: int, text: str) -> tuple[int, str]:
        while text and text[0] not in "|)":
            least, most, rest = _times(_behind_item(text))
            for turn in range(most):
                last = self._item(state, text)
                if turn >= least:
                    self.free[state].append(last)
                state = last
            text = rest
        return state, text

    def _item(self, state: int, text: str) -> int:
        """The state behind one digit, class or group, which begins the text."""
        if text[0] == "(":
            entry = self.state()
            self.free[state].append(entry)
            last, rest = self._choice(entry, text[1:].removeprefix("?:"))
            if not rest.startswith(")"):
                raise NotSimple
            after = self.state()
            self.free[last].append(after)
            return after
        after = self.state()
        self.edges[state].append((_class(text), after))
        return after

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        found, todo = set(states), list(states)
        while todo:
            for state in self.free[todo.pop()]:
                if state not in found:
                    found.add(state)
                    todo.append(state)
        return frozenset(found)


def _class(text: str) -> frozenset[int]:
    if text[0].isdigit() and text[0].isascii():
        return frozenset({int(text[0])})
    if text.startswith("\\d"):
        return DIGITS
    if text[0] != "[":
        raise NotSimple
    inside, found = text[1 : text.index("]")].replace("\\d", "0-9"), set[int]()
    while inside:
        first, last = (inside[0], inside[2]) if inside[1:2] == "-" and len(inside) > 2 else (inside[0], inside[0])
        if not (first.isdigit() and last.isdigit()):
            raise NotSimple
        found.update(range(int(first), int(last) + 1))
        inside = inside[3:] if inside[1:2] == "-" else inside[1:]
    return frozenset(found)


def _behind_item(text: str) -> str:
    if text[0] == "[":
        return text[text.index("]") + 1 :]
    if text[0] == "\\":
        return text[2:]
    if text[0] != "(":
        return text[1:]
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[place + 1 :]
    raise NotSimple


def _times(text: str) -> tuple[int, int, str]:
    """How often the item before this text stands, at least and at most, and what comes then."""
    if text.startswith("?"):
        least, most, rest = 0, 1, text[1:]
    elif text.startswith("{"):
        inside, _, rest = text[1:].partition("}")
        low, _, high = inside.partition(",")
        if not low.isdigit() or ("," in inside and not high.isdigit()):
            raise NotSimple
        least, most = int(low), int(high or low)
    else:
        least, most, rest = 1, 1, text
    if rest[:1] in ("*", "+", "?", "{"):
        raise NotSimple
    return least, most, rest


@dataclass(frozen=True, slots=True)
class Table:
    """`bits[state]` says what fits when the digits end in a state, 0 being the first.

    `step[state * WIDTH + digit]` is the next state, times `WIDTH`. `finds`: every bit that there is.
    """

    step: NDArray[np.int32]
    bits: Found
    finds: int

    def read(self, digits: Bytes, starts: Counts, most: int) -> Found:
        """What fits each row of digits: those from its start up to an `END`, which comes after `most` at the latest."""
        place = starts.copy()
        state = self.step[digits[place]]
        for _ in range(most - 1):
            place += 1
            state += digits[place]
            state = self.step[state]
        return self.bits[state // WIDTH]


def table(whole: Mapping[int, Iterable[str]], beginning: Mapping[int, Iterable[str]]) -> Table:
    """A table of patterns by bit: those that fit all digits, and those that fit the first ones. Raises `NotSimple`."""
    automaton = _Automaton()
    for bit, patterns in whole.items():
        for pattern in patterns:
            automaton.add(pattern, bit)
    for bit, patterns in beginning.items():
        for pattern in patterns:
            automaton.begin(pattern, bit)
    first = automaton.closure([automaton.start])
    numbers, order = {first: 0}, [first]
    steps: list[list[int]] = []
    for states in order:  # grows on the way
        row = []
        for digit in range(10):
            reached = automaton.closure({to for state in states for on, to in automaton.edges[state] if digit in on})
            if reached not in numbers:
                numbers[reached] = len(order)
                order.append(reached)
            row.append(numbers[reached])
        steps.append([*row, numbers[states]])  # behind the end, nothing changes
        if len(order) > MAX_STATES:
            raise NotSimple
    bits = [
        sum({1 << place for state in states for place in range(32) if automaton.bits.get(state, 0) >> place & 1})
        for states in order
    ]
    step = np.array(steps, np.int32).ravel() * np.int32(WIDTH)
    return Table(step, np.array(bits, np.uint32), int(np.bitwise_or.reduce(bits)))
