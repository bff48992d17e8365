"""The signed documents of the catalog as the log names them, for exports."""

from cleanroom.audit.documents import Document, Signature
from cleanroom.catalog import keys
from cleanroom.catalog.catalog import Catalog
from partners.keys import verify


def every(catalog: Catalog) -> dict[str, Document]:
    """Every agreement, tightening and grant that the room ever took, by its SHA-256."""
    agreements = _agreements(catalog)
    found = [*agreements.values(), *_tightenings(catalog, agreements), *_grants(catalog)]
    return {document.sha256: document for document in found}


def _agreements(catalog: Catalog) -> dict[str, Document]:
    rows = catalog.all("select agreement as document from collaborations union select document from agreement_versions")
    found = {}
    for row in rows:
        document = Document(bytes(row["document"]), ())
        parties = {party.name: party.signing_key for party in document.agreement().parties}
        signed = catalog.all(
            "select p.partner, p.signature from parties p join collaborations c on c.id = p.collaboration"
            " where c.agreement_sha256 = ?1 and p.signature is not null"
            " union select partner, signature from agreement_signatures where sha256 = ?1 order by 1",
            document.sha256,
        )
        signatures = (Signature(each["partner"], parties[each["partner"]], each["signature"]) for each in signed)
        found[document.sha256] = Document(document.data, tuple(signatures))
    return found


def _tightenings(catalog: Catalog, agreements: dict[str, Document]) -> list[Document]:
    found = []
    for row in catalog.all("select partner, agreement, document, signature from tightenings"):
        party = agreements[row["agreement"]].agreement().party(row["partner"])
        assert party is not None, "who tightens is a party of the agreement"
        signature = Signature(party.name, party.signing_key, row["signature"])
        found.append(Document(row["document"].encode(), (signature,)))
    return found


def _grants(catalog: Catalog) -> list[Document]:
    """Grants, each with the key of its owner that signed it: it may have been rotated away since."""
    found = []
    for row in catalog.all("select partner, document, signature from grants"):
        signed = (
            Signature(row["partner"], key.signing_key, row["signature"])
            for key in keys.every(catalog, row["partner"])
            if verify(key.signing_key, "grant/v1", row["document"], row["signature"])
        )
        found.append(Document(bytes(row["document"]), (next(signed),)))
    return found
