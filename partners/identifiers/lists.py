"""Values that many customer files share and that stand for nobody, or for several people.

Rules:
* The lists are short, explicit and published word for word in `docs/protocol.md`; a test compares the two.
* They hold canonical values, so that every spelling of an entry is caught.
* An entry may be added when it is known from real files; a value that can well be one person's own stays out.
"""

from itertools import pairwise

PLACEHOLDER_ADDRESSES = frozenset(
    {
        "a@a.com",
        "aaa@aaa.com",
        "abc@abc.com",
        "email@email.com",
        "example@example.com",
        "na@na.com",
        "no@email.com",
        "no@mail.com",
        "no@no.com",
        "noemail@gmail.com",
        "noemail@noemail.com",
        "nomail@nomail.com",
        "none@none.com",
        "null@null.com",
        "test@example.com",
        "test@gmail.com",
        "test@test.com",
        "test@test.de",
        "test@test.fr",
        "unknown@unknown.com",
        "x@x.com",
        "xxx@xxx.com",
    }
)
"""Addresses that people type where they do not want to give theirs."""

ROLE_LOCAL_PARTS = frozenset(
    {
        "abuse",
        "admin",
        "administrator",
        "billing",
        "contact",
        "do-not-reply",
        "donotreply",
        "hello",
        "help",
        "hostmaster",
        "info",
        "mailer-daemon",
        "marketing",
        "no-reply",
        "noc",
        "noreply",
        "office",
        "postmaster",
        "sales",
        "security",
        "service",
        "support",
        "webmaster",
    }
)
"""Local parts of shared mailboxes: those of RFC 2142 that companies use, and their everyday relatives."""

PLACEHOLDER_DEVICES = frozenset({"ffffffff-ffff-ffff-ffff-ffffffffffff"})
"""Advertising ids that stand for no device; the all-zero id has a reason of its own."""

PLACEHOLDER_NAMES = frozenset({"INCONNU", "NONE", "NULL", "TEST", "UNKNOWN", "XXX"})
"""Folded names; a person is refused when the given and the family name are both in this list."""


def is_placeholder_number(national: str) -> bool:
    """Whether the digits of a national number are a pattern: all alike after the first, or counting up or down.

    >>> is_placeholder_number("600000000"), is_placeholder_number("123456789"), is_placeholder_number("612345678")
    (True, True, False)
    """
    if len(set(national[1:])) == 1:
        return True
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(national)}
    return steps in ({1}, {9})
