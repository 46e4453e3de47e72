"""Rules between options: what contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import normpath

from mqttd.config.abuse import check_abuse
from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema import Configuration, ListenerOptions, SniOptions, SslOptions
from mqttd.config.types import Bind

_ANY_HOSTS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on

_LONGEST_HINT = 255
"""Bytes; OpenSSL sends no longer one."""


def validate(configuration: Configuration) -> list[Finding]:
    """Every contradiction in the configuration."""
    findings = []
    mqtt = configuration.mqtt
    if mqtt.use_username_as_clientid and mqtt.peer_cert_as_clientid != "disabled":
        findings.append(
            error(
                "mqtt.use_username_as_clientid",
                "contradicts mqtt.peer_cert_as_clientid: both replace the Client Identifier",
                "keep one of the two",
            )
        )
    for listener in configuration.listeners:
        findings += _listener(listener)
        if listener.ssl_options is not None:
            findings += _ssl_options(listener.ssl_options, f"{listener.path}.ssl_options")
    findings += _binds(configuration)
    findings += check_abuse(configuration)
    findings += _audit(configuration)
    psk = configuration.psk_authentication
    if psk.enable and psk.store == "file" and not psk.init_file:
        findings.append(
            error(
                "psk_authentication.init_file",
                "is needed by enable = true: there are no keys without it",
                "name a file with one IDENTITY:KEY a line; mqttd psk new ID makes such a line",
            )
        )
    if not psk.separator:
        findings.append(error("psk_authentication.separator", "is empty", 'write ":"'))
    hint = (psk.identity_hint or "").encode(errors="replace")
    if len(hint) > _LONGEST_HINT or b"\0" in hint:
        path = "psk_authentication.identity_hint"
        findings.append(
            error(path, f"can have {_LONGEST_HINT} bytes at most, none of them zero", "shorten it")
        )
    return findings


def _audit(configuration: Configuration) -> Iterator[Finding]:
    audit, log = configuration.audit, configuration.log.file
    if audit.enable and log.enable and normpath(audit.file) == normpath(log.path):
        message = "is log.file.path as well: lines of the log would break the audit log"
        yield error("audit.file", message, "name two files")


def _listener(listener: ListenerOptions) -> Iterator[Finding]:
    path = listener.path
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
    if options.verify == "verify_none" and not _any_name_verifies(options):
        for name, used in (
            ("enable_crl_check", options.enable_crl_check),
            ("ocsp_client.enable", options.ocsp_client.enable),
            ("revocation_checkers", bool(options.revocation_checkers)),
        ):
            if used:
                yield error(
                    f"{path}.{name}",
                    "needs verify = verify_peer: clients are asked for no certificate",
                    "set verify = verify_peer and cacertfile, or remove it",
                )
    for host, named in options.sni.items():
        yield from _sni(host, named, options, f"{path}.sni.{host}")


def _any_name_verifies(options: SslOptions) -> bool:
    return any(named.verify == "verify_peer" for named in options.sni.values())


def _sni(host: str, named: SniOptions, options: SslOptions, path: str) -> Iterator[Finding]:
    label = host.removeprefix("*.")
    plain = label.replace("-", "").replace(".", "").replace("_", "")
    if not (plain.isalnum() and plain.isascii()) or ".." in label or label.startswith("."):
        yield error(path, "is no host name", 'write "host.example.com" or "*.example.com"')
    for name in ("keyfile", "certfile"):
        if not getattr(named, name):
            yield error(f"{path}.{name}", "is not set", "name a PEM file")
    verify = named.verify or options.verify
    if verify == "verify_peer" and not (named.cacertfile or options.cacertfile):
        yield error(
            f"{path}.cacertfile",
            "is needed by verify = verify_peer: no client certificate could be checked",
            "name the file of the authorities that issue client certificates",
        )
    if verify == "verify_none" and named.fail_if_no_peer_cert:
        yield error(
            f"{path}.fail_if_no_peer_cert",
            "cannot be true with verify = verify_none, which asks for no certificate",
            "set verify = verify_peer and cacertfile, or fail_if_no_peer_cert = false",
        )


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
