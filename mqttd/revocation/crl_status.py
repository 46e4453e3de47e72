"""What operators see of one revocation list: ``mqttd ctl crl list``."""

from __future__ import annotations

import attrs

from mqttd.revocation.revocation_list import BadList, RevocationList


@attrs.frozen(kw_only=True)
class ListStatus:
    """One list, or one that could not be had. Times are seconds since 1970, None for unknown.

    ``source`` is the address or the file. ``usable`` says that clients are judged by it now;
    ``error`` why the last try to get it failed, ``error_at`` when; empty when it succeeded.
    ``waiting`` is how many clients wait for it.
    """

    source: str
    issuer: str = ""
    usable: bool = False
    this_update: float | None = None
    next_update: float | None = None
    number: int | None = None
    entries: int | None = None
    fetched: float | None = None
    age: float | None = None
    error: str = ""
    error_at: float | None = None
    waiting: int = 0


def status_of(
    source: str,
    current: RevocationList | None,
    *,
    now: float,
    grace: float,
    issuer: str = "",
    fetched: float | None = None,
    problem: BadList | None = None,
    problem_at: float | None = None,
    waiting: int = 0,
) -> ListStatus:
    """The status of a list that is there, or is not."""
    error = "" if problem is None else f"{problem.cause}: {problem.text}"
    status = ListStatus(
        source=source,
        issuer=issuer,
        fetched=fetched,
        age=None if fetched is None else max(0.0, now - fetched),
        error=error,
        error_at=problem_at,
        waiting=waiting,
    )
    if current is None:
        return status
    return attrs.evolve(
        status,
        issuer=current.issuer_name,
        usable=is_usable(current, now, grace),
        this_update=current.this_update,
        next_update=current.next_update,
        number=current.number,
        entries=len(current.entries),
    )


def is_usable(current: RevocationList | None, now: float, grace: float) -> bool:
    """Whether there is a list and its dates hold."""
    if current is None:
        return False
    try:
        current.check_dates(now, grace)
    except BadList:
        return False
    return True
