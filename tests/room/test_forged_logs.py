"""An operator who holds the log's key can sign any log. What it changes in an honest one is found, or named here.

The mutations run over the log of `story`. What is not found is exempt, each with its reason: the log alone cannot tell
it. `docs/audit-log.md` says the same in words.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import pytest

from cleanroom.audit import documents
from cleanroom.audit.documents import Document, DocumentError, Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.catalog import documents as stored
from cleanroom.replay.judge import Judge
from partners.transparency.entry import Body, Entry
from tests.room.stage import Stage
from tests.room.test_replay import story

__all__ = ["story"]  # a fixture

DECISIONS = {"decision:release", "decision:repeat", "decision:refuse"}
Log = list[tuple[int, Body]]
"""Times and bodies."""


@dataclass(frozen=True, slots=True)
class Told:
    """A log with the documents that belong to it."""

    log: Log
    documents: Mapping[str, Document]

    def found(self, log: Log) -> list[str]:
        """What is found in another log, with these documents: all of verification that looks at bodies."""
        judge, named = Judge(self.documents, whole=True), Named()
        for seq, (time, body) in enumerate(log):
            named.add(seq, body)
            judge.take(Opened(seq, time, body))
            if judge._findings or (body.event == EventKind.ROOM_INIT) != (seq == 0):
                return ["found"]  # no need to go on
        findings = [finding.what for finding in judge.told().findings]
        try:
            here = {sha256: each for sha256, each in self.documents.items() if sha256 in named.documents}
            documents.check(here, named, whole=True)
        except DocumentError:
            findings.append("documents")
        return findings

    def changed(self, seq: int, **changes: Any) -> list[str]:
        """What is found where one body is another one."""
        log = list(self.log)
        log[seq] = (log[seq][0], replace(log[seq][1], **changes))
        return self.found(log)

    def inserted(self, body: Body, seq: int | None = None) -> list[str]:
        """What is found where a body stands before entry `seq`, or at the end."""
        place = len(self.log) if seq is None else seq
        return self.found([*self.log[:place], (self.log[place - 1][0], body), *self.log[place:]])

    def samples(self) -> Iterator[tuple[int, Body]]:
        """The entries, but of each kind of decision of a collaboration only the first: others take no other way."""
        seen = set()
        for seq, (_, body) in enumerate(self.log):
            kind = (body.event, body.collaboration)
            if body.event not in DECISIONS or kind not in seen:
                yield seq, body
            seen.add(kind)

    def owner(self, key: str) -> str | None:
        """Whose key it is."""
        return next(
            (str(body.details["partner"]) for _, body in self.log if "role" in body.details and body.actor == key), None
        )

    def first(self, event: str) -> tuple[int, Body]:
        return next((seq, body) for seq, (_, body) in enumerate(self.log) if body.event == event)


@pytest.fixture(scope="module")
def told(story: Stage) -> Iterator[Told]:
    with story.room.catalog() as catalog:
        rows = catalog.connection.execute("select entry, body from log_entries order by seq").fetchall()
        log = [(Entry.parse(entry).time_ms, Body.parse(body)) for entry, body in rows]
        # No mutation of a log changes the documents: each is read, and its signatures are verified, once.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(documents, "verify", lru_cache(documents.verify))
            patch.setattr(Document, "sha256", property(lru_cache(Document.sha256.fget)))
            patch.setattr(Document, "agreement", lru_cache(Document.agreement))
            patch.setattr(Document, "tightening", lru_cache(Document.tightening))
            yield Told(log, stored.every(catalog))


def others(value: object) -> Iterator[object]:
    """Values that a detail could have instead."""
    yield None
    yield [value, value]
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1, -1 - value, str(value))
            if value in (0, 1):
                yield bool(value)
        case str():
            yield from ("", value + "x", value.upper() + "X", 1)
            if value[:4].isdecimal() and value[4:5] == "-":
                yield from ("1999-01-01", "2999-01-01")
                yield (date.fromisoformat(value) - timedelta(days=1)).isoformat()
            if value.endswith(tuple("0123456789abcdef")) and len(value) >= 16:
                yield value[:-1] + ("1" if value[-1] == "0" else "0")
        case list():
            yield [*value, "x"]
            if value:
                yield from ([each, *value[1:]] for each in others(value[0]))
        case dict():
            yield {**value, "x": 1}
            for name in value:
                yield {each: value[each] for each in value if each != name}
                yield from ({**value, name: each} for each in others(value[name]))


EXEMPT_DETAILS: Mapping[tuple[str, str], str] = {
    **{(event, "report"): "the room's name for a decision" for event in ("decision:release", "decision:repeat")},
    ("decision:refuse", "report"): "the room's name for a decision",
    ("decision:release", "evidence"): "a commitment: the partner that has the report opens it",
    ("decision:repeat", "evidence"): "a commitment: the partner that has the report opens it",
    ("upload:receive", "manifest"): "the owner has the manifest",
    ("audience:publish", "prepared"): "the owner has the manifest, which names the day",
    ("audience:publish", "expires"): "the owner has the manifest; that it is kept no longer than agreed is held",
    ("secret:relay", "epoch"): "no decision rests on it: the recipient has the envelope",
    ("secret:rotate", "deadline"): "the partner that began it has signed it",
    ("room:init", "allowance"): "the operator's own setting, which the log is to say",
    ("room:start", "allowance"): "the operator's own setting, which the log is to say",
    ("room:init", "origin"): "the checkpoint names the log",
}
"""Details that the log alone cannot tell: a value of the right kind is taken. `software` names any version."""


def test_each_detail_that_is_changed_is_found(told: Told) -> None:
    assert told.found(told.log) == []
    missed = set()
    for seq, body in told.samples():
        for name, value in body.details.items():
            without = {each: body.details[each] for each in body.details if each != name}
            assert told.changed(seq, details=without), (seq, body.event, name)
            for other in others(value):
                if repr(other) != repr(value) and not told.changed(seq, details={**body.details, name: other}):
                    assert type(other) is type(value), (seq, body.event, name, other)
                    missed.add((body.event, name))
        assert told.changed(seq, details={**body.details, "x": 1}), (seq, body.event)
    assert {each for each in missed if each[1] != "software"} == EXEMPT_DETAILS.keys()


def test_each_entry_by_another_or_elsewhere_is_found(told: Told) -> None:
    """Requests are not signed: which of the parties asked, the log cannot tell. The partners have their reports."""
    actors = {body.actor for _, body in told.log} | {"0" * 16}
    collaborations = {body.collaboration for _, body in told.log} | {"elsewhere"}
    for seq, body in told.samples():
        for actor in actors - {body.actor}:
            if body.event in DECISIONS and actor in actors - {None, "0" * 16}:
                continue
            if body.event == EventKind.AUDIENCE_RETIRE:  # its owner may end it, too, a moment before the room does
                owner = str(body.details["audience"]).partition("/")[0]
                if actor is None or told.owner(actor) == owner:
                    continue
            assert told.changed(seq, actor=actor), (seq, body.event, actor)
        for collaboration in collaborations - {body.collaboration}:
            assert told.changed(seq, collaboration=collaboration), (seq, body.event, collaboration)
        for event in {*map(str, EventKind), "foo:bar"} - {body.event} if told.first(body.event)[0] == seq else ():
            assert told.changed(seq, event=event), (seq, body.event, event)


EXEMPT_ENTRIES: Mapping[str, str] = {
    "decision:refuse": "nothing rests on it: who asked has the receipt",
    "decision:repeat": "nothing rests on it: who asked has the receipt",
    "secret:relay": "no decision rests on it: the recipient has the envelope",
    "epoch:destroy": "it may be done later",
    "room:start": "the operator may start twice",
}
"""Entries that could be missing, or be there once more."""
LAST_OF_THEIR_KIND = {
    "decision:release": "no later charge rests on it",
    "collaboration:leave": "the room closed as well",
}
"""Events whose last entry could be missing; the partner has the receipt."""
AGAIN = {"agreement:amend": "a partner may propose the same once more, before anybody signs"}


def test_each_entry_that_is_missing_or_there_twice_is_found(told: Told) -> None:
    log = told.log
    for seq, (_, body) in enumerate(log):
        if body.event in EXEMPT_ENTRIES:
            continue
        if not told.found([*log[:seq], *log[seq + 1 :]]):
            assert body.event in LAST_OF_THEIR_KIND, (seq, body.event)
            later = (each for _, each in log[seq + 1 :] if each.collaboration == body.collaboration)
            assert body.event not in {each.event for each in later}
        if body.event not in AGAIN:
            assert told.found([*log[: seq + 1], *log[seq:]]), (seq, body.event)
            assert told.inserted(body), (seq, body.event)


def test_two_entries_that_change_places_are_found_where_one_rests_on_the_other(told: Told) -> None:
    rests = {
        ("partner:join", "agreement:propose"): False,  # of sunny, who is no party
        ("agreement:propose", "agreement:sign"): True,
        ("agreement:sign", "agreement:open"): True,
        ("agreement:open", "secret:relay"): True,
        ("upload:receive", "audience:publish"): True,
        ("room:start", "decision:release"): False,  # that one can be paid by either allowance
        ("decision:refuse", "budget:grant"): True,
        ("decision:repeat", "agreement:tighten"): True,
        ("agreement:tighten", "decision:release"): True,
        ("agreement:amend", "agreement:sign"): True,
        ("agreement:open", "decision:release"): True,
        ("audience:publish", "decision:release"): True,
        ("secret:rotate", "secret:relay"): True,
        ("audience:publish", "epoch:move"): True,
        ("epoch:move", "audience:retire"): True,
        ("audience:retire", "epoch:destroy"): True,
        ("collaboration:close", "audience:retire"): True,
        ("audience:retire", "decision:refuse"): True,
    }
    seen = set()
    for seq, ((time, one), (_, other)) in enumerate(zip(told.log, told.log[1:], strict=False)):
        pair = (one.event, other.event)
        if pair in rests:
            seen.add(pair)
            swapped = [*told.log[:seq], (time, other), (told.log[seq + 1][0], one), *told.log[seq + 2 :]]
            assert bool(told.found(swapped)) is rests[pair], (seq, pair)
    assert seen == rests.keys()


def inventions(told: Told) -> Iterator[Body]:
    """Entries without cause, each in its proper form, for the end of a log whose first collaboration is closed."""
    drive = told.first("agreement:propose")[1].collaboration
    exact = next(b.collaboration for _, b in told.log if b.collaboration not in (None, drive))
    fresh, tasty = told.first("agreement:propose")[1].actor, told.first("agreement:sign")[1].actor
    sunny = next(body.actor for _, body in told.log if body.details.get("partner") == "sunny")
    new, version = "f" * 16, "v-" + "f" * 16
    agreement = told.log[told.first("decision:refuse")[0]][1].details["agreement"]

    def of(event: str, actor: str | None = None, /, **details: object) -> Body:
        return Body(event, None, actor, details)

    def one(event: str, actor: str | None = None, /, collaboration: str | None = exact, **details: object) -> Body:
        return Body(event, collaboration, actor, details)

    yield of("partner:join", new, partner="fresh", role="owner")
    yield of("partner:join", fresh, partner="other", role="owner")
    yield of("key:add", fresh, partner="tasty", key=new, role="marketer", serial=1)
    yield of("key:add", fresh, partner="fresh", key=new, role="marketer", serial=2)
    yield of("key:add", fresh, partner="fresh", key=tasty, role="marketer", serial=1)
    yield of("key:rotate", new, partner="fresh", key="e" * 16, role="owner", serial=1)
    yield of("key:rotate", tasty, partner="fresh", key=new, role="owner", serial=1)
    yield of("key:revoke", None, partner="fresh", key=new)
    yield of("key:revoke", None, partner="tasty", key=fresh)
    yield of("key:revoke", tasty, partner="fresh", key=fresh, role="owner", serial=1)
    yield of("key:wait", fresh, partner="fresh", key=new)
    yield of("key:wait", new, partner="nobody", key=new)
    yield of("key:consent", tasty, partner="fresh", key=new)
    yield of("key:replace", new, partner="fresh", key=new)
    yield one("agreement:propose", fresh, agreement=agreement)
    yield one("agreement:propose", fresh, collaboration="other", agreement=agreement)
    yield one("agreement:sign", sunny, agreement=agreement)
    yield one("agreement:open", agreement=agreement)
    yield one("agreement:open", agreement=agreement, number=2)
    yield one("agreement:amend", fresh, agreement=agreement, previous=agreement, number=2)
    yield one("secret:rotate", fresh, partner="fresh", epoch=3, deadline="2026-03-29")
    yield one("secret:rotate", fresh, partner="fresh", epoch=2, deadline="2026-03-16")
    yield one("secret:rotate", sunny, partner="fresh", epoch=2, deadline="2026-03-29")
    yield one("secret:rotate", fresh, collaboration=drive, partner="fresh", epoch=3, deadline="2026-03-29")
    yield one("secret:relay", fresh, recipient="tasty", epoch=1)
    yield one("epoch:move", epoch=2, missing=["fresh/drive"])
    yield one("epoch:destroy", epoch=1)
    yield one("collaboration:leave", tasty, partner="tasty")
    yield one("collaboration:leave", fresh, partner="sunny")
    yield one("collaboration:close", collaboration=drive)
    yield one("collaboration:close")  # and the versions that are there stay
    yield one("upload:receive", sunny, version=version, audience="fresh/drive", manifest="0" * 64)
    yield one("upload:receive", fresh, collaboration=drive, version=version, audience="fresh/drive", manifest="0" * 64)
    published = {"retired": [], "prepared": "2026-03-15", "expires": "2026-04-15"}
    yield one("audience:publish", version=version, audience="fresh/drive", epoch=1, **published)
    yield one("audience:refuse", version=version, audience="fresh/drive", epoch=1, reason="wrong_secret")
    live = next(b for _, b in told.log if b.event == "audience:publish" and b.collaboration == exact).details["version"]
    yield one("audience:retire", version=live, audience="fresh/drive", epoch=1)
    yield one("audience:retire", sunny, version=live, audience="fresh/drive", epoch=1)
    yield of("budget:forfeit", partner="fresh", spent=1_750_000, serial=1)
    yield of("budget:grant", fresh, partner="fresh", micro=1, serial=2, grant="0" * 64)
    yield of("consent:commit", partner="fresh", day="2026-03-15", commitment="0" * 64)
    yield of("consent:commit", partner="fresh", day="2026-03-13", commitment="0" * 64)
    yield of("consent:commit", partner="fresh", day="2026-03-14", commitment="0" * 64)  # and of nobody else
    yield of("consent:commit", partner="nobody", day="2026-03-14", commitment="0" * 64)
    yield one("erasure:done", partner="tasty", batch="0" * 64)
    yield one("auditor:dismiss", partner="eve")
    yield of("auditor:enter", fresh, partner="fresh")
    yield of("auditor:read", fresh, partner="fresh", what="export", collaborations=[])
    log, size = told.log[0][1].details["origin"], len(told.log)
    restore = {"log": log, "root": "A" * 43 + "=", "software": "0.1.0"}
    yield of("room:restore", complete=True, had=size, taken=1, size=size, **restore)
    yield of("room:restore", complete=True, had=0, taken=size, size=size, **restore)
    yield of("room:restore", complete=True, had=size, taken=0, size=size + 1, **restore)
    yield of("room:restore", complete=False, had=size, taken=0, size=size, **restore)  # without forfeits
    yield one("decision:other", fresh)
    yield of("other:event")


def test_each_entry_that_is_invented_is_found(told: Told) -> None:
    missed = [body for body in inventions(told) if not told.inserted(body)]
    assert missed == []


def days(told: Told, *commits: tuple[str, str], time: int = 3 * 24 * 3600 * 1000) -> list[str]:
    """What is found where these partners' days are committed to at the end, some days later."""
    last = told.log[-1][0] + time
    bodies = [{"partner": partner, "day": day, "commitment": "0" * 64} for partner, day in commits]
    return told.found([*told.log, *((last, Body(EventKind.CONSENT_COMMIT, None, None, each)) for each in bodies)])


