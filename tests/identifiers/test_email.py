"""The match key `email`: each rule by a case worked out by hand, then its laws."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.identifiers import EmailProfile, Invalid, email
from partners.identifiers.email import MAX_ADDRESS_BYTES, MAX_LOCAL_BYTES
from partners.identifiers.lists import PLACEHOLDER_ADDRESSES, ROLE_LOCAL_PARTS
from partners.identifiers.text import TRIMMED

UID2, PLAIN = EmailProfile.UID2, EmailProfile.PLAIN

LOCAL_ATOMS = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*/=?^_`{|}~-é", min_size=1, max_size=8)
LOCALS = st.lists(LOCAL_ATOMS, min_size=1, max_size=4).map(".".join)
DOMAINS = st.sampled_from(["gmail.com", "googlemail.com", "orange.fr", "mail.exemple.fr", "bücher.de", "例え.jp"])
ADDRESSES = st.builds("{}@{}".format, LOCALS, DOMAINS)
PROFILES = st.sampled_from(EmailProfile)
SPACE = st.text(TRIMMED, max_size=4)


@pytest.mark.parametrize(
    ("raw", "profile", "expected"),
    [
        ("jane.doe@orange.fr", UID2, "jane.doe@orange.fr"),
        ("  Jane.Doe@Orange.FR\t", UID2, "jane.doe@orange.fr"),
        ("\ufeffjane@orange.fr\u00a0\u200b", UID2, "jane@orange.fr"),
        ("Jane.Doe+news@Gmail.com", UID2, "janedoe@gmail.com"),
        ("Jane.Doe+news@Gmail.com", PLAIN, "jane.doe+news@gmail.com"),
        ("jane.doe+a+b@gmail.com", UID2, "janedoe@gmail.com"),
        ("jane.doe+news@googlemail.com", UID2, "jane.doe+news@googlemail.com"),
        ("jane.doe+news@mail.gmail.com", UID2, "jane.doe+news@mail.gmail.com"),
        ("jane.doe+news@orange.fr", UID2, "jane.doe+news@orange.fr"),
        ("o'brien@orange.fr", UID2, "o'brien@orange.fr"),
        ("JOSE\u0301@orange.fr", UID2, "jos\u00e9@orange.fr"),
        ("J\u030c@orange.fr", UID2, "\u01f0@orange.fr"),
        ("a.\u0301b@gmail.com", UID2, "\u00e1b@gmail.com"),
        ("用户@orange.fr", UID2, "用户@orange.fr"),
        ("jane@Bücher.de", UID2, "jane@xn--bcher-kva.de"),
        ("jane@XN--BCHER-KVA.de", UID2, "jane@xn--bcher-kva.de"),
        ("jane@straße.de", UID2, "jane@xn--strae-oqa.de"),
        ("jane.doe@ｇｍａｉｌ。com", UID2, "janedoe@gmail.com"),
        ("jane@" + "\u00ad" * 244 + "orange.fr", UID2, "jane@orange.fr"),
        ("a" * MAX_LOCAL_BYTES + "@orange.fr", UID2, "a" * MAX_LOCAL_BYTES + "@orange.fr"),
    ],
)
def test_canonical(raw: str, profile: EmailProfile, expected: str) -> None:
    assert email(raw, profile) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", Invalid.EMPTY),
        (" \u00a0\t", Invalid.EMPTY),
        ("0cc175b9c0f1b6a831c399e269772661", Invalid.LOOKS_HASHED),
        (" 86F7E437FAA5A7FCE15D1DDCB9EAEAEA377667B8 ", Invalid.LOOKS_HASHED),
        ("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", Invalid.LOOKS_HASHED),
        ("jane.doe", Invalid.NOT_AN_ADDRESS),
        ("@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@", Invalid.NOT_AN_ADDRESS),
        ("jane@doe@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@localhost", Invalid.NOT_AN_ADDRESS),
        ("jane@orange.fr.", Invalid.NOT_AN_ADDRESS),
        ("jane@orange..fr", Invalid.NOT_AN_ADDRESS),
        ("jane@.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@-orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@or_ange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@192.168.0.1", Invalid.NOT_AN_ADDRESS),
        ("jane@192.168.0.10", Invalid.NOT_AN_ADDRESS),
        ("jane@" + "\u00ad" * 245 + "orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane@[192.168.0.1]", Invalid.NOT_AN_ADDRESS),
        ("jane@orange.f", Invalid.NOT_AN_ADDRESS),
        ("jane@xn--a.com", Invalid.NOT_AN_ADDRESS),
        (".jane@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane.@gmail.com", Invalid.NOT_AN_ADDRESS),
        ("jane..doe@gmail.com", Invalid.NOT_AN_ADDRESS),
        ("jane doe@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane\u200bdoe@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane\x00@orange.fr", Invalid.NOT_AN_ADDRESS),
        ('"jane doe"@orange.fr', Invalid.NOT_AN_ADDRESS),
        ("Jane <jane@orange.fr>", Invalid.NOT_AN_ADDRESS),
        ("jane@orange.fr, joe@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("mailto:jane@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("jane\ud800@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("+news@gmail.com", Invalid.NOT_AN_ADDRESS),
        ("a" * (MAX_LOCAL_BYTES + 1) + "@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("é" * 33 + "@orange.fr", Invalid.NOT_AN_ADDRESS),
        ("test@test.com", Invalid.PLACEHOLDER),
        (" TEST@Test.com", Invalid.PLACEHOLDER),
        ("t.e.s.t+1@gmail.com", Invalid.PLACEHOLDER),
        ("info@orange.fr", Invalid.ROLE_MAILBOX),
        ("No-Reply+77@orange.fr", Invalid.ROLE_MAILBOX),
        ("no.reply@gmail.com", Invalid.ROLE_MAILBOX),
    ],
)
def test_refused(raw: str, reason: Invalid) -> None:
    assert email(raw, UID2) is reason


def test_plain_keeps_what_only_uid2_folds() -> None:
    assert email("+news@gmail.com", PLAIN) == "+news@gmail.com"
    assert email("no.reply@gmail.com", PLAIN) == "no.reply@gmail.com"


def test_the_longest_address() -> None:
    label = "b" * 61
    longest = f"{'a' * 64}@{label}.{label}.{label}.fr"
    assert len(longest) == MAX_ADDRESS_BYTES - 1
    assert email(longest, UID2) == longest
    assert email(longest.replace(".fr", ".com"), UID2) == longest.replace(".fr", ".com")
    assert email(longest.replace(".fr", ".info"), UID2) is Invalid.NOT_AN_ADDRESS


def test_every_entry_of_the_lists_is_reached() -> None:
    assert {email(entry, PLAIN) for entry in PLACEHOLDER_ADDRESSES} == {Invalid.PLACEHOLDER}
    assert {email(entry, UID2) for entry in PLACEHOLDER_ADDRESSES} == {Invalid.PLACEHOLDER}
    assert {email(f"{local}@orange.fr", UID2) for local in ROLE_LOCAL_PARTS} == {Invalid.ROLE_MAILBOX}


@given(ADDRESSES, PROFILES, SPACE, SPACE)
@settings(deadline=None)
def test_case_space_and_composition_do_not_count(address: str, profile: EmailProfile, before: str, after: str) -> None:
    expected = email(address, profile)
    assert email(before + address + after, profile) == expected
    assert email(address.upper(), profile) == expected
    assert email(unicodedata.normalize("NFD", address), profile) == expected


@given(st.text("abcdefgh0123456789", min_size=3, max_size=12), st.data())
@settings(deadline=None)
def test_dots_and_tags_of_gmail_do_not_count_under_uid2(local: str, data: st.DataObject) -> None:
    dots = data.draw(st.sets(st.integers(1, len(local) - 1)))
    dotted = "".join("." * (index in dots) + char for index, char in enumerate(local))
    tag = data.draw(st.sampled_from(["", "+", "+news", "+a.b+c"]))
    assert email(f"{dotted}{tag}@gmail.com", UID2) == f"{local}@gmail.com"
    for other in (f"{dotted}{tag}@googlemail.com", f"{dotted}{tag}@orange.fr"):
        assert email(other, UID2) == other
