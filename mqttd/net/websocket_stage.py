"""The WebSocket of one connection: between TLS, or the socket, and MQTT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.websocket import WebSocketServer

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection

_LEAST_INFLATED = 4 << 20


class WebSocketStage:
    """Opens MQTT once the WebSocket is open, and carries it then."""

    __slots__ = ("_connection", "_idle", "_server")

    def __init__(self, connection: NetworkConnection, options: WebSocketOptions) -> None:
        self._connection = connection
        self._idle = options.idle_timeout
        most = max(_LEAST_INFLATED, 2 * connection.factory.limits.max_packet_size)
        self._server = WebSocketServer(options, max_inflated=most)

    def received(self, data: bytes) -> None:
        """Bytes of HTTP, or frames, came."""
        connection = self._connection
        server = self._server
        chunks = server.receive(data)
        if not connection.crowding:
            # A peer that pings and does not read must not fill our memory with pongs.
            self._flush()
        if server.established and connection.mqtt is None and not self._open():
            return
        mqtt = connection.mqtt
        if mqtt is not None:
            now = connection.factory.now()
            connection.deadline = now + self._idle
            for chunk in chunks:
                mqtt.receive(chunk, now)
                connection.reading.brought(len(chunk))
        if server.closed and not connection.closing:
            connection.reading.finish()
            if mqtt is None:
                connection.refuse(server.kind, server.reason)
            else:
                connection.close(linger=True)

    def _open(self) -> bool:
        """The upgrade is answered: MQTT begins, unless the rules refuse whom a proxy names."""
        connection = self._connection
        forwarded = self._server.forwarded_for
        if forwarded:
            peer = (forwarded, self._server.forwarded_port or connection.peer.peer[1])
            connection.peer = attrs.evolve(connection.peer, peer=peer)
            if not connection.welcome():
                return False
        connection.open_mqtt()
        return True

    def send(self, data: bytes) -> None:
        """MQTT for the peer."""
        self._server.send(data)
        self._flush()

    def close(self) -> None:
        """Say goodbye: a Close frame, or before the WebSocket is open an HTTP refusal."""
        self._server.close()
        self._flush()

    def _flush(self) -> None:
        data = self._server.outgoing()
        if data:
            self._connection.write_plain(data)
