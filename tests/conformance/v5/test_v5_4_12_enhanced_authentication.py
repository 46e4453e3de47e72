"""3.15 AUTH and 4.12 Enhanced authentication."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient

Done = Callable[[bytes | Authenticated | Refused], None]


class Riddles:
    """An authentication method of two riddles; the answers are b"one" and b"two"."""

    def start(self, request: ConnectRequest, data: bytes | None) -> Asking:
        return Asking(request)


class Asking:
    def __init__(self, request: ConnectRequest) -> None:
        self.request = request
        self.asked = 0

    def step(self, data: bytes | None, done: Done) -> None:
        if data is not None and data != (b"", b"one", b"two")[self.asked]:
            done(Refused(0x87, "wrong answer"))
        elif self.asked == 2:
            done(Authenticated(Identity(username="solver"), b"well done"))
        else:
            self.asked += 1
            done(b"riddle %d" % self.asked)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(enhanced={"riddles": Riddles()})


def auth(reason_code: int, data: bytes | None = None, method: str | None = "riddles") -> Auth:
    properties = Properties()
    if method is not None:
        properties.authentication_method = method
    if data is not None:
        properties.authentication_data = data
    return Auth(reason_code, properties)


def begin(broker: MemoryBroker) -> MemoryClient:
    """A client that was asked the first riddle."""
    client = broker.client()
    client.send(Connect("c", 5, properties=Properties(authentication_method="riddles")))
    return client


def admitted(broker: MemoryBroker) -> MemoryClient:
    """A client that has solved both riddles."""
    client = begin(broker)
    client.send(auth(0x18, b"one"))
    client.send(auth(0x18, b"two"))
    assert isinstance(client.take()[-1], Connack)
    assert not client.closed
    return client


@pytest.mark.statements(
    "v5:MQTT-4.12.0-2", "v5:MQTT-4.12.0-5", "v5:MQTT-3.15.2-1", "v5:MQTT-3.2.0-1",
    "v5:MQTT-4.12.0-3",
)  # fmt: skip
def test_an_exchange_that_succeeds(broker: MemoryBroker) -> None:
    client = begin(broker)
    for number, answer in ((1, b"one"), (2, b"two")):
        challenge = client.take_one(Auth)
        assert challenge.reason_code == 0x18
        assert challenge.properties is not None
        assert challenge.properties.authentication_method == "riddles"
        assert challenge.properties.authentication_data == b"riddle %d" % number
        client.send(auth(0x18, answer))
    connack = client.take_one(Connack)
    assert connack.reason_code == 0
    assert connack.properties is not None
    assert connack.properties.authentication_method == "riddles"
    assert connack.properties.authentication_data == b"well done"
    client.send(Pingreq())
    assert client.take() == [Pingresp()]


@pytest.mark.statements("v5:MQTT-4.12.0-1", "v5:MQTT-4.13.2-1")
@pytest.mark.parametrize("method", ["unknown", "", "Riddles"])
def test_an_unknown_method(broker: MemoryBroker, method: str) -> None:
    client = broker.client()
    connack = client.connect(properties=Properties(authentication_method=method))
    assert connack.reason_code == 0x8C
    assert client.closed


@pytest.mark.statements("v5:MQTT-4.12.0-1")
def test_every_method_is_unknown_by_default() -> None:
    client = MemoryBroker().client()
    properties = Properties(authentication_method="SCRAM-SHA-256", authentication_data=b"x")
    assert client.connect(properties=properties).reason_code == 0x8C
    assert client.closed


@pytest.mark.statements("v5:MQTT-4.12.0-4", "v5:MQTT-3.2.2-7")
@pytest.mark.parametrize("answers", [[b"wrong"], [b"one", b"wrong"]])
def test_an_exchange_that_fails(broker: MemoryBroker, answers: list[bytes]) -> None:
    client = begin(broker)
    for answer in answers:
        client.take_one(Auth)
        client.send(auth(0x18, answer))
    assert client.take_one(Connack).reason_code == 0x87
    assert client.closed


@pytest.mark.statements("v5:MQTT-4.12.0-6")
def test_without_a_method_there_is_no_auth(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    properties = client.connack.properties if client.connack else None
    assert properties is None or properties.authentication_method is None
    broker.advance(100)
    assert client.take() == []


@pytest.mark.statements("v5:MQTT-4.12.0-7")
@pytest.mark.parametrize("reason_code", [0x00, 0x18, 0x19])
def test_auth_from_a_client_without_a_method(
    broker: MemoryBroker, reason_code: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.send(auth(reason_code))
    ended(client, 0x82)


@pytest.mark.statements("v5:MQTT-3.1.2-30")
@pytest.mark.parametrize(
    "packet",
    [Pingreq(), Publish(b"t", b""), Subscribe(1, [SubscribeTopic("t")])],
    ids=lambda packet: type(packet).__name__,
)
def test_other_packets_before_connack(broker: MemoryBroker, packet: Packet) -> None:
    watching = broker.connected("w")
    watching.subscribe("#")
    client = begin(broker)
    client.take_one(Auth)
    client.send(packet)
    assert client.closed
    assert all(isinstance(answer, Connack) for answer in client.take())
    assert watching.take() == []


def test_disconnect_before_connack(broker: MemoryBroker) -> None:
    watching = broker.connected("w")
    watching.subscribe("#")
    client = broker.client()
    properties = Properties(authentication_method="riddles")
    client.send(Connect("c", 5, will=ConnectWill(b"will", b""), properties=properties))
    client.take_one(Auth)
    client.send(Disconnect())
    assert client.closed
    assert not any(isinstance(packet, Auth) for packet in client.take())
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-4.12.0-3", "v5:MQTT-3.15.2-1", "v5:MQTT-4.12.0-5")
@pytest.mark.parametrize(
    "answer",
    [
        auth(0x00, b"one"),
        auth(0x19, b"one"),
        auth(0x18, b"one", "other"),
        auth(0x18, b"one", None),
    ],
    ids=["success", "re-authenticate", "another method", "no method"],
)
def test_an_answer_that_is_not_allowed(broker: MemoryBroker, answer: Auth) -> None:
    client = begin(broker)
    client.take_one(Auth)
    client.send(answer)
    assert client.closed
    assert client.take_one(Connack).reason_code in (0x82, 0x8C)


@pytest.mark.statements("v5:MQTT-4.12.1-1")
def test_re_authentication(broker: MemoryBroker) -> None:
    client = admitted(broker)
    client.send(auth(0x19))
    assert client.take_one(Auth).reason_code == 0x18
    # Other packets go on meanwhile.
    client.send(Pingreq())
    assert client.take() == [Pingresp()]
    client.send(auth(0x18, b"one"))
    assert client.take_one(Auth).reason_code == 0x18
    client.send(auth(0x18, b"two"))
    answer = client.take_one(Auth)
    assert answer.reason_code == 0
    assert answer.properties is not None
    assert answer.properties.authentication_method == "riddles"
    assert not client.closed


@pytest.mark.statements("v5:MQTT-4.12.1-1")
def test_re_authentication_by_another_method(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = admitted(broker)
    client.send(auth(0x19, None, "other"))
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x82, 0x8C)


@pytest.mark.statements("v5:MQTT-4.12.1-2")
def test_re_authentication_that_fails(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = admitted(broker)
    client.send(auth(0x19))
    client.take_one(Auth)
    client.send(auth(0x18, b"wrong"))
    ended(client, 0x87)


def test_auth_out_of_turn(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = admitted(broker)
    client.send(auth(0x18, b"one"))
    ended(client, 0x82)


@pytest.mark.statements("v5:MQTT-3.15.1-1")
@pytest.mark.parametrize("flags", range(1, 16))
def test_reserved_flags_of_auth(
    broker: MemoryBroker, flags: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = admitted(broker)
    data = bytearray(encode(auth(0x19), 5))
    data[0] |= flags
    client.send_bytes(bytes(data))
    ended(client, 0x81)


@pytest.mark.statements("v5:MQTT-3.15.2-1")
@pytest.mark.parametrize("code", [0x01, 0x80, 0x87])
def test_reason_codes_that_are_not_auths(broker: MemoryBroker, code: int) -> None:
    client = admitted(broker)
    data = bytearray(encode(auth(0x19), 5))
    data[2] = code
    client.send_bytes(bytes(data))
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x81, 0x82)


@pytest.mark.statements("v5:MQTT-3.15.2-2", "v5:MQTT-3.15.2-3", "v5:MQTT-3.1.2-24")
@pytest.mark.parametrize("size", [10, 20, 40, 200])
def test_auth_keeps_within_the_maximum_packet_size(broker: MemoryBroker, size: int) -> None:
    client = broker.client()
    properties = Properties(authentication_method="riddles", maximum_packet_size=size)
    client.send(Connect("c", 5, properties=properties))
    packets = client.take_bytes()
    assert len(packets) <= size


def test_a_client_that_does_not_answer() -> None:
    broker = MemoryBroker(enhanced={"riddles": Riddles()}, idle_timeout=15)
    client = begin(broker)
    client.take_one(Auth)
    broker.advance(20)
    assert client.closed


def test_packets_after_the_last_answer_wait_for_connack(broker: MemoryBroker) -> None:
    client = begin(broker)
    client.send(auth(0x18, b"one"))
    client.take()
    client.send(auth(0x18, b"two"), Pingreq())
    # Against 3.1.2-30, but if they are processed at all, then after CONNACK.
    answers = client.take()
    assert isinstance(answers[0], Connack | Disconnect)
