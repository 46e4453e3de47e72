"""The broker's sweep goes on while the engine has more to do, and connections get their share."""

from __future__ import annotations

import pytest

from mqttd.engine import memory
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker


def test_many_sessions_that_end_at_once_are_ended_in_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_SWEEP_SESSIONS", 3)
    broker = MemoryBroker()
    for number in range(7):
        keep = Properties(session_expiry_interval=10)
        broker.connected(str(number), properties=keep).drop()
    silent = broker.connected("silent", keep_alive=1)
    broker.clock.advance(20)
    assert broker.core.sweep(broker.now) is True
    assert silent.closed
    assert broker.engine.statistics().expired == 3
    assert [broker.core.sweep(broker.now) for _ in range(2)] == [True, False]
    assert broker.engine.statistics().expired == 7
