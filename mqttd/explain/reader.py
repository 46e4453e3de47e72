"""Reads a log of ours, or what a client printed, and finds the failures in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import attrs

from mqttd.explain.causes import Cause, cause_of
from mqttd.explain.sayings import ALERTS, HARMLESS, SAYINGS, VAGUE

LONGEST: Final = 1 << 16
"""Characters of a line that are looked at."""
_MOST: Final = 1_000
_EXAMPLE: Final = 600
_NEAR: Final = 10
"""Lines within which a client speaks of one failure."""

_REFUSED: Final = re.compile(
    r"(?:TLS handshake|connection) refused on \S+ from (\S+): .* \[([a-z0-9-]{1,60})\]$"
)
_MORE: Final = re.compile(r"\d+ more refused from (\S+) within \d+ s: ([a-z0-9, -]+)$")
_NUMBER: Final = re.compile(r"ssl alert number (\d{1,3})|received alert \[(\d{1,3})\]")
_EVENTS: Final = frozenset({"tls_refused", "connection_refused", "refusals_throttled"})


@attrs.define
class Found:
    """One kind of failure: how often, and where it was seen first and last."""

    cause: Cause
    count: int = 0
    """Refused connections in a log of ours; lines that speak of it in a client's output."""
    first_line: int = 0
    example: str = ""
    peers: set[str] = attrs.Factory(set)
    """Who was refused, as far as a log of ours says; no more than a thousand."""


class Reader:
    """Takes line after line; :attr:`found` is what was recognised, by kind, in order of sight."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self._number = 0
        self._pending: tuple[int, str, str] | None = None
        self._said = (-_NEAR, 0)

    def read(self, lines: Iterable[str]) -> None:
        """Look at each line. Never raises for what is in them."""
        for line in lines:
            self._number += 1
            self._look(line[:LONGEST].strip())
        self._settle()

    def _look(self, line: str) -> None:
        if line.startswith("{"):
            event = _json_event(line)
            if event is not None:
                line = str(event.get("message", ""))
                if event.get("event") not in _EVENTS:
                    return
        if (match := _REFUSED.search(line)) is not None:
            self._add(match[2], line, peer=match[1].rpartition(":")[0])
        elif (match := _MORE.search(line)) is not None:
            for kind, count in _counts(match[2]).items():
                self._add(kind, line, count, match[1])
        else:
            said = _saying(line.lower().replace("_", " "))
            if said is not None:
                self._hear(said, line)

    def _hear(self, kind: str, line: str) -> None:
        """A client's words: vague ones count only if nothing near them says more."""
        vagueness = VAGUE.get(kind, 0)
        where, before = self._said
        near = self._number - where < _NEAR
        if near and vagueness > before:
            return
        if self._pending is not None and near and vagueness < before:
            self._pending = None
        self._settle()
        self._said = (self._number, vagueness)
        if vagueness:
            self._pending = (self._number, kind, line)
        else:
            self._add(kind, line)

    def _settle(self) -> None:
        """Nothing said more than the vague words that wait."""
        if self._pending is not None:
            number, kind, line = self._pending
            self._pending = None
            self._add(kind, line, number=number)

    def _add(
        self, kind: str, line: str, count: int = 1, peer: str = "", *, number: int = 0
    ) -> None:
        found = self.found.get(kind)
        if found is None:
            if len(self.found) >= _MOST:
                return
            found = self.found[kind] = Found(cause_of(kind), first_line=number or self._number)
        found.count += count
        found.example = line[:_EXAMPLE]
        if peer and len(found.peers) < _MOST:
            found.peers.add(peer)


def _json_event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _counts(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in text.split(", "):
        kind, _, number = each.rpartition(" ")
        if kind and number.isdecimal() and len(number) < 12:
            counts[kind] = int(number)
    return counts


def _saying(line: str) -> str | None:
    """The kind a line of a client's output speaks of; ``line`` in lower case."""
    if any(each in line for each in HARMLESS):
        return None
    if (match := _NUMBER.search(line)) is not None:
        number = int(match[1] or match[2])
        return ALERTS[number][1] if number in ALERTS else "alert"
    for name, kind in ALERTS.values():
        if f"client alert: fatal - {name}" in line:  # Erlang, in a broker's log
            return f"alert-{name.replace(' ', '-')}"
        if (
            f"alert {name}" in line
            or f"alert: {name}" in line
            or f"fatal - {name}" in line
            or f"remote error: tls: {name}" in line
        ):
            return kind
    for words, kind in SAYINGS:
        if words in line:
            return kind
    return None
