"""Documents of an export that somebody crafted: refused with a line, never with a traceback."""

import pytest

from cleanroom.audit.documents import Document, DocumentError, Signature
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.replay.judge import Judge
from partners.transparency.entry import Body

DEEP = Document(b"[" * 5000 + b"]" * 5000, (Signature("fresh", bytes(32), bytes(64)),))


def test_a_document_of_endless_nesting_is_none() -> None:
    found = Document.parse(DEEP.encode())
    for read in (found.agreement, found.tightening):
        with pytest.raises(DocumentError):
            read()


def test_a_grant_of_endless_nesting_is_a_finding() -> None:
    details: dict[str, object] = {"partner": "fresh", "micro": 1, "serial": 1, "grant": DEEP.sha256}
    judge = Judge({DEEP.sha256: DEEP}, True)
    judge.take(Opened(0, 1, Body(EventKind.BUDGET_GRANT, None, "0" * 16, details)))
    assert [each.what for each in judge.told().findings] == ["actor", "form"]
