"""mqtt.client_attrs_init: attributes taken from what a client came with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.broker.client_attributes import EXPRESSIONS, ClientAttribute, client_attributes
from mqttd.config.load import UnusableOptions, load_text
from mqttd.identity import ConnectRequest, Identity
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker, connect_request, peer_certificate


def taken(expression: str, request: ConnectRequest) -> str | None:
    return client_attributes([ClientAttribute("x", expression)], request).get("x")


def test_every_expression() -> None:
    certificate = peer_certificate(
        "device", dns=["a.test", "b.test"], uris=["urn:a"], emails=["a@b.test"]
    )
    request = connect_request(
        "ann",
        "s3cret",
        client_id="c",
        certificate=certificate,
        user_properties=[("tenant", "acme"), ("tenant", "other"), ("", "x")],
    )
    assert {each: taken(each, request) for each in EXPRESSIONS[:-1]} == {
        "username": "ann",
        "clientid": "c",
        "peerhost": "192.0.2.1",
        "peersni": None,
        "listener": "memory:default",
        "psk_identity": None,
        "cn": "device",
        "dn": certificate.subject,
        "cert_san.dns": "a.test",
        "cert_san.uri": "urn:a",
        "cert_san.email": "a@b.test",
    }
    assert taken("user_property.tenant", request) == "acme"
    assert taken("user_property.none", request) is None


def test_what_is_not_there_sets_nothing() -> None:
    plain = connect_request(None, None, psk_identity=b"\xff")
    for expression in EXPRESSIONS:
        if expression not in ("clientid", "peerhost", "listener"):
            assert taken(expression, plain) is None
    assert taken("user_property.a", connect_request(user_properties=[("a", "x" * 5000)])) is None
    assert taken("psk_identity", connect_request(psk_identity=b"dev")) == "dev"


class Seen:
    """An authenticator and an authorizer that keep what they are asked."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity], None]) -> None:
        self.requests.append(request)
        done(Identity(username=request.username, attributes={"role": "theirs"}))


def test_they_reach_authenticators_and_the_identity() -> None:
    seen = Seen()
    wanted = (ClientAttribute("tenant", "user_property.t"), ClientAttribute("role", "clientid"))
    broker = MemoryBroker(admission=seen, client_attrs_init=wanted)
    client = broker.client()
    client.connect(client_id="c", properties=Properties(user_properties=(("t", "acme"),)))
    (request,) = seen.requests
    assert request.attributes == {"tenant": "acme", "role": "c"}
    assert client.connection.identity.attributes == {"tenant": "acme", "role": "theirs"}


def test_without_them_nothing_is_made() -> None:
    client = MemoryBroker().connected("c")
    assert client.connection.identity.attributes == {}


def test_the_option() -> None:
    text = """
    listeners.tcp.a {}
    mqtt.client_attrs_init = [
      { expression = cn, set_as_attr = device }
      { expression = "user_property.t", set_as_attr = "tenant-1" }
    ]
    """
    assert load_text(text).configuration.mqtt.client_attrs_init == [
        ClientAttribute("device", "cn"),
        ClientAttribute("tenant-1", "user_property.t"),
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[{ expression = cn }]", "needs expression and set_as_attr"),
        ("[x]", "needs expression and set_as_attr"),
        ('[{ expression = "nth(1, tokens(clientid))", set_as_attr = a }]', "is no expression"),
        ('[{ expression = "user_property.", set_as_attr = a }]', "is no expression"),
        ('[{ expression = cn, set_as_attr = "a b" }]', "is no name"),
        (
            "[{ expression = cn, set_as_attr = a }, { expression = dn, set_as_attr = a }]",
            "set twice",
        ),
    ],
)
def test_mistakes(value: str, problem: str) -> None:
    with pytest.raises(UnusableOptions, match=problem):
        load_text(f"listeners.tcp.a {{}}\nmqtt.client_attrs_init = {value}")
