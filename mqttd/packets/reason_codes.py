"""Every MQTT 5 reason code, its phrase, and the 3.1.1 return code that says the same."""

from __future__ import annotations

from enum import IntEnum

from mqttd.packets.types import PacketType


class ReasonCode(IntEnum):
    """Reason codes (MQTT 5, 2.4). Codes with several names are aliases."""

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    REAUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


_RETURN_CODES: dict[int, int] = {
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: 1,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: 2,
    ReasonCode.UNSPECIFIED_ERROR: 3,
    ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR: 3,
    ReasonCode.SERVER_UNAVAILABLE: 3,
    ReasonCode.SERVER_BUSY: 3,
    ReasonCode.SERVER_SHUTTING_DOWN: 3,
    ReasonCode.USE_ANOTHER_SERVER: 3,
    ReasonCode.SERVER_MOVED: 3,
    ReasonCode.QUOTA_EXCEEDED: 3,
    ReasonCode.CONNECTION_RATE_EXCEEDED: 3,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: 4,
}

_PUBLISH_ANSWERS = frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99))
_RELEASE_ANSWERS = frozenset((0x00, 0x92))

ALLOWED: dict[PacketType, frozenset[int]] = {
    # [MQTT-3.2.2-8]
    PacketType.CONNACK: frozenset(
        (0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F)
    ),
    PacketType.PUBACK: _PUBLISH_ANSWERS,  # [MQTT-3.4.2-1]
    PacketType.PUBREC: _PUBLISH_ANSWERS,  # [MQTT-3.5.2-1]
    PacketType.PUBREL: _RELEASE_ANSWERS,  # [MQTT-3.6.2-1]
    PacketType.PUBCOMP: _RELEASE_ANSWERS,  # [MQTT-3.7.2-1]
    # [MQTT-3.9.3-2]
    PacketType.SUBACK: frozenset(
        (0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2)
    ),
    # [MQTT-3.11.3-2]
    PacketType.UNSUBACK: frozenset((0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)),
    # [MQTT-3.14.2-1]; 0x8C stands in table 2-6 only, where a failed re-authentication needs it.
    PacketType.DISCONNECT: frozenset(
        (0x00, 0x04, *range(0x80, 0x84), 0x87, 0x89, *range(0x8B, 0x91), *range(0x93, 0xA3))
    ),
    PacketType.AUTH: frozenset((0x00, 0x18, 0x19)),  # [MQTT-3.15.2-1]
}
"""The reason codes of MQTT 5 that a packet of each type may carry (2.4, and each packet's own)."""

RETURN_CODES = frozenset(range(6))
"""The return codes of CONNACK in MQTT 3.1 and 3.1.1 (3.2.2.3)."""

SUBACK_RETURN_CODES = frozenset((0x00, 0x01, 0x02, 0x80))
"""The return codes of SUBACK in MQTT 3.1.1: [MQTT-3.9.3-2]."""


def phrase(code: int) -> str:
    """A reason code in words, such as ``not authorized``; unknown ones as a number."""
    try:
        return ReasonCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"reason code 0x{code:02x}"


def connack_return_code(code: int) -> int:
    """The 3.1.1 CONNACK return code (3.2.2.3) nearest to an MQTT 5 reason code.

    5 (not authorized) for every refusal that has no nearer one, unknown codes included.
    """
    if code < 0x80:
        return 0
    return _RETURN_CODES.get(code, 5)
