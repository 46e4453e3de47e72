"""The property table and the value class."""

from __future__ import annotations

import time
from types import ModuleType

import pytest

from mqttd.packets.errors import ProtocolError
from mqttd.packets.primitives import Reader
from mqttd.packets.properties import (
    PROPERTIES,
    WILL,
    Properties,
    decode_properties,
    encode_properties,
)
from mqttd.packets.types import PacketType


def test_the_table_is_that_of_the_specification(refusals: ModuleType) -> None:
    assert set(PROPERTIES) == set(refusals.TABLE) | {0x26}
    for number, (_value, places) in refusals.TABLE.items():
        row = PROPERTIES[number]
        named = {"WILL" if place == WILL else PacketType(place).name for place in row.places}
        assert named == set(places.split()), row.attribute
        assert row.identifier == number
    everywhere = {WILL, *PacketType} - {PacketType.PINGREQ, PacketType.PINGRESP}
    assert PROPERTIES[0x26].places == everywhere
    assert [row.attribute for row in PROPERTIES.values() if row.many] == [
        "subscription_identifiers",
        "user_properties",
    ]


def test_every_property_is_an_attribute_that_is_not_set() -> None:
    empty = Properties()
    for row in PROPERTIES.values():
        assert getattr(empty, row.attribute) == (() if row.many else None)
    assert vars(empty) == {}


def test_only_what_is_set_is_kept() -> None:
    properties = Properties(
        content_type="", topic_alias=None, user_properties=(), payload_format_indicator=0
    )
    assert vars(properties) == {"content_type": "", "payload_format_indicator": 0}
    assert properties == Properties(payload_format_indicator=0, content_type="")
    assert properties != Properties(payload_format_indicator=0)
    assert properties != "properties"


def test_a_name_that_is_no_property() -> None:
    with pytest.raises(TypeError, match="there is no property topic"):
        Properties(topic="t")


def test_a_copy_is_another() -> None:
    first = Properties(topic_alias=1)
    second = first.copy()
    second.topic_alias = 2
    assert (first.topic_alias, second.topic_alias) == (1, 2)


def test_secrets_are_not_shown() -> None:
    shown = repr(
        Properties(
            authentication_method="SCRAM",
            authentication_data=b"client-final",
            correlation_data=b"order 17",
            user_properties=(("k", "v"),),
        )
    )
    assert shown == (
        "Properties(authentication_method='SCRAM', authentication_data=<12 bytes>, "
        "correlation_data=<8 bytes>, user_properties=(('k', 'v'),))"
    )


def test_no_properties_are_one_byte() -> None:
    assert encode_properties(None) == encode_properties(Properties()) == b"\x00"
    withdrawn = Properties(topic_alias=1)
    withdrawn.topic_alias = None
    assert encode_properties(withdrawn) == b"\x00"
    assert decode_properties(Reader(b"\x00"), PacketType.PUBLISH) is None


def test_a_server_may_name_several_subscriptions() -> None:
    data = b"\x05\x0b\x01\x0b\x80\x01"
    properties = decode_properties(Reader(data), PacketType.PUBLISH, from_client=False)
    assert properties == Properties(subscription_identifiers=(1, 128))
    with pytest.raises(ProtocolError):
        decode_properties(Reader(data), PacketType.PUBLISH)


def test_order_and_repetitions_of_user_properties_are_kept() -> None:
    pairs = (("b", "1"), ("a", "2"), ("b", "1"), ("", ""))
    data = encode_properties(Properties(user_properties=pairs))
    properties = decode_properties(Reader(data), PacketType.CONNECT)
    assert properties is not None
    assert properties.user_properties == pairs


def test_reading_goes_on_behind_the_properties() -> None:
    reader = Reader(b"\x02\x01\x01rest")
    assert decode_properties(reader, WILL) == Properties(payload_format_indicator=1)
    assert reader.rest() == b"rest"


def test_many_user_properties_cost_no_more_each() -> None:
    def cost(count: int) -> float:
        data = encode_properties(Properties(user_properties=(("", ""),) * count))
        start = time.process_time()
        decode_properties(Reader(data), PacketType.PUBLISH)
        return time.process_time() - start

    cost(1_000)
    # Twenty times as many took four hundred times as long when the tuple grew one by one.
    assert cost(100_000) < 100 * max(cost(5_000), 0.001)
