"""The pages for people: two languages, the room's public facts, no script."""

import re
from html import unescape

import pytest

from cleanroom.web.texts import LANGUAGES, TEXTS
from tests.room.stage import URL, Stage

POLICY = "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/", "/api"])
def test_a_page_in_its_language(shared_joined: Stage, path: str, language: str) -> None:
    with shared_joined.anybody() as client:
        asked = client.get(path, params={"lang": language})
        preferred = client.get(path, headers={"Accept-Language": f"{language}-CH, de;q=0.9"})
    for answer in (asked, preferred):
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert f'<html lang="{language}">' in answer.text
        other = "fr" if language == "en" else "en"
        assert (
            f'<a href="?lang={other}" lang="{other}" hreflang="{other}">{TEXTS[language]["other"]}</a>' in answer.text
        )
        assert "<script" not in answer.text
        assert not re.search(r"<[^>]+ (?:style|on\w+)=", answer.text)
        assert "Set-Cookie" not in answer.headers
        for link in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert re.match(r"\?|/(?!/)", link), "nothing from elsewhere"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_front_page_tells_the_public_facts(shared_joined: Stage, language: str) -> None:
    with shared_joined.anybody() as client:
        text = unescape(client.get("/", params={"lang": language}).text)
        assert shared_joined.room.vkey in text
        assert client.get("/v1/log/checkpoint").text in text
        assert URL in text
        assert "<h1>room.example</h1>" in text
        for name in ("intro", "promise", "vkey_note"):
            assert TEXTS[language][name] in text
        for link in ("/v1/openapi.json", "/v1/log/checkpoint", "/v1/health", f"/api?lang={language}"):
            assert f'href="{link}"' in text
            assert client.get(link).status_code == 200


def test_the_api_page_has_every_route(shared_joined: Stage) -> None:
    with shared_joined.anybody() as client:
        text = unescape(client.get("/api").text)
        paths = client.get("/v1/openapi.json").json()["paths"]
        for path, item in paths.items():
            for method in item:
                if method != "parameters":
                    assert f"<code>{method.upper()}</code></td><td><code>{path}</code>" in text
        assert text.count("<tr>") == 1 + sum(len(set(item) - {"parameters"}) for item in paths.values())


@pytest.mark.parametrize("asked", ["de", "", "<script>alert(1)</script>", "EN"])
def test_an_unknown_language_is_english(shared_joined: Stage, asked: str) -> None:
    with shared_joined.anybody() as client:
        answer = client.get("/", params={"lang": asked}, headers={"Accept-Language": "de"})
    assert '<html lang="en">' in answer.text
    assert "alert" not in answer.text


def test_the_texts_say_the_same_in_both_languages() -> None:
    assert set(TEXTS) == set(LANGUAGES)
    assert set(TEXTS["en"]) == set(TEXTS["fr"])
    assert all(text.strip() for texts in TEXTS.values() for text in texts.values())


def test_the_style_sheet_is_served(shared_joined: Stage) -> None:
    with shared_joined.anybody() as client:
        answer = client.get("/static/style.css")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
        assert "@import" not in answer.text
        assert "url(" not in answer.text
