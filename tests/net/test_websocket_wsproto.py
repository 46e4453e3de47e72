"""A whole conversation with the client of another implementation, wsproto."""

from __future__ import annotations

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.websocket import WebSocketServer


class Pair:
    """A wsproto client and our server, back to back."""

    def __init__(self, *, compress: bool, path: str = "/mqtt") -> None:
        self.server = WebSocketServer(WebSocketOptions(compress=compress))
        self.client = WSConnection(ConnectionType.CLIENT)
        self.received = b""
        extensions = [PerMessageDeflate()] if compress else []
        self.events = self.send(
            Request(
                host="broker.example",
                target=path,
                subprotocols=["mqtt"],
                extensions=extensions,
            )
        )

    def send(self, event: Event) -> list[Event]:
        """Let the client send an event; return what it sees then."""
        self.received += b"".join(self.server.receive(self.client.send(event)))
        return self.look()

    def look(self) -> list[Event]:
        """What the client sees of the server's output."""
        data = self.server.outgoing()
        if data:
            self.client.receive_data(data)
        return list(self.client.events())


@pytest.mark.parametrize("compress", [False, True])
def test_conversation(*, compress: bool) -> None:
    pair = Pair(compress=compress)
    (accepted,) = pair.events
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "mqtt"
    assert bool(accepted.extensions) is compress
    for size in (0, 1, 125, 126, 5000, 65535, 65536, 100_000):
        pair.received = b""
        assert pair.send(BytesMessage(data=b"up" * size)) == []
        assert pair.received == b"up" * size
        pair.server.send(b"down" * size)
        data = b"".join(event.data for event in pair.look() if isinstance(event, BytesMessage))
        assert data == b"down" * size
    assert pair.send(Ping(payload=b"are you there")) == [Pong(payload=b"are you there")]
    (closed,) = pair.send(CloseConnection(code=1000, reason="done"))
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1000
    assert pair.server.finished


def test_text_is_refused() -> None:
    pair = Pair(compress=False)
    (closed,) = pair.send(TextMessage(data="CONNECT"))
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (1003, "a text frame: MQTT needs binary ones")


def test_wrong_path() -> None:
    pair = Pair(compress=False, path="/")
    assert isinstance(pair.events[0], RejectConnection)
    assert pair.events[0].status_code == 404


def test_our_close_is_answered() -> None:
    pair = Pair(compress=False)
    pair.server.close(1001, "the broker stops")
    (closed,) = pair.look()
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (1001, "the broker stops")
    assert not pair.server.finished
    assert pair.send(closed.response()) == []
    assert pair.server.finished
