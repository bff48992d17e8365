"""Notices: their bytes are pinned, reading is strict, a signature is for one label and one document."""

import hashlib
from typing import Any

import pytest

from partners import keys, notices
from partners.notices import BadNotice, Leaving, Notice, Rotation, Tightening
from policies.terms import Terms

CREATED = "2026-03-14T12:00:00Z"
TIGHTENING = Tightening("drive-1a2f22b6", "fresh", "ab" * 32, 2, Terms(minimum_size=100), CREATED)
LEAVING = Leaving("drive-1a2f22b6", "fresh", CREATED)
ROTATION = Rotation("drive-1a2f22b6", "fresh", 2, "0f" * 16, "2026-03-28", CREATED)
EVERY: tuple[Notice, ...] = (TIGHTENING, LEAVING, ROTATION)


def test_the_bytes_are_pinned() -> None:
    assert notices.payload(TIGHTENING) == (
        b'{"agreement":"' + b"ab" * 32 + b'","collaboration":"drive-1a2f22b6","created":"2026-03-14T12:00:00Z",'
        b'"partner":"fresh","serial":2,"terms":{"minimum_size":100},"version":1}'
    )
    assert notices.payload(LEAVING) == (
        b'{"collaboration":"drive-1a2f22b6","created":"2026-03-14T12:00:00Z","partner":"fresh","version":1}'
    )
    assert notices.payload(ROTATION) == (
        b'{"collaboration":"drive-1a2f22b6","created":"2026-03-14T12:00:00Z","deadline":"2026-03-28","epoch":2,'
        b'"key_check":"' + b"0f" * 16 + b'","partner":"fresh","version":1}'
    )


@pytest.mark.parametrize("notice", EVERY)
def test_reading_gives_the_same_back(notice: Notice) -> None:
    assert type(notice).from_json(notice.to_json()) == notice


@pytest.mark.parametrize("notice", EVERY)
@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"more": 1},
        {"collaboration": "a/b"},
        {"partner": ""},
        {"created": "yesterday"},
        {"serial": 0, "epoch": 0},
        {"serial": True, "epoch": True},
        {"terms": {"minimum_size": 1.5}, "deadline": "28.3.2026"},
        {"terms": {"purposes": ["measurement", "insights"]}, "deadline": "20260328"},
        {"agreement": "AB" * 32, "key_check": "x"},
    ],
)
def test_reading_is_strict(notice: Notice, change: dict[str, Any]) -> None:
    written = notice.to_json()
    known = {name: value for name, value in change.items() if name in written or name == "more"}
    if known:
        with pytest.raises(BadNotice):
            type(notice).from_json({**written, **known})
    with pytest.raises(BadNotice):
        type(notice).from_json([written])
    for name in written:
        with pytest.raises(BadNotice):
            type(notice).from_json({other: value for other, value in written.items() if other != name})


@pytest.mark.parametrize("notice", EVERY)
def test_a_signature_is_for_one_document_of_one_kind(notice: Notice) -> None:
    identity = keys.generate()
    signature = notices.sign(identity, notice)
    verified = [notices.verify(identity.public.signing, other, signature) for other in EVERY]
    assert [other for other, held in zip(EVERY, verified, strict=True) if held] == [notice]
    assert not notices.verify(keys.generate().public.signing, notice, signature)
    digest = hashlib.sha256(notices.payload(notice)).digest()
    assert not notices.verify(identity.public.signing, notice, identity.sign("agreement/v1", digest))
