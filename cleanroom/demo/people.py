"""Made-up customers of three French brands, from one seed: a food brand, a supermarket's drive, a recipe site.

Rules: nobody here is meant; names, addresses and mobile numbers are drawn at random and go nowhere. E-mail domains are
reserved for examples (RFC 2606), but for gmail.com, whose spelling rule is worth showing.
People overlap by design: whoever cooks is likelier to be with every brand. Spellings are messy the way forms are.
The same seed, size and day give the same files byte for byte.
"""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

GIVEN = """
    Camille Léa Manon Chloé Inès Jade Louise Zoé Élise Anaïs Lucas Hugo Louis Gabriel Nathan Jules Adam Raphaël
    Théo Noé Marie-Claire Jean-Pierre François Hélène Benoît
""".split()  # noqa: SIM905 - reads as a list of words
FAMILY = """
    Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefèbvre Michel Garcia
    David Bertrand Roux Vincent Fournier Morel Girard André Mercier Dupont Lambert Bonnet François Martinez Legrand
""".split()  # noqa: SIM905
DOMAINS = ("gmail.com", "example.com", "example.net", "example.org", "mail.example.com")
MOBILES = ("60", "61", "62", "63", "65", "66", "67", "68", "73", "75", "76", "77", "78")
REGIONS = ("Île-de-France", "Nord", "Ouest", "Sud-Ouest", "Sud-Est")
CUISINES = ("quotidien", "végétarien", "pâtisserie", "monde")


@dataclass(frozen=True, slots=True)
class Person:
    """One inhabitant. `cooking` 0 to 1 drives which brands know the person, and how much is spent."""

    given: str
    family: str
    email: str
    phone: str
    region: str
    cooking: float


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand's file: its name and audience, its columns, who is likely in it."""

    name: str
    audience: str
    file: str
    header: tuple[str, ...]
    base: float
    affinity: float


MAISON = Brand(
    "maison-lavande",
    "loyalty",
    "maison-lavande.csv",
    ("carte", "email", "mobile", "niveau", "region", "achats_eur", "ok_insights", "ok_mesure", "consent_fin"),
    0.10,
    0.45,
)
DRIVE = Brand(
    "super-drive",
    "drive",
    "super-drive.csv",
    ("client", "e-mail", "telephone", "frequence", "region", "panier_eur", "consent"),
    0.30,
    0.25,
)
RECIPES = Brand(
    "marmite",
    "readers",
    "marmite.csv",
    ("compte", "courriel", "tel", "cuisine", "statistiques", "mesure"),
    0.10,
    0.45,
)
BRANDS = (MAISON, DRIVE, RECIPES)


def write(folder: Path, seed: int, people: int, day: date) -> None:
    """Writes the three files. `people` is about the size of the largest; `day` is the day of the rehearsal."""
    draw = random.Random(seed)  # noqa: S311 - made-up people, not secrets
    inhabitants = [_person(draw, number) for number in range(round(people / 0.43))]
    for brand in BRANDS:
        members = [each for each in inhabitants if draw.random() < brand.base + brand.affinity * each.cooking]
        draw.shuffle(members)
        with (folder / brand.file).open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, delimiter=";" if brand is DRIVE else ",")
            out.writerow(brand.header)
            out.writerows(_rows(brand, members, draw, day))


def _person(draw: random.Random, number: int) -> Person:
    given, family = draw.choice(GIVEN), draw.choice(FAMILY)
    domain = draw.choices(DOMAINS, (45, 20, 15, 10, 10))[0]
    local = f"{_ascii(given)}.{_ascii(family)}{number}"
    phone = f"{draw.choice(MOBILES)}{draw.randrange(10_000_000):07d}"
    return Person(given, family, f"{local}@{domain}", phone, draw.choice(REGIONS), draw.random())


def _rows(brand: Brand, members: list[Person], draw: random.Random, day: date) -> Iterator[tuple[object, ...]]:
    for number, person in enumerate(members, start=1):
        card = f"{brand.name[:2].upper()}{number:07d}"
        email = _messy_email(person, draw) if draw.random() < 0.94 else ""
        phone = _messy_phone(person, draw) if draw.random() < 0.80 else ""
        if brand is MAISON:
            level = draw.choices(("bronze", "argent", "or"), (6, 3, 1 + 3 * person.cooking))[0]
            spent = round(draw.lognormvariate(3.6 + person.cooking, 0.7), 2)
            until = day + timedelta(days=draw.randrange(-60, 700))
            expires = "" if draw.random() < 0.01 else until.isoformat()
            yield card, email, phone, level, person.region, spent, _yes(draw, 0.93), _yes(draw, 0.8), expires
        elif brand is DRIVE:
            often = draw.choices(("hebdomadaire", "mensuel", "rare"), (2 + 3 * person.cooking, 3, 2))[0]
            basket = round(draw.gauss(78 + 40 * person.cooking, 30), 2)
            shown = "n/a" if draw.random() < 0.004 else max(0.0, basket)
            yield card, email, phone, often, person.region, shown, _yes(draw, 0.95)
        else:
            cuisine = "" if draw.random() < 0.03 else draw.choice(CUISINES)
            yield card, email, phone, cuisine, _yes(draw, 0.9), _yes(draw, 0.7)


def _messy_email(person: Person, draw: random.Random) -> str:
    """The same address as people type it into forms; now and then one that is of no use."""
    local, _, domain = person.email.partition("@")
    chance = draw.random()
    if chance < 0.10:
        return person.email.upper()
    if chance < 0.16:
        return f" {person.email} "
    if domain == "gmail.com" and chance < 0.26:
        return f"{local.replace('.', '')}@{domain}"
    if domain == "gmail.com" and chance < 0.34:
        return f"{local}+promo@{domain}"
    if chance > 0.995:
        return "test@test.com"
    if chance > 0.985:
        return f"{local} chez {domain}"
    return person.email


def _messy_phone(person: Person, draw: random.Random) -> str:
    """The same number in the spellings of forms; now and then one that is of no use."""
    chance, number = draw.random(), person.phone
    pairs = [f"0{number[0]}", *(number[i : i + 2] for i in range(1, 9, 2))]
    if chance < 0.35:
        return " ".join(pairs)
    if chance < 0.55:
        return f"+33{number}"
    if chance < 0.65:
        return ".".join(pairs)
    if chance < 0.72:
        return f"0033 {number[0]} {' '.join(pairs[1:])}"
    if chance > 0.99:
        return "0600000000"
    if chance > 0.98:
        return number[:5]
    return f"0{number}"


def _yes(draw: random.Random, chance: float) -> str:
    return "oui" if draw.random() < chance else "non"


def _ascii(name: str) -> str:
    return name.lower().translate(str.maketrans("éèëêïîàâôûç", "eeeeiiaaouc"))
