"""What the control plane needs from the broker it controls, and what it says when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, TypeAlias

import attrs

Row: TypeAlias = dict[str, Any]
"""One thing as JSON has it: an object of text, numbers, lists and objects. Never a secret."""

LARGEST_PAGE = 1000
"""Most clients in one answer."""


class ControlError(Exception):
    """A request cannot be fulfilled: HTTP ``status``, EMQX's ``code`` word, words for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad_request(message: str) -> ControlError:
    """What was asked for makes no sense."""
    return ControlError(400, "BAD_REQUEST", message)


@attrs.frozen
class Page:
    """A part of the clients, ordered by client identifier; ``count`` is how many there are."""

    rows: Sequence[Row]
    count: int


class Banned(Protocol):
    """Who may not come in; entries as EMQX has them: ``{as, who, by, reason, at, until}``."""

    def list(self, page: int, limit: int) -> Page:
        """Page ``page``, from 1, of ``limit`` entries, oldest first."""

    def add(self, row: Row) -> Row:
        """Ban somebody; the entry as it is kept."""

    def remove(self, kind: str, who: str) -> None:
        """Take an entry out."""

    def clear(self) -> None:
        """Take all out."""


class Control(Protocol):
    """The running broker. Methods are called in the reactor's thread and raise ControlError."""

    def status(self) -> Row:
        """Version, uptime in seconds, counters, refusals by listener and cause."""

    def listeners(self) -> list[Row]:
        """Every enabled listener, running or not."""

    def listener(self, name: str) -> Row:
        """One of them."""

    def change_listener(self, name: str, action: str) -> Awaitable[Row]:
        """``start``, ``stop`` or ``restart``; the listener as it is then."""

    def clients(self, page: int, limit: int, expiring: float | None) -> Page:
        """Page ``page``, from 1, of ``limit`` connected clients; with ``expiring`` only those
        whose certificate ends within that many seconds, soonest first."""

    def client(self, client_id: str) -> Row:
        """One connected client."""

    def kick(self, client_id: str) -> None:
        """Disconnect a client."""

    def access(
        self, client_id: str, action: str, topic: str, qos: int, retain: bool
    ) -> Awaitable[Row]:
        """Whether a connected client may ``publish`` or ``subscribe`` there, and which rule says
        so."""

    def log_level(self) -> Row:
        """The lowest levels written: ``level``, and those of ``console`` and ``file``."""

    def set_log_level(self, level: str) -> Row:
        """Change them, as long as the process runs."""

    def certificates(self) -> list[Row]:
        """What is loaded: own certificates and trusted authorities, by listener."""

    def psk(self) -> list[Row]:
        """Identities that have a key; never the keys."""

    def crl(self) -> list[Row]:
        """Revocation lists."""

    def refresh_crl(self) -> Awaitable[list[Row]]:
        """Fetch all of them now."""

    def ocsp(self) -> list[Row]:
        """Stapled responses."""

    def refresh_ocsp(self) -> Awaitable[list[Row]]:
        """Fetch all of them now."""

    def reload(self) -> Awaitable[Row]:
        """Read configuration and files again; what changed, what was refused and why."""

    @property
    def banned(self) -> Banned:
        """The list of bans."""

    def plugins(self) -> list[Row]:
        """Installed plugins by kind and name."""
