"""SUBSCRIBE from the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mqttd.broker.handlers.connected import require_connected
from mqttd.broker.session import Session
from mqttd.broker.strict_mode import is_discouraged
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topics import check_topic_filter, has_wildcard, parse_shared
from mqttd.packets.errors import MqttError, ProtocolError, TopicFilterInvalid
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_FAILURE_IN_3 = 0x80


def subscription_key(connection: Connection, topic_filter: str) -> str:
    """What identifies a subscription in the session, with the mountpoint behind ``$share/GROUP/``.

    A filter that is no valid shared one is taken as it stands: it then matches nothing.
    """
    try:
        group, inner = parse_shared(topic_filter)
    except TopicFilterInvalid:
        return topic_filter
    full = connection.mountpoint + inner
    return full if group is None else f"$share/{group}/{full}"


def handle_subscribe(connection: Connection, packet: Subscribe) -> None:
    """Add subscriptions, answer with one code each, then send Retained Messages.

    [MQTT-3.8.4-1], [MQTT-3.8.4-5], [MQTT-3.8.4-6].
    """
    session = require_connected(connection, packet)
    if not packet.topics:
        raise ProtocolError("SUBSCRIBE without a Topic Filter")  # [MQTT-3.8.3-2]
    properties = packet.properties
    identifier = None
    if properties is not None and properties.subscription_identifiers:
        identifier = properties.subscription_identifiers[0]
    codes: list[int] = []
    granted: list[Subscription] = []
    count = len(session.state.subscriptions)
    for topic in packet.topics:
        try:
            subscription = _subscription(connection, topic, identifier)
            if subscription.key not in session.state.subscriptions:
                count += 1
                maximum = connection.limits.max_subscriptions
                if maximum is not None and count > maximum:
                    count -= 1
                    raise MqttError("too many subscriptions", ReasonCode.QUOTA_EXCEEDED)
        except ProtocolError:
            raise
        except MqttError as error:
            codes.append(error.reason_code if connection.level >= 5 else _FAILURE_IN_3)
        else:
            codes.append(subscription.qos)
            granted.append(subscription)

    def done(new: list[bool]) -> None:
        if connection.session is not session:
            return
        connection.send_packet(Suback(packet.packet_id, codes))
        _ask_retained(session, zip(granted, new, strict=True))
        session.flow()
        connection.release()

    connection.hold()
    session.state.subscribe(granted, connection.broker.now, done)


def _subscription(
    connection: Connection, topic: SubscribeTopic, identifier: int | None
) -> Subscription:
    """The subscription asked for; raises MqttError with the code for SUBACK."""
    limits = connection.limits
    group, inner = parse_shared(topic.topic_filter)
    if group is not None:
        if topic.no_local:  # [MQTT-3.8.3-4]
            raise ProtocolError("No Local on a shared subscription")
        if not limits.shared_subscription:
            raise MqttError(
                "shared subscriptions are off",
                ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            )
    check_topic_filter(inner, limits.max_topic_levels)
    if limits.strict_mode and is_discouraged(topic.topic_filter):
        raise TopicFilterInvalid("the topic filter holds a control or non-character")
    if not limits.wildcard_subscription and has_wildcard(inner):
        raise MqttError(
            "wildcard subscriptions are off", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
        )
    return Subscription(
        connection.mountpoint + inner,
        min(topic.qos, limits.max_qos_allowed),  # [MQTT-3.8.4-7], [MQTT-3.2.2-10]
        group=group,
        # A bridge (bit 7 of the protocol level) must not get back what it sent.
        no_local=topic.no_local
        or connection.bridge
        or (limits.ignore_loop_deliver and connection.level < 5),
        retain_as_published=topic.retain_as_published or connection.bridge,
        retain_handling=topic.retain_handling,
        subscription_id=identifier,
    )


def _ask_retained(session: Session, subscribed: Iterable[tuple[Subscription, bool]]) -> None:
    """[MQTT-3.3.1-9..11]: always, only for a new subscription, or never; never when shared.

    A filter that a packet repeats is looked up once: a packet of nothing but ``#`` would otherwise
    have all Retained Messages gone through a hundred thousand times.
    """
    wanted: dict[str, Subscription] = {}
    for subscription, is_new in subscribed:
        handling = subscription.retain_handling
        if subscription.group is None and (handling == 0 or (handling == 1 and is_new)):
            wanted[subscription.key] = subscription
    session.forget_retained(wanted)
    for subscription in wanted.values():
        session.ask_retained(subscription)
