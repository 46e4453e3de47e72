"""Errors of our own end the connection they happen on, and no other."""

from __future__ import annotations

from typing import Any

import pytest

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


# --- errors of our own ----------------------------------------------------------------------


def test_an_error_in_a_stage_ends_that_connection_only(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = world.listener()
    broken, other = world.peer(factory, port=1), world.peer(factory, port=2)
    broken.connect("broken", level=4)
    other.connect("other", level=4)

    def fail(_data: bytes, _now: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(
        "mqttd.broker.connection.Connection.receive", lambda self, data, now: fail(data, now)
    )
    broken.send(PINGREQ)
    monkeypatch.undo()
    (failure,) = world.failures()
    assert failure.type is ZeroDivisionError
    assert failure.getTracebackObject() is not None
    assert broken.wire.aborted
    broken.lose()
    assert "Client broken [192.0.2.7:1] disconnected: internal error." in world.lines()
    assert other.send(PINGREQ) == PINGRESP


def test_an_error_while_writing_ends_that_connection_only(world: Any) -> None:
    factory = world.listener()
    broken, other = world.peer(factory, port=1), world.peer(factory, port=2)
    broken.connect("broken", level=4)
    other.connect("other", level=4)

    def fail(_data: bytes) -> None:
        raise ZeroDivisionError

    broken.wire.write = fail
    broken.send(PINGREQ)
    assert [failure.type for failure in world.failures()] == [ZeroDivisionError]
    assert broken.wire.aborted
    assert other.send(PINGREQ) == PINGRESP


# --- the end --------------------------------------------------------------------------------
