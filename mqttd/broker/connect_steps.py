"""The CONNECT flow as a named list of steps, and what follows once the client is admitted."""

from __future__ import annotations

import math
import string
from functools import partial
from typing import TYPE_CHECKING

import attrs

from mqttd.broker.authorization import Decision, access_request, settle_permissions
from mqttd.broker.certificate_identity import certificate_value, psk_username
from mqttd.broker.client_attributes import client_attributes
from mqttd.broker.handlers.disconnect import NEVER
from mqttd.broker.handlers.publish import check_response_topic, forwarded, mounted
from mqttd.broker.keep_alive import allowance, effective_keep_alive
from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.review import Review
from mqttd.broker.session import Session
from mqttd.broker.state import State
from mqttd.broker.strict_mode import is_discouraged
from mqttd.broker.topic_aliases import InboundAliases
from mqttd.broker.will import Will
from mqttd.identity import PUBLISH, ConnectRequest, Identity, Refused
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.errors import (
    ClientIdentifierNotValid,
    MalformedPacket,
    MqttError,
    PayloadFormatInvalid,
)
from mqttd.packets.properties import Properties
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_ALPHABET = string.ascii_letters + string.digits
_NOTHING = Properties()
_ALLOWED = Decision(True, "")
_FILTERS_AT_ONCE = 20
_TURNS_FOR = 0.005
"""Seconds of one turn in which what a session holds is judged; a session may hold very much."""


def take_settings(connection: Connection, packet: Connect) -> None:
    """Remember what the client announced about itself."""
    properties = packet.properties or _NOTHING
    connection.level = packet.level
    connection.bridge = packet.bridge
    connection.clean_start = packet.clean_start
    connection.connect = packet
    connection.keep_alive = effective_keep_alive(
        packet.keep_alive, packet.level, connection.limits
    )
    connection.problem_information = properties.request_problem_information != 0
    connection.max_packet_size = properties.maximum_packet_size or math.inf
    if packet.level >= 5:
        expiry = properties.session_expiry_interval or 0
        connection.session_expiry = math.inf if expiry == NEVER else float(expiry)
        connection.aliases = InboundAliases(
            connection.limits.max_topic_alias, connection.limits.max_packet_size
        )
    elif not packet.clean_start:
        connection.session_expiry = connection.limits.session_expiry_interval


def name_client(connection: Connection, packet: Connect) -> None:
    """Settle user name and Client Identifier: certificate first, then CONNECT's own.

    Raises MqttError when a certificate identity is asked for and there is none: a client without
    a certificate must not choose the name a certificate would have given it.
    """
    limits = connection.limits
    username = packet.username
    client_id = packet.client_id
    certificate = connection.peer.certificate
    key = connection.peer.psk_identity
    by_certificate = limits.peer_cert_as_username != "disabled"
    if limits.psk_identity_as_username and (key is not None or not by_certificate):
        username = psk_username(key)
    elif by_certificate:  # with both options, the one that was proven
        username = certificate_value(certificate, limits.peer_cert_as_username)
    if limits.peer_cert_as_clientid != "disabled":
        client_id = certificate_value(certificate, limits.peer_cert_as_clientid)
    elif limits.use_username_as_clientid and username:
        client_id = username
    if limits.strict_mode and username and is_discouraged(username):
        raise MalformedPacket("the User Name holds a control or non-character")
    connection.username = username
    _check_client_id(connection, client_id)
    connection.client_id = client_id


def _check_client_id(connection: Connection, client_id: str) -> None:
    limits = connection.limits
    if len(client_id.encode()) > limits.max_clientid_len:
        raise ClientIdentifierNotValid(
            f"the Client Identifier is longer than {limits.max_clientid_len} bytes"
        )
    if connection.level == 3 and limits.strict_mode and len(client_id) > 23:
        raise ClientIdentifierNotValid("MQTT 3.1 allows 23 characters")
    if limits.strict_mode and is_discouraged(client_id):
        raise ClientIdentifierNotValid("the Client Identifier holds a control or non-character")
    # [MQTT-3.1.3-8] (3.1.1), and 3.1 knows no empty one at all.
    if not client_id and (
        connection.level == 3 or (connection.level == 4 and not connection.clean_start)
    ):
        raise ClientIdentifierNotValid("an empty Client Identifier needs Clean Session")


