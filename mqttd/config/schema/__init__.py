"""The schema: one attrs class per section of the configuration file."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import PATH, SECTIONS, duration, option, section
from mqttd.config.schema.abuse import AbuseOptions, FlappingOptions
from mqttd.config.schema.authorization import AuthorizationOptions
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.control import ControlOptions
from mqttd.config.schema.events import AuditOptions
from mqttd.config.schema.listeners import ListenerOptions, Listeners
from mqttd.config.schema.log import ConsoleLog, FileLog, LogOptions
from mqttd.config.schema.mqtt import MqttOptions
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.config.schema.revocation import CrlCacheOptions, OcspClientOptions
from mqttd.config.schema.sys_topics import SysTopicsOptions
from mqttd.config.schema.tcp import TcpOptions
from mqttd.config.schema.tls import OcspOptions, SniOptions, SslOptions
from mqttd.config.schema.websocket import DeflateOptions, WebSocketOptions

__all__ = [
    "AbuseOptions",
    "AuthorizationOptions",
    "ClientTLSOptions",
    "Configuration",
    "ConsoleLog",
    "ControlOptions",
    "CrlCacheOptions",
    "DeflateOptions",
    "FileLog",
    "FlappingOptions",
    "ListenerOptions",
    "Listeners",
    "LogOptions",
    "MqttOptions",
    "OcspClientOptions",
    "OcspOptions",
    "PskAuthenticationOptions",
    "SniOptions",
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
        SECTIONS,
        [],
        """Authenticators that check every client, in order: one section, or a list of them. The
        first that lets a client in or refuses it decides; where none does it is refused. Without
        any, everybody comes in. See :ref:`authenticators`.""",
    )
    authorization: AuthorizationOptions = section(
        AuthorizationOptions, "Who may publish and subscribe where."
    )
    abuse: AbuseOptions = section(
        AbuseOptions, "Limits for each address and each identity; see :doc:`/operate/abuse`."
    )
    flapping_detect: FlappingOptions = section(
        FlappingOptions, "Clients that come and go again and again."
    )
    event_sinks: list[Any] = option(
        SECTIONS,
        [],
        "Plugins that are told what happens: one section, or a list. See :doc:`/operate/audit`.",
    )
    audit: AuditOptions = section(AuditOptions, "The audit log.")
    psk_authentication: PskAuthenticationOptions = section(
        PskAuthenticationOptions, "Pre-shared keys."
    )
    crl_cache: CrlCacheOptions = section(CrlCacheOptions, "Certificate revocation lists.")
    control: ControlOptions = section(ControlOptions, "The control socket, for mqttd ctl.")
    data_dir: str = option(
        PATH,
        "data",
        "Directory for what must outlive a restart: fetched CRLs and OCSP responses.",
    )
    reload_interval: float = option(
        duration(),
        60.0,
        """Time between two looks at the files the configuration names, for changes; ``0s``: never.
        They are also read on SIGHUP and by ``mqttd ctl reload``.""",
    )
