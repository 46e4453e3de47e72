"""Any packet, written and read again, is the same packet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet, decode
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.errors import MqttError
from mqttd.packets.framing import Framer
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import PROPERTIES, WILL, Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ALLOWED, RETURN_CODES, SUBACK_RETURN_CODES
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)

strings = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
blobs = st.binary(max_size=20)
packet_ids = st.integers(1, 65_535)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Byte": st.integers(0, 1),
    "Two Byte Integer": st.integers(1, 65_535),
    "Four Byte Integer": st.integers(1, 0xFFFFFFFF),
    "Variable Byte Integer": st.integers(1, 268_435_455),
    "Binary Data": blobs,
    "UTF-8 Encoded String": strings,
    "UTF-8 String Pair": st.tuples(strings, strings),
}


def properties(place: int, **always: Any) -> st.SearchStrategy[Properties | None]:
    """Any properties that may stand there, or none."""
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for row in PROPERTIES.values():
        if place in row.places:
            value = VALUES[row.wire.name]
            if row.many:
                most = 1 if place == PacketType.SUBSCRIBE and row.identifier == 0x0B else 3
                value = st.lists(value, min_size=1, max_size=most).map(tuple)
            optional[row.attribute] = value
    if "response_topic" in optional:
        topic = strings.map(lambda text: text.replace("#", "").replace("+", "") or "r")
        optional["response_topic"] = topic

    def made(fields: dict[str, Any]) -> Properties | None:
        if "authentication_data" in fields:
            fields.setdefault("authentication_method", "m")
        fields |= always
        return Properties(**fields) if fields else None

    return st.fixed_dictionaries({}, optional=optional).map(made)


def at(level: int, place: int, **always: Any) -> st.SearchStrategy[Properties | None]:
    """Properties at level 5, none below."""
    return properties(place, **always) if level >= 5 else st.none()


def codes(packet_type: PacketType) -> st.SearchStrategy[int]:
    """The reason codes of a packet of MQTT 5."""
    return st.sampled_from(sorted(ALLOWED[packet_type]))


def connects(level: int) -> st.SearchStrategy[Packet]:
    wills = st.builds(
        ConnectWill,
        strings.map(str.encode),
        blobs,
        st.integers(0, 2),
        st.booleans(),
        at(level, WILL),
    )
    credentials: Any = st.one_of(
        st.tuples(st.none(), st.none()), st.tuples(strings, st.none()), st.tuples(strings, blobs)
    )
    if level >= 5:
        credentials = st.tuples(st.none() | strings, st.none() | blobs)
    return st.builds(
        lambda pair, *fields: Connect(
            fields[0], level, fields[1], fields[2], pair[0], pair[1], *fields[3:]
        ),
        credentials,
        strings,
        st.booleans(),
        st.integers(0, 65_535),
        st.none() | wills,
        at(level, PacketType.CONNECT),
        st.booleans() if level < 5 else st.just(False),
    )


def publishes(level: int) -> st.SearchStrategy[Packet]:
    def made(topic: bytes, payload: bytes, qos: int, *rest: Any) -> Publish:
        retain, dup, packet_id, block = rest
        if level >= 5 and not topic and (block is None or block.topic_alias is None):
            topic = b"t"
        return Publish(
            topic, payload, qos, retain, dup and qos > 0, packet_id if qos else 0, block
        )

    return st.builds(
        made,
        st.binary(max_size=20),
        st.binary(max_size=300),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        packet_ids,
        at(level, PacketType.PUBLISH),
    )


def subscribes(level: int) -> st.SearchStrategy[Packet]:
    options: tuple[st.SearchStrategy[Any], ...] = ()
    if level >= 5:
        options = (st.booleans(), st.booleans(), st.integers(0, 2))
    topics = st.builds(SubscribeTopic, strings, st.integers(0, 2), *options)
    return st.builds(
        Subscribe,
        packet_ids,
        st.lists(topics, min_size=1, max_size=4),
        at(level, PacketType.SUBSCRIBE),
    )


def acks(level: int, kind: type[Any]) -> st.SearchStrategy[Packet]:
    if level < 5:
        return st.builds(kind, packet_ids)
    place = kind.packet_type
    return st.builds(kind, packet_ids, codes(place), properties(place))


def others(level: int) -> dict[str, st.SearchStrategy[Packet]]:
    subacks: Any = st.sampled_from(sorted(SUBACK_RETURN_CODES))
    results: Any = st.sampled_from(sorted(RETURN_CODES))
    strategies: dict[str, Any] = {
        "pingreq": st.just(Pingreq()),
        "pingresp": st.just(Pingresp()),
        "disconnect": st.just(Disconnect()),
        "unsuback": st.builds(Unsuback, packet_ids),
        "unsubscribe": st.builds(
            Unsubscribe,
            packet_ids,
            st.lists(strings, min_size=1, max_size=4),
            at(level, PacketType.UNSUBSCRIBE),
        ),
    }
    if level >= 5:
        subacks, results = codes(PacketType.SUBACK), codes(PacketType.CONNACK)
        place = PacketType.AUTH
        strategies["auth"] = st.just(Auth()) | st.builds(
            Auth, codes(place), properties(place, authentication_method="m")
        )
        place = PacketType.DISCONNECT
        strategies["disconnect"] = st.builds(Disconnect, codes(place), properties(place))
        place = PacketType.UNSUBACK
        strategies["unsuback"] = st.builds(
            Unsuback, packet_ids, st.lists(codes(place), min_size=1, max_size=5), properties(place)
        )
    strategies["suback"] = st.builds(
        Suback,
        packet_ids,
        st.lists(subacks, min_size=1, max_size=5),
        at(level, PacketType.SUBACK),
    )
    strategies["connack"] = st.builds(
        lambda present, code, block: Connack(present and not code and level > 3, code, block),
        st.booleans(),
        results,
        at(level, PacketType.CONNACK),
    )
    return strategies


STRATEGIES: dict[int, dict[str, st.SearchStrategy[Packet]]] = {
    level: {
        "connect": connects(level),
        "publish": publishes(level),
        "subscribe": subscribes(level),
        **{kind.__name__.lower(): acks(level, kind) for kind in (Puback, Pubrec, Pubrel, Pubcomp)},
        **others(level),
    }
    for level in (3, 4, 5)
}
CASES = [(level, name) for level, table in STRATEGIES.items() for name in table]


def read(data: bytes, level: int) -> Packet:
    """The one packet of these bytes."""
    framer = Framer(len(data))
    framer.feed(data)
    frame = framer.next_frame()
    assert frame is not None
    assert framer.next_frame() is None
    assert framer.buffered == 0
    return decode(*frame, level, from_client=False)


@pytest.mark.parametrize(("level", "name"), CASES, ids=[f"{name} v{n}" for n, name in CASES])
def test_round_trip(level: int, name: str) -> None:
    @SETTINGS
    @given(STRATEGIES[level][name])
    def check(packet: Packet) -> None:
        assert read(encode(packet, level), level) == packet

    check()


@settings(SETTINGS, max_examples=400)
@given(st.integers(0, 255), st.binary(max_size=64), st.sampled_from((3, 4, 5)))
def test_any_bytes_are_a_packet_or_an_mqtt_error(first: int, body: bytes, level: int) -> None:
    try:
        packet = decode(first, body, level, from_client=False)
    except MqttError:
        return
    assert read(encode(packet, level), level) == packet
