"""The specification page says what the code does: every example value, every list, every reason, and nothing else."""

import re
from pathlib import Path

import pytest

from partners import protocol
from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical, columns_of, lists, text
from partners.protocol import PublicKeys, length_prefixed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")

SECRET = bytes(range(32))
JANE = "janedoe@gmail.com"
KEY = protocol.token_key(SECRET, "drive-2026", 1, "email")


def section(heading: str) -> str:
    """The text under a heading, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def codes(heading: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", section(heading)))


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its two header lines; code marks and escapes taken off."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")][2:]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"^ `(.*)` $", r"\1", cell.replace("\\|", "|")) for cell in row] for row in cells]


def test_the_walk_from_an_address_to_its_token() -> None:
    shown = dict(
        re.split(r" {2,}", line, maxsplit=1)
        for block in re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    )
    one = PublicKeys(bytes([0x11] * 32), bytes([0x22] * 32))
    other = PublicKeys(bytes([0x33] * 32), bytes([0x44] * 32))
    assert shown == {
        "canonical": canonical("email", (" Jane.Doe+news@Gmail.com",), Rules(EmailProfile.UID2, None, DateOrder.YMD)),
        "canonical bytes": JANE.encode().hex(),
        "secret": SECRET.hex(),
        "token info": length_prefixed("cleanroom/token", "1", "drive-2026", "1", "email").hex(),
        "token key": KEY.hex(),
        "hmac": protocol.hmac_sha256(KEY, JANE.encode()).hex(),
        "token": protocol.token(KEY, JANE).hex(),
        "key check info": length_prefixed("cleanroom/key-check", "1", "drive-2026", "1").hex(),
        "key check": protocol.key_check(SECRET, "drive-2026", 1),
        "fingerprint": protocol.fingerprint(one, other),
        "secret info": length_prefixed("cleanroom/secret", "1", "drive-2026", "fresh", "tasty", "1").hex(),
    }
    info = bytes.fromhex(str(shown["token info"]))
    assert protocol.hkdf(SECRET, b"", info, 32) == KEY


def rules(match_key: str, setting: str) -> Rules:
    return Rules(
        EmailProfile(setting) if match_key == "email" else EmailProfile.UID2,
        setting if match_key == "phone" and setting != " none " else None,
        DateOrder(setting) if match_key == "person" else DateOrder.YMD,
    )


@pytest.mark.parametrize(
    ("match_key", "heading", "examples"),
    [
        ("email", "`email`", 9),
        ("phone", "`phone`", 9),
        ("maid", "`maid`", 4),
        ("person", "`person`", 6),
        ("id", "`id` and `id.<name>`", 6),
    ],
)
def test_the_tables_of_identifiers(match_key: str, heading: str, examples: int) -> None:
    table = rows(heading)
    assert len(table) == examples
    for row in table:
        cells, setting, expected = row[: columns_of(match_key)], row[-2], row[-1]
        result = canonical(match_key, tuple(cells), rules(match_key, setting))
        shown = f" {result.value} " if isinstance(result, Invalid) else result
        assert shown == expected


def test_every_reason_is_listed_with_its_sentence() -> None:
    table = rows("Identifiers to canonical text")
    assert table == [[reason.value, f" {reason.sentence} "] for reason in Invalid]


def test_the_lists_are_published_whole() -> None:
    assert codes("Placeholder addresses") == lists.PLACEHOLDER_ADDRESSES
    assert codes("Role mailboxes") - {"+"} == lists.ROLE_LOCAL_PARTS
    assert codes("Placeholder devices") == lists.PLACEHOLDER_DEVICES
    assert codes("Placeholder names") == lists.PLACEHOLDER_NAMES


def test_the_example_numbers_of_the_patterns() -> None:
    anywhere = Rules(EmailProfile.UID2, None, DateOrder.YMD)
    numbers = codes("Placeholder phone numbers")
    assert len(numbers) == 5
    assert {canonical("phone", (number,), anywhere) for number in numbers} == {Invalid.PLACEHOLDER}
    assert canonical("phone", ("+33612345678",), anywhere) == "+33612345678"


def test_the_trimmed_characters_are_published() -> None:
    listed = re.search(r"To trim is to remove.*?:(.*?)\n\* ", PAGE, re.DOTALL)
    assert listed
    published = set()
    for first, last in re.findall(r"U\+([0-9A-F]{4})(?: to U\+([0-9A-F]{4}))?", listed[1]):
        published |= {chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)}
    assert published == set(text.TRIMMED)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert targets
    assert all((ROOT / "docs" / target).exists() for target in targets)
