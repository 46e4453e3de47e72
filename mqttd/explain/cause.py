"""One cause of a refused connection: what happened, and what an operator does about it."""

from __future__ import annotations

import attrs


@attrs.frozen
class Cause:
    """``kind`` is a stable word for counters and filters; ``words`` and ``cure`` are for people.

    ``words`` is part of a sentence, ``cure`` an order to follow. ``tls`` is False for causes that
    have nothing to do with TLS. With ``detail`` the text that comes along with the refusal says
    more than ``words`` and is shown too.
    """

    kind: str
    words: str
    cure: str
    tls: bool = True
    detail: bool = False


def table(*causes: Cause) -> dict[str, Cause]:
    """Causes by kind. Raises ValueError when a kind is there twice."""
    by_kind = {cause.kind: cause for cause in causes}
    if len(by_kind) != len(causes):
        raise ValueError("a kind is listed twice")
    return by_kind
