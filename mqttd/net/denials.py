"""Log lines about what clients were denied: one each, but bounded, whatever clients try."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import Logger

from mqttd.log.text import clip, escape
from mqttd.log.tokens import without_token

if TYPE_CHECKING:
    from mqttd.identity import AccessRequest

LINES: Final = 5
"""Lines a client gets within :data:`WINDOW`; the rest is counted."""
WINDOW: Final = 60.0
"""Seconds from a client's first line until it gets lines again."""
MOST_CLIENTS: Final = 10_000
"""Clients remembered; the one whose window began first is forgotten for a new one."""
MOST_LINES: Final = 200
"""Lines in one second for all clients."""


@attrs.define
class _Client:
    until: float
    lines: int = 0
    more: int = 0


class Denials:
    """Writes the lines. Times are those of the broker, in seconds."""

    _log = Logger()

    def __init__(self) -> None:
        self._clients: OrderedDict[tuple[str, str], _Client] = OrderedDict()
        self._second = float("-inf")
        self._in_second = 0

    def denied(self, request: AccessRequest, source: str, now: float) -> None:
        """A client may not do what it asked for."""
        client = self._client(request, now)
        if client.lines >= LINES or not self._room(now):
            client.more += 1
            return
        client.lines += 1
        more, client.more = client.more, 0
        host, port = request.peer.peer
        self._log.warn(
            "client {client_id} [{peer}] on {listener} may not {action} {topic}: denied by "
            "{source}{more}",
            event="authorization_denied",
            client_id=request.client_id,
            username=without_token(request.username),
            peer=f"{host}:{port}",
            listener=request.peer.listener,
            action="leave a Will for" if request.is_will else f"{request.action} to",
            topic=clip(escape(request.topic)),
            qos=request.qos,
            retain=request.retain,
            group=request.group,
            source=source,
            more=f" ({more} more not shown)" if more else "",
        )

    def _client(self, request: AccessRequest, now: float) -> _Client:
        key = (request.peer.listener, request.client_id)
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= MOST_CLIENTS:
                self._clients.popitem(last=False)
            client = self._clients[key] = _Client(now + WINDOW)
        elif now >= client.until:
            client.until, client.lines = now + WINDOW, 0
            self._clients.move_to_end(key)
        return client

    def _room(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._in_second = now, 0
        self._in_second += 1
        return self._in_second <= MOST_LINES
