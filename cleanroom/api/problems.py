"""Every problem that the API can answer with: the one list, the one shape (RFC 9457).

Rules: a problem's code never changes its meaning. `detail` and `hint` are always safe to print: never an identifier, a
token, a key, or what the client sent. `docs/problems.md` lists these; a test compares.
"""

import math
from enum import Enum
from typing import Any, NoReturn

from flask import Response, json, request
from werkzeug.exceptions import HTTPException

CONTENT_TYPE = "application/problem+json"


class Problem(Enum):
    """A type of problem: its code in the `type` URI, HTTP status, title, and what to do about it."""

    NOT_FOUND = ("not-found", 404, "Not found", "Check the address and that you take part; nothing else is told apart.")
    BAD_REQUEST = ("bad-request", 400, "The request cannot be read", "Send JSON as the API description says.")
    INVALID = ("invalid", 422, "A field is missing or wrong", "Mend the named fields; see the API description.")
    UNAUTHORIZED = ("unauthorized", 401, "No valid access token", "Fetch a new token with a client assertion.")
    BAD_ASSERTION = (
        "bad-assertion",
        401,
        "The client assertion is not accepted",
        "Sign a new one: your key, `aud` as in /v1/room, at most 60 s of life, a new `jti`; check the machine's clock.",
    )
    BAD_CODE = (
        "bad-code",
        403,
        "The invitation code is not good",
        "Ask the operator for a new one: a code works once.",
    )
    BAD_SIGNATURE = ("bad-signature", 403, "The signature does not fit", "Sign these exact bytes with your own key.")
    ROLE = (
        "role",
        403,
        "This key may not do that",
        "Ask somebody whose key may; docs/keys.md says what each role may do.",
    )
    NOT_A_PARTNER = ("not-a-partner", 422, "Somebody named has not joined", "Every partner must join the room first.")
    BAD_AGREEMENT = (
        "bad-agreement",
        422,
        "The agreement does not hold",
        "Change what the detail names, propose again.",
    )
    BAD_QUESTION = ("bad-question", 422, "The question cannot be read", "See the API description for its form.")
    BAD_MANIFEST = (
        "bad-manifest",
        422,
        "The manifest does not hold",
        "Prepare the audience again and upload both files.",
    )
    BAD_WITHDRAWAL = (
        "bad-withdrawal",
        422,
        "The batch of withdrawals does not hold",
        "Read the detail; if it came from cleanroom-partner, update it.",
    )
    WRONG_EPOCH = ("wrong-epoch", 409, "Made for another epoch", "Accept the newest secret and send it again.")
    WRONG_SECRET = (
        "wrong-secret",
        409,
        "Made with another secret",
        "Accept the secret of this collaboration, compare keys again.",
    )
    CONFLICT = ("conflict", 409, "It is there already", "Nothing to do, or choose another name.")
    NOT_OPEN = ("not-open", 409, "The agreement is not open yet", "Every partner must sign it first.")
    CLOSED = ("closed", 409, "The collaboration has ended for you", "Nothing can be added; its reports can be read.")
    CHANGED = ("changed", 409, "The collaboration changed meanwhile", "Look at it again, then repeat what is needed.")
    NOT_TIGHTER = ("not-tighter", 422, "These terms cannot be set alone", "Propose an amendment, which all sign.")
    WRONG_OFFSET = ("wrong-offset", 409, "The upload stands elsewhere", "Ask for its offset with HEAD and go on there.")
    CHECKSUM = ("checksum", 460, "The bytes are not those of the checksum", "Nothing was kept; send the chunk again.")
    UPLOAD_INCOMPLETE = ("upload-incomplete", 409, "The upload is not complete", "Finish the upload first.")
    TOO_MANY_UPLOADS = (
        "too-many-uploads",
        429,
        "Too many unfinished uploads",
        "Finish some, end some with DELETE, or wait until they expire; see the limits in docs/limits.md.",
    )
    TOO_MANY_REQUESTS = (
        "too-many-requests",
        429,
        "Too many requests",
        "Wait as long as Retry-After says, then go on; the operator can raise the limit.",
    )
    CUT_OFF = ("cut-off", 408, "The bytes stopped coming", "Ask for the upload's offset with HEAD and go on there.")
    TOO_LARGE = ("too-large", 413, "Too large", "See the limits in docs/limits.md.")
    MEDIA_TYPE = ("media-type", 415, "Wrong content type", "Send the content type that the API description names.")
    METHOD = ("method", 405, "This address does not take this method", "See the API description.")
    TUS_VERSION = ("tus-version", 412, "Another version of tus", "Send Tus-Resumable: 1.0.0.")
    UNSETTLED = ("unsettled", 503, "The audiences kept changing", "Ask again in a moment; nothing was charged.")
    ROOM_KEY = (
        "room-key-missing",
        503,
        "The room lacks its own key of this collaboration",
        "Tell the operator to restore the keys folder.",
    )
    BUSY = ("busy", 503, "The room is busy", "Ask again in a moment; nothing was charged.")
    NOT_READY = ("not-ready", 503, "The room cannot release now", "Tell the operator, who sees what it lacks.")
    DISK_FULL = (
        "disk-full",
        507,
        "The room's disk is full",
        "Tell the operator. An upload goes on from where HEAD says that it stands.",
    )
    DISK = (
        "disk-unavailable",
        503,
        "The room's disk cannot be read or written",
        "Nothing is answered that cannot be stored. Tell the operator.",
    )
    LOG = (
        "log-unavailable",
        503,
        "The audit log cannot be written",
        "Nothing is answered without its log entry. Tell the operator.",
    )
    RESTORED = (
        "restored",
        503,
        "The room was restored from a backup and not recovered",
        "Nothing is answered until the operator has run `cleanroom recover`. Tell the operator.",
    )
    WITNESSES = (
        "not-witnessed",
        503,
        "Too few witnesses cosigned the log",
        "What was decided stands and is charged once. Read it, or ask again the same day, when the witnesses answer.",
    )
    INTERNAL = ("internal", 500, "The room failed", "Tell the operator when it happened.")

    def __init__(self, code: str, status: int, title: str, hint: str) -> None:
        self.code = code
        self.status = status
        self.title = title
        self.hint = hint

    @property
    def type(self) -> str:
        """As an answer names it: the address of its page."""
        return f"/problems/{self.code}"


