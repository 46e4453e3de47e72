"""The ``mqtt`` section: limits and behaviour of the protocol, for all listeners."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

import attrs

from mqttd.broker.certificate_identity import SOURCES
from mqttd.broker.client_attributes import EXPRESSIONS, ClientAttribute, is_expression
from mqttd.broker.shared_subscriptions import STRATEGIES
from mqttd.config.errors import InvalidValue
from mqttd.config.option import (
    BOOLEAN,
    RAW,
    TEXT,
    Kind,
    choice,
    duration,
    integer,
    number,
    option,
    size,
)
from mqttd.config.types import shown

_ATTRIBUTE = frozenset(f"{string.ascii_letters}{string.digits}_-")


def _parse_attributes(value: object) -> list[ClientAttribute]:
    items = value if isinstance(value, list) else [value]
    made: list[ClientAttribute] = []
    for item in items:
        if not isinstance(item, Mapping) or set(item) != {"expression", "set_as_attr"}:
            raise InvalidValue(
                "each part needs expression and set_as_attr, and nothing else",
                "write { expression = cn, set_as_attr = device }",
            )
        expression, name = str(item["expression"]), str(item["set_as_attr"])
        if not is_expression(expression):
            raise InvalidValue(
                f"{shown(expression)} is no expression here", f"known: {', '.join(EXPRESSIONS)}"
            )
        if not name or not _ATTRIBUTE.issuperset(name):
            raise InvalidValue(
                f"{shown(name)} is no name of an attribute", "use letters, digits, - and _"
            )
        if any(each.name == name for each in made):
            raise InvalidValue(f"{name} is set twice", "remove one of the two")
        made.append(ClientAttribute(name, expression))
    return made


MAX_PACKET_SIZE = 268_435_460
"""The largest packet MQTT can express: a fixed header of five bytes and 268,435,455 more."""


@attrs.frozen(kw_only=True)
class MqttOptions:
    """Limits and behaviour of MQTT for every client: ``mqtt``."""

    max_packet_size: int = option(
        size(32, MAX_PACKET_SIZE),
        1024 * 1024,
        "Largest packet a client may send, header included [MQTT-3.1.2-24].",
    )
    max_clientid_len: int = option(
        integer(23, 65535), 65535, "Longest Client Identifier, in bytes [MQTT-3.1.3-5]."
    )
    max_topic_levels: int = option(
        integer(1, 65535), 128, "Most levels of a Topic Name or Topic Filter."
    )
    max_qos_allowed: int = option(
        integer(0, 2), 2, "Highest QoS; clients that publish above it are refused [MQTT-3.2.2-11]."
    )
    max_topic_alias: int = option(
        integer(0, 65535), 65535, "Highest Topic Alias a client may use; 0: none."
    )
    retain_available: bool = option(BOOLEAN, True, "Accept Retained Messages.")
    wildcard_subscription: bool = option(
        BOOLEAN, True, "Accept Topic Filters with ``+`` and ``#``."
    )
    shared_subscription: bool = option(BOOLEAN, True, "Accept Shared Subscriptions.")
    shared_subscription_strategy: str = option(
        choice(*STRATEGIES),
        "round_robin",
        """Which member of a Shared Subscription gets a message; members that cannot take more are
        skipped. ``round_robin_per_group`` and ``local`` are ``round_robin`` on a single node.""",
    )
    exclusive_subscription: bool = option(
        BOOLEAN, False, "Accept ``$exclusive`` subscriptions. Not supported yet."
    )
    strict_mode: bool = option(
        BOOLEAN,
        False,
        """Refuse what the specification merely advises against: control characters and Unicode's
        non-characters in Topic Names, Topic Filters, Client Identifiers and User Names, and
        Client Identifiers of MQTT 3.1 with more than 23 characters.""",
    )
    ignore_loop_deliver: bool = option(
        BOOLEAN,
        False,
        "For MQTT 3.1 and 3.1.1: do not send a client its own messages (MQTT 5 has No Local).",
    )
    idle_timeout: float = option(
        duration(0.1), 15.0, "Longest time for CONNECT to arrive on a new connection."
    )
    server_keepalive: int | None = option(
        integer(1, 65535, unlimited=("disabled",)),
        None,
        "Keep Alive in seconds that MQTT 5 clients have to use in place of their own.",
        shown_default="disabled",
    )
    keepalive_multiplier: float = option(
        number(1.0, 100.0),
        1.5,
        "A client that is silent for its Keep Alive times this is cut off [MQTT-3.1.2-22].",
    )
    max_subscriptions: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        "Most Subscriptions of one Session; one more is refused with 0x97.",
        shown_default="infinity",
    )
    upgrade_qos: bool = option(
        BOOLEAN,
        False,
        "Deliver with the QoS of the Subscription if it is higher. Not supported yet.",
    )
    max_inflight: int = option(
        integer(1, 65535),
        32,
        "Most QoS 1 and 2 messages on their way to or from a client (Receive Maximum).",
    )
    max_awaiting_rel: int | None = option(
        integer(1, 65535, unlimited=("infinity",)),
        100,
        "Most QoS 2 messages of a client that wait for PUBREL.",
    )
    await_rel_timeout: float = option(
        duration(1.0, infinity=True), 300.0, "Longest wait for PUBREL."
    )
    session_expiry_interval: float = option(
        duration(infinity=True),
        7200.0,
        """How long the Session of an MQTT 3.1 or 3.1.1 client is kept after its connection ended;
        MQTT 5 clients say so themselves.""",
    )
    message_expiry_interval: float = option(
        duration(infinity=True),
        math.inf,
        """Longest time a message is kept for clients that are absent or slow, whatever the
        publisher asked for.""",
    )
    max_mqueue_len: int | None = option(
        integer(0, unlimited=("infinity",)),
        1000,
        "Most messages that wait for one absent or slow client.",
    )
    mqueue_drop_policy: str = option(
        choice("oldest", "newest"),
        "oldest",
        "Which message goes when the queue is full: the one that waits longest, or the new one.",
    )
    mqueue_store_qos0: bool = option(BOOLEAN, True, "Keep QoS 0 messages for absent clients too.")
    mqueue_priorities: Any = option(
        RAW, "disabled", "Priorities of topics in the queue. Not supported yet."
    )
    mqueue_default_priority: str = option(
        choice("highest", "lowest"),
        "lowest",
        "Priority of topics without one.",
        ignored="queues have no priorities here",
    )
    retry_interval: float = option(
        duration(infinity=True),
        math.inf,
        "Time after which an unacknowledged message is sent again.",
        ignored="messages are sent again only on reconnect, as [MQTT-4.4.0-1] demands",
    )
    use_username_as_clientid: bool = option(
        BOOLEAN, False, "The username takes the place of the Client Identifier."
    )
    peer_cert_as_username: str = option(
        choice(*SOURCES),
        "disabled",
        """Which part of the client certificate takes the place of the username: ``cn``, ``dn``,
        ``crt`` (DER), ``pem``, ``md5`` (of the DER), ``san_dns``, ``san_uri``, ``san_email``. A
        client without it is refused.""",
    )
    psk_identity_as_username: bool = option(
        BOOLEAN,
        False,
        """The proven pre-shared key identity is the username, in place of CONNECT's; a client that
        proved none is refused.""",
    )
    peer_cert_as_clientid: str = option(
        choice(*SOURCES),
        "disabled",
        "Which part of the client certificate takes the place of the Client Identifier.",
    )
    client_attrs_init: list[ClientAttribute] = option(
        Kind("list of sections", _parse_attributes, lambda _: "[]"),
        [],
        """Attributes of a client, ``${client_attrs.NAME}`` in templates and rules, taken from what
        it came with: ``[{ expression = cn, set_as_attr = device }]``. An expression is
        ``username``, ``clientid``, ``peerhost``, ``peersni``, ``listener``, ``psk_identity``,
        ``cn``, ``dn``, ``cert_san.dns``, ``cert_san.uri``, ``cert_san.email`` (the first each) or
        ``user_property.NAME``. What is not there sets nothing; what an authenticator gives comes
        over it.""",
    )
    response_information: str = option(
        TEXT, "", "Response Information given to MQTT 5 clients that ask for it; empty: none."
    )
