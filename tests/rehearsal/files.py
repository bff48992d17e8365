"""Customer files with a known truth, and scenarios over them, for the tests of rehearsals."""

import csv
from pathlib import Path

SCENARIO = """
[collaboration]
name = "drive-2026"
match_keys = ["email", "phone"]
mode = "threshold"
minimum_size = 5
rounding = 1

[[partner]]
name = "fresh"
audience = "drive"
file = "fresh.csv"
region = "FR"
[partner.keys]
email = "email"
phone = "mobile"
[partner.attributes]
tier = "loyalty_tier"
[partner.measures]
spend = { column = "spend_eur", lower = 0, upper = 500 }
[partner.consent]
purposes = ["insights"]

[[partner]]
name = "tasty"
audience = "readers"
file = "tasty.csv"
region = "FR"
[partner.keys]
email = "e-mail"
phone = "telephone"
[partner.consent]
insights = "ok"

[[report]]
kind = "overlap"
asked_by = "fresh"
audiences = ["fresh/drive", "tasty/readers"]

[[report]]
kind = "statistics"
asked_by = "tasty"
count = "fresh/drive"
where = { matched = "tasty/readers" }
by = ["fresh/drive.tier"]
sum = ["fresh/drive.spend"]
"""

# Of 60 people of fresh, numbers 20 to 59 are readers of tasty (20 to 99), but every tenth reader did not consent.
FRESH, TASTY = range(60), range(20, 100)
SHARED = [number for number in FRESH if number in TASTY and number % 10]


def email(number: int) -> str:
    return f"person.{number}@example.org"


def phone(number: int) -> str:
    return f"06 12 34 {number // 100 + 10:02d} {number % 100:02d}"


def tier(number: int) -> str:
    return "gold" if number % 3 == 0 else "silver"


def spend(number: int) -> int:
    """In cents."""
    return 1000 + 37 * number


def write(folder: Path) -> Path:
    """The two files and the scenario; every second reader is known by phone only. The path of the scenario."""
    rows = [[email(n), phone(n), tier(n), f"{spend(n) / 100:.2f}"] for n in FRESH]
    table(folder / "fresh.csv", ["email", "mobile", "loyalty_tier", "spend_eur"], rows)
    readers = [[email(n).upper() if n % 2 else "", phone(n), "yes" if n % 10 else "no"] for n in TASTY]
    table(folder / "tasty.csv", ["e-mail", "telephone", "ok"], readers, ";")
    path = folder / "scenario.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def table(path: Path, header: list[str], rows: list[list[str]], delimiter: str = ",") -> None:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter=delimiter)
        out.writerow(header)
        out.writerows(rows)
