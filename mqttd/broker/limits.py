"""What the broker allows: the ``mqtt {}`` options, as plain values."""

from __future__ import annotations

import math

import attrs

from mqttd.broker.client_attributes import ClientAttribute


@attrs.frozen
class Limits:
    """Limits and switches of one listener's clients. Names and defaults as in the configuration.

    Sizes are bytes, times seconds; None means no limit where a limit is optional.
    """

    max_packet_size: int = 1_048_576
    max_clientid_len: int = 65_535
    max_topic_levels: int = 128
    max_qos_allowed: int = 2
    max_topic_alias: int = 65_535
    retain_available: bool = True
    wildcard_subscription: bool = True
    shared_subscription: bool = True
    strict_mode: bool = False
    server_keepalive: int | None = None
    keepalive_multiplier: float = 1.5
    max_subscriptions: int | None = None
    max_inflight: int = 32
    max_awaiting_rel: int | None = 100
    await_rel_timeout: float = 300.0
    session_expiry_interval: float = 7200.0
    message_expiry_interval: float = math.inf
    idle_timeout: float = 15.0
    ignore_loop_deliver: bool = False
    use_username_as_clientid: bool = False
    peer_cert_as_username: str = "disabled"
    peer_cert_as_clientid: str = "disabled"
    psk_identity_as_username: bool = False
    response_information: str = ""
    client_attrs_init: tuple[ClientAttribute, ...] = attrs.field(default=(), converter=tuple)
