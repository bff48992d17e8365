"""Purposes: their TCF numbers and bits are wire values, so they are pinned."""

from hypothesis import given
from hypothesis import strategies as st

from policies.purpose import Purpose, mask


def test_numbers_and_bits_are_pinned() -> None:
    assert {each.value: (each.tcf, each.bit) for each in Purpose} == {
        "insights": (9, 1),
        "measurement": (7, 2),
        "modelling": (3, 4),
        "activation": (4, 8),
    }


@given(st.frozensets(st.sampled_from(Purpose)))
def test_a_mask_holds_exactly_its_purposes(purposes: frozenset[Purpose]) -> None:
    assert {purpose for purpose in Purpose if mask(purposes) & purpose.bit} == purposes
    assert 0 <= mask(purposes) <= 15
