"""The client's end of a broker in memory: packets in, packets out, nothing in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from mqttd.broker.connection import Connection
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet, decode
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.framing import Framer
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish, decode_publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe

if TYPE_CHECKING:
    from mqttd.testing.broker import MemoryBroker

P = TypeVar("P")

_LARGEST_PACKET = 268_435_460


def _decode(first_byte: int, body: bytes, level: int) -> Packet:
    if first_byte >> 4 == PacketType.PUBLISH:
        # Only a broker may send Subscription Identifiers.
        return decode_publish(first_byte & 0x0F, body, level, from_client=False)
    return decode(first_byte, body, level)


class MemoryOutlet:
    """The broker's way to one :class:`MemoryClient`; keeps what was sent."""

    def __init__(self) -> None:
        self.writable = True
        self.sent = bytearray()
        self.closed = False
        self.linger = False
        self.paused = False

    def send(self, *parts: bytes) -> None:
        """Keep the bytes. Sending after :meth:`close` is an error of the broker's."""
        if self.closed:
            raise AssertionError("the broker sent after it closed the Network Connection")
        for part in parts:
            self.sent += part

    def close(self, *, linger: bool) -> None:
        """End the Network Connection from the broker's side."""
        self.closed = True
        self.linger = linger

    def pause(self) -> None:
        """The broker reads no more for now; the client's bytes wait."""
        self.paused = True

    def resume(self) -> None:
        """The broker reads again."""
        self.paused = False


class MemoryClient:
    """The client's end of one Network Connection. ``connack`` is the answer to :meth:`connect`."""

    def __init__(
        self,
        broker: MemoryBroker,
        level: int,
        number: int,
        connect: Callable[[MemoryOutlet], Connection],
    ) -> None:
        self.broker = broker
        self.level = level
        self.number = number
        self.outlet = MemoryOutlet()
        self.connack: Connack | None = None
        self._framer = Framer(_LARGEST_PACKET)
        self._received: list[Packet] = []
        self._waiting = b""
        self._packet_id = 0
        self._lost = False
        self.connection = connect(self.outlet)

    # --- the Network Connection -------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the Network Connection has ended, from either side."""
        return self._lost or self.outlet.closed

    @property
    def writable(self) -> bool:
        """Whether the client reads. Set it to False to be a slow reader, to True to catch up."""
        return self.outlet.writable

    @writable.setter
    def writable(self, writable: bool) -> None:
        self.outlet.writable = writable
        if writable:
            self.connection.outlet_drained(self.broker.now)
        else:
            self.connection.outlet_filled()
        self.broker.turn()

    def drop(self) -> None:
        """Let the network fail: the connection is gone without a DISCONNECT."""
        self._lose()
        self.broker.turn()

    def end_turn(self) -> bool:
        """What the transport does after a turn of the broker; True when the broker has work."""
        if self.outlet.closed and not self._lost:
            self._lose()
            return True
        if self._waiting and not self.outlet.paused and not self._lost:
            waiting, self._waiting = self._waiting, b""
            self.connection.receive(waiting, self.broker.now)
            return True
        return False

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self.broker.clients.remove(self)
            self.connection.connection_lost(self.broker.now)

    # --- packets ----------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Send raw bytes, whole packets or not. They wait while the broker does not read."""
        assert not self._lost, "the Network Connection is closed"
        self._waiting += data
        self.broker.turn()

    def send(self, *packets: Packet) -> None:
        """Send packets in one piece, so that the broker gets them in one turn."""
        self.send_bytes(b"".join(encode(packet, self.level) for packet in packets))

    def take_bytes(self) -> bytes:
        """The bytes received and not taken yet; none while the client does not read."""
        if not self.outlet.writable:
            return b""
        data = bytes(self.outlet.sent)
        self.outlet.sent.clear()
        return data

    def take(self) -> list[Packet]:
        """The packets received and not taken yet, in order."""
        self._decode()
        packets, self._received = self._received, []
        return packets

    def take_one(self, kind: type[P]) -> P:
        """The only packet received and not taken yet, which must be of this kind."""
        packets = self.take()
        if len(packets) != 1 or not isinstance(packets[0], kind):
            raise AssertionError(f"expected one {kind.__name__}, received {packets!r}")
        return packets[0]

    def take_all(self, kind: type[P]) -> list[P]:
        """The packets received and not taken yet, all of which must be of this kind."""
        packets = self.take()
        chosen: list[P] = [packet for packet in packets if isinstance(packet, kind)]
        if len(chosen) != len(packets):
            raise AssertionError(f"expected only {kind.__name__}, received {packets!r}")
        return chosen

    # --- the usual exchanges ----------------------------------------------------------------

    def connect(self, **fields: Any) -> Connack:
        """Send CONNECT and return CONNACK. ``fields`` are those of ``Connect``.

        What follows CONNACK, such as the messages of a resumed session, is left to be taken.
        """
        self.send_connect(**fields)
        self.connack = self._answer(Connack)
        return self.connack

    def send_connect(self, **fields: Any) -> None:
        """Send CONNECT without waiting for the answer: an authenticator may take its time.

        CONNACK is taken as other packets are, after ``advance`` or ``turn`` of the broker.
        """
        fields.setdefault("client_id", f"client-{self.number}")
        self.send(Connect(level=self.level, **fields))

    def disconnect(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        """Send DISCONNECT and close the Network Connection."""
        self.send(Disconnect(reason_code, properties))
        if not self._lost:
            self.drop()

    def subscribe(
        self,
        *topic_filters: str,
        qos: int = 0,
        properties: Properties | None = None,
        **options: Any,
    ) -> Suback:
        """Send one SUBSCRIBE and return its SUBACK. ``options`` are those of SubscribeTopic.

        Packets received beside SUBACK are left to be taken.
        """
        topics = [SubscribeTopic(name, qos, **options) for name in topic_filters]
        self.send(Subscribe(self.next_packet_id(), topics, properties))
        return self._answer(Suback)

    def unsubscribe(self, *topic_filters: str) -> Unsuback:
        """Send one UNSUBSCRIBE and return its UNSUBACK; other packets are left to be taken."""
        self.send(Unsubscribe(self.next_packet_id(), list(topic_filters)))
        return self._answer(Unsuback)

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, **fields: Any) -> int:
        """Send one PUBLISH. ``fields`` are those of ``Publish``. Returns the Packet Identifier."""
        packet_id = self.next_packet_id() if qos else 0
        self.send(Publish(topic.encode(), payload, qos, packet_id=packet_id, **fields))
        return packet_id

    def next_packet_id(self) -> int:
        """A Packet Identifier this client has not used."""
        self._packet_id += 1
        return self._packet_id

    def _decode(self) -> None:
        self._framer.feed(self.take_bytes())
        while (frame := self._framer.next_frame()) is not None:
            self._received.append(_decode(*frame, self.level))
        assert not self._framer.buffered, "the broker sent an incomplete packet"

    def _answer(self, kind: type[P]) -> P:
        self._decode()
        answers = [packet for packet in self._received if isinstance(packet, kind)]
        if len(answers) != 1:
            raise AssertionError(f"expected one {kind.__name__}, received {self._received!r}")
        self._received = [packet for packet in self._received if packet is not answers[0]]
        return answers[0]
