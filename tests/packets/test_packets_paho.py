"""Our properties beside those of another implementation."""

from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from mqttd.packets.primitives import Reader
from mqttd.packets.properties import (
    PROPERTIES,
    WILL,
    Properties,
    decode_properties,
    encode_properties,
)
from mqttd.packets.types import PacketType

SAMPLES = {
    "Byte": 1,
    "Two Byte Integer": 513,
    "Four Byte Integer": 70_000,
    "Variable Byte Integer": 300_000,
    "Binary Data": b"\x00\xff",
    "UTF-8 Encoded String": "text é",
}

PLACES = [place for place in (WILL, *PacketType) if place in PROPERTIES[0x26].places]


@pytest.mark.parametrize(
    "place", PLACES, ids=lambda place: "WILL" if place == WILL else place.name
)
def test_the_same_bytes_and_the_same_values(place: int) -> None:
    theirs = PahoProperties(PacketTypes.WILLMESSAGE if place == WILL else place)
    ours = Properties()
    for row in PROPERTIES.values():
        if place not in row.places:
            continue
        name = "".join(word.capitalize() for word in row.attribute.split("_"))
        if row.attribute == "user_properties":
            theirs.UserProperty = [("a", "1"), ("b", "é"), ("a", "1")]
            ours.user_properties = (("a", "1"), ("b", "é"), ("a", "1"))
        elif row.attribute == "subscription_identifiers":
            theirs.SubscriptionIdentifier = 300_000
            ours.subscription_identifiers = (300_000,)
        else:
            value = SAMPLES[row.wire.name]
            setattr(theirs, name.replace("Qos", "QoS"), value)
            setattr(ours, row.attribute, value)
    data = theirs.pack()
    assert decode_properties(Reader(data), place, from_client=False) == ours
    again = PahoProperties(PacketTypes.WILLMESSAGE if place == WILL else place)
    block = encode_properties(ours)
    assert again.unpack(block) == (again, len(block))
    assert again.json() == theirs.json()
