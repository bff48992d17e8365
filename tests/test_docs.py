"""The documentation says what the code does: settings, codes, limits, commands, fields, examples, links."""

import importlib
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, fields
from decimal import Decimal
from enum import Enum
from pathlib import Path

import click
import pytest

import policies
from cleanroom.api import schemas
from cleanroom.api.problems import Problem
from cleanroom.cli import cli as operator
from cleanroom.intake import limits
from cleanroom.intake.limits import LIMITS
from cleanroom.intake.rejection import Rejection
from cleanroom.rehearsal import scenario
from cleanroom.settings import SETTINGS
from partners import mapping
from partners.cli import main as partner
from partners.identifiers import Invalid
from partners.proposal import read_proposal
from partners.protocol import PublicKeys
from partners.quality import Drop, Flaw
from policies import request
from policies.agreement import Agreement
from policies.decision import Reason
from policies.terms import LARGEST, Terms

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
COMMANDS: dict[str, click.Command] = {"cleanroom": operator, "cleanroom-partner": partner}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {heading}"
    return found[2]


def rows(page: str) -> list[list[str]]:
    """The cells of every table row of a text, code marks taken off; without heading and ruler rows."""
    lines = page.splitlines()
    body = [
        line
        for place, line in enumerate(lines)
        if line.startswith("|")
        and not line.startswith("| ---")
        and not "".join(lines[place + 1 : place + 2]).startswith("| ---")
    ]
    return [[re.sub(r"^`(.*)`$", r"\1", cell.strip()) for cell in line.strip("|").split("|")] for line in body]


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of a text, of these languages or of all."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [content for language, content in found if not languages or language in languages]


def test_the_settings() -> None:
    listed = [tuple(row) for row in rows(section(text("operating.md"), "Settings"))]
    assert listed == [(each.name, each.default or "–", re.sub(r"^`(.*)`$", r"\1", each.meaning)) for each in SETTINGS]


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Problem types", [each.code for each in Problem]),
        ("Refusals", [each.value for each in Reason]),
        ("Rejected uploads", [each.value for each in Rejection]),
        ("Invalid identifiers", [each.value for each in Invalid]),
    ],
)
def test_every_code_is_listed_once_with_what_to_do(heading: str, codes: list[str]) -> None:
    listed = rows(section(text("problems.md"), heading))
    assert sorted(row[0] for row in listed) == sorted(codes)
    assert all(all(row) for row in listed)


def test_the_status_of_each_problem() -> None:
    listed = {row[0]: row[1] for row in rows(section(text("problems.md"), "Problem types"))}
    assert listed == {each.code: str(each.status) for each in Problem}


def limit_rows() -> dict[str, int]:
    return {row[0]: int(row[1].replace(",", "")) for row in rows(text("limits.md")) if len(row) == 3}


def test_the_limits_of_intake() -> None:
    listed = {name: value for name, value in limit_rows().items() if "." not in name}
    assert listed == asdict(LIMITS)


def test_the_other_limits() -> None:
    listed = {name: value for name, value in limit_rows().items() if "." in name}
    for name, value in listed.items():
        module, _, constant = name.rpartition(".")
        assert getattr(importlib.import_module(module), constant) == value, name
    modules = [importlib.import_module(f"policies.{each.name}") for each in pkgutil.iter_modules(policies.__path__)]
    missing = {
        f"{module.__name__}.{name}"
        for module in (*modules, limits)
        for name, value in vars(module).items()
        if re.fullmatch(r"MAX_\w+|LARGEST_\w+|LONGEST_\w+|\w+_SECONDS", name) and isinstance(value, int)
    }
    # A constant that is imported from another module is listed where it is at home.
    at_home = {name.rpartition(".")[2] for name in listed}
    assert {name for name in missing if name.rpartition(".")[2] not in at_home} == set()


def test_the_largest_terms() -> None:
    listed = {name: int(value.replace(",", "")) for name, value in rows(section(text("limits.md"), "Terms"))}
    assert listed == LARGEST


def test_limits_without_a_constant() -> None:
    quoted = [row for row in rows(section(text("limits.md"), "Questions and agreements")) if len(row) == 2]
    assert quoted
    for message, path in quoted:
        assert message in (ROOT / path).read_text(encoding="utf-8"), message


