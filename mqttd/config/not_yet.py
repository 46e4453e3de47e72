"""Options that are read and checked, and refused by name once they are put to use."""

from __future__ import annotations

from collections.abc import Iterator

from mqttd.config.errors import Finding, error
from mqttd.config.schema import Configuration, MqttOptions, SslOptions

_REMOVE = "remove it, or wait for the version that supports it"


def refuse_not_yet(configuration: Configuration) -> list[Finding]:
    """An error for each option in use that a later version will support."""
    findings = [*_mqtt(configuration.mqtt)]
    for listener in configuration.listeners:
        if listener.ssl_options is not None:
            findings += _ssl_options(listener.ssl_options, f"{listener.path}.ssl_options")
    return findings


def _not_yet(path: str, what: str, cure: str = _REMOVE) -> Finding:
    return error(path, f"{what} is not supported yet by this version", cure)


def _mqtt(mqtt: MqttOptions) -> Iterator[Finding]:
    if mqtt.exclusive_subscription:
        yield _not_yet("mqtt.exclusive_subscription", "exclusive_subscription")
    if mqtt.upgrade_qos:
        yield _not_yet("mqtt.upgrade_qos", "upgrade_qos")
    if mqtt.mqueue_priorities not in (None, "disabled", {}):
        yield _not_yet("mqtt.mqueue_priorities", "mqueue_priorities", "write disabled")


def _ssl_options(options: SslOptions, path: str) -> Iterator[Finding]:
    if options.managed_certs:
        yield _not_yet(f"{path}.managed_certs", "managed_certs", "use keyfile and certfile")
