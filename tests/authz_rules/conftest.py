"""Requests to hold rules against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import AccessRequest, Identity, PeerInfo


@pytest.fixture(scope="session")
def ask() -> Callable[..., AccessRequest]:
    """Makes a request: ``ask("publish", "a/b", username="u", qos=1)``."""

    def make(action: str, topic: str, **facts: Any) -> AccessRequest:
        peer = {
            name: facts.pop(name)
            for name in ("certificate", "psk_identity", "tls_version", "sni")
            if name in facts
        }
        host, listener = facts.pop("host", "127.0.0.1"), facts.pop("listener", "tcp:default")
        attributes = facts.pop("attributes", {})
        rules = facts.pop("rules", ())
        values: dict[str, Any] = {
            "qos": 0,
            "retain": False,
            "username": "user",
            "client_id": "client",
            "identity": Identity(attributes=attributes, rules=rules),
            "peer": PeerInfo(listener, (host, 50000), **peer),
        }
        return AccessRequest(action, topic, **{**values, **facts})

    return make
