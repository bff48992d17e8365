"""The pages in a real browser: what a person sees, in both languages, under the strict content policy."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.room.stage import Stage

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")

QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--dump-dom"),
]


@pytest.fixture
def address(shared_joined: Stage) -> Iterator[str]:
    """The room's pages, served on a free loopback port."""
    server = make_server("127.0.0.1", 0, shared_joined.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


def seen(url: str, folder: Path) -> tuple[str, str]:
    """The page's DOM, and what the browser complained about."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize(("language", "words"), [("en", "What it promises"), ("fr", "Ce qu'elle promet")])
def test_the_front_page(address: str, language: str, words: str, shared_joined: Stage, tmp_path: Path) -> None:
    page, complaints = seen(f"{address}/?lang={language}", tmp_path / "profile")
    assert f'<html lang="{language}"' in page
    assert words in page
    assert shared_joined.room.vkey in page
    assert complaints == ""


def test_the_api_description_lists_every_route(address: str, tmp_path: Path) -> None:
    page, complaints = seen(f"{address}/api", tmp_path / "profile")
    assert "/v1/collaborations/{identifier}/reports" in page
    assert complaints == ""
