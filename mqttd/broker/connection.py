"""One Network Connection: which packet may come now, who handles it, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from mqttd.broker.authorization import Permissions
from mqttd.broker.dispatch import HANDLERS
from mqttd.broker.exchange import exchange_step
from mqttd.broker.limits import Limits
from mqttd.broker.ports import EnhancedExchange, Outlet
from mqttd.broker.session import Session
from mqttd.broker.state import State
from mqttd.broker.topic_aliases import InboundAliases
from mqttd.broker.will import Will
from mqttd.identity import NO_ATTRIBUTES, Identity, PeerInfo
from mqttd.packets.acks import Ack
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet, decode
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.errors import MqttError
from mqttd.packets.framing import Framer
from mqttd.packets.properties import Properties
from mqttd.packets.reason_codes import ALLOWED, ReasonCode, connack_return_code, phrase
from mqttd.packets.suback import Suback
from mqttd.packets.types import PacketType
from mqttd.packets.unsuback import Unsuback

if TYPE_CHECKING:
    from mqttd.broker.broker import Broker

HELD_ACKNOWLEDGEMENTS = 1_024
"""Acknowledgements one client may wait for before the broker stops reading from it."""
_HANDLED_FOR = 0.02
"""Seconds of a turn in which packets of one client are handled; what it asks may take long."""
_LOOKS = 8
"""Packets from one look at the time to the next."""


_READS = frozenset((State.WAITING, State.CHALLENGED, State.CONNECTED))

Answer: TypeAlias = Connack | Ack | Suback | Unsuback | Disconnect | Auth
"""Packets the broker answers with; each may carry properties."""

_DISCONNECT_INSTEAD: dict[int, ReasonCode] = {
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: ReasonCode.PROTOCOL_ERROR,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: ReasonCode.PROTOCOL_ERROR,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: ReasonCode.NOT_AUTHORIZED,
    ReasonCode.SERVER_UNAVAILABLE: ReasonCode.SERVER_BUSY,
    ReasonCode.BANNED: ReasonCode.NOT_AUTHORIZED,
}
"""What DISCONNECT says for a reason that only CONNACK can give. [MQTT-3.14.2-1]."""

_ANSWERED_IN_3 = frozenset(
    (
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
        ReasonCode.NOT_AUTHORIZED,
    )
)


class Connection:
    """The broker's end of one Network Connection.

    Made by :meth:`Broker.connect`. The owner feeds bytes with :meth:`receive`, reports that bytes
    could not be sent with :meth:`outlet_filled` / :meth:`outlet_drained`, and the end of the
    transport with :meth:`connection_lost`. ``trace``, when set, sees every packet.
    """

    __slots__ = (
        "aliases",
        "allowance",
        "assigned",
        "attributes",
        "authentication_method",
        "blocked",
        "bridge",
        "broker",
        "challenged",
        "clean_start",
        "client_id",
        "connect",
        "deadline",
        "ended",
        "exchange",
        "framer",
        "held",
        "identity",
        "keep_alive",
        "level",
        "limits",
        "max_packet_size",
        "mountpoint",
        "mountpoint_source",
        "outlet",
        "peer",
        "pending",
        "permissions",
        "problem_information",
        "receiving",
        "session",
        "session_expiry",
        "session_key",
        "state",
        "tired",
        "trace",
        "username",
        "will",
    )

    def __init__(
        self,
        broker: Broker,
        outlet: Outlet,
        peer: PeerInfo,
        limits: Limits,
        mountpoint: str | Callable[[str | None, str], str],
    ) -> None:
        self.broker = broker
        self.outlet = outlet
        self.peer = peer
        self.limits = limits
        self.mountpoint_source = mountpoint
        self.mountpoint = ""
        self.framer = Framer(limits.max_packet_size)
        self.state = State.WAITING
        self.level = 4
        self.client_id = ""
        self.assigned = False
        self.connect: Connect | None = None
        self.username: str | None = None
        self.identity = Identity()
        self.attributes: Mapping[str, str] = NO_ATTRIBUTES
        """Those of ``client_attrs_init``; the identity has them as well."""
        self.permissions: Permissions | None = None
        self.session: Session | None = None
        self.session_expiry = 0.0
        self.session_key = ""
        """What the engine knows the client by: tenants behind mountpoints share no sessions."""
        self.clean_start = True
        self.bridge = False
        self.will: Will | None = None
        self.keep_alive = 0
        self.allowance = limits.idle_timeout
        self.deadline = broker.now + limits.idle_timeout
        self.aliases: InboundAliases | None = None
        self.max_packet_size = math.inf
        self.pending = 0
        self.held = False
        self.tired = False
        """Whether the client had its time in this turn."""
        self.blocked = False
        self.receiving: set[int] = set()
        self.problem_information = True
        self.authentication_method: str | None = None
        self.exchange: EnhancedExchange | None = None
        self.challenged = False
        self.trace: Callable[[str, Packet], None] | None = None
        self.ended = ""
        """How it ended, as a word for counters: the reason code's name, or ours; first empty."""

    # --- bytes in ---------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came. Decodes and handles every whole packet among them."""
        if self.state is State.CLOSED:
            return
        broker = self.broker
        broker.now = now
        broker.counters.bytes_received += len(data)
        self.framer.feed(data)
        self.proceed()

    def proceed(self) -> None:
        """Handle the packets at hand until one is incomplete or something must be awaited.

        What comes while an answer is awaited stays unread in the kernel: the peer is paused, so
        one chunk is the most that is kept.
        """
        try:
            self._decode()
        except MqttError as error:
            self.fail(error)
        blocked = self._must_wait() and self.framer.buffered > 0
        if blocked is not self.blocked and self.state is not State.CLOSED:
            self.blocked = blocked
            if blocked:
                self.outlet.pause()
            else:
                self.outlet.resume()

    def _must_wait(self) -> bool:
        return (
            self.held
            or self.tired
            or self.pending >= HELD_ACKNOWLEDGEMENTS
            or self.state is State.ADMITTING
        )

    def _decode(self) -> None:
        framer = self.framer
        broker = self.broker
        handled = 0
        until = broker.now + _HANDLED_FOR
        while self.state in _READS and not self.held and self.pending < HELD_ACKNOWLEDGEMENTS:
            if self.tired:
                return
            frame = framer.next_frame()
            if frame is None:
                return
            first, body = frame
            if self.state is State.WAITING:
                level = _announced_level(body) if first >> 4 == PacketType.CONNECT else None
                if level is None:
                    # [MQTT-3.1.0-1] [MQTT-3.1.2-1]: no answer, for this is no MQTT client.
                    self.close(None, "the first packet is not an MQTT CONNECT")
                    return
                self.level = level
            packet = decode(first, body, self.level)
            broker.counters.messages_received += 1
            self.deadline = broker.now + self.allowance
            if self.trace is not None:
                self.trace("RECV", packet)
            HANDLERS[first >> 4](self, packet)
            handled += 1
            if handled >= _LOOKS:
                handled = 0
                if broker.wake() >= until:
                    self.tired = True
                    broker.put_off(self, self._rested)
                    return

    def _rested(self) -> None:
        self.tired = False
        self.proceed()

    def hold(self) -> None:
        """Handle no further packet until :meth:`release`: an answer must not be overtaken."""
        self.held = True

    def release(self) -> None:
        """The answer has left. While it was awaited nothing was read, also no PINGREQ."""
        self.held = False
        self.deadline = max(self.deadline, self.broker.now + self.allowance)
        self.proceed()

    # --- bytes out --------------------------------------------------------------------------

    def send(self, *parts: bytes) -> None:
        """Queue encoded bytes of one packet."""
        self.broker.counters.messages_sent += 1
        self.outlet.send(*parts)
        if self.trace is not None:
            self._trace_sent(b"".join(parts))

    def send_packet(self, packet: Packet) -> bool:
        """Queue a packet, without its texts for people when there is no room for them.

        False when even so it exceeds the client's Maximum Packet Size: then it is discarded.
        [MQTT-3.1.2-24].
        """
        data = encode(packet, self.level)
        if len(data) > self.max_packet_size:
            _shorten(packet)
            data = encode(packet, self.level)
            if len(data) > self.max_packet_size:
                return False
        self.send(data)
        return True

    def reason(self, text: str) -> Properties | None:
        """Properties with a Reason String, or None when the client does not want them."""
        if self.level < 5 or not self.problem_information or not text:
            return None
        return Properties(reason_string=text)

    def step_authentication(self, data: bytes | None) -> None:
        """Hand the client's data to the running authentication exchange."""
        exchange_step(self, data)

    # --- flow -------------------------------------------------------------------------------

    def outlet_filled(self) -> None:
        """More than the high watermark waits: no more messages for this client for now."""
        if self.session is not None:
            self.session.state.credit(0)

    def outlet_drained(self, now: float) -> None:
        """The client reads again."""
        self.broker.now = now
        if self.session is not None:
            self.session.flow()

    def settled(self) -> None:
        """One acknowledgement that was waited for has left."""
        self.pending -= 1
        if self.blocked and self.pending == HELD_ACKNOWLEDGEMENTS // 2:
            self.proceed()

    def sweep(self, now: float) -> None:
        """Look at the deadline in force, and forget QoS 2 identifiers that were never released."""
        if self.state is State.CLOSED:
            return
        if now >= self.deadline and not (self.held or self.tired):
            if self.state is State.CONNECTED:
                # [MQTT-3.1.2-22]
                self.close(ReasonCode.KEEP_ALIVE_TIMEOUT, "exceeded timeout")
            elif self.state is State.ADMITTING:
                self.refuse(ReasonCode.SERVER_UNAVAILABLE, "not authenticated in time")
            else:
                self.close(None, "nothing came in time")
            return
        if self.session is not None and self.session.state.inbound:
            self._forget_unreleased(now)

    def _forget_unreleased(self, now: float) -> None:
        assert self.session is not None
        state = self.session.state
        before = now - self.limits.await_rel_timeout
        late = []
        for packet_id, taken in state.inbound.items():
            if taken > before:
                break
            late.append(packet_id)
        for packet_id in late:
            self.receiving.discard(packet_id)
            state.release_inbound(packet_id, lambda _: None)

    # --- the end ----------------------------------------------------------------------------

    def fail(self, error: MqttError) -> None:
        """The peer broke a rule: say so in its version's way and close."""
        detail = error.detail or phrase(error.reason_code)
        if self.state is State.CONNECTED:
            self.close(error.reason_code, detail)
        else:
            # [MQTT-3.1.4-1] (3.1.1): a CONNECT that breaks a rule gets no CONNACK; MQTT 5 may.
            self.refuse(
                error.reason_code,
                detail,
                answer=self.level >= 5 or error.reason_code in _ANSWERED_IN_3,
            )

    def refuse(self, reason_code: int, reason: str = "", *, answer: bool = True) -> None:
        """Answer CONNECT with a refusal and close. ``answer`` False: just close."""
        if self.state in (State.CLOSED, State.CONNECTED):
            return
        self.state = State.CLOSED
        if reason_code < 0x80 or reason_code not in ALLOWED[PacketType.CONNACK]:
            reason_code = ReasonCode.UNSPECIFIED_ERROR  # [MQTT-3.2.2-8]
        self.ended = _word(reason_code)
        if answer:
            # [MQTT-3.2.2-6]: session present is 0. [MQTT-3.1.4-1] and [MQTT-3.2.2-7]: then close.
            if self.level < 5:
                packet = Connack(False, connack_return_code(reason_code))
            else:
                # A client of an unknown level may not know properties either.
                unknown = reason_code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
                packet = Connack(False, reason_code, None if unknown else self.reason(reason))
            self.send_packet(packet)
        self.outlet.close(linger=answer)
        self._end(send_will=False)
        if self.broker.events is not None:
            self.broker.events.refused(self, reason_code, reason)

    def close(self, reason_code: int | None, reason: str, *, send_will: bool = True) -> None:
        """End the connection from this side; MQTT 5 clients get ``reason_code`` unless None."""
        if self.state is State.CLOSED:
            return
        was_connected = self.state is State.CONNECTED
        self.state = State.CLOSED
        if reason_code is not None:
            self.ended = _word(reason_code)
        else:
            self.ended = "disconnected" if was_connected else "no_connect"
        told = reason_code is not None and was_connected and self.level >= 5
        if told:
            assert reason_code is not None
            if reason_code not in ALLOWED[PacketType.DISCONNECT]:
                instead = ReasonCode.UNSPECIFIED_ERROR
                reason_code = _DISCONNECT_INSTEAD.get(reason_code, instead)
            packet = Disconnect(reason_code, self.reason(reason))
            self.send_packet(packet)
        self.outlet.close(linger=told)
        self.broker.clients -= was_connected
        self._end(send_will=send_will)
        if self.broker.events is not None:
            if was_connected:
                self.broker.events.disconnected(self, reason)
            else:
                self.broker.events.refused(self, reason_code or 0, reason)

    def session_lost(self, reason: str) -> None:
        """The engine ended our claim; the session is no longer ours to touch."""
        if self.session is not None:
            self.broker.starved.discard(self.session)
            self.session = None
        if reason == "taken-over":
            self.close(ReasonCode.SESSION_TAKEN_OVER, "session taken over")  # [MQTT-3.1.4-3]
        else:
            self.close(ReasonCode.ADMINISTRATIVE_ACTION, reason)

    def withdraw_will(self) -> None:
        """Rules do not allow the Will any more: it will not be published."""
        self.will = None
        if self.session is not None:
            self.session.state.update(will=None)
            if self.broker.events is not None:
                self.broker.events.withdrawn(self, ())

    def abandon(self, word: str) -> None:
        """Forget a peer that has not said anything yet: its owner closes it and says why."""
        if self.state is State.WAITING:
            self.state = State.CLOSED
            self.ended = word
            self.broker.connections.discard(self)

    def connection_lost(self, now: float, reason: str = "connection closed by client") -> None:
        """The transport is gone, whoever ended it."""
        self.broker.now = now
        was = self.state
        self.state = State.CLOSED
        self.broker.connections.discard(self)
        if was is State.CLOSED:
            return
        self.ended = "lost"
        self.broker.clients -= was is State.CONNECTED
        self._end(send_will=True)
        if self.broker.events is not None:
            if was is State.CONNECTED:
                self.broker.events.disconnected(self, reason)
            else:
                self.broker.events.refused(self, 0, reason)

    def _end(self, *, send_will: bool) -> None:
        session, self.session = self.session, None
        self.exchange = None
        self.connect = None
        self.broker.connections.discard(self)
        if session is not None:
            self.broker.starved.discard(session)
            session.state.detach(self.broker.now, send_will=send_will)

    def _trace_sent(self, data: bytes) -> None:
        assert self.trace is not None
        framer = Framer(len(data) + 1)
        framer.feed(data)
        frame = framer.next_frame()
        if frame is not None:
            self.trace("SEND", decode(frame[0], frame[1], self.level, from_client=False))


def _word(reason_code: int) -> str:
    return phrase(reason_code).lower().replace(" ", "_")


def _shorten(packet: Packet) -> None:
    """Drop what may be dropped to make a packet fit.

    The rule stands at the Reason String and the User Property of every packet, as
    [MQTT-3.2.2-19] and [MQTT-3.2.2-20] do for CONNACK.
    """
    properties = getattr(packet, "properties", None)
    if properties is not None:
        for name in ("reason_string", "user_properties", "response_information"):
            properties.__dict__.pop(name, None)


def _announced_level(body: bytes) -> int | None:
    """The protocol level a CONNECT names, so that even a malformed one is answered in its way.

    None when it does not name MQTT at all.
    """
    if body.startswith(b"\x00\x04MQTT"):
        return 5 if body[6:7] >= b"\x05" else 4
    return 3 if body.startswith(b"\x00\x06MQIsdp") else None
