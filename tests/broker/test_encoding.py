"""PUBLISH bytes: one encoding for each shape, few of them kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.broker.encoding import publish_parts
from mqttd.broker.message import Message
from mqttd.packets.framing import Framer
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish, decode_publish


def decoded(head: bytes, tail: bytes, qos: int, level: int) -> Publish:
    """What a client reads, with Packet Identifier 7 where there is one."""
    framer = Framer(1 << 20)
    framer.feed(head + (b"\0\7" if qos else b"") + tail)
    frame = framer.next_frame()
    assert frame is not None
    assert framer.buffered == 0
    return decode_publish(frame[0] & 0x0F, frame[1], level, from_client=False)


@given(
    qos=st.integers(0, 2),
    retain=st.booleans(),
    level=st.sampled_from([3, 4, 5]),
    identifiers=st.lists(st.integers(1, 268_435_455), max_size=3),
    alias=st.integers(0, 65_535),
    known=st.booleans(),
    wait=st.floats(0, 120),
)
def test_a_client_reads_what_was_meant_for_it(
    qos: int,
    retain: bool,
    level: int,
    identifiers: list[int],
    alias: int,
    known: bool,
    wait: float,
) -> None:
    sent = Properties(content_type="text", user_properties=(("b", "1"), ("a", "2")))
    message = Message(b"tenant/t/\xc3\xa4", b"payload", 2, properties=sent, expires_at=60.0)
    known = known and alias > 0
    head, tail = publish_parts(
        message,
        qos,
        retain,
        level,
        wait,
        prefix=len(b"tenant/"),
        subscription_ids=tuple(identifiers),
        alias=alias,
        alias_known=known,
    )
    packet = decoded(head, tail, qos, level)
    assert (packet.payload, packet.qos, packet.retain) == (b"payload", qos, retain)
    assert not packet.dup
    assert packet.packet_id == (7 if qos else 0)
    if level < 5:
        assert packet.topic == b"t/\xc3\xa4"
        return
    assert packet.topic == (b"" if known else b"t/\xc3\xa4")
    properties = packet.properties
    assert properties is not None
    assert properties.user_properties == sent.user_properties
    assert properties.content_type == "text"
    assert properties.subscription_identifiers == tuple(identifiers)
    assert properties.topic_alias == (alias or None)
    assert properties.message_expiry_interval is not None
    assert abs(properties.message_expiry_interval - max(1.0, 60.0 - wait)) <= 0.5
    # The sender's properties are shared by all receivers.
    assert sent == Properties(content_type="text", user_properties=(("b", "1"), ("a", "2")))


def test_receivers_of_one_shape_share_the_bytes() -> None:
    message = Message(b"t", b"payload", 1)
    for level in (3, 4, 5):
        one = publish_parts(message, 1, False, level, 0.0)
        other = publish_parts(message, 1, False, level, 99.0)
        assert one is other
    assert len(message.encodings) == 2


@pytest.mark.parametrize("kind", ["identifiers", "alias", "expiry"])
def test_few_shapes_are_kept(kind: str) -> None:
    message = Message(b"t", b"payload", expires_at=1000.0 if kind == "expiry" else None)
    for number in range(1, 200):
        publish_parts(
            message,
            0,
            False,
            5,
            float(number),
            subscription_ids=(number,) if kind == "identifiers" else (),
            alias=number if kind == "alias" else 0,
        )
        assert len(message.encodings) <= 16


def test_a_message_without_properties_stays_without() -> None:
    message = Message(b"t", b"payload")
    packet = decoded(*publish_parts(message, 0, False, 5, 0.0), qos=0, level=5)
    assert packet.properties is None or packet.properties == Properties()


def test_a_message_shows_no_payload() -> None:
    assert repr(Message(b"t", b"secret", 1)) == "<Message topic=b't' qos=1 6 bytes>"
