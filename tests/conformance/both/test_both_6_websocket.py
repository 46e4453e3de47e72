"""6 Using WebSocket as a network transport, in all versions."""

from __future__ import annotations

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    RejectConnection,
    Request,
    TextMessage,
)

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.websocket import WebSocketServer
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient


class WebClient:
    """A WebSocket client whose MQTT goes to a broker in memory."""

    def __init__(self, broker: MemoryBroker, level: int, subprotocols: list[str]) -> None:
        self.mqtt: MemoryClient = broker.client(level)
        self.server = WebSocketServer(WebSocketOptions())
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.subprotocol: str | None = None
        self.rejected = False
        self.closed = False
        request = Request(host="localhost", target="/mqtt", subprotocols=subprotocols)
        self.exchange(self.ws.send(request))

    def exchange(self, data: bytes) -> None:
        """Send bytes and take in everything that comes of it."""
        for payload in self.server.receive(data):
            self.mqtt.send_bytes(payload)
        if self.mqtt.outlet.sent and not self.server.closed:
            self.server.send(self.mqtt.take_bytes())
        answer = self.server.outgoing()
        if answer:
            self.ws.receive_data(answer)
        for event in self.ws.events():
            if isinstance(event, AcceptConnection):
                self.subprotocol = event.subprotocol
            elif isinstance(event, RejectConnection):
                self.rejected = True
            elif isinstance(event, CloseConnection):
                self.closed = True
            elif isinstance(event, BytesMessage):
                self.mqtt.outlet.sent += event.data
            else:
                assert not isinstance(event, TextMessage)

    def send(self, data: bytes) -> None:
        self.exchange(self.ws.send(BytesMessage(data=data)))


@pytest.mark.statements("v3:MQTT-6.0.0-1", "v5:MQTT-6.0.0-1")
def test_packets_travel_in_binary_frames(broker: MemoryBroker, level: int) -> None:
    client = WebClient(broker, level, ["mqtt"])
    client.send(encode(Connect("c", level), level))
    assert client.mqtt.take_one(Connack).reason_code == 0
    client.send(encode(Pingreq(), level))
    assert client.mqtt.take() == [Pingresp()]


@pytest.mark.statements("v3:MQTT-6.0.0-1", "v5:MQTT-6.0.0-1")
def test_a_text_frame_closes(broker: MemoryBroker, level: int) -> None:
    client = WebClient(broker, level, ["mqtt"])
    client.exchange(client.ws.send(TextMessage(data="\x10\x0c")))
    assert client.closed
    assert client.server.closed
    assert client.mqtt.take() == []


@pytest.mark.statements("v3:MQTT-6.0.0-2", "v5:MQTT-6.0.0-2")
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_frames_and_packets_need_not_agree(broker: MemoryBroker, level: int, size: int) -> None:
    client = WebClient(broker, level, ["mqtt"])
    data = b"".join(
        encode(packet, level)
        for packet in (
            Connect("c", level),
            Subscribe(1, [SubscribeTopic("t")]),
            Publish(b"t", b"payload"),
        )
    )
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    names = [type(packet).__name__ for packet in client.mqtt.take()]
    assert names[0] == "Connack"
    assert sorted(names[1:]) == ["Publish", "Suback"]


@pytest.mark.statements("v3:MQTT-6.0.0-3", "v5:MQTT-6.0.0-3")
@pytest.mark.parametrize("offered", [[], ["other"], ["MQTT2", "chat"]])
def test_a_client_must_offer_the_subprotocol(broker: MemoryBroker, offered: list[str]) -> None:
    client = WebClient(broker, 4, offered)
    assert client.rejected
    assert client.server.closed


@pytest.mark.statements("v3:MQTT-6.0.0-4", "v5:MQTT-6.0.0-4")
@pytest.mark.parametrize("offered", [["mqtt"], ["other", "mqtt"], ["mqtt", "other"]])
def test_the_subprotocol_selected(broker: MemoryBroker, offered: list[str]) -> None:
    client = WebClient(broker, 4, offered)
    assert not client.rejected
    assert client.subprotocol == "mqtt"
