"""Patterns with ``*`` and ``?``, without regular expressions: none of them can run away."""

from __future__ import annotations


def fits(pattern: str, text: str) -> bool:
    """Whether ``text`` is what the pattern says: ``*`` is anything, ``?`` one character."""
    at = mark = 0
    star = -1
    place = 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place += 1
            at += 1
        elif star >= 0:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return all(each == "*" for each in pattern[place:])
