"""What a log line says of a plugin that failed: the kind of failure, where, not too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

QUIET: Final = 10.0
"""Seconds between two lines about the same."""


def what_failed(error: BaseException) -> str:
    """``OSError in acme.py, line 12``.

    The text of an exception may quote what a client sent, or a key: it is left out, unless the
    exception has a ``safe_text`` of its own.
    """
    safe = getattr(error, "safe_text", "")
    if safe:
        return str(safe)
    kind = type(error).__name__
    frame = error.__traceback__
    if frame is None:
        return kind
    while frame.tb_next is not None:
        frame = frame.tb_next
    return f"{kind} in {PurePath(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}"


class Quiet:
    """Counts what happens, and says when it is time for a line. For a few fixed words."""

    def __init__(self, now: Callable[[], float] = time.monotonic, seconds: float = QUIET) -> None:
        self._now = now
        self._seconds = seconds
        self._told: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def count(self, what: str) -> int:
        """Once more: how often it was by now, or 0 when a line about it was written just now."""
        self._counts[what] = self._counts.get(what, 0) + 1
        now = self._now()
        if now < self._told.get(what, float("-inf")) + self._seconds:
            return 0
        self._told[what] = now
        return self._counts[what]


class Failures:
    """Counts how often a plugin fails, and logs some of it.

    ``kind`` says what it is, in one word for the event (``authenticator_failed``), and ``name``
    which. ``text`` is what the log calls it.
    """

    _log = Logger()

    def __init__(self, kind: str, name: str, clock: IReactorTime, *, text: str = "") -> None:
        self._kind = kind
        self._name = name
        self._text = text or kind
        self._quiet = Quiet(clock.seconds)

    def add(self, error: BaseException, then: str) -> str:
        """One more; ``then`` is what follows from it. What happened, as the log says it."""
        # The text of an error may quote what the client sent: only its kind is told.
        late = isinstance(error, DeferredTimeout)
        what = "did not answer in time" if late else f"failed: {what_failed(error)}"
        count = self._quiet.count("")
        if count:
            self._log.error(
                "the {kind} {name} {what}; {then} ({times} by now)",
                event=f"{self._kind}_failed",
                kind=self._text,
                name=self._name,
                what=what,
                then=then,
                count=count,
                times="once" if count == 1 else f"{count} times",
            )
        return what