def check_will(connection: Connection, packet: Connect) -> None:
    """Turn the Will into a message, by the rules a PUBLISH would have. [MQTT-3.2.2-12, 13]."""
    will = packet.will
    if will is None:
        return
    limits = connection.limits
    if will.qos > limits.max_qos_allowed:
        raise MqttError(
            f"the Will has QoS {will.qos}, the maximum is {limits.max_qos_allowed}",
            ReasonCode.QOS_NOT_SUPPORTED,
        )
    if will.retain and not limits.retain_available:
        raise MqttError("retain is not available", ReasonCode.RETAIN_NOT_SUPPORTED)
    connection.broker.check_topic(will.topic)
    if will.topic.startswith(b"$SYS/"):
        raise MqttError("the Will names a $SYS topic", ReasonCode.NOT_AUTHORIZED)
    properties = (will.properties or _NOTHING).copy()
    check_response_topic(properties)
    if properties.payload_format_indicator:
        try:
            will.payload.decode()
        except UnicodeDecodeError:
            raise PayloadFormatInvalid("the Will's payload is not UTF-8") from None
    delay = float(properties.will_delay_interval or 0)
    expiry = properties.message_expiry_interval
    message = Message(will.topic, will.payload, will.qos, will.retain, forwarded(properties))
    connection.will = Will(message, delay, expiry)


def authenticate(connection: Connection, packet: Connect) -> None:
    """Ask who this is: by the client's authentication method, or by the admission port."""
    properties = packet.properties or _NOTHING
    method = properties.authentication_method
    if method is None:
        connection.broker.admission.admit(
            connect_request(connection), partial(_answered, connection)
        )
        return
    authenticator = connection.broker.enhanced.get(method)
    if authenticator is None:  # [MQTT-4.12.0-1]
        raise MqttError(
            "the Authentication Method is not known here", ReasonCode.BAD_AUTHENTICATION_METHOD
        )
    connection.authentication_method = method
    connection.exchange = authenticator.start(
        connect_request(connection), properties.authentication_data
    )
    connection.step_authentication(properties.authentication_data)


STEPS = (take_settings, name_client, check_will, authenticate)
"""What is done with a CONNECT before anybody is asked; then :func:`admitted` goes on."""


def connect_request(connection: Connection) -> ConnectRequest:
    """The CONNECT as authenticators see it."""
    packet = connection.connect
    assert packet is not None
    request = ConnectRequest(
        client_id=connection.client_id,
        username=connection.username,
        password=packet.password,
        level=connection.level,
        clean_start=connection.clean_start,
        keep_alive=packet.keep_alive,
        peer=connection.peer,
        user_properties=(packet.properties or _NOTHING).user_properties,
    )
    wanted = connection.limits.client_attrs_init
    if not wanted:
        return request
    connection.attributes = client_attributes(wanted, request)
    return attrs.evolve(request, attributes=connection.attributes)


def with_attributes(connection: Connection, identity: Identity) -> Identity:
    """The identity with the attributes that were known before; its own come over those."""
    if not connection.attributes:
        return identity
    return attrs.evolve(identity, attributes={**connection.attributes, **identity.attributes})


def _answered(connection: Connection, answer: Identity | Refused) -> None:
    connection.broker.answered()
    if connection.state is not State.ADMITTING:
        return
    if isinstance(answer, Refused):
        connection.refuse(answer.reason_code, answer.reason)
    else:
        admitted(connection, answer)


def admitted(connection: Connection, identity: Identity, data: bytes | None = None) -> None:
    """The client is who it says: claim its session. ``data`` ends an enhanced authentication."""
    try:
        _settle_identity(connection, identity)
    except MqttError as error:
        connection.fail(error)
        return
    settle_permissions(connection)
    decision = _judge_will(connection, data)
    if decision is not None:
        _will_judged(connection, data, decision)


