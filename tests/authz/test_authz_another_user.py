"""A stored session that another user resumes gives nothing away."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode

KEPT = Properties(session_expiry_interval=1000)
SLOW = Properties(session_expiry_interval=1000, receive_maximum=1)


def _leave_behind(world: Any, source: Any) -> None:
    """Ann goes with one message in flight and one waiting, and is subscribed to neither topic."""
    source.otherwise = True
    world.rules(source)
    ann = world.connected("c", username="ann", clean_start=False, properties=SLOW)
    ann.subscribe("secret/#", "open", qos=1)
    boss = world.connected("boss")
    for topic in ("secret/1", "secret/2"):
        boss.publish(topic, b"x", 1)
    assert [each.topic for each in ann.take_all(Publish)] == [b"secret/1"]
    ann.unsubscribe("secret/#")
    ann.drop()
    boss.publish("open", b"x", 1)


def _resume(world: Any, username: str) -> list[bytes]:
    client = world.connected("c", username=username, clean_start=False, properties=KEPT)
    assert client.connack is None or client.connack.session_present
    return [each.topic for each in client.take_all(Publish)]


@pytest.mark.parametrize("empty", [False, True])
def test_another_user_gets_only_what_is_subscribed_to(
    world: Any, source: Any, empty: bool
) -> None:
    _leave_behind(world, source)
    if empty:
        source.answers["subscribe", "open"] = False
    source.answers["subscribe", "secret/#"] = False
    assert _resume(world, "bob") == ([] if empty else [b"open"])


def test_the_same_user_gets_what_was_begun(world: Any, source: Any) -> None:
    _leave_behind(world, source)
    assert _resume(world, "ann") == [b"secret/1", b"secret/2", b"open"]


def test_what_another_user_may_have_goes_on_afterwards(world: Any, source: Any) -> None:
    _leave_behind(world, source)
    client = world.connected("c", username="bob", clean_start=False, properties=KEPT)
    client.take_all(Publish)
    assert client.subscribe("new/#", qos=1).reason_codes == [ReasonCode.GRANTED_QOS_1]
    world.connected("boss").publish("new/1", b"x", 1)
    assert client.take_one(Publish).topic == b"new/1"
