"""Reading the room's answers: every value is checked for its kind before it becomes a domain value. Pure.

A room that answers something else than the API promises is either of another version or not to be trusted; in both
cases the client stops with one line.
"""

from collections.abc import Mapping
from typing import Any

from partners.failure import Failure
from partners.protocol import PublicKeys
from partners.transparency.encoding import decode_base64
from policies.question import NAME


class OddAnswer(Failure):
    """An answer that is not of the API's form."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the room's answer is not understood ({name}); update cleanroom-partner, or tell the operator"
        )


def table(value: object, name: str) -> Mapping[str, Any]:
    """A JSON object. Raises `OddAnswer` naming `name`, as every function here."""
    if not isinstance(value, dict):
        raise OddAnswer(name)
    return value


def items(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise OddAnswer(name)
    return found


def text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise OddAnswer(name)
    return found


def optional_text(value: Mapping[str, Any], name: str) -> str | None:
    return None if value.get(name) is None else text(value, name)


def identifier(value: Mapping[str, Any], name: str) -> str:
    """The name of a partner, an audience, a collaboration …: safe in a path and on a terminal."""
    found = text(value, name)
    if not NAME.fullmatch(found):
        raise OddAnswer(name)
    return found


def identifiers(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of such names."""
    found = items(value, name)
    if not all(isinstance(each, str) and NAME.fullmatch(each) for each in found):
        raise OddAnswer(name)
    return tuple(found)


def integer(value: Mapping[str, Any], name: str) -> int:
    found = value.get(name)
    if type(found) is not int:
        raise OddAnswer(name)
    return found


def boolean(value: Mapping[str, Any], name: str) -> bool:
    found = value.get(name)
    if not isinstance(found, bool):
        raise OddAnswer(name)
    return found


def public_keys(value: Mapping[str, Any]) -> PublicKeys:
    """The two keys of a partner, 32 bytes each in base64."""
    try:
        return PublicKeys(decode_base64(text(value, "signing_key")), decode_base64(text(value, "sealing_key")))
    except ValueError:
        raise OddAnswer("signing_key, sealing_key") from None


def key(value: Mapping[str, Any], name: str) -> bytes:
    """One public key of 32 bytes in base64."""
    try:
        found = decode_base64(text(value, name))
    except ValueError:
        raise OddAnswer(name) from None
    if len(found) != 32:
        raise OddAnswer(name)
    return found


def signature(value: Mapping[str, Any]) -> bytes:
    try:
        return decode_base64(text(value, "signature"))
    except ValueError:
        raise OddAnswer("signature") from None
