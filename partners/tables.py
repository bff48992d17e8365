"""A report as tables on a terminal, and as CSV: the figures, what withheld and ± mean, what it cost, what to do next.

Rules: withheld figures all read the same. Nothing is shown that the report does not say. Text of other partners never
reaches a terminal with control characters, nor a spreadsheet as a formula.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from partners import explain, words
from partners.failure import plain
from partners.reports import Figure, Report, read_report
from policies import explanations, rates
from policies.cells import Value
from policies.decision import RULES, Reason
from policies.question import where_to_json
from policies.terms import Kind, Mode

WITHHELD = "withheld"
ALL = "total"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Section:
    """One table: `labels` columns of text, then columns of numbers, each cell as it is shown."""

    title: str
    labels: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def render_report(value: object, console: Console) -> None:
    """Prints a report from its JSON value. Raises `fields.OddAnswer` where it is none."""
    show(read_report(value), console)


def show(report: Report, console: Console) -> None:
    """Prints a report."""
    title = f"{report.kind.value} report{f' {plain(report.id)}' if report.id else ''}, asked by {report.asked_by}"
    console.print(Text(f"{title}, {plain(report.date)}, {report.mode.value} mode"))
    for section in sections(report):
        table = Table(box=SIMPLE_HEAD)
        for place, column in enumerate(section.columns):
            table.add_column(Text(column), justify="left" if place < section.labels else "right", overflow="fold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        console.print()
        console.print(Text(section.title, style="bold"))
        console.print(table)
    console.print()
    for line in notes(report):
        console.print(Text(line))


def sections(report: Report) -> tuple[Section, ...]:
    """The tables of a report: an overlap has two for each audience, statistics one for each population."""
    figures = report.figures
    if report.kind is Kind.OVERLAP:
        counted = dict.fromkeys(figure.counted for figure in figures)
        found = []
        for audience in counted:
            of_it = [figure for figure in figures if figure.counted == audience]
            found.append(_populations(f"{audience} and who of it is matched", [f for f in of_it if not f.by], report))
            if regions := [figure for figure in of_it if figure.by]:
                found.append(_cells(f"{audience}, each person in one row", regions, report))
        return tuple(found)
    populations = dict.fromkeys((figure.counted, figure.where) for figure in figures)
    return tuple(
        _cells(
            f"people of {counted}: {words.where(where)}",
            [figure for figure in figures if (figure.counted, figure.where) == (counted, where)],
            report,
        )
        for counted, where in populations
    )


def notes(report: Report) -> tuple[str, ...]:
    """What to know of the figures, what they cost, and what to do next."""
    lines = []
    if not report.released:
        lines.append(f"Refused: {plain(report.explanation or _rule(report.reason))}")
    if any(figure.withheld for figure in report.figures):
        lines.append(f"withheld: {explanations.WITHHELD}. Ask by fewer attributes.")
    if any(figure.at_least and figure.measure == rates.MEASURE for figure in report.figures):
        lines.append(f"at least {rates.CAP}: above that, match rates are not told apart.")
    elif any(figure.at_least for figure in report.figures):
        lines.append("at least: what is withheld is left out, so the true figure may be larger.")
    if report.released and report.mode is Mode.PRIVATE:
        lines.append("±: the true figure is no further away in 95 of 100 cases.")
    if report.mode is Mode.THRESHOLD:
        lines.append(explain.DIFFERENCING)
    lines.append(_cost(report))
    if report.id is not None and report.released:
        identifier = plain(report.id)
        lines.append(
            f"Next: `cleanroom-partner report {identifier} --csv FILE` keeps the figures; with --json FILE,"
            " `cleanroom-partner verify FILE` proves the decision offline."
        )
    return tuple(lines)


def to_csv(report: Report) -> str:
    """The figures, one a row, one column per dimension (empty: a total over it). Texts cannot act as formulas."""
    dimensions = tuple(dict.fromkeys(name for figure in report.figures for name, _ in figure.by))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["counted", "where", *dimensions, "measure", "value", "margin95", "withheld", "at_least"])
    for figure in report.figures:
        by = dict(figure.by)
        where = "" if figure.where is None else json.dumps(where_to_json(figure.where), ensure_ascii=False)
        writer.writerow(
            [
                str(figure.counted),
                where,
                *(_harmless(words.cell(by[name])) if name in by else "" for name in dimensions),
                figure.measure,
                "" if figure.value is None else f"{figure.value:f}",
                "" if figure.margin95 is None else f"{figure.margin95:f}",
                str(figure.withheld).lower(),
                str(figure.at_least).lower(),
            ]
        )
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _populations(title: str, figures: list[Figure], report: Report) -> Section:
    """One row for each `where`."""
    rows = dict.fromkeys(figure.where for figure in figures)
    return _section(
        title,
        ("who",),
        [((words.where(where),), [figure for figure in figures if figure.where == where]) for where in rows],
        report,
    )


def _cells(title: str, figures: list[Figure], report: Report) -> Section:
    """One row for each combination of values; `total` where a total runs over a dimension."""
    dimensions = tuple(dict.fromkeys(name for figure in figures for name, _ in figure.by))
    rows: dict[tuple[tuple[str, Value], ...], list[Figure]] = {}
    for figure in figures:
        rows.setdefault(figure.by, []).append(figure)
    labels = [
        tuple(words.cell(by[name]) if name in by else ALL for name in dimensions) for by in (dict(key) for key in rows)
    ]
    named = tuple(plain(name).replace("matched:", "matched in ") for name in dimensions)
    if not dimensions:
        return _section(title, ("who",), [((ALL,), each) for each in rows.values()], report)
    return _section(title, named, list(zip(labels, rows.values(), strict=True)), report)


def _section(
    title: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], list[Figure]]], report: Report
) -> Section:
    listed = list(rows)
    measures = dict.fromkeys(figure.measure for _, figures in listed for figure in figures)
    columns = [
        _column([next((f for f in figures if f.measure == measure), None) for _, figures in listed], report.mode)
        for measure in measures
    ]
    return Section(
        title,
        len(labels),
        (*labels, *(_heading(measure) for measure in measures)),
        tuple((*label, *values) for (label, _), *values in zip(listed, *columns, strict=True)),
    )


def _column(figures: list[Figure | None], mode: Mode) -> list[str]:
    """The cells of one measure, so that the ± and the last digits stand below each other."""
    shown = [figure for figure in figures if figure and figure.value is not None and figure.margin95 is not None]
    places = max((_places(figure) for figure in shown), default=0)
    margins = {id(figure): words.number(figure.margin95 or Decimal(0), places) for figure in shown}
    width = max(map(len, margins.values()), default=0)
    cells = []
    for figure in figures:
        if figure is None:
            cells.append("")
        elif figure.value is None:
            cells.append(WITHHELD)
        else:
            bound = "at least " if figure.at_least and not figure.measure.startswith("mean:") else ""
            value = f"{bound}{words.number(figure.value, places)}"
            cells.append(f"{value} ± {margins[id(figure)]:>{width}}" if mode is Mode.PRIVATE else value)
    return cells


def _places(figure: Figure) -> int:
    """Decimals worth showing: none for people, two for amounts and rates, more only for amounts below one."""
    assert figure.value is not None, "only shown figures have places"
    if figure.value == figure.value.to_integral_value():
        return 0
    return 2 if abs(figure.value) >= 1 or figure.measure == "match_rate" else 4


def _heading(measure: str) -> str:
    kind, _, column = plain(measure).partition(":")
    match kind:
        case "match_rate":
            return "match rate, %"
        case "sum":
            return f"sum of\n{column}"
        case "mean":
            return f"mean of\n{column}"
    return kind


def _rule(reason: str | None) -> str:
    known = {rule.value: RULES[rule] for rule in Reason}
    return known.get(reason or "", "the room gave a reason that this version does not know; update cleanroom-partner")


def _cost(report: Report) -> str:
    charged = [f"{plain(owner)} ε {epsilon.normalize():f}" for owner, epsilon in report.cost if epsilon]
    if charged:
        return f"Cost: {', '.join(charged)}. Reading it again is free."
    if report.mode is Mode.THRESHOLD:
        return "Cost: nothing is charged in threshold mode, because nothing bounds what is told."
    return "Cost: nothing, the same was asked before today." if report.released else "Cost: nothing."
