"""The one refusal of a PROXY protocol header."""

from __future__ import annotations


class InvalidProxyHeader(Exception):  # noqa: N818 - the name says what is wrong
    """The first bytes of a connection are no acceptable PROXY protocol header.

    ``reason`` is one English sentence for the log. It never quotes what the peer sent, except
    for numbers.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
