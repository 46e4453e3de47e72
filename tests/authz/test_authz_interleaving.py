"""In whatever order messages, answers and rules come: nothing is lost, doubled or overtaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqttd.packets.acks import Ack, Puback, Pubrec, Pubrel
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode

MESSAGES = st.tuples(
    st.just("publish"), st.sampled_from((0, 1, 2)), st.sampled_from(("good/a", "bad/a", "good/b"))
)
STEPS = st.lists(
    st.one_of(
        MESSAGES,
        MESSAGES,
        st.tuples(st.just("answer")),
        st.tuples(st.just("change")),
        st.tuples(st.just("time")),
    ),
    max_size=25,
)


def _answer(world: Any, later: Any) -> bool:
    """Answer the oldest question as its topic says; False when there is none."""
    if not later.waiting:
        return False
    asked = later.asked.pop(0)
    world.answer(later, asked.topic.startswith("good"))
    return True


@pytest.mark.parametrize("level", [4, 5])
@given(steps=STEPS, remembered=st.sampled_from((0, 1, 32)))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_is_lost_doubled_or_overtaken(
    make_world: Callable[..., Any],
    make_later: Callable[[], Any],
    level: int,
    steps: list[Any],
    remembered: int,
) -> None:
    world = make_world()
    later = make_later()
    watcher = world.connected("boss")
    watcher.subscribe("#", qos=2)
    world.rules(later, remembered=remembered)
    client = world.connected("c", level)
    sent: list[tuple[int, int, str, bytes]] = []
    for step in steps:
        if step[0] == "publish":
            _, qos, topic = step
            payload = str(len(sent)).encode()
            sent.append((client.publish(topic, payload, qos), qos, topic, payload))
        elif step[0] == "answer":
            _answer(world, later)
        elif step[0] == "change":
            world.authorization.changed()
        else:
            world.broker.advance(61.0 if not later.waiting else 1.0)
    while _answer(world, later):
        pass
    good = [each for each in sent if each[2].startswith("good")]
    got = [each for each in watcher.take() if isinstance(each, Publish)]
    assert [each.payload for each in got] == [each[3] for each in good]
    answers: list[Ack] = client.take()
    assert [(each.packet_id, type(each)) for each in answers] == [
        (packet_id, Puback if qos == 1 else Pubrec) for packet_id, qos, _, _ in sent if qos
    ]
    if level == 5:
        codes = [each.reason_code == ReasonCode.NOT_AUTHORIZED for each in answers]
        assert codes == [not topic.startswith("good") for _, qos, topic, _ in sent if qos]
    client.send(*(Pubrel(packet_id) for packet_id, qos, _, _ in sent if qos == 2))
    assert client.connection.session.state.inbound == {}
    assert not client.closed
