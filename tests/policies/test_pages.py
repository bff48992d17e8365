"""Each rule has its page, of one form; every module of `policies` is on one; numbers on pages are the code's."""

import re
from pathlib import Path

import pytest

from policies.rates import CAP

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs" / "policies").glob("*.md"))
RULES = [page for page in PAGES if page.stem != "index"]
HEADINGS = ["Precondition", "Rule", "Postcondition", "Why", "What it does not stop"]


@pytest.mark.parametrize("page", RULES, ids=lambda page: page.stem)
def test_a_page_says_what_a_rule_needs_does_and_does_not_stop(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    example, *parts = re.split(r"^## .*$", text, flags=re.MULTILINE)
    assert len(example.strip().splitlines()) > 1, "an example first"
    assert all(part.strip() for part in parts)
    assert len(text.splitlines()) < 80


def test_every_module_with_a_rule_has_its_page() -> None:
    index = (ROOT / "docs" / "policies" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\(\.\./\.\./policies/(\w+)\.py\)", index))
    assert linked == {path.stem for path in (ROOT / "policies").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == {page.stem for page in RULES}


def test_the_cap_of_match_rates() -> None:
    for name in ("terms", "disclosure"):
        assert f'"at least {CAP}"' in " ".join((ROOT / "docs" / "policies" / f"{name}.md").read_text("utf-8").split())
