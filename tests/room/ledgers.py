"""What must hold of any room at any moment: its log has no gap, and its ledger is the sum of what its log says."""

from collections import Counter

from cleanroom.audit import log
from cleanroom.room import Room
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.merkle import leaf_hash, nodes_of, root


def decisions(room: Room) -> dict[str, int]:
    """Every decision of the log: its report → its leaf. Raises AssertionError where anything does not fit."""
    with room.catalog() as catalog:
        rows = catalog.all("select seq, entry, body, nonce from log_entries order by seq")
        reports = {str(row["id"]): int(row["leaf"]) for row in catalog.all("select id, leaf from reports")}
        ledger = Counter({(row["report"], row["owner"]): row["micro"] for row in catalog.all("select * from ledger")})
        releases = {str(row["report"]) for row in catalog.all("select report from releases")}
        tree = root(len(rows), log.node_reader(catalog.connection))
    charged: Counter[tuple[str, str]] = Counter()
    found: dict[str, int] = {}
    for place, row in enumerate(rows):
        entry = Entry.parse(row["entry"])
        assert (row["seq"], entry.seq, entry.commit) == (place, place, commitment(row["nonce"], row["body"]))
        body = Body.parse(row["body"])
        if body.event.startswith("decision:"):
            report = str(body.details["report"])
            assert report not in found, "a decision has one leaf"
            found[report] = place
            costs = body.details.get("cost", {})
            assert isinstance(costs, dict)
            charged.update({(report, owner): cost["micro"] for owner, cost in costs.items() if cost["micro"]})
    assert root(len(rows), nodes_of([leaf_hash(row["entry"]) for row in rows])) == tree
    assert found == reports, "reports and leaves are the same decisions"
    assert charged == ledger, "the ledger is the sum of the costs"
    assert releases <= set(found)
    return found
