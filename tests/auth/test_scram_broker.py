"""SCRAM through CONNECT and AUTH, and the re-authentication of a connected client."""

from __future__ import annotations

import pytest
from scramp import ScramClient
from twisted.internet.task import Clock

from mqttd.auth.enhanced import EnhancedMethod
from mqttd.auth.scram import ScramAuthenticator, ScramCredential
from mqttd.packets.acks import Puback
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker, MemoryClient

METHOD = "SCRAM-SHA-256"


@pytest.fixture(scope="module")
def users() -> dict[str, ScramCredential]:
    return {
        name: ScramCredential.new(METHOD, f"password of {name}", iterations=4096)
        for name in ("ann", "bob")
    }


@pytest.fixture
def broker(users: dict[str, ScramCredential]) -> MemoryBroker:
    method = ScramAuthenticator(METHOD, users.get)
    return MemoryBroker(enhanced={METHOD: EnhancedMethod("scram", method, Clock())})


def data_of(packet: Auth | Connack) -> str:
    assert packet.properties is not None
    data = packet.properties.authentication_data
    assert data is not None
    return data.decode()


def message(text: str) -> Properties:
    return Properties(authentication_method=METHOD, authentication_data=text.encode())


def begin(client: MemoryClient, user: ScramClient) -> None:
    client.send(Connect("c", 5, properties=message(user.get_client_first())))
    user.set_server_first(data_of(client.take_one(Auth)))
    client.send(Auth(0x18, message(user.get_client_final())))


def renew(client: MemoryClient, user: ScramClient) -> None:
    client.send(Auth(0x19, message(user.get_client_first())))
    user.set_server_first(data_of(client.take_one(Auth)))
    client.send(Auth(0x18, message(user.get_client_final())))


def test_a_client_comes_in_and_renews(broker: MemoryBroker) -> None:
    client, user = broker.client(), ScramClient([METHOD], "ann", "password of ann")
    begin(client, user)
    answer = client.take_one(Connack)
    assert answer.reason_code == 0
    user.set_server_final(data_of(answer))
    assert client.connection.username == "ann"
    again = ScramClient([METHOD], "ann", "password of ann")
    renew(client, again)
    success = client.take_one(Auth)
    assert success.reason_code == 0
    again.set_server_final(data_of(success))
    client.publish("a", qos=1)
    assert client.take_one(Puback).packet_id == 1


def test_a_wrong_password(broker: MemoryBroker) -> None:
    client = broker.client()
    begin(client, ScramClient([METHOD], "ann", "wrong"))
    assert client.take_one(Connack).reason_code == 0x86
    assert client.closed


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [("ann", "wrong", 0x87), ("bob", "password of bob", 0x87)],
    ids=["wrong-password", "another-user"],
)
def test_a_renewal_that_fails_ends_the_session(
    broker: MemoryBroker, name: str, password: str, code: int
) -> None:
    client = broker.client()
    begin(client, ScramClient([METHOD], "ann", "password of ann"))
    client.take_one(Connack)
    renew(client, ScramClient([METHOD], name, password))
    assert client.take_one(Disconnect).reason_code == code
    assert client.closed