def _judge_will(connection: Connection, data: bytes | None) -> Decision | None:
    """Ask whether the Will may be published; None: the answer is awaited."""
    permissions, will = connection.permissions, connection.will
    if permissions is None or will is None:
        return _ALLOWED
    message = will.message
    topic = message.topic[len(connection.mountpoint.encode()) :]
    done = partial(_will_judged, connection, data)
    return permissions.judge(PUBLISH, topic, message.qos, message.retain, done, is_will=True)


def _will_judged(connection: Connection, data: bytes | None, decision: Decision) -> None:
    if connection.state is not State.ADMITTING:
        return
    if not decision.allowed:
        _tell_of_will(connection, decision)
        code = ReasonCode.NOT_AUTHORIZED if decision.known else ReasonCode.SERVER_UNAVAILABLE
        connection.refuse(code, "the Will is not allowed")
        return
    connection.broker.engine.claim(
        connection.session_key,
        clean_start=connection.clean_start,
        expiry=connection.session_expiry,
        will=connection.will,
        now=connection.broker.now,
        done=partial(_claimed, connection, data, connection.broker.rules),
    )


def _tell_of_will(connection: Connection, decision: Decision) -> None:
    events, will = connection.broker.events, connection.will
    if events is None or will is None:
        return
    message = will.message
    topic = message.topic[len(connection.mountpoint.encode()) :]
    request = access_request(connection, PUBLISH, topic, message.qos, message.retain, is_will=True)
    events.denied(connection, request, decision.source)


def _settle_identity(connection: Connection, identity: Identity) -> None:
    connection.identity = identity = with_attributes(connection, identity)
    if identity.username is not None:
        if _names_session(connection) and identity.username not in ("", connection.username):
            # Not the name that was only claimed: it would be the session of somebody else.
            _check_client_id(connection, identity.username)
            connection.client_id = identity.username
        connection.username = identity.username
    if identity.client_id is not None:
        _check_client_id(connection, identity.client_id)
        connection.client_id = identity.client_id
    if not connection.client_id:
        # [MQTT-3.1.3-6] [MQTT-3.1.3-7]: unique, and not to be guessed by others.
        rng = connection.broker.rng
        connection.client_id = "auto-" + "".join(rng.choice(_ALPHABET) for _ in range(22))
        connection.assigned = True
    source = connection.mountpoint_source
    if callable(source):
        try:
            connection.mountpoint = source(connection.username, connection.client_id)
        except ValueError as error:
            raise MqttError(f"mountpoint: {error}", ReasonCode.NOT_AUTHORIZED) from None
    else:
        connection.mountpoint = source
    # [MQTT-3.1.4-3] is about one topic space: with another mountpoint it is another client, or
    # one tenant could end the sessions of the next. No Client Identifier holds U+0000.
    connection.session_key = connection.client_id
    if connection.mountpoint:
        connection.session_key = f"{connection.mountpoint}\0{connection.client_id}"
    if connection.will is not None:
        message = connection.will.message
        message.topic = mounted(connection.mountpoint, message.topic)
        message.publisher = connection.session_key


def _names_session(connection: Connection) -> bool:
    """Whether the user name is the Client Identifier."""
    limits = connection.limits
    return limits.use_username_as_clientid and limits.peer_cert_as_clientid == "disabled"


def _claimed(
    connection: Connection, data: bytes | None, rules: object, state: EngineSession
) -> None:
    """The session is ours. ``rules`` are those the Will was judged by."""
    broker = connection.broker
    if connection.state is not State.ADMITTING:
        # Gone while the engine was asked: the claim ends as any broken connection does.
        state.detach(broker.now, send_will=True)
        return
    packet = connection.connect
    assert packet is not None
    properties = packet.properties or _NOTHING
    session = connection.session = Session(
        connection,
        state,
        quota=min(properties.receive_maximum or 65_535, connection.limits.max_inflight),
        max_packet_size=connection.max_packet_size,
        alias_maximum=properties.topic_alias_maximum or 0,
    )
    if state.present and state.username != connection.username:
        session.keep_to_subscriptions()
    state.username = connection.username
    same = rules is broker.rules
    if connection.permissions is None or (same and not state.subscriptions):
        _welcome(connection, data)
        return
    # A resumed session: what it subscribed to may not be allowed any more.
    session.wait()
    _look_over(connection, data, will=not same)


