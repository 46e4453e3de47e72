"""What the conformance tests share: a broker in memory, and the versions to speak to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker, MemoryClient


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "statements(*numbers): the normative statements a conformance test shows"
    )


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture(params=[3, 4, 5], ids=["v3.1", "v3.1.1", "v5"])
def level(request: pytest.FixtureRequest) -> int:
    """The protocol level, for what all versions do alike."""
    value = request.param
    assert isinstance(value, int)
    return value


@pytest.fixture
def lasting(level: int) -> dict[str, Any]:
    """Fields of a CONNECT whose session outlives the Network Connection."""
    if level < 5:
        return {"clean_start": False}
    return {"clean_start": False, "properties": Properties(session_expiry_interval=3600)}


@pytest.fixture
def ended() -> Callable[[MemoryClient, int], None]:
    """Asserts that the broker closed, telling an MQTT 5 client the reason code and no more."""

    def check(client: MemoryClient, reason_code: int) -> None:
        assert client.closed
        if client.level < 5:
            assert client.take() == []
        else:
            assert client.take_one(Disconnect).reason_code == reason_code

    return check
