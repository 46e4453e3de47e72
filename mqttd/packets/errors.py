"""What a peer can do wrong, each with the reason code it is answered with."""

# ruff: noqa: N818 - these are the names of the specification

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.reason_codes import ReasonCode


class MqttError(Exception):
    """The peer broke a rule. ``detail`` is plain English and holds no payload or secret."""

    default: ClassVar[ReasonCode] = ReasonCode.UNSPECIFIED_ERROR

    def __init__(self, detail: str = "", reason_code: ReasonCode | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason_code = self.default if reason_code is None else reason_code


class MalformedPacket(MqttError):
    """Bytes that cannot be parsed (MQTT 5, 1.2 and 4.13)."""

    default: ClassVar[ReasonCode] = ReasonCode.MALFORMED_PACKET


class ProtocolError(MqttError):
    """A packet that parses but is not allowed (MQTT 5, 1.2 and 4.13)."""

    default: ClassVar[ReasonCode] = ReasonCode.PROTOCOL_ERROR


class PacketTooLarge(MqttError):
    """A packet above the Maximum Packet Size."""

    default: ClassVar[ReasonCode] = ReasonCode.PACKET_TOO_LARGE


class UnsupportedProtocolVersion(MqttError):
    """CONNECT names a protocol or level the broker does not speak."""

    default: ClassVar[ReasonCode] = ReasonCode.UNSUPPORTED_PROTOCOL_VERSION


class ClientIdentifierNotValid(MqttError):
    """CONNECT carries a Client Identifier that cannot be used."""

    default: ClassVar[ReasonCode] = ReasonCode.CLIENT_IDENTIFIER_NOT_VALID


class TopicNameInvalid(MqttError):
    """A Topic Name that is well-formed UTF-8 and yet no Topic Name."""

    default: ClassVar[ReasonCode] = ReasonCode.TOPIC_NAME_INVALID


class TopicFilterInvalid(MqttError):
    """A Topic Filter that is well-formed UTF-8 and yet no Topic Filter."""

    default: ClassVar[ReasonCode] = ReasonCode.TOPIC_FILTER_INVALID


class QuotaExceeded(MqttError):
    """A limit of the broker's is reached."""

    default: ClassVar[ReasonCode] = ReasonCode.QUOTA_EXCEEDED


class ReceiveMaximumExceeded(MqttError):
    """More unacknowledged messages than the broker announced."""

    default: ClassVar[ReasonCode] = ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


class TopicAliasInvalid(MqttError):
    """A Topic Alias out of range or never set."""

    default: ClassVar[ReasonCode] = ReasonCode.TOPIC_ALIAS_INVALID


class PayloadFormatInvalid(MqttError):
    """A payload that is not what its Payload Format Indicator says."""

    default: ClassVar[ReasonCode] = ReasonCode.PAYLOAD_FORMAT_INVALID
