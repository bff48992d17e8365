"""Why an upload was refused. A refusal is a value: a stable code, a sentence saying what to do, and a detail.

Rules: codes are part of the API and never change meaning. Details are safe to print: they name columns of the agreement
and numbers of rows, never a value, a token or a name that the file itself brought along.
"""

from dataclasses import dataclass
from enum import Enum


class Rejection(Enum):
    """The reason. The value is the code; `ADVICE` says what to do."""

    BAD_SIGNATURE = "bad_signature"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_PROTOCOL = "wrong_protocol"
    WRONG_PROFILE = "wrong_profile"
    WRONG_EPOCH = "wrong_epoch"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a code
    EXPIRED_MANIFEST = "expired_manifest"
    CREATED_LATER = "created_later"
    TOO_LARGE = "too_large"
    SIZE_MISMATCH = "size_mismatch"
    HASH_MISMATCH = "hash_mismatch"
    NOT_PARQUET = "not_parquet"
    COLUMNS_MISMATCH = "columns_mismatch"
    ROWS_MISMATCH = "rows_mismatch"
    VALUE_OUTSIDE_DOMAIN = "value_outside_domain"
    MEASURE_OUT_OF_BOUNDS = "measure_out_of_bounds"
    BAD_CONSENT = "bad_consent"
    ROW_WITHOUT_TOKEN = "row_without_token"  # noqa: S105 - a code
    TOKEN_TWICE = "token_twice"  # noqa: S105 - a code
    HOSTILE_OR_BROKEN_FILE = "hostile_or_broken_file"
    ROOM_KEY = "room_key_missing"
    ROOM_DATA = "room_data_damaged"
    RETENTION = "kept_too_long"
    ENDED = "collaboration_ended"
    WITHDRAWALS = "withdrawals_missing"


_AGAIN = "Run `cleanroom-partner prepare` again and upload the new file."

ADVICE: dict[Rejection, str] = {
    Rejection.BAD_SIGNATURE: "The manifest is not signed with the key that this partner has in the agreement. "
    "Sign it with that key.",
    Rejection.WRONG_AUDIENCE: "The manifest is for another collaboration, partner or audience. "
    "Upload it to the one that it names.",
    Rejection.WRONG_PROTOCOL: "The file was made with another version of the protocol than the agreement says, "
    "so nobody would be matched. Install the version that speaks the agreed protocol, and prepare again.",
    Rejection.WRONG_PROFILE: "The file was made with another e-mail profile than the agreement says, so addresses "
    "would not match. Prepare again with the agreed profile.",
    Rejection.WRONG_EPOCH: "The file was made with the secret of another epoch. Fetch the current secret, and prepare "
    "again.",
    Rejection.WRONG_SECRET: "The file was made with another secret than the other partners', so nobody would be "
    "matched. Fetch the collaboration's secret again, compare fingerprints, and prepare again.",
    Rejection.EXPIRED_MANIFEST: "The manifest's own expiry date is here or has passed. " + _AGAIN,
    Rejection.CREATED_LATER: "The manifest says that it was made in days to come. Set the clock of the machine that "
    "prepares. " + _AGAIN,
    Rejection.TOO_LARGE: "The file is larger than this room takes. Ask the operator, or split the audience.",
    Rejection.SIZE_MISMATCH: "The upload has another length than the manifest says: it was cut off, or it is another "
    "file. Upload the file that the manifest belongs to.",
    Rejection.HASH_MISMATCH: "The upload is not the file that was signed. Upload the file of this manifest.",
    Rejection.NOT_PARQUET: "The upload is not a whole Parquet file. " + _AGAIN,
    Rejection.COLUMNS_MISMATCH: "The columns are not exactly those of the agreement. Prepare again with the "
    "agreement's match keys, attributes and measures.",
    Rejection.ROWS_MISMATCH: "The file has another number of rows than the manifest says. " + _AGAIN,
    Rejection.VALUE_OUTSIDE_DOMAIN: "An attribute has a value that is not in the agreement's code-list, nor `other` or "
    "`unknown`. " + _AGAIN,
    Rejection.MEASURE_OUT_OF_BOUNDS: "A measure has a value outside the agreed bounds. " + _AGAIN,
    Rejection.BAD_CONSENT: "A row lacks its consent or its expiry date. Leave such people out: " + _AGAIN,
    Rejection.ROW_WITHOUT_TOKEN: "A row has no token under any match key, so it could never be matched. " + _AGAIN,
    Rejection.TOKEN_TWICE: "A token stands in two rows, so one person would count twice. " + _AGAIN,
    Rejection.HOSTILE_OR_BROKEN_FILE: "The file could not be read to its end within the room's limits; it is damaged, "
    "or made to do harm. " + _AGAIN,
    Rejection.ROOM_KEY: "The room cannot store the audience: its own key of this collaboration is missing. "
    "Tell the operator to restore the keys folder, then upload again.",
    Rejection.ROOM_DATA: "The room cannot link the audience: what it stores of another one is damaged. "
    "Tell the operator; the other owner uploads again, then you.",
    Rejection.RETENTION: "The manifest asks to be kept for longer than the agreement allows, or for ever. " + _AGAIN,
    Rejection.WITHDRAWALS: "You have withdrawn people under the secret before, and nobody under this one. Run "
    "`cleanroom-partner secret accept`, which sends your list again, then upload.",
    Rejection.ENDED: "The collaboration was closed, or you have left it. There is nothing to upload any more.",
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """An upload that was refused. `detail`: what differs, where that can be told; one line, or empty."""

    reason: Rejection
    detail: str = ""

    @property
    def advice(self) -> str:
        """What to do about it, in a sentence or two."""
        return ADVICE[self.reason]
