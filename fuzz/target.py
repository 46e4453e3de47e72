"""What the decoder must do with any bytes; both fuzzers call :func:`check`."""

from __future__ import annotations

from random import Random

from mqttd.packets.decode import decode
from mqttd.packets.encode import encode
from mqttd.packets.errors import MqttError
from mqttd.packets.framing import Framer
from mqttd.packets.primitives import encode_variable

LARGEST = 4_096
"""The Maximum Packet Size of the framer."""

TOKENS = (
    b"\x00\x04MQTT\x04", b"\x00\x04MQTT\x05", b"\x00\x06MQIsdp\x03", b"\x00\x00", b"\x00\x01a",
    b"\xff\xff", b"\x80\x00", b"\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x01", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"\xc0\x80", b"$share/g/t", b"+", b"#",
    b"\x01\x01", b"\x02\x00\x00\x00\x01", b"\x03\x00\x01c", b"\x08\x00\x01r", b"\x09\x00\x01d",
    b"\x0b\x01", b"\x11\x00\x00\x00\x01", b"\x12\x00\x01i", b"\x13\x00\x01", b"\x15\x00\x01m",
    b"\x16\x00\x01d", b"\x17\x01", b"\x18\x00\x00\x00\x01", b"\x19\x01", b"\x1a\x00\x01i",
    b"\x1c\x00\x01s", b"\x1f\x00\x01r", b"\x21\x00\x01", b"\x22\x00\x01", b"\x23\x00\x01",
    b"\x24\x01", b"\x25\x01", b"\x26\x00\x01k\x00\x01v", b"\x27\x00\x00\x00\x01", b"\x28\x01",
    b"\x29\x01", b"\x2a\x01",
)  # fmt: skip
"""Pieces that chance alone would find late: properties, protocol names, bad lengths and text."""


class Fault(AssertionError):  # noqa: N818
    """The decoder did what it must not do."""


def check(data: bytes) -> None:
    """Read ``data`` as a peer's bytes; raise unless each frame is a packet or an MqttError.

    The first byte chooses the level, who sends, and how the stream is cut. A packet must come
    back the same when it is written and read again, and an error must say what is wrong.
    """
    if not data:
        return
    level = 3 + data[0] % 3
    from_client = not data[0] & 0x40
    step = 1 if data[0] & 0x80 else LARGEST
    framer = Framer(LARGEST)
    try:
        for position in range(1, len(data), step):
            framer.feed(data[position : position + step])
            while (frame := framer.next_frame()) is not None:
                _check_frame(*frame, level, from_client)
            if framer.buffered > LARGEST:
                raise Fault("more is kept than one packet may have")
    except MqttError as error:
        if not error.detail or error.reason_code < 0x80:
            raise Fault("an error without detail or code") from error


def _check_frame(first: int, body: bytes, level: int, from_client: bool) -> None:
    packet = decode(first, body, level, from_client=from_client)
    repr(packet)
    try:
        data = encode(packet, level)
        framer = Framer(len(data))
        framer.feed(data)
        frame = framer.next_frame()
        if frame is None or framer.buffered:
            raise Fault("what is written is not one packet")
        again = decode(*frame, level, from_client=from_client)
    except (ValueError, MqttError) as error:
        raise Fault(f"a packet that is read cannot be written: {packet!r}") from error
    if again != packet:
        raise Fault(f"{packet!r} came back as {again!r}")


def repair(rng: Random, data: bytes) -> bytes:
    """Mostly give a changed packet the Remaining Length it needs to be read further."""
    if len(data) < 3 or rng.random() < 0.3:
        return data
    start = 2
    while start < len(data) - 1 and start < 5 and data[start] >= 0x80:
        start += 1
    body = data[start + 1 :]
    return data[:2] + encode_variable(len(body)) + body
