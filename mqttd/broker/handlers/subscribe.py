"""SUBSCRIBE from the client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mqttd.broker.authorization import Decision, access_request, denied
from mqttd.broker.handlers.connected import require_connected
from mqttd.broker.review import own_filter
from mqttd.broker.session import Session
from mqttd.broker.strict_mode import is_discouraged
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topics import check_topic_filter, has_wildcard, parse_shared
from mqttd.identity import SUBSCRIBE
from mqttd.packets.errors import MqttError, ProtocolError, TopicFilterInvalid
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_FAILURE_IN_3 = 0x80

_JUDGED_AT_ONCE = 200
_JUDGED_FOR = 0.005
"""Filters judged in one turn, and seconds after which the rest waits for the next: a packet may
hold a hundred thousand, and each is compared with many rules."""


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
    wanted: list[Subscription | int] = []
    for topic in packet.topics:
        try:
            wanted.append(_subscription(connection, topic, identifier))
        except ProtocolError:
            raise
        except MqttError as error:
            wanted.append(error.reason_code)
    connection.hold()
    _judge(connection, session, packet.packet_id, wanted)


def _judge(
    connection: Connection,
    session: Session,
    packet_id: int,
    wanted: list[Subscription | int],
    start: int = 0,
    rules: object = None,
) -> None:
    """Ask about the filters from ``start`` on, one after the other, then subscribe.

    ``rules`` are those that the ones before were judged by.
    """
    if rules is not connection.broker.rules:
        rules, start = connection.broker.rules, 0
    broker, judged = connection.broker, 0
    until = broker.wake() + _JUDGED_FOR
    for at in range(start, len(wanted)):
        subscription, permissions = wanted[at], connection.permissions
        if isinstance(subscription, int) or permissions is None:
            continue
        if judged and (judged >= _JUDGED_AT_ONCE or broker.wake() >= until):
            go_on = partial(_judge_on, connection, session, packet_id, wanted, at, rules)
            broker.put_off(connection, go_on)
            return
        judged += 1

        def later(decision: Decision, at: int = at) -> None:
            if connection.session is not session:
                return
            if _judged(connection, wanted, at, decision):
                _judge(connection, session, packet_id, wanted, at + 1, rules)

        decision = permissions.judge(
            SUBSCRIBE,
            own_filter(connection, subscription).encode(),
            subscription.qos,
            False,
            later,
            group=subscription.group,
        )
        if decision is None or not _judged(connection, wanted, at, decision):
            return
    _subscribe(connection, session, packet_id, wanted)


def _judge_on(
    connection: Connection,
    session: Session,
    packet_id: int,
    wanted: list[Subscription | int],
    start: int,
    rules: object,
) -> None:
    if connection.session is session:
        _judge(connection, session, packet_id, wanted, start, rules)


def _judged(
    connection: Connection, wanted: list[Subscription | int], at: int, decision: Decision
) -> bool:
    """Note the decision about one filter. False when it ended the connection."""
    if decision.allowed:
        return True
    subscription = wanted[at]
    assert isinstance(subscription, Subscription)
    wanted[at] = ReasonCode.NOT_AUTHORIZED
    topic = own_filter(connection, subscription).encode()
    request = access_request(
        connection, SUBSCRIBE, topic, subscription.qos, group=subscription.group
    )
    return denied(connection, request, decision)


def _subscribe(
    connection: Connection,
    session: Session,
    packet_id: int,
    wanted: Sequence[Subscription | int],
) -> None:
    codes: list[int] = []
    granted: list[Subscription] = []
    known = session.state.subscriptions
    added: set[str] = set()
    maximum = connection.limits.max_subscriptions
    for each in wanted:
        code = each if isinstance(each, int) else each.qos
        if isinstance(each, Subscription):
            if each.key not in known:
                added.add(each.key)
            if maximum is not None and len(known) + len(added) > maximum and each.key in added:
                added.discard(each.key)
                code = ReasonCode.QUOTA_EXCEEDED
            else:
                granted.append(each)
        codes.append(code if code < 0x80 or connection.level >= 5 else _FAILURE_IN_3)
    connection.hold()
    done = partial(_subscribed, connection, session, packet_id, codes, granted)
    session.state.subscribe(granted, connection.broker.now, done)


def _subscribed(
    connection: Connection,
    session: Session,
    packet_id: int,
    codes: list[int],
    granted: list[Subscription],
    new: list[bool],
) -> None:
    if connection.session is not session:
        return
    connection.send_packet(Suback(packet_id, codes))
    events = connection.broker.events
    if events is not None and granted:
        events.subscribed(connection, granted)
    _ask_retained(session, zip(granted, new, strict=True))
    session.flow()
    connection.release()


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
