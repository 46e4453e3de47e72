"""PUBLISH from the client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mqttd.broker.authorization import PUBLISH_BITS, Decision, access_request, denied
from mqttd.broker.handlers.connected import require_connected
from mqttd.broker.message import Message
from mqttd.broker.topics import has_wildcard
from mqttd.identity import PUBLISH
from mqttd.packets.acks import Puback, Pubrec, encode_ack
from mqttd.packets.errors import (
    MalformedPacket,
    MqttError,
    PayloadFormatInvalid,
    ProtocolError,
    ReceiveMaximumExceeded,
    TopicNameInvalid,
)
from mqttd.packets.primitives import LONGEST_STRING
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_SYS = b"$SYS/"
_FOREVER = float("inf")


def handle_publish(connection: Connection, packet: Publish) -> None:
    """Check, route, and acknowledge once the engine has it. [MQTT-3.3.4-1]."""
    session = connection.session
    if session is None:
        session = require_connected(connection, packet)
    broker = connection.broker
    limits = connection.limits
    counters = broker.counters
    counters.publish_received += 1
    counters.publish_bytes_received += len(packet.payload)
    topic = packet.topic
    properties = packet.properties
    expires_at = None
    if properties is not None:
        topic = _resolve_alias(connection, topic, properties)
    qos = packet.qos
    if qos > limits.max_qos_allowed:  # [MQTT-3.2.2-11]
        raise MqttError(
            f"QoS {qos} is above the maximum {limits.max_qos_allowed}",
            ReasonCode.QOS_NOT_SUPPORTED,
        )
    if packet.retain and not limits.retain_available:  # [MQTT-3.2.2-14]
        raise MqttError("retain is not available", ReasonCode.RETAIN_NOT_SUPPORTED)
    broker.check_topic(topic)  # [MQTT-3.3.2-1] [MQTT-3.3.2-2]
    if connection.level >= 5 and qos:
        _check_quota(connection, packet.packet_id)
    if topic.startswith(_SYS):
        _refuse(connection, qos, packet.packet_id, ReasonCode.NOT_AUTHORIZED)
        return
    if properties is not None:
        check_response_topic(properties)
        if properties.payload_format_indicator and not _is_text(packet.payload):
            if not qos:
                raise PayloadFormatInvalid("the payload is not UTF-8")
            _refuse(connection, qos, packet.packet_id, ReasonCode.PAYLOAD_FORMAT_INVALID)
            return
        interval = properties.message_expiry_interval
        if interval is not None:
            expires_at = broker.now + interval
        properties = forwarded(properties)
    longest = limits.message_expiry_interval
    if longest != _FOREVER and (expires_at is None or longest < expires_at - broker.now):
        expires_at = broker.now + longest
    name = topic
    if connection.mountpoint:
        topic = mounted(connection.mountpoint, topic)
    message = Message(
        topic, packet.payload, qos, packet.retain, properties, expires_at, connection.session_key
    )
    permissions = connection.permissions
    if permissions is None or permissions.knows(name, PUBLISH_BITS[qos][packet.retain]):
        _take(connection, packet.packet_id, message)
    else:
        _judge(connection, packet.packet_id, message, name)


def _take(connection: Connection, packet_id: int, message: Message) -> None:
    broker = connection.broker
    if broker.messages is not None:
        broker.messages.published(connection, message)
    if message.qos == 0:
        broker.engine.publish(message, broker.now)
    elif message.qos == 1:
        connection.pending += 1
        broker.engine.publish(message, broker.now, partial(_puback, connection, packet_id))
    else:
        _take_qos_2(connection, packet_id, message)


def _judge(connection: Connection, packet_id: int, message: Message, name: bytes) -> None:
    """Ask whether the client may publish to ``name``; until the answer comes it is held."""
    session, permissions = connection.session, connection.permissions
    assert session is not None
    assert permissions is not None
    if message.qos == 2 and packet_id in session.state.inbound:
        # Sent again: it was judged, and published, the first time. [MQTT-4.3.3-10]
        _take(connection, packet_id, message)
        return

    def answered(decision: Decision) -> None:
        if connection.session is not session:
            # Gone meanwhile. What it was to get an answer for it will send again.
            if decision.allowed and not message.qos:
                _take(connection, packet_id, message)
            return
        try:
            _judged(connection, packet_id, message, name, decision)
        except MqttError as error:
            connection.fail(error)
        else:
            connection.release()

    decision = permissions.judge(PUBLISH, name, message.qos, message.retain, answered)
    if decision is None:
        connection.hold()
    else:
        _judged(connection, packet_id, message, name, decision)


def _judged(
    connection: Connection, packet_id: int, message: Message, name: bytes, decision: Decision
) -> None:
    if decision.allowed:
        _take(connection, packet_id, message)
        return
    request = access_request(connection, PUBLISH, name, message.qos, message.retain)
    if denied(connection, request, decision):
        _refuse(connection, message.qos, packet_id, ReasonCode.NOT_AUTHORIZED)
    else:
        connection.broker.counters.publish_dropped += 1


def forwarded(properties: Properties) -> Properties | None:
    """What of a PUBLISH's or a Will's properties goes to receivers, in the sender's order.

    [MQTT-3.3.2-4] [MQTT-3.3.2-15..18, 20]. Alias and subscription identifiers belong to one
    connection; the expiry interval is counted anew for each receiver.
    """
    for name in ("topic_alias", "message_expiry_interval", "will_delay_interval"):
        properties.__dict__.pop(name, None)
    return properties if properties.__dict__ else None


def mounted(mountpoint: str, topic: bytes) -> bytes:
    """The full Topic Name. Raises TopicNameInvalid when it is too long to be sent to anybody."""
    full = mountpoint.encode() + topic
    if len(full) > LONGEST_STRING:  # [MQTT-4.7.3-3]
        raise TopicNameInvalid("with the mountpoint the topic name is too long")
    return full


def check_response_topic(properties: Properties) -> None:
    """[MQTT-3.3.2-14]: a Response Topic is a Topic Name. Raises ProtocolError."""
    topic = properties.response_topic
    if topic is not None and has_wildcard(topic):
        raise ProtocolError("the Response Topic has wildcards")


def _resolve_alias(connection: Connection, topic: bytes, properties: Properties) -> bytes:
    alias = properties.topic_alias
    if alias is None:
        if not topic:
            raise ProtocolError("empty topic name without a topic alias")
        return topic
    assert connection.aliases is not None
    if topic:
        # An invalid name must not be kept, or it would come back unchecked.
        connection.broker.check_topic(topic)
    return connection.aliases.resolve(alias, topic)


def _check_quota(connection: Connection, packet_id: int) -> None:
    """[MQTT-3.3.4-7]: no more messages without PUBACK, PUBCOMP or refusal than were allowed."""
    receiving = connection.receiving
    if packet_id not in receiving:
        if len(receiving) >= connection.limits.max_inflight:
            raise ReceiveMaximumExceeded("more messages in flight than Receive Maximum allows")
        receiving.add(packet_id)


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse(connection: Connection, qos: int, packet_id: int, code: ReasonCode) -> None:
    """Answer with an error, in turn behind the acknowledgements that wait. [MQTT-4.6.0-2].

    MQTT 3 has no way to refuse: it is acknowledged and dropped (3.1.1, 3.3.5).
    """
    connection.broker.counters.publish_dropped += 1
    if qos == 0:
        return
    known = connection.level >= 5
    answer: Puback | Pubrec
    if qos == 1:
        answer = Puback(packet_id, code if known else 0)
    else:
        answer = Pubrec(packet_id, code if known else 0)
    connection.pending += 1

    def done() -> None:
        connection.receiving.discard(answer.packet_id)
        if connection.session is not None:
            connection.send_packet(answer)
        connection.settled()

    connection.broker.engine.later(done)


def _puback(connection: Connection, packet_id: int, receivers: int) -> None:
    connection.receiving.discard(packet_id)
    if connection.session is not None:
        if receivers or connection.level < 5:
            connection.send(encode_ack(PacketType.PUBACK, packet_id, connection.level))
        else:
            connection.send_packet(Puback(packet_id, ReasonCode.NO_MATCHING_SUBSCRIBERS))
    connection.settled()


def _take_qos_2(connection: Connection, packet_id: int, message: Message) -> None:
    """Publish once and remember the identifier until PUBREL. [MQTT-4.3.3-8..13]."""
    assert connection.session is not None
    state = connection.session.state
    limit = connection.limits.max_awaiting_rel
    if limit is not None and len(state.inbound) >= limit and packet_id not in state.inbound:
        if connection.level < 5:
            # MQTT 3 cannot refuse one message, and an acknowledged one must not be lost.
            raise MalformedPacket(
                "too many QoS 2 messages await PUBREL", ReasonCode.QUOTA_EXCEEDED
            )
        _refuse(connection, 2, packet_id, ReasonCode.QUOTA_EXCEEDED)
        return
    connection.pending += 1

    def stored(receivers: int | None) -> None:
        if connection.session is not None:
            if receivers == 0 and connection.level >= 5:
                connection.send_packet(Pubrec(packet_id, ReasonCode.NO_MATCHING_SUBSCRIBERS))
            else:
                connection.send(encode_ack(PacketType.PUBREC, packet_id, connection.level))
        connection.settled()

    state.store_inbound(packet_id, message, connection.broker.now, stored)