def test_a_day_or_an_owner_without_a_consent_commitment_is_found(told: Told) -> None:
    names = ("fresh", "sunny", "tasty")
    whole = [(name, f"2026-03-{day}") for day in (14, 15, 16) for name in names]
    assert days(told, *whole) == []
    for each in whole:
        assert days(told, *(other for other in whole if other != each)), each
        assert days(told, *whole, each), each
    assert days(told, *whole, time=0), "these days had not ended"
    assert days(told, *sorted(whole)), "one owner's days came later than the others'"


def test_versions_that_nobody_published_or_ended(told: Told) -> None:
    """Who ends a version without a cause, or publishes what nobody uploaded, is found wherever it stands."""
    seq, publish = told.first("audience:publish")
    retire = {name: publish.details[name] for name in ("version", "audience", "epoch")}
    assert told.inserted(Body(EventKind.AUDIENCE_RETIRE, publish.collaboration, None, retire), seq + 1)


@pytest.mark.parametrize("event", [EventKind.COLLABORATION_CLOSE, EventKind.EPOCH_MOVE, EventKind.AGREEMENT_SIGN])
def test_what_commits_together_stands_together(told: Told, event: str) -> None:
    """Nothing comes between an end and the versions that end with it, or the last signature and the opening."""
    stop = Body(EventKind.ROOM_STOP, None, None, {"software": "0.1.0", "allowance": 300_000})
    seq, _ = told.first(event)
    assert told.inserted(stop, seq + 1)
    assert not told.inserted(stop)


