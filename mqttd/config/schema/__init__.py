"""The schema: one attrs class per section of the configuration file."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import SECTIONS, option, section
from mqttd.config.schema.future import (
    AuthorizationOptions,
    CrlCacheOptions,
    PskAuthenticationOptions,
)
from mqttd.config.schema.listeners import ListenerOptions, Listeners
from mqttd.config.schema.log import ConsoleLog, FileLog, LogOptions
from mqttd.config.schema.mqtt import MqttOptions
from mqttd.config.schema.sys_topics import SysTopicsOptions
from mqttd.config.schema.tcp import TcpOptions
from mqttd.config.schema.tls import OcspOptions, SslOptions
from mqttd.config.schema.websocket import DeflateOptions, WebSocketOptions

__all__ = [
    "AuthorizationOptions",
    "Configuration",
    "ConsoleLog",
    "CrlCacheOptions",
    "DeflateOptions",
    "FileLog",
    "ListenerOptions",
    "Listeners",
    "LogOptions",
    "MqttOptions",
    "OcspOptions",
    "PskAuthenticationOptions",
    "SslOptions",
    "SysTopicsOptions",
    "TcpOptions",
    "WebSocketOptions",
]


@attrs.frozen(kw_only=True)
class Configuration:
    """The whole configuration file."""

    listeners: Listeners = section(Listeners, "Every port the broker listens on.")
    mqtt: MqttOptions = section(MqttOptions, "Limits and behaviour of MQTT.")
    log: LogOptions = section(LogOptions, "Where the log goes.")
    sys_topics: SysTopicsOptions = section(SysTopicsOptions, "The broker's own figures.")
    authentication: list[Any] = option(
        SECTIONS, [], "Authenticators that check every client. Not supported yet."
    )
    authorization: AuthorizationOptions = section(
        AuthorizationOptions, "Who may publish and subscribe where. Not supported yet."
    )
    psk_authentication: PskAuthenticationOptions = section(
        PskAuthenticationOptions, "Pre-shared keys. Not supported yet."
    )
    crl_cache: CrlCacheOptions = section(
        CrlCacheOptions, "Certificate revocation lists. Not supported yet."
    )
