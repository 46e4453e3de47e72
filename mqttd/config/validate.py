"""Rules between options: what contradicts itself, and what a later version will support."""

from __future__ import annotations

from collections.abc import Iterator

from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema import Configuration, ListenerOptions, MqttOptions, SslOptions
from mqttd.config.types import Bind

_REMOVE = "remove it, or wait for the version that supports it"
_ANY_HOSTS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


def validate(configuration: Configuration) -> list[Finding]:
    """Every contradiction in the configuration, and every option not supported yet by name."""
    findings = list(_sections(configuration))
    findings += _mqtt(configuration.mqtt)
    for listener in configuration.listeners:
        findings += _listener(listener)
        if listener.ssl_options is not None:
            findings += _ssl_options(listener.ssl_options, f"{listener.path}.ssl_options")
    findings += _binds(configuration)
    return findings


def _not_yet(path: str, what: str, cure: str = _REMOVE) -> Finding:
    return error(path, f"{what} is not supported yet by this version", cure)


def any_enabled(sections: list[object]) -> bool:
    """Whether any of the raw sections is in use; where ``enable`` is not written it is true."""
    return any(
        not isinstance(section, dict) or str(section.get("enable", "true")).lower() != "false"
        for section in sections
    )


def _sections(configuration: Configuration) -> Iterator[Finding]:
    if configuration.psk_authentication.enable:
        path = "psk_authentication.enable"
        yield _not_yet(path, "psk_authentication", "set enable = false, or remove the section")
    if any_enabled(configuration.authentication):
        cure = "set enable = false in each authenticator, or remove the section"
        yield _not_yet("authentication", "authentication", cure)
    authorization = configuration.authorization
    if any_enabled(authorization.sources):
        cure = "set enable = false in each source, or remove them"
        yield _not_yet("authorization.sources", "authorization", cure)
    if authorization.no_match == "deny":
        yield _not_yet("authorization.no_match", "no_match = deny", "remove it")


def _mqtt(mqtt: MqttOptions) -> Iterator[Finding]:
    if mqtt.exclusive_subscription:
        yield _not_yet("mqtt.exclusive_subscription", "exclusive_subscription")
    if mqtt.upgrade_qos:
        yield _not_yet("mqtt.upgrade_qos", "upgrade_qos")
    if mqtt.client_attrs_init:
        yield _not_yet("mqtt.client_attrs_init", "client_attrs_init")
    if mqtt.mqueue_priorities not in (None, "disabled", {}):
        yield _not_yet("mqtt.mqueue_priorities", "mqueue_priorities", "write disabled")
    if mqtt.use_username_as_clientid and mqtt.peer_cert_as_clientid != "disabled":
        yield error(
            "mqtt.use_username_as_clientid",
            "contradicts mqtt.peer_cert_as_clientid: both replace the Client Identifier",
            "keep one of the two",
        )


def _listener(listener: ListenerOptions) -> Iterator[Finding]:
    path = listener.path
    if any_enabled(listener.authentication):
        yield _not_yet(f"{path}.authentication", "authentication of one listener")
    if listener.enable_authn == "quick_deny_anonymous":
        yield _not_yet(f"{path}.enable_authn", "quick_deny_anonymous", "write true")
    if not listener.access_rules:
        yield error(
            f"{path}.access_rules",
            "holds no rule, so every connection would be refused",
            'write "allow all", or remove it',
        )
    for name in ("peer_cert_as_username", "peer_cert_as_clientid"):
        wanted = getattr(listener, name)
        if wanted in (None, "disabled"):
            continue
        if listener.proxy_protocol and wanted in ("cn", "dn"):
            continue  # the PROXY header can bring the name of a certificate checked before us
        if listener.ssl_options is None:
            yield error(
                f"{path}.{name}",
                f"a {listener.type} listener never sees a client certificate",
                "remove it, or use an ssl or wss listener with verify = verify_peer",
            )


def _ssl_options(options: SslOptions, path: str) -> Iterator[Finding]:
    if options.verify == "verify_none" and options.fail_if_no_peer_cert:
        yield error(
            f"{path}.fail_if_no_peer_cert",
            "cannot be true with verify = verify_none, which asks for no certificate",
            "set verify = verify_peer and cacertfile, or fail_if_no_peer_cert = false",
        )
    if options.verify == "verify_peer" and not options.cacertfile:
        yield error(
            f"{path}.cacertfile",
            "is needed by verify = verify_peer: no client certificate could be checked",
            "name the file of the authorities that issue client certificates",
        )
    for name in ("keyfile", "certfile"):
        if not getattr(options, name):
            yield error(f"{path}.{name}", "is empty", "name a PEM file, or remove the option")
    if options.ocsp.enable_ocsp_stapling:
        cure = "set enable_ocsp_stapling = false, or remove the section"
        yield _not_yet(f"{path}.ocsp.enable_ocsp_stapling", "OCSP stapling", cure)
    if options.enable_crl_check:
        yield _not_yet(f"{path}.enable_crl_check", "the CRL check", "set it to false")
    if options.partial_chain != "false":
        yield _not_yet(f"{path}.partial_chain", "partial_chain", "set it to false")
    if options.verify_peer_ext_key_usage:
        yield _not_yet(f"{path}.verify_peer_ext_key_usage", "verify_peer_ext_key_usage")
    if options.managed_certs:
        cure = "use keyfile and certfile"
        yield _not_yet(f"{path}.managed_certs", "managed_certs", cure)
    yield from _psk_suites(options, path)


def is_psk_suite(name: str) -> bool:
    """Whether a cipher suite, by its OpenSSL name, authenticates with a pre-shared key."""
    return "PSK" in name.upper().replace("_", "-").split("-")


def _psk_suites(options: SslOptions, path: str) -> Iterator[Finding]:
    psk = [name for name in options.ciphers if is_psk_suite(name)]
    if psk and len(psk) == len(options.ciphers):
        cure = "list suites without PSK, or remove the option for the preselected ones"
        yield _not_yet(f"{path}.ciphers", f"PSK (suites {', '.join(psk)})", cure)


def _binds(configuration: Configuration) -> Iterator[Finding]:
    """Two enabled listeners on one port; an any-address takes the port of every address."""
    seen: list[tuple[Bind, ListenerOptions]] = []
    for listener in configuration.listeners.enabled():
        bind = listener.bind
        for other, owner in seen:
            if bind.port != other.port or bind.port == 0:
                continue
            same_family = (":" in bind.host) == (":" in other.host)
            overlap = bind.host == other.host or (
                same_family and not _ANY_HOSTS.isdisjoint({bind.host, other.host})
            )
            if overlap:
                yield error(
                    f"{listener.path}.bind",
                    f"{bind} is taken by {owner.path} ({other})",
                    "give each listener a port of its own, or set enable = false",
                )
                break
        seen.append((bind, listener))
    if not seen:
        yield warning(
            "listeners",
            "no listener is enabled: nobody can connect",
            'write listeners.ssl.default { bind = "0.0.0.0:8883" }',
        )
