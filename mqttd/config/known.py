"""Names of EMQX's that mqttd does not have, so that a refusal can say what they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mqttd.config import schema

_SECTIONS = (
    "ai alarm api_key actions auto_subscribe banned bridges broker cluster conn_congestion "
    "connectors dashboard delayed durable_sessions durable_storage event_message exhook "
    "force_gc force_shutdown gateway license limiter "
    "message_transformation node opentelemetry overload_protection plugins prometheus "
    "retainer rewrite rpc rule_engine schema_registry schema_validation slow_subs sources "
    "stats sysmon telemetry topic_metrics zones"
)
EMQX_SECTIONS = frozenset(_SECTIONS.split())
"""Top-level sections of EMQX's file."""

_LIMITS = "limiter delivery_messages_rate delivery_bytes_rate subscribe_rate"

_NOT_HERE: Mapping[type, str] = MappingProxyType(
    {
        schema.Listeners: "quic",
        schema.ListenerOptions: _LIMITS + " allow_log_packet_data_from",
        schema.SslOptions: "cacerts user_lookup_fun",
        schema.MqttOptions: (
            "shared_subscription_initial_sticky_pick keepalive_check_interval "
            "clientid_override keepalive_backoff"
        ),
        schema.WebSocketOptions: "verify_protocol_header",
        schema.ConsoleLog: "timestamp_format payload_encode",
        schema.FileLog: "timestamp_format payload_encode to",
        schema.LogOptions: "audit throttling console_handler file_handlers",
    }
)

NOT_HERE: Mapping[type, frozenset[str]] = MappingProxyType(
    {cls: frozenset(names.split()) for cls, names in _NOT_HERE.items()}
)
"""By section, options of EMQX's that are not supported at all."""