def test_an_amendment_that_a_tightening_ended_does_not_open(told: Told) -> None:
    """fresh proposes it, tasty tightens its terms, which ends it; then it opens all the same."""
    (tightened, _), (amended, amend) = told.first("agreement:tighten"), told.first("agreement:amend")
    moved = [*told.log[:tightened], told.log[amended], *told.log[tightened:amended], *told.log[amended + 1 :]]
    assert told.found(moved)
    assert amend.details["previous"] == told.first("agreement:propose")[1].details["agreement"]


def test_what_a_lost_document_hides_is_held_to_the_ledger() -> None:
    """Decisions on a document that a restore lost are not judged; that no charge is forgotten is."""
    judge, seq = Judge({}, whole=True), 0

    def take(event: str, collaboration: str | None = None, actor: str | None = None, /, **details: object) -> None:
        nonlocal seq
        judge.take(Opened(seq, 1_700_000_000_000, Body(event, collaboration, actor, details)))
        seq += 1

    def line(micro: int, before: int) -> dict[str, dict[str, int]]:
        return {"fresh": {"micro": micro, "before": before, "after": before + micro}}

    take("room:init", origin="room.example/audit-v1", software="1", allowance=1)
    take("partner:join", None, "a" * 16, partner="fresh", role="owner")
    take("agreement:propose", "lost", "a" * 16, agreement="0" * 64)
    take("decision:release", "lost", "a" * 16, cost=line(5, 0))
    take("decision:release", "lost", "a" * 16, cost=line(5, 5))
    restore = {"complete": True, "log": "room.example/audit-v1", "root": "A" * 43 + "=", "software": "1"}
    take("room:restore", had=2, taken=3, size=5, **restore)
    assert (judge.told().findings, judge.told().unjudged) == ((), 2)
    judge, seq = Judge({}, whole=True), 0
    take("room:init", origin="room.example/audit-v1", software="1", allowance=1)
    take("agreement:propose", "lost", "a" * 16, agreement="0" * 64)
    take("decision:release", "lost", "a" * 16, cost=line(5, 0))
    take("decision:release", "lost", "a" * 16, cost=line(-5, 5))
    take("room:restore", had=1, taken=3, size=4, **restore)
    assert [(each.seq, each.what) for each in judge.told().findings] == [(2, "asker"), (3, "asker"), (3, "cost")]
