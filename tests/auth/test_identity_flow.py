"""What authenticators answer is what the session has."""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface import implementer

from mqttd.identity import AccessRule, ConnectRequest, Identity
from mqttd.interfaces import IAuthenticator, IAuthorizer
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker

RULES = (AccessRule(True, "publish", ("a/${client_attrs.site}/#",)),)


@implementer(IAuthenticator)
class Answers:
    """An authenticator with one answer for everybody."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def authenticate(self, request: ConnectRequest) -> Identity:
        return self.identity


@pytest.fixture
def identity() -> Identity:
    return Identity(
        username="named",
        client_id="given",
        is_superuser=True,
        attributes={"site": "north"},
        expires_at=1e12,
        rules=RULES,
    )


@pytest.mark.parametrize("level", [3, 4, 5])
def test_everything_reaches_the_session(identity: Identity, level: int) -> None:
    broker = MemoryBroker(authenticators=[Answers(identity)])
    client = broker.client(level)
    answer: Any = client.connect(client_id="asked", username="claimed", password=b"x")
    assert answer.reason_code == 0
    connection = client.connection
    assert connection.identity == identity
    assert (connection.username, connection.client_id) == ("named", "given")
    # The answer says which Client Identifier only where the client asked for one: [MQTT-3.2.2-16]
    if level == 5:
        assert answer.properties.assigned_client_identifier is None


def test_what_is_not_overridden_stays() -> None:
    broker = MemoryBroker(authenticators=[Answers(Identity())])
    client = broker.connected("asked", username="claimed")
    assert (client.connection.username, client.connection.client_id) == ("claimed", "asked")
    assert not client.connection.identity.is_superuser


def test_the_given_client_identifier_is_the_session(identity: Identity) -> None:
    """The session is that of ``given``, whichever name the client asked for."""
    broker = MemoryBroker(authenticators=[Answers(identity)])
    first = broker.client()
    first.connect(client_id="one")
    second = broker.client()
    second.connect(client_id="two")
    assert first.closed
    assert not second.closed


def test_attributes_fill_in_rules() -> None:
    @implementer(IAuthenticator)
    class ByName:
        def authenticate(self, request: ConnectRequest) -> Identity:
            site = {} if request.username is None else {"site": request.username}
            return Identity(attributes=site, rules=RULES)

    @implementer(IAuthorizer)
    class Nothing:
        def authorize(self, request: Any) -> bool:
            return bool(request.action == "subscribe")

    broker = MemoryBroker(authenticators=[ByName()], authorizers=[Nothing()])
    watcher = broker.connected("watcher")
    watcher.subscribe("a/#")
    for number, (site, topic) in enumerate(
        [("north", "a/north/x"), ("north", "a/south/x"), ("#", "a/#x"), (None, "a//x")]
    ):
        broker.connected(f"c{number}", username=site).publish(topic, b"x")
    came = [each.topic for each in watcher.take() if isinstance(each, Publish)]
    assert came == [b"a/north/x"]
