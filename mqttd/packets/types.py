"""Packet types of MQTT 3.1, 3.1.1 and 5."""

from __future__ import annotations

from enum import IntEnum


class PacketType(IntEnum):
    """Control Packet types (2.1.2): the upper four bits of the first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15
