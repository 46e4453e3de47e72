"""An application message as PUBLISH bytes, encoded once per shape and shared by its receivers."""

from __future__ import annotations

from mqttd.broker.message import Message
from mqttd.packets.properties import Properties
from mqttd.packets.publish import encode_publish_parts

_EMPTY = Properties()

_SHAPES = 16
"""Encodings kept of one message. Seconds left, aliases and Subscription Identifiers each make new
ones: one Retained Message and one client that subscribes with ever new identifiers would fill the
memory with copies of its payload."""


def publish_parts(
    message: Message,
    qos: int,
    retain: bool,
    level: int,
    now: float,
    *,
    prefix: int = 0,
    subscription_ids: tuple[int, ...] = (),
    alias: int = 0,
    alias_known: bool = False,
) -> tuple[bytes, bytes]:
    """(head, tail) of the PUBLISH; with QoS > 0 the Packet Identifier goes between them.

    ``prefix`` is the length of the mountpoint to cut from the Topic Name. ``alias`` 0 means none;
    ``alias_known``: the client has it, so the Topic Name stays empty.
    """
    if level < 5:
        key: tuple[int, ...] = (4, qos, retain, prefix)
        parts = message.encodings.get(key)
        if parts is None:
            parts = encode_publish_parts(
                message.topic[prefix:], message.payload, qos, retain, None, 4
            )
            message.encodings[key] = parts
        return parts
    # [MQTT-3.3.2-6]: the interval received minus the time the message waited.
    left = -1 if message.expires_at is None else max(1, round(message.expires_at - now))
    key = (5, qos, retain, prefix, left, alias, alias_known, *subscription_ids)
    parts = message.encodings.get(key)
    if parts is None:
        properties = message.properties
        if left >= 0 or alias or subscription_ids:
            properties = (properties or _EMPTY).copy()
            if left >= 0:
                properties.message_expiry_interval = left
            if alias:
                properties.topic_alias = alias
            if subscription_ids:
                properties.subscription_identifiers = subscription_ids
        topic = b"" if alias_known else message.topic[prefix:]
        parts = encode_publish_parts(topic, message.payload, qos, retain, properties, 5)
        if len(message.encodings) >= _SHAPES:
            message.encodings.clear()
        message.encodings[key] = parts
    return parts
