"""A room in one object, answering over `httpx.MockTransport`: just enough for one agreement and its reports.

It keeps the API's forms and checks what a client must prove (tokens, signatures, offsets). Attributes are there to be
bent by tests: a `forked` log, `published` audiences, other keys for a partner, other `documents` than were agreed on, a
cut connection.
"""

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from partners import keys
from partners.protocol import PublicKeys
from partners.receipts import Receipt
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.merkle import inclusion_proof, leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey
from partners.transparency.proof import Proof
from partners.transparency.tiles import tiles
from policies import agreement as agreements
from policies import canonical
from policies.agreement import Agreement

URL = "http://127.0.0.1:9"
AUDIENCE = "http://127.0.0.1:9/v1/token"
ORIGIN = "room.example/audit-v1"
FLOOR = {"minimum_size": 10}


class FakeRoom:
    def __init__(self) -> None:
        self.signer = SigningKey(ORIGIN, bytes(range(32)))
        self.leaves: list[bytes] = [b"genesis"]
        self.notes: list[bytes] = []
        self.codes: dict[str, str] = {}
        self.partners: dict[str, PublicKeys] = {}
        self.tokens: dict[str, str] = {}
        self.jtis: set[str] = set()
        self.agreements: dict[str, tuple[Agreement, dict[str, bytes]]] = {}
        self.refused: dict[str, int] = {}
        self.documents: dict[str, bytes] = {}
        self.envelopes: list[dict[str, Any]] = []
        self.epoch = 1
        self.grants: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.published: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.uploads: dict[str, tuple[int, bytes]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.refuse_versions = False
        self.lose_answer_of: str | None = None

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def invite(self, name: str) -> str:
        self.codes[f"code-of-{name}"] = name
        return f"code-of-{name}"

    def checkpoint(self) -> bytes:
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        return self.signer.sign(Checkpoint(self.signer.name, len(hashes), root(len(hashes), nodes_of(hashes))).text())

    def log_file(self, name: str) -> bytes | None:
        """The published log: its checkpoint and the tiles of its hashes."""
        if name == "checkpoint":
            return self.checkpoint()
        node = nodes_of([leaf_hash(leaf) for leaf in self.leaves])
        found = {tile.path: tile for tile in tiles(len(self.leaves))}.get(name)
        if found is None:
            return None
        return b"".join(node(8 * found.level, found.first + place) for place in range(found.width))

    def successions(self) -> tuple[bytes, ...]:
        return tuple(self.notes)

    def receipt(self, event: str, collaboration: str | None, details: dict[str, object]) -> dict[str, str]:
        """Logs an event; its receipt under the newest checkpoint."""
        body, nonce, index = Body(event, collaboration, None, details).encode(), bytes(32), len(self.leaves)
        entry = Entry(index, 1_700_000_000_000 + index, commitment(nonce, body)).encode()
        self.leaves.append(entry)
        path = inclusion_proof(index, len(self.leaves), nodes_of([leaf_hash(leaf) for leaf in self.leaves]))
        proof = Proof(index, path, self.checkpoint().decode()).encode()
        return Receipt(proof, entry, body, nonce).to_json()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        self.bodies.append(request.content)
        response = self._routed(request, path)
        if path == self.lose_answer_of:
            self.lose_answer_of = None
            raise httpx.ReadError("cut")
        return response

    def _routed(self, request: httpx.Request, path: str) -> httpx.Response:
        if path in self.refused:
            return problem(self.refused[path], "refused", "Not now")
        if path == "/v1/room":
            facts: dict[str, Any] = {"name": self.signer.name, "token_audience": AUDIENCE}
            facts["vkey"] = str(self.signer.verifier)
            facts |= {"floor": FLOOR, "version": "0.1.0", "allowance": 5_000_000}
            return httpx.Response(200, json=facts | {"successions": [note.decode() for note in self.notes]})
        if path.startswith("/v1/log/"):
            data = self.log_file(path.removeprefix("/v1/log/"))
            return problem(404, "not-found", "Not found") if data is None else httpx.Response(200, content=data)
        if path == "/v1/join":
            return self._join(json.loads(request.content))
        if path == "/v1/token":
            return self._token(parse_qs(request.content.decode()))
        me = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if me is None:
            return problem(401, "unauthorized", "No valid access token")
        if path.startswith("/v1/uploads"):
            return self._upload(request, path.rpartition("/")[2])
        body = json.loads(request.content) if request.content else {}
        if found := re.fullmatch(r"/v1/partners/([\w-]+)", path):
            return self._partner(found[1])
        if path == "/v1/collaborations" and request.method == "POST":
            return self._propose(me, body)
        if path == "/v1/collaborations":
            mine = [each for each, (agreement, _) in self.agreements.items() if agreement.party(me)]
            return httpx.Response(200, json={"collaborations": [self._collaboration(each) for each in mine]})
        if path == "/v1/replacements":
            return httpx.Response(200, json={"replacements": []})
        if path == "/v1/ledger":
            ledger = {"partner": me, "allowance": 5_000_000, "spent": 250_000, "grants": len(self.grants)}
            ledger["forfeited"] = False
            line = {"id": "c-1", "name": "c", "allotted": 5_000_000, "spent": 250_000, "unbounded": False}
            return httpx.Response(200, json={**ledger, "collaborations": [line]})
        if path == "/v1/grants":
            return self._grant(body)
        if found := re.fullmatch(r"/v1/reports/([\w-]+)", path):
            known = self.reports.get(found[1])
            return httpx.Response(200, json=known) if known else problem(404, "not-found", "Not found")
        if found := re.fullmatch(r"/v1/collaborations/([\w-]+)/audiences/([\w-]+)/versions(/[\w-]+)?", path):
            return self._version(request, found[1], (found[3] or "").lstrip("/"), body)
        found = re.fullmatch(r"/v1/collaborations/([\w-]+)(/\w+)?", path)
        if found is None or found[1] not in self.agreements:
            return problem(404, "not-found", "Not found")
        return self._of_collaboration(request.method, me, found[1], found[2] or "", body)

    def _of_collaboration(
        self, method: str, me: str, identifier: str, part: str, body: dict[str, Any]
    ) -> httpx.Response:
        agreement, signatures = self.agreements[identifier]
        match method, part:
            case "GET", "":
                return httpx.Response(200, json=self._collaboration(identifier))
            case "GET", "/agreement":
                return httpx.Response(200, content=self.documents.get(identifier, agreement.canonical()))
            case "POST", "/signatures":
                signatures[me] = base64.b64decode(body["signature"])
                return httpx.Response(201, json=self._collaboration(identifier))
            case "GET", "/envelopes":
                mine = [each for each in self.envelopes if each["envelope"]["recipient"] == me]
                return httpx.Response(200, json={"envelopes": mine})
            case "POST", "/envelopes":
                if any(each["envelope"]["recipient"] == body["envelope"]["recipient"] for each in self.envelopes):
                    return problem(409, "conflict", "It is there already")
                self.envelopes.append(body)
                return httpx.Response(201, json=body)
            case "POST", "/reports":
                return self._report(me, identifier, body)
        raise AssertionError(f"the fake room has no {method} {part}")

    def _report(self, me: str, identifier: str, body: dict[str, Any]) -> httpx.Response:
        if body.pop("dry_run"):
            quote = {"cost": {"fresh": 250_000}, "left": {"fresh": 4_000_000}, "unbounded": False}
            return httpx.Response(200, json={**quote, "refused": None, "explanation": None, "questions": []})
        report = f"r-{len(self.reports)}"
        self.reports[report] = {
            "id": report,
            "collaboration": identifier,
            "kind": body["kind"],
            "asked_by": me,
            "purpose": body["purpose"],
            "mode": "private",
            "date": "2026-03-14",
            "status": "released",
            "reason": None,
            "explanation": "",
            "figures": self.figures,
            "cost": {"fresh": 0.25},
            "free": False,
            "receipt": self.receipt("decision:release", identifier, {"report": report}),
        }
        return httpx.Response(201, json=self.reports[report])

    def _join(self, body: dict[str, str]) -> httpx.Response:
        public = PublicKeys(base64.b64decode(body["signing_key"]), base64.b64decode(body["sealing_key"]))
        signed = canonical.dumps({name: body[name] for name in ("code", "sealing_key", "signing_key")})
        if not keys.verify(public.signing, "join/v1", signed, base64.b64decode(body["signature"])):
            return problem(403, "bad-signature", "The signature does not fit")
        if (name := self.codes.pop(body["code"], None)) is None:
            return problem(403, "bad-code", "The invitation code is not good", hint="Ask the operator for a new one.")
        self.partners[name] = public
        return httpx.Response(201, json={"partner": name, "role": "owner", "waiting": []})

    def _token(self, form: dict[str, list[str]]) -> httpx.Response:
        assertion = form["client_assertion"][0]
        name = jwt.decode(assertion, options={"verify_signature": False})["sub"]
        key = Ed25519PublicKey.from_public_bytes(self.partners[name].signing)
        claims = jwt.decode(assertion, key, algorithms=["EdDSA"], audience=AUDIENCE)
        assert jwt.get_unverified_header(assertion)["kid"] == keys.key_id(self.partners[name].signing)
        assert claims["iss"] == name
        assert claims["exp"] - claims["iat"] <= 60
        assert claims["jti"] not in self.jtis
        self.jtis.add(claims["jti"])
        token = f"secret-token-{len(self.jtis)}"
        self.tokens[token] = name
        return httpx.Response(200, json={"access_token": token, "token_type": "Bearer", "expires_in": 600})

    def _partner(self, name: str) -> httpx.Response:
        if (public := self.partners.get(name)) is None:
            return problem(404, "not-found", "Not found")
        both = {"signing_key": b64(public.signing), "sealing_key": b64(public.sealing)}
        return httpx.Response(200, json={"name": name, **both, "rotations": []})

    def _propose(self, me: str, body: dict[str, Any]) -> httpx.Response:
        proposed = agreements.from_json(body["agreement"])
        self.agreements[proposed.id] = (proposed, {me: base64.b64decode(body["signature"])})
        return httpx.Response(201, json=self._collaboration(proposed.id))

    def _upload(self, request: httpx.Request, identifier: str) -> httpx.Response:
        if request.method == "POST":
            identifier = f"u-{len(self.uploads)}"
            self.uploads[identifier] = (int(request.headers["Upload-Length"]), b"")
            return httpx.Response(201, headers={"Location": f"/v1/uploads/{identifier}"})
        if identifier not in self.uploads:
            return problem(404, "not-found", "Not found")
        length, data = self.uploads[identifier]
        if request.method == "PATCH":
            assert int(request.headers["Upload-Offset"]) == len(data)
            data += request.content
            self.uploads[identifier] = (length, data)
        return httpx.Response(204, headers={"Upload-Offset": str(len(data)), "Upload-Length": str(length)})

    def _version(
        self, request: httpx.Request, collaboration: str, identifier: str, body: dict[str, Any]
    ) -> httpx.Response:
        """A version is looked at once before its check ends."""
        if identifier:
            known = self.versions[identifier]
            if known["state"] == "checking":
                known |= {"state": "refused" if self.refuse_versions else "published", "progress": 100}
                known["receipt"] = self.receipt(
                    f"audience:{known['state'][:-2]}", collaboration, {"version": known["id"]}
                )
            else:
                known |= {"state": "checking", "progress": 40} if known["state"] == "received" else {}
            return httpx.Response(200, json=known)
        if request.method == "GET":
            wanted = request.url.params["sha256"]
            found = [each for each in self.versions.values() if each["sha256"] == wanted]
            return httpx.Response(200, json={"versions": found})
        length, data = self.uploads[body["upload"]]
        assert len(data) == length
        assert hashlib.sha256(data).hexdigest() == body["manifest"]["sha256"]
        version = {"id": f"v-{len(self.versions)}", "state": "received", "progress": 0, "receipt": None}
        version["problem"] = {"title": "No", "detail": "A token stands twice."} if self.refuse_versions else None
        version["sha256"] = hashlib.sha256(canonical.dumps(body["manifest"])).hexdigest()
        self.versions[str(version["id"])] = version
        return httpx.Response(202, json=version)

    def _grant(self, body: dict[str, Any]) -> httpx.Response:
        grant = body["grant"]
        if grant["serial"] != len(self.grants) + 1:
            return problem(409, "conflict", "It is there already")
        self.grants.append(grant)
        receipt = self.receipt("budget:grant", None, {"partner": grant["partner"], "serial": grant["serial"]})
        return httpx.Response(201, json={"receipt": receipt})

    def _collaboration(self, identifier: str) -> dict[str, Any]:
        agreement, signatures = self.agreements[identifier]
        checks = [each["envelope"]["key_check"] for each in self.envelopes]
        return {
            "id": identifier,
            "name": agreement.name,
            "state": "open" if len(signatures) == len(agreement.parties) else "proposed",
            "epoch": self.epoch,
            "agreement_sha256": agreement.sha256(),
            "signatures": [{"partner": name, "signature": b64(value)} for name, value in signatures.items()],
            "audiences": [
                {"owner": each.ref.owner, "name": each.ref.name, "version": self.published.get(str(each.ref))}
                for each in agreement.audiences
            ],
            "key_check": checks[0] if checks else None,
            "amendment": None,
            "tightened": [],
            "left": [],
            "rotation": None,
            "auditors": [],
        }


def problem(status: int, code: str, title: str, detail: str = "", hint: str = "") -> httpx.Response:
    body = {"type": f"/problems/{code}", "title": title, "status": status, "detail": detail, "hint": hint}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
