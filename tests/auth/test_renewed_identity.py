"""Who authenticates anew must be who it was."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.identity import Authenticated, ConnectRequest, Identity
from mqttd.packets.auth import Auth
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.reason_codes import ReasonCode
from mqttd.testing import MemoryBroker


class Method:
    """An authentication method that lets everybody in, as the next of ``identities``."""

    def __init__(self, *identities: Identity) -> None:
        self.identities = list(identities)

    def start(self, _request: ConnectRequest, _data: bytes | None) -> Method:
        return self

    def step(self, _: bytes | None, done: Any) -> None:
        done(Authenticated(self.identities.pop(0)))


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (Identity(username="u", client_id="c"), True),
        (Identity(), True),
        (Identity(username="other"), False),
        (Identity(username="u", client_id="other"), False),
    ],
)
def test_another_user_or_client_is_refused(second: Identity, kept: bool) -> None:
    method: Any = Method(Identity(username="u", client_id="c"), second)
    broker = MemoryBroker(enhanced={"M": method})
    client = broker.connected("asked", properties=Properties(authentication_method="M"))
    client.send(Auth(ReasonCode.REAUTHENTICATE, Properties(authentication_method="M")))
    if kept:
        assert client.take_one(Auth).reason_code == ReasonCode.SUCCESS
    else:
        assert client.take_one(Disconnect).reason_code == ReasonCode.NOT_AUTHORIZED
    assert client.closed is not kept
