"""Who takes part: default deny, one purpose at a time, until the end of the expiry day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.consent import Consent, takes_part
from policies.purpose import Purpose, mask

DAY = date(2026, 3, 14)
NO_EXPIRY = None


@given(st.frozensets(st.sampled_from(Purpose)), st.sampled_from(Purpose), st.dates())
def test_only_the_purposes_consented_to(purposes: frozenset[Purpose], purpose: Purpose, day: date) -> None:
    assert takes_part(Consent(mask(purposes), NO_EXPIRY), purpose, day) is (purpose in purposes)


@given(st.integers(0, 15), st.sampled_from(Purpose), st.dates(), st.dates())
def test_an_expiry_only_takes_away(purposes: int, purpose: Purpose, expires: date, day: date) -> None:
    expected = day <= expires and takes_part(Consent(purposes, NO_EXPIRY), purpose, day)
    assert takes_part(Consent(purposes, expires), purpose, day) is expected


@pytest.mark.parametrize(("days", "expected"), [(-1, False), (0, True), (1, True)])
def test_a_consent_holds_on_its_expiry_day(days: int, expected: bool) -> None:
    assert takes_part(Consent(15, DAY + timedelta(days)), Purpose.INSIGHTS, DAY) is expected


@pytest.mark.parametrize("purpose", Purpose)
def test_no_consent_is_no(purpose: Purpose) -> None:
    assert not takes_part(Consent(0, NO_EXPIRY), purpose, DAY)
