"""What holds for every customer file, checked on random small ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.reading import BadFile, delimited
from tests.partners.world import run, written

EMAIL = st.sampled_from(["", "a@x.fr", "A@x.fr", "b@x.fr", "c@x.fr", "bad", "info@x.fr"])
PHONE = st.sampled_from(["", "0199001234", "+33199001234", "0199001235", "12"])
PERSON = st.tuples(EMAIL, PHONE, st.sampled_from(["gold", "", "x"]), st.sampled_from(["", "1", "999", "x"]))


def good(cell: str) -> bool:
    return cell not in ("", "bad", "info@x.fr", "12")


@given(
    people=st.lists(st.tuples(PERSON, st.sampled_from(["yes", "no", ""])), min_size=1, max_size=25),
    size=st.integers(1, 9),
)
@settings(max_examples=40, deadline=None)
def test_the_laws_of_an_audience(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[tuple[str, ...], str]], size: int
) -> None:
    """The books balance, no token stands twice, no row is without token or consent, whatever the chunks are."""
    folder = tmp_path_factory.mktemp("laws")
    header = ("email", "mobile", "tier", "spend", "ok")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "CHUNK_ROWS", size)
        try:
            prepared = run(
                folder, [(*person, ok) for person, ok in people], header, table={"consent": {"insights": "ok"}}
            )
        except BadFile:
            amounts = [person[3] for person, _ in people]
            no_numbers = 2 * amounts.count("x") > len(people) - amounts.count("")
            usable = any(ok == "yes" and (good(person[0]) or good(person[1])) for person, ok in people)
            assert no_numbers or not usable
            assert list((folder / "out").iterdir()) == []
            return
    report, found = prepared.quality.to_json(), written(prepared)
    assert report["rows_read"] == len(people) == report["rows_kept"] + sum(report["dropped"].values())
    assert report["rows_kept"] == len(found) == prepared.manifest.manifest.rows
    assert report["dropped"]["no_consent"] == sum(ok != "yes" for _, ok in people)
    for key, at in (("email", 0), ("phone", 1)):
        tokens = [row[f"token.{key}"] for row in found if row[f"token.{key}"] is not None]
        assert len(set(tokens)) == len(tokens)
        stats = report["keys"][key]
        assert stats["filled"] == stats["valid"] + sum(stats["invalid"].values()) == sum(p[at] != "" for p, _ in people)
    assert all(row["consent"] == 1 and (row["token.email"] or row["token.phone"]) for row in found)
