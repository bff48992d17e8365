"""Plain lists: the same texts as `prepare` makes, whatever the list looks like; nothing of it in a message."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical
from partners.listing import SHOWN_LINES, Tally, read_list
from partners.reading import BadFile

RULES = Rules(EmailProfile.UID2, "FR", DateOrder.DMY)


def read(text: str | bytes, key: str = "email", encoding: str = "utf-8", size: int = 10) -> tuple[list[str], Tally]:
    tally = Tally()
    data = text.encode(encoding) if isinstance(text, str) else text
    pieces = list(read_list(BytesIO(data), key, RULES, encoding, size, tally))
    assert all(0 < len(piece) <= size for piece in pieces)
    return [each for piece in pieces for each in piece], tally


@given(st.lists(st.sampled_from(["Ada.L+x@gmail.com", "b@c.example", "?", "", "  ", "info@c.example"]), max_size=30))
def test_each_line_is_one_identifier(lines: list[str]) -> None:
    texts, tally = read("\r\n".join(lines), size=4)
    filled = [line.strip() for line in lines if line.strip()]
    found = [canonical("email", (line,), RULES) for line in filled]
    assert texts == [each for each in found if not isinstance(each, Invalid)]
    assert (tally.lines, tally.usable) == (len(filled), len(texts))
    assert tally.invalid.total() == tally.lines - tally.usable
    for reason, first in tally.first.items():
        every = [n for n, line in enumerate(lines, 1) if canonical("email", (line,), RULES) is reason and line.strip()]
        assert first == every[:SHOWN_LINES]


def test_persons_have_columns() -> None:
    text = 'birth_date;given_name;x;family_name\n1.2.1990;Ada;;"Love; Lace"\n;Ada;;Lovelace\n\n 2.2.1990;Zoë;;Lee\n'
    texts, tally = read(text, "person")
    rows = (("Ada", "Love; Lace", "1.2.1990"), ("Zoë", "Lee", "2.2.1990"))
    assert texts == [canonical("person", row, RULES) for row in rows]
    assert (tally.lines, tally.invalid) == (3, {Invalid.MISSING_PART: 1})


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("given_name,family_name\nSecret,Person\n", "person", "birth_date"),
        ("", "person", "empty"),
        ("given_name,family_name,birth_date\nSecret,Person\n", "person", "line 2"),
        ("ok@mail.example\nSecret\0\n", "email", "NUL"),
        (b"S\xe9cret@mail.example\n", "email", "not utf-8"),
    ],
)
def test_what_cannot_be_read_is_told_without_its_contents(text: str | bytes, key: str, said: str) -> None:
    with pytest.raises(BadFile, match=said) as raised:
        read(text, key)
    assert "cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_encodings() -> None:
    assert read("é-card\n", "id.card", "windows-1252") == (["é-card"], Tally(1, 1))
    assert read("\ufeffa\n", "id.card")[0] == ["a"]
