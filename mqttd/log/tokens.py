"""Keeps tokens that clients send as their user name out of every log."""

from __future__ import annotations

from typing import Final, overload

SHOWN: Final = "<token>"
_SHORTEST_HEADER: Final = 16
"""Characters; ``{"alg":"HS256"}`` has 20."""


@overload
def without_token(name: str) -> str: ...
@overload
def without_token(name: None) -> None: ...


def without_token(name: str | None) -> str | None:
    """The user name, or ``<token>`` in place of what looks like a JSON Web Token (RFC 7519).

    One that was refused may still be good elsewhere, or later.
    """
    if name is None or name.count(".") < 2:
        return name
    header = name.partition(".")[0]
    # base64url of { and what may follow it in JSON: a quote, a space or a line end
    if len(header) >= _SHORTEST_HEADER and header.startswith(("ey", "ew")):
        return SHOWN
    return name
