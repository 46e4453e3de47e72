"""SASLprep (RFC 4013): user names and passwords that look the same become the same."""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """The prepared form of a user name or password. Raises ValueError for what it forbids."""
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in text
        if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if any(prohibited(each) for each in prepared for prohibited in _PROHIBITED):
        raise ValueError("holds a character that SASLprep forbids")
    if any(stringprep.in_table_a1(each) for each in prepared):
        raise ValueError("holds an unassigned character")
    # RFC 3454 section 6: text that runs from right to left does so from end to end.
    if any(map(stringprep.in_table_d1, prepared)) and (
        any(map(stringprep.in_table_d2, prepared))
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise ValueError("mixes directions of writing")
    return prepared
