"""paho-mqtt: 3.1.1 and 5 over tcp, ssl and wss."""

from __future__ import annotations

import ssl
import threading
import uuid
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LISTENERS = ["tcp", "ssl", "ws", "wss"]
LEVELS = [MQTTProtocolVersion.MQTTv31, MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5]


class Client:
    """A paho client with its network thread, and events to wait for."""

    def __init__(self, broker: Any, listener: str, level: MQTTProtocolVersion) -> None:
        self.connected = threading.Event()
        self.subscribed = threading.Event()
        self.arrived = threading.Event()
        self.messages: list[paho.MQTTMessage] = []
        self.expected = 1
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=uuid.uuid4().hex[:20],
            protocol=level,
            transport="websockets" if listener.startswith("ws") else "tcp",
        )
        if listener in ("ssl", "wss"):
            self.paho.tls_set(ca_certs=broker.cafile, cert_reqs=ssl.CERT_REQUIRED)
        self.paho.on_connect = lambda *_: self.connected.set()
        self.paho.on_subscribe = lambda *_: self.subscribed.set()
        self.paho.on_message = self._message
        self.paho.connect("localhost", broker.ports[f"{listener}:default"])
        self.paho.loop_start()
        assert self.connected.wait(10)

    def _message(self, client: object, userdata: object, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        if len(self.messages) >= self.expected:
            self.arrived.set()

    def subscribe(self, topic: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        self.paho.subscribe(topic, qos)
        assert self.subscribed.wait(10)

    def stop(self) -> None:
        """Disconnect and end the thread."""
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def connect(broker: Any, request: pytest.FixtureRequest) -> Any:
    """Make connected clients that end with the test."""

    def make(listener: str, level: MQTTProtocolVersion) -> Client:
        client = Client(broker, listener, level)
        request.addfinalizer(client.stop)
        return client

    return make


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("level", LEVELS, ids=["v31", "v311", "v5"])
def test_messages_of_every_qos_go_both_ways(
    connect: Any, listener: str, level: MQTTProtocolVersion
) -> None:
    topic = f"paho/{uuid.uuid4().hex}"
    receiver, sender = connect(listener, level), connect(listener, level)
    receiver.expected = 30
    receiver.subscribe(f"{topic}/#", 2)
    sent = [
        sender.paho.publish(f"{topic}/{number}", f"m{number}", qos=number % 3)
        for number in range(30)
    ]
    for each in sent:
        each.wait_for_publish(10)
    assert receiver.arrived.wait(10)
    by_topic = {message.topic: message for message in receiver.messages}
    assert len(by_topic) == 30
    for number in range(30):
        message = by_topic[f"{topic}/{number}"]
        assert message.payload == f"m{number}".encode()
        assert message.qos == number % 3


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_large_message_arrives_whole(connect: Any, listener: str) -> None:
    topic = f"paho/{uuid.uuid4().hex}"
    client = connect(listener, MQTTProtocolVersion.MQTTv311)
    client.subscribe(topic, 1)
    payload = bytes(range(256)) * 3900
    client.paho.publish(topic, payload, qos=1).wait_for_publish(10)
    assert client.arrived.wait(10)
    assert client.messages[0].payload == payload


def test_topic_alias_and_user_properties(connect: Any) -> None:
    topic = f"paho/{uuid.uuid4().hex}"
    client = connect("ssl", MQTTProtocolVersion.MQTTv5)
    client.expected = 2
    client.subscribe(topic, 1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.TopicAlias = 3
    properties.UserProperty = [("a", "1"), ("b", "2"), ("a", "3")]
    client.paho.publish(topic, "one", 1, properties=properties).wait_for_publish(10)
    client.paho.publish("", "two", 1, properties=properties).wait_for_publish(10)
    assert client.arrived.wait(10)
    assert [message.payload for message in client.messages] == [b"one", b"two"]
    assert {message.topic for message in client.messages} == {topic}
    for message in client.messages:
        assert message.properties is not None
        assert message.properties.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")]