CATALOG = (Problem.BUSY, Problem.DISK, Problem.DISK_FULL)
"""Of whatever opens the catalog."""
LOGGED = (Problem.LOG, Problem.RESTORED)
"""Of whatever writes an entry of the log and publishes it."""
RECEIPT = (*LOGGED, Problem.WITNESSES)
"""Of whatever answers with a receipt, which may publish first."""


class Failed(HTTPException):
    """Ends a request with a problem. `wait`: whole seconds after which to come back."""

    def __init__(self, problem: Problem, detail: str, wait: int | None = None) -> None:
        super().__init__(detail)
        self.code = problem.status
        self.problem = problem
        self.detail = detail
        self.wait = wait


def fail(problem: Problem, detail: str | None = None) -> NoReturn:
    """Ends the request."""
    raise Failed(problem, detail or problem.title)


def slow_down(seconds: float) -> NoReturn:
    """Ends the request: too many of its kind came."""
    wait = math.ceil(seconds)
    raise Failed(Problem.TOO_MANY_REQUESTS, f"Come back in {wait} s.", wait)


def render(problem: Problem, detail: str) -> Response:
    """The response for a problem."""
    body = to_json(problem, detail) | _oauth(problem)
    return Response(json.dumps(body), status=problem.status, content_type=CONTENT_TYPE)


def to_json(problem: Problem, detail: str) -> dict[str, Any]:
    """The members that every problem has."""
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "hint": problem.hint,
    }


_BY_STATUS = {
    400: Problem.BAD_REQUEST,
    401: Problem.UNAUTHORIZED,
    404: Problem.NOT_FOUND,
    405: Problem.METHOD,
    413: Problem.TOO_LARGE,
    415: Problem.MEDIA_TYPE,
    422: Problem.INVALID,
}


def handle(error: HTTPException) -> Response:
    """Flask's handler of every HTTP error, ours and its own."""
    if isinstance(error, Failed):
        response = render(error.problem, str(error.detail))
        if error.wait is not None:
            response.headers["Retry-After"] = str(error.wait)
    else:
        problem = _BY_STATUS.get(
            error.code or 500, Problem.BAD_REQUEST if (error.code or 500) < 500 else Problem.INTERNAL
        )
        detail = _fields(error) if problem is Problem.INVALID else problem.title
        response = render(problem, detail)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    allow = getattr(error, "valid_methods", None)
    if allow:
        response.headers["Allow"] = ", ".join(sorted(allow))
    return response


def _oauth(problem: Problem) -> dict[str, str]:
    """The member that RFC 6749 §5.2 wants beside ours where a token was asked for."""
    if request.endpoint != "public.token" or problem.status >= 500:
        return {}
    return {"error": "invalid_client" if problem is Problem.BAD_ASSERTION else "invalid_request"}


def _fields(error: HTTPException) -> str:
    """Which fields are wrong, by the names that our schemas give them; what was sent is not repeated."""
    data: dict[str, Any] = getattr(error, "data", None) or {}
    wrong: set[str] = set()
    for fields in (data.get("messages") or {}).values():
        for name, messages in fields.items() if isinstance(fields, dict) else ():
            known = "the whole body" if name == "_schema" else f"`{name}`"
            wrong.add("an unknown field" if messages == ["Unknown field."] else known)
    return f"Missing or wrong: {', '.join(sorted(wrong))}." if wrong else Problem.INVALID.title