def _look_over(connection: Connection, data: bytes | None, *, will: bool) -> None:
    """Judge what a session holds; nothing leaves before."""
    session = connection.session
    assert session is not None
    rules = connection.broker.rules
    review = Review(
        connection, session, lambda: _look_on(connection, data, review, rules), will=will
    )
    _look_on(connection, data, review, rules)


def _look_on(connection: Connection, data: bytes | None, review: Review, rules: object) -> None:
    """Go on with the look at stored subscriptions, and let the client in after it."""
    if connection.session is None:
        return
    # Each answer gives it time for the next: there may be many.
    broker = connection.broker
    connection.deadline = broker.now + connection.allowance
    until = broker.wake() + _TURNS_FOR
    while not review.finished:
        if review.advance(_FILTERS_AT_ONCE) is None:
            return
        if not review.finished and broker.wake() >= until:
            go_on = partial(_look_on, connection, data, review, rules)
            broker.put_off(connection, go_on)
            return
    if connection.session is None:
        return
    if rules is not connection.broker.rules:
        _look_over(connection, data, will=True)  # they changed meanwhile
        return
    if review.undecided:
        # Nothing stored is given up for want of an answer; the client may come back.
        connection.refuse(ReasonCode.SERVER_UNAVAILABLE, "no answer about its subscriptions")
        return
    review.enforce()
    _welcome(connection, data)


def _welcome(connection: Connection, data: bytes | None) -> None:
    """CONNACK, and the session begins."""
    broker, session, packet = connection.broker, connection.session, connection.connect
    assert session is not None
    assert packet is not None
    connack = Connack(session.state.present, ReasonCode.SUCCESS)
    if connection.level >= 5:
        connack.properties = _announcement(connection, packet, data)
    if not connection.send_packet(connack):
        connection.refuse(ReasonCode.PACKET_TOO_LARGE, "CONNACK exceeds Maximum Packet Size")
        return
    connection.state = State.CONNECTED
    connection.allowance = allowance(connection.keep_alive, connection.limits)
    connection.deadline = broker.now + connection.allowance
    packet.password = packet.will = None
    connection.connect = packet if connection.authentication_method is not None else None
    broker.counters.connections += 1
    broker.note_client()
    if broker.events is not None:
        broker.events.connected(connection)
    session.start()
    connection.proceed()


def _announcement(connection: Connection, packet: Connect, data: bytes | None) -> Properties:
    """CONNACK's properties: only what differs from the value a client would assume."""
    limits = connection.limits
    properties = Properties()
    if limits.max_inflight < 65_535:
        properties.receive_maximum = limits.max_inflight
    if limits.max_qos_allowed < 2:
        properties.maximum_qos = limits.max_qos_allowed  # [MQTT-3.2.2-9]
    if not limits.retain_available:
        properties.retain_available = 0
    properties.maximum_packet_size = limits.max_packet_size
    if connection.assigned:
        properties.assigned_client_identifier = connection.client_id  # [MQTT-3.2.2-16]
    properties.topic_alias_maximum = limits.max_topic_alias
    if not limits.wildcard_subscription:
        properties.wildcard_subscription_available = 0
    if not limits.shared_subscription:
        properties.shared_subscription_available = 0
    if connection.keep_alive != packet.keep_alive:
        properties.server_keep_alive = connection.keep_alive  # [MQTT-3.2.2-21, 22]
    asked = packet.properties or _NOTHING
    if asked.request_response_information and limits.response_information:
        properties.response_information = limits.response_information
    if connection.authentication_method is not None:  # [MQTT-4.12.0-5]
        properties.authentication_method = connection.authentication_method
        properties.authentication_data = data
    return properties
