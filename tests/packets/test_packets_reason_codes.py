"""Reason codes, return codes and errors."""

from __future__ import annotations

import pytest

from mqttd.packets import errors
from mqttd.packets.errors import MqttError, QuotaExceeded
from mqttd.packets.reason_codes import ALLOWED, ReasonCode, connack_return_code, phrase
from mqttd.packets.types import PacketType

# MQTT 5, table 2-6: which packets a code may be in; 0x00 is in all of them.
TABLE = {
    0x01: "SUBACK", 0x02: "SUBACK", 0x04: "DISCONNECT", 0x10: "PUBACK PUBREC", 0x11: "UNSUBACK",
    0x18: "AUTH", 0x19: "AUTH",
    0x80: "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT",
    0x81: "CONNACK DISCONNECT", 0x82: "CONNACK DISCONNECT",
    0x83: "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT",
    0x84: "CONNACK", 0x85: "CONNACK", 0x86: "CONNACK",
    0x87: "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT",
    0x88: "CONNACK", 0x89: "CONNACK DISCONNECT", 0x8A: "CONNACK", 0x8B: "DISCONNECT",
    0x8C: "CONNACK DISCONNECT", 0x8D: "DISCONNECT", 0x8E: "DISCONNECT",
    0x8F: "SUBACK UNSUBACK DISCONNECT", 0x90: "CONNACK PUBACK PUBREC DISCONNECT",
    0x91: "PUBACK PUBREC SUBACK UNSUBACK", 0x92: "PUBREL PUBCOMP", 0x93: "DISCONNECT",
    0x94: "DISCONNECT", 0x95: "CONNACK DISCONNECT", 0x96: "DISCONNECT",
    0x97: "CONNACK PUBACK PUBREC SUBACK DISCONNECT", 0x98: "DISCONNECT",
    0x99: "CONNACK PUBACK PUBREC DISCONNECT", 0x9A: "CONNACK DISCONNECT",
    0x9B: "CONNACK DISCONNECT", 0x9C: "CONNACK DISCONNECT", 0x9D: "CONNACK DISCONNECT",
    0x9E: "SUBACK DISCONNECT", 0x9F: "CONNACK DISCONNECT", 0xA0: "DISCONNECT",
    0xA1: "SUBACK DISCONNECT", 0xA2: "SUBACK DISCONNECT",
}  # fmt: skip


def test_every_code_of_the_specification_and_no_other() -> None:
    assert {int(code) for code in ReasonCode} == {0, *TABLE}


def test_the_codes_of_each_packet() -> None:
    for packet_type, codes in ALLOWED.items():
        wanted = {code for code, packets in TABLE.items() if packet_type.name in packets.split()}
        assert codes == {0, *wanted}, packet_type.name


def test_packets_without_codes_of_their_own() -> None:
    assert set(PacketType) - set(ALLOWED) == {
        PacketType.CONNECT,
        PacketType.PUBLISH,
        PacketType.SUBSCRIBE,
        PacketType.UNSUBSCRIBE,
        PacketType.PINGREQ,
        PacketType.PINGRESP,
    }


def test_names_of_one_code() -> None:
    names = (ReasonCode.SUCCESS, ReasonCode.NORMAL_DISCONNECTION, ReasonCode.GRANTED_QOS_0)
    assert names == (0, 0, 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0x87, "not authorized"), (0x8E, "session taken over"), (0x7F, "reason code 0x7f")],
)
def test_phrases(code: int, words: str) -> None:
    assert phrase(code) == words


# 3.1.1, table 3.1.
@pytest.mark.parametrize(
    ("reason_code", "return_code"),
    [
        (0x00, 0), (0x01, 0), (0x84, 1), (0x85, 2), (0x80, 3), (0x83, 3), (0x88, 3), (0x89, 3),
        (0x8B, 3), (0x97, 3), (0x9C, 3), (0x9D, 3), (0x9F, 3), (0x86, 4), (0x87, 5), (0x8A, 5),
        (0x8C, 5), (0x90, 5), (0xFF, 5),
    ],
)  # fmt: skip
def test_return_codes_before_mqtt_5(reason_code: int, return_code: int) -> None:
    assert connack_return_code(reason_code) == return_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MqttError", 0x80),
        ("MalformedPacket", 0x81),
        ("ProtocolError", 0x82),
        ("PacketTooLarge", 0x95),
        ("UnsupportedProtocolVersion", 0x84),
        ("ClientIdentifierNotValid", 0x85),
        ("TopicNameInvalid", 0x90),
        ("TopicFilterInvalid", 0x8F),
        ("QuotaExceeded", 0x97),
        ("ReceiveMaximumExceeded", 0x93),
        ("TopicAliasInvalid", 0x94),
        ("PayloadFormatInvalid", 0x99),
    ],
)
def test_each_error_has_its_code(name: str, code: int) -> None:
    error = getattr(errors, name)("why")
    assert isinstance(error, MqttError)
    assert (error.reason_code, error.detail, str(error)) == (code, "why", "why")


def test_an_error_may_be_given_another_code() -> None:
    error = QuotaExceeded("full", ReasonCode.SERVER_BUSY)
    assert error.reason_code is ReasonCode.SERVER_BUSY
