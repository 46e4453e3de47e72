"""The packet log: every packet in words, and no secret in any of them."""

from __future__ import annotations

import io

import pytest

from mqttd.config.schema.log import ConsoleLog, LogOptions
from mqttd.identity import PeerInfo
from mqttd.log import trace
from mqttd.log.packets import describe
from mqttd.log.setup import Log
from mqttd.log.trace import packet_trace
from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet, decode
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe

SEED = b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"
SEED_LINE = (
    "127.0.0.1:51348 [MQTT] RECV CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQTT, ProtoVsn=4, "
    "CleanStart=false, KeepAlive=0, Username=undefined, Password=undefined)"
)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A console at level debug that the packet log, else in Twisted's global log, writes to."""
    log = Log(LogOptions(console=ConsoleLog(level="debug")))
    stream = io.StringIO()
    log.open_console(stream, {})
    monkeypatch.setattr(trace._log, "observer", log.observer)
    return stream


def traced(console: io.StringIO, direction: str, packet: Packet) -> str:
    write = packet_trace(PeerInfo(listener="ssl:default", peer=("127.0.0.1", 51348)))
    assert write is not None
    write(direction, packet)
    head, _, line = console.getvalue().removesuffix("\n").partition(" [debug] ")
    assert head.startswith("20")
    return line


def test_the_connect_of_the_2020_document_gives_its_line(console: io.StringIO) -> None:
    assert traced(console, "RECV", decode(SEED[0], SEED[2:], 4)) == SEED_LINE


def test_a_client_cannot_forge_a_line_of_the_packet_log(console: io.StringIO) -> None:
    line = traced(console, "SEND", Connect("a\n2026-11-21T05:00:00+0000 [debug] forged"))
    assert "\n" not in line
    assert "ClientId=a\\n2026-11-21" in line


PACKETS = [
    (
        Connect(
            "a", level=5, clean_start=True, keep_alive=60, username="u", password=b"hunter2",
            will=ConnectWill(
                b"will/t", b"hunter2", qos=1, retain=True,
                properties=Properties(will_delay_interval=5),
            ),
            properties=Properties(
                session_expiry_interval=10,
                authentication_method="SCRAM-SHA-256",
                authentication_data=b"hunter2",
                user_properties=(("token", "hunter2"), ("x", "hunter2")),
            ),
        ),
        "CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQTT, ProtoVsn=5, CleanStart=true, "
        "KeepAlive=60, Username=u, Password=******, Will(Q1, R1, Topic=will/t, "
        "Properties={will_delay_interval=5}, Payload=7 bytes), "
        "Properties={session_expiry_interval=10, authentication_method=SCRAM-SHA-256, "
        "authentication_data=7 bytes, user_properties=[token, x]})",
    ),
    (
        Connect("a", level=3, password=b""),
        "CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQIsdp, ProtoVsn=3, CleanStart=true, "
        "KeepAlive=0, Username=undefined, Password=******)",
    ),
    (Connack(True, 0), "CONNACK(Q0, R0, D0, SessionPresent=true, ReasonCode=0)"),
    (
        Publish(b"a/b", b"hunter2", qos=1, retain=True, dup=True, packet_id=7),
        "PUBLISH(Q1, R1, D1, Topic=a/b, PacketId=7, Payload=7 bytes)",
    ),
    (
        Publish(b"a", b"", properties=Properties(subscription_identifiers=(1, 2))),
        "PUBLISH(Q0, R0, D0, Topic=a, PacketId=undefined, Payload=0 bytes, "
        "Properties={subscription_identifiers=[1, 2]})",
    ),
    (
        Publish(b"\xff", b"", properties=Properties(correlation_data=b"hunter2")),
        "PUBLISH(Q0, R0, D0, Topic=\\xff, PacketId=undefined, Payload=0 bytes, "
        "Properties={correlation_data=7 bytes})",
    ),
    (Puback(1, 16), "PUBACK(Q0, R0, D0, PacketId=1, ReasonCode=16)"),
    (Pubrec(1), "PUBREC(Q0, R0, D0, PacketId=1, ReasonCode=0)"),
    (Pubrel(1), "PUBREL(Q1, R0, D0, PacketId=1, ReasonCode=0)"),
    (Pubcomp(1), "PUBCOMP(Q0, R0, D0, PacketId=1, ReasonCode=0)"),
    (
        Subscribe(3, [SubscribeTopic("a/#", 1), SubscribeTopic("b", 2, True, True, 2)]),
        "SUBSCRIBE(Q1, R0, D0, PacketId=3, TopicFilters=[a/# (q1), b (q2, nl, rap, rh2)])",
    ),
    (Suback(3, [1, 135]), "SUBACK(Q0, R0, D0, PacketId=3, ReasonCodes=[1, 135])"),
    (Unsubscribe(4, ["a", "b"]), "UNSUBSCRIBE(Q1, R0, D0, PacketId=4, TopicFilters=[a, b])"),
    (Unsuback(4, [0, 17]), "UNSUBACK(Q0, R0, D0, PacketId=4, ReasonCodes=[0, 17])"),
    (Pingreq(), "PINGREQ(Q0, R0, D0)"),
    (Pingresp(), "PINGRESP(Q0, R0, D0)"),
    (
        Disconnect(0x8E, Properties(reason_string="taken")),
        "DISCONNECT(Q0, R0, D0, ReasonCode=142, Properties={reason_string=taken})",
    ),
    (Auth(24), "AUTH(Q0, R0, D0, ReasonCode=24)"),
]  # fmt: skip


@pytest.mark.parametrize(("packet", "text"), PACKETS, ids=lambda each: str(each)[:20])
def test_every_packet_in_words(packet: Packet, text: str) -> None:
    assert describe(packet) == text
    assert "hunter2" not in text


def test_long_texts_and_lists_are_cut() -> None:
    assert f"Topic={'t' * 256}..., " in describe(Publish(b"t" * 65535, b""))
    filters = describe(Unsubscribe(1, ["f"] * 5000))
    assert filters.endswith(", f, and 4980 more])")
