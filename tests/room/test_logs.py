"""What the room logs: that something happened and where, and never what came in."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cleanroom import gate, logs
from tests.room.conftest import Collaboration

CANARY = "jane.doe@mail.example"
ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


@pytest.fixture
def log(published: Collaboration) -> Iterator[io.StringIO]:
    """What the app writes."""
    (handler,) = published.stage.app.logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before or sys.stderr)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_a_line_without_its_path(published: Collaboration, log: io.StringIO) -> None:
    with published.stage.http("fresh") as client:
        token = client.headers["Authorization"].partition(" ")[2]
        client.post(f"/v1/collaborations/{published.id}/reports", json=ASKED)
        client.get(f"/v1/reports/{CANARY}?mail={CANARY}")
        client.get(f"/nowhere/{CANARY}", headers={"User-Agent": CANARY})
        client.request(f"X{CANARY[:4]}", "/v1/health")
    found = [(line["route"], line["status"]) for line in lines(log) if line["event"] == "request"]
    assert found[-4:] == [
        ("/v1/collaborations/<identifier>/reports", 201),
        ("/v1/reports/<identifier>", 404),
        ("unknown", 404),
        ("unknown", 405),
    ]
    for secret in (CANARY, CANARY[:4], published.id, token):
        assert secret not in log.getvalue()


def test_a_bug_says_where_and_nothing_else(
    published: Collaboration, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot count {CANARY}")

    monkeypatch.setattr(gate, "ask", broken)
    with published.stage.http("fresh") as client:
        answer = client.post(f"/v1/collaborations/{published.id}/reports", json=ASKED)
    assert answer.status_code == 500
    (line,) = [line for line in lines(log) if "error" in line]
    assert line["error"] == "RuntimeError"
    assert line["at"][-1].startswith("tests/room/test_logs.py:")
    assert any(place.startswith("cleanroom/api/reports.py:") for place in line["at"])
    assert CANARY not in log.getvalue()
    assert published.id not in log.getvalue()


def test_texts_of_other_libraries_are_shown_as_templates() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    other = logging.Logger("gunicorn.error")
    other.addHandler(handler)
    other.warning("Worker (pid:%s) was sent %s!", 4711, "SIGKILL")
    other.warning(f"Invalid request from ip=192.0.2.7: {CANARY}")
    other.warning("Error handling request %s", f"/v1/reports/{CANARY}")
    first, second, third = lines(stream)
    assert first["text"] == "Worker (pid:%s) was sent %s!"
    assert "text" not in second
    assert third["text"] == "Error handling request %s"
    assert CANARY not in stream.getvalue()


def test_a_process_that_ends_with_a_bug_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as problem:
        logs.excepthook(type(problem), problem, problem.__traceback__)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["error"]) == ("ended", "ValueError")
    assert CANARY not in json.dumps(line)
