"""What decoding and encoding cost, packet by packet."""

from __future__ import annotations

import argparse
from functools import partial

from timing import microseconds, row

from mqttd.packets.acks import Puback, encode_ack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet, decode
from mqttd.packets.encode import encode
from mqttd.packets.framing import Framer
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType

PROPERTIES = Properties(
    content_type="application/json",
    response_topic="answers/here",
    correlation_data=b"12345678",
    user_properties=(("key", "value"),),
)

PACKETS: dict[str, tuple[Packet, int]] = {
    "PUBLISH QoS 0, 64 bytes, 3.1.1": (Publish(b"bench/topic/1", bytes(64)), 4),
    "PUBLISH QoS 1, 64 bytes, 3.1.1": (Publish(b"bench/topic/1", bytes(64), 1, packet_id=7), 4),
    "PUBLISH QoS 0, 64 bytes, 5": (Publish(b"bench/topic/1", bytes(64)), 5),
    "PUBLISH QoS 1, four properties, 5": (
        Publish(b"bench/topic/1", bytes(64), 1, packet_id=7, properties=PROPERTIES),
        5,
    ),
    "PUBACK, 3.1.1": (Puback(7), 4),
    "CONNECT with name and password, 5": (
        Connect("client-1", 5, username="name", password=b"secret"),
        5,
    ),
    "SUBSCRIBE of four filters, 5": (
        Subscribe(1, [SubscribeTopic(f"a/{each}/+/#", 1) for each in range(4)]),
        5,
    ),
}


def drain(framer: Framer, chunk: bytes, level: int) -> None:
    """Cut a chunk into frames and decode each."""
    framer.feed(chunk)
    while (frame := framer.next_frame()) is not None:
        decode(*frame, level)


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure")
    options = parser.parse_args()
    for name, (packet, level) in PACKETS.items():
        call = partial(drain, Framer(1 << 20), encode(packet, level) * 100, level)
        row(f"decode {name}", microseconds(call, 100, options.seconds))
    for name, (packet, level) in PACKETS.items():
        row(f"encode {name}", microseconds(partial(encode, packet, level), 1, options.seconds))
    row(
        "encode PUBACK as the broker does",
        microseconds(lambda: encode_ack(PacketType.PUBACK, 7, 4), 1, options.seconds),
    )


if __name__ == "__main__":
    main()
