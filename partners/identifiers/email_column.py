"""The match key `email`, a whole column at once.

Rules:
* Decided here: ASCII addresses of the usual form, whose domain IDNA leaves as it is. `email` says of them what stands
  here, and a test over made-up and broken addresses holds the two together.
* Every other value, and everything near the published lists, stays open for `email`.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partners.identifiers.email import MAX_ADDRESS_BYTES, MAX_LOCAL_BYTES, EmailProfile, ascii_domain
from partners.identifiers.lists import PLACEHOLDER_ADDRESSES, ROLE_LOCAL_PARTS
from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Counts, Decided, Flat, Mask, column, ends_of

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_USUAL = rf"\A{_ATOM}(?:\.{_ATOM})*@[a-z0-9.-]+\z"  # RE2: \z is the very end
_ROLE = rf"\A(?:{'|'.join(map(re.escape, sorted(ROLE_LOCAL_PARTS)))})(?:\+[^@]*)?@"
_PLACEHOLDERS = pa.array(sorted(PLACEHOLDER_ADDRESSES))
_LONGEST_LISTED = max(len(text.partition("@")[0]) for text in PLACEHOLDER_ADDRESSES | ROLE_LOCAL_PARTS)
_AT, _DOT, _PLUS = b"@.+"


def email_column(values: pa.StringArray, profile: EmailProfile) -> Decided:
    """What can be said of a column without looking at each value."""
    lower = pc.ascii_lower(values)
    usual = pc.match_substring_regex(lower, _USUAL).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(usual)
    canonical = lower if len(rows) == len(usual) else lower.filter(pa.array(usual))
    flat = Flat.of(canonical)
    at = np.flatnonzero(flat.data == _AT)  # the form has exactly one in each
    local, length = at - flat.starts[:-1], flat.lengths
    in_domain = flat.between(at + 1, flat.starts[1:])
    domains = column(flat.data[in_domain], ends_of(length - local - 1)).dictionary_encode()
    plain = np.array([ascii_domain(domain) == domain for domain in domains.dictionary.to_pylist()], np.bool_)
    codes = domains.indices.to_numpy()
    fits = (local <= MAX_LOCAL_BYTES) & (length <= MAX_ADDRESS_BYTES) & plain[codes]
    signs = np.flatnonzero(flat.data == _PLUS)
    sign_rows = np.searchsorted(flat.starts, signs, side="right") - 1
    gmail = pc.index(domains.dictionary, "gmail.com").as_py()
    if profile is EmailProfile.UID2 and gmail >= 0:
        canonical, local = _folded(flat, at, codes == gmail, signs, sign_rows)
        fits &= local > 0
    short = local <= _LONGEST_LISTED
    short[sign_rows] = True
    doubtful = np.flatnonzero(short)
    fits[doubtful[_listed(canonical.take(pa.array(doubtful)))]] = False
    blank = pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    still_open = ~blank
    still_open[rows[fits]] = False
    return Decided(
        canonical if fits.all() else canonical.filter(pa.array(fits)),
        rows[fits],
        {Invalid.EMPTY: np.flatnonzero(blank)},
        np.flatnonzero(still_open),
    )


def _listed(canonical: pa.StringArray) -> Mask:
    found = pc.or_(pc.is_in(canonical, _PLACEHOLDERS), pc.match_substring_regex(canonical, _ROLE))
    listed: Mask = found.to_numpy(zero_copy_only=False)
    return listed


def _folded(flat: Flat, at: Counts, gmail: Mask, signs: Counts, sign_rows: Counts) -> tuple[pa.StringArray, Counts]:
    """Addresses without the dots of gmail's local parts and what follows a `+` there, and how long local parts are."""
    starts = flat.starts[:-1]
    dropped = flat.between(starts[gmail], at[gmail])
    dropped &= flat.data == _DOT
    ours = gmail[sign_rows]
    if ours.any():
        end = at.copy()
        end[sign_rows[ours][::-1]] = signs[ours][::-1]  # of several in a row, the first is written last
        cut = end < at
        dropped |= flat.between(end[cut], at[cut])
    count = flat.count(dropped)
    return column(flat.data[~dropped], ends_of(flat.lengths - count)), at - starts - count