def commands(page: str) -> Iterator[list[str]]:
    """The words of every command of ours: lines of fenced blocks, and code within lines that begins with one."""
    lines = [line for block in blocks(page) for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for line in (*lines, *re.findall(r"`((?:cleanroom|cleanroom-partner) [^`]+)`", prose)):
        bare = re.sub(r"^\s*(\$ )?((time|\w+=\S*) )*(\.venv/bin/)?", "", line)
        if re.match(r"cleanroom(-partner)? [a-z-]", bare):
            yield shlex.split(re.sub(r"\s+#.*| > .*", "", bare))


def resolve(words: list[str]) -> str | None:
    """What is wrong with a command line: a command or an option that does not exist; None for nothing."""
    command = COMMANDS[words[0]]
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    rest = iter(words[1:])
    for word in rest:
        if word.startswith("--"):
            if word not in options:
                return f"{command.name} has no option {word}"
            takes = next((each for each in command.params if word in each.opts), None)
            if isinstance(takes, click.Option) and not takes.is_flag:
                next(rest, None)
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
            options |= {name for parameter in command.params for name in parameter.opts}
    return None


@each_page
def test_commands_exist(page: Path) -> None:
    wrong = [
        (" ".join(words), what) for words in commands(page.read_text(encoding="utf-8")) if (what := resolve(words))
    ]
    assert wrong == []


def test_the_reader_of_commands_finds_what_is_wrong() -> None:
    block = "```sh\n$ cleanroom-partner --home x ask R.toml --dry-run  # free\ncleanroom serve --no\n```\n"
    page = f"Run `cleanroom nothing` or\n{block}"
    found = [resolve(words) for words in commands(page)]
    assert found == [None, "serve has no option --no", "cli has no command nothing"]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{page.name} links to {target}"


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+\.md)\)", text("README.md")))
    assert linked == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}


def test_the_folders() -> None:
    """Every path of the map exists, and every file of `partners` and `policies` is on it."""
    (drawn,) = blocks(section(text("architecture.md"), "Folders"), "text")
    folder, named = "", set()
    for line in drawn.splitlines():
        path = line.split()[0]
        folder = "" if not line.startswith(" ") else folder
        named.add(f"{folder}{path}")
        folder = path if not line.startswith(" ") and path.endswith("/") else folder
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    files = {
        path.relative_to(ROOT).as_posix()
        for part in ("partners", "policies", "cleanroom")
        for path in (ROOT / part).glob("*.py")
    }
    assert {path for path in files if "/__" not in path} <= named


@each_page
def test_paths_in_code_marks_exist(page: Path) -> None:
    prose = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:partners|policies|cleanroom|tests)/[\w./-]+(?:\.\w+|/))`", prose):
        assert (ROOT / path).exists(), path


def test_the_import_tests_that_are_named_exist() -> None:
    source = (ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", text("architecture.md"))
    assert named
    assert [name for name in named if f"def {name}(" not in source] == []


def test_the_scenarios_of_the_page_parse(tmp_path: Path) -> None:
    written = [block for block in blocks(text("rehearsal.md"), "toml") if "[[report]]" in block]
    assert len(written) == 2
    for block in written:
        (tmp_path / "scenario.toml").write_text(block, encoding="utf-8")
        assert scenario.load(tmp_path / "scenario.toml").reports


def test_every_setting_of_a_scenario_is_shown() -> None:
    shown = blocks(section(text("rehearsal.md"), "Every setting of a scenario"), "toml")[0]
    for name in (*asdict(Terms()), "match_keys", "email_profile", *(field.name for field in fields(mapping.Map))):
        assert re.search(rf"^{name} = |^\[partner\.{name}\]", shown, re.MULTILINE), name
    assert "[partner.terms]" in shown


def test_the_files_of_the_guide_parse(tmp_path: Path) -> None:
    seen: list[str] = []
    for block in blocks(text("partners-guide.md"), "toml"):
        table = tomllib.loads(block, parse_float=Decimal)
        if "file" in table:
            seen.append(mapping.parse(table, tmp_path).name)
        elif "audience" in table:
            seen.append(read_proposal(table, Terms(), lambda name: PublicKeys(name.encode().ljust(32), bytes(32))).name)
        elif "kind" in table:
            table.pop("collaboration")
            seen.append(request.from_json(table).kind.value)
    assert seen == ["fresh", "tasty", "drive-2026", "overlap", "statistics"]


def test_the_guides_maps_fit_its_agreement(tmp_path: Path) -> None:
    tables = [tomllib.loads(block, parse_float=Decimal) for block in blocks(text("partners-guide.md"), "toml")]
    maps = [mapping.parse(table, tmp_path) for table in tables if "file" in table]
    (proposal,) = [table for table in tables if "partner" in table]
    agreed: Agreement = read_proposal(proposal, Terms(), lambda name: PublicKeys(name.encode().ljust(32), bytes(32)))
    for found in maps:
        (audience,) = [each for each in agreed.audiences if each.ref.owner == found.name]
        assert tuple(each.key for each in found.keys) == audience.keys
        assert [each.name for each in found.attributes] == [each.name for each in audience.attributes]
        assert tuple(each.measure for each in found.measures) == audience.measures


def test_the_fields_of_a_figure() -> None:
    listed = {row[0] for row in rows(section(text("reports.md"), "A figure")) if len(row) == 2}
    assert set(schemas.FigureSchema().fields) <= listed


def test_the_fields_of_a_report() -> None:
    listed = {name for row in rows(section(text("rehearsal.md"), "The JSON")) for name in re.findall(r"\w+", row[0])}
    assert set(schemas.ReportSchema().fields) <= listed


def test_the_words_of_a_quality_report() -> None:
    page = section(text("rehearsal.md"), "The JSON")
    words: list[Enum] = [*Drop, *Flaw]
    for word in words:
        assert re.search(rf"`{word.value}`", page), word
