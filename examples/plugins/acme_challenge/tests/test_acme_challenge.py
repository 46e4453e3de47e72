"""Tests of acme-challenge, without a socket."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from acme_challenge import METHOD, AcmeChallenge

from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.properties import Properties
from mqttd.plugins import authenticator
from mqttd.testing import MemoryBroker, assert_authenticator, plugin_context


def proof(challenge: bytes, secret: bytes = b"secret") -> Properties:
    data = hmac.digest(secret, challenge, hashlib.sha256)
    return Properties(authentication_method=METHOD, authentication_data=data)


def test_it_keeps_to_the_interface() -> None:
    assert_authenticator(AcmeChallenge(b"secret"))


@pytest.mark.parametrize(("secret", "code"), [(b"secret", 0), (b"another", 0x87)])
def test_clients_of_a_broker(secret: bytes, code: int) -> None:
    plugin = AcmeChallenge(b"secret", lambda: b"challenge")
    client = MemoryBroker(authenticators=[plugin]).client()
    client.send_connect(properties=Properties(authentication_method=METHOD))
    asked = client.take_one(Auth).properties
    assert asked is not None
    assert asked.authentication_data == b"challenge"
    client.send(Auth(0x18, proof(b"challenge", secret)))
    assert client.take_one(Connack).reason_code == code


def test_it_is_declared(tmp_path: Path) -> None:
    plugin = authenticator("acme-challenge")
    context = plugin_context(tmp_path)
    assert_authenticator(plugin.make({"secret": "secret"}, context))
    with pytest.raises(ValueError, match="secret is needed"):
        plugin.make({}, context)
    with pytest.raises(ValueError, match="unknown option: user"):
        plugin.make({"user": "ann"}, context)
