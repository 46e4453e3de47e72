"""From packet class to the function that writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel, encode_any_ack
from mqttd.packets.auth import Auth, encode_auth
from mqttd.packets.connack import Connack, encode_connack
from mqttd.packets.connect import Connect, encode_connect
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect, encode_disconnect
from mqttd.packets.ping import Pingreq, Pingresp, encode_pingreq, encode_pingresp
from mqttd.packets.publish import Publish, encode_publish
from mqttd.packets.suback import Suback, encode_suback
from mqttd.packets.subscribe import Subscribe, encode_subscribe
from mqttd.packets.unsuback import Unsuback, encode_unsuback
from mqttd.packets.unsubscribe import Unsubscribe, encode_unsubscribe

_ENCODERS: dict[type, Callable[[Any, int], bytes]] = {
    Connect: encode_connect,
    Connack: encode_connack,
    Publish: encode_publish,
    Puback: encode_any_ack,
    Pubrec: encode_any_ack,
    Pubrel: encode_any_ack,
    Pubcomp: encode_any_ack,
    Subscribe: encode_subscribe,
    Suback: encode_suback,
    Unsubscribe: encode_unsubscribe,
    Unsuback: encode_unsuback,
    Pingreq: encode_pingreq,
    Pingresp: encode_pingresp,
    Disconnect: encode_disconnect,
    Auth: encode_auth,
}


def encode(packet: Packet, level: int) -> bytes:
    """The bytes of one packet. Raises ValueError for values that have no place on the wire."""
    return _ENCODERS[type(packet)](packet, level)
