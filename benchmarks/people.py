"""Made-up customer files of any size.

Rules:
* The same seed gives the same file. Persons 0 to n - 1 are the same in every file of a seed, so that files overlap.
* A few values in a hundred are as in real files: blank, badly written, broken, or somebody's second row.
* Nobody is meant: addresses and numbers are put together at random.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 250_000
HEADER = "email,mobile,tier,spend\n"
_GIVEN = ("anna", "Ben", "chloe", "David", "emma", "Felix", "greta", "Hugo", "ines", "Jonas", "lea", "Marc", "nora")
_FAMILY = ("martin", "Bernard", "dubois", "Thomas", "robert", "Richard", "petit", "Durand", "leroy", "Moreau", "simon")
_DOMAINS = ("gmail.com", "gmail.com", "Gmail.com", "example.com", "example.fr", "mail.example.org", "example.net")
_BROKEN = ("", "n/a", "anna.martin", "info@example.fr", "test@test.com", "zoé@exemple.fr", "a b@example.fr")
_NO_NUMBER = ("", "", "0", "n/a", "0600000000", "12345", "06 12 34 56 78 ext. 4")


def write(path: Path, people: int, seed: int = 1, first: int = 0) -> None:
    """A CSV file of the persons `first` to `first + people - 1`, one row each: `email`, `mobile`, `tier`, `spend`."""
    with path.open("wb") as file:
        file.write(HEADER.encode())
        for start in range(first, first + people, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, first + people - start)
            file.write(_rows(np.arange(start, start + rows, dtype=np.uint64), seed))


def _rows(person: "np.ndarray[tuple[int], np.dtype[np.uint64]]", seed: int) -> bytes:
    def drawn(label: int, below: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """A number for each person, by a mixing function (SplitMix64)."""
        mixed = person * np.uint64(0x9E3779B97F4A7C15) + np.uint64((seed * 1000 + label) * 0xD1B54A32D192ED03 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return ((mixed ^ (mixed >> np.uint64(31))) % np.uint64(below)).astype(np.int64)

    def chosen(values: tuple[str, ...], label: int) -> pa.Array:
        return pa.array(values).take(pa.array(drawn(label, len(values))))

    def text(numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]", digits: int = 0) -> pa.Array:
        return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0")

    # One in a hundred is a second row of an earlier person: the same number behind the name.
    number = text(np.where(drawn(1, 100) == 0, person.astype(np.int64) // 2, person.astype(np.int64)))
    names = pc.binary_join_element_wise(chosen(_GIVEN, 2), chosen(_FAMILY, 3), ".")
    email = pc.binary_join_element_wise(names, number, "@", chosen(_DOMAINS, 4), "")
    email = pc.if_else(pa.array(drawn(5, 50) == 0), chosen(_BROKEN, 6), email)

    pairs = [text(drawn(10 + place, 100), 2) for place in range(4)]
    national = pc.binary_join_element_wise(chosen(("06", "07", "01"), 7), *pairs, " ")
    plain = pc.replace_substring(national, " ", "")
    abroad = pc.binary_join_element_wise(pa.scalar("+33"), pc.utf8_slice_codeunits(plain, 1), "")
    mobile = pc.choose(pa.array(drawn(8, 3)), national, plain, abroad)
    mobile = pc.if_else(pa.array(drawn(9, 25) == 0), chosen(_NO_NUMBER, 20), mobile)

    tier = chosen(("gold", "silver", "bronze", "bronze", ""), 21)
    spend = pc.binary_join_element_wise(text(drawn(22, 500)), text(drawn(23, 100), 2), ".")
    lines = pc.binary_join_element_wise(email, mobile, tier, spend, ",")
    return "\n".join([*lines.to_pylist(), ""]).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("people", type=int)
    arguments = parser.parse_args()
    write(arguments.path, arguments.people)
