"""What is allowed but weak or risky: the findings of ``mqttd check`` on the configuration."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mqttd.config.access_rules import parse_rule
from mqttd.config.errors import Finding, warning
from mqttd.config.lint_authentication import authentication_findings
from mqttd.config.proofs import can_prove_psk, is_psk_only, open_names
from mqttd.config.schema import Configuration, ListenerOptions, SslOptions

_LARGE_PACKET = 64 * 1024 * 1024


def lint(configuration: Configuration) -> list[Finding]:
    """A warning for each weak or risky setting, with the risk and the cure.

    Versions, cipher suites and certificate files are judged where they are opened, with the TLS
    context.
    """
    findings = list(authentication_findings(configuration))
    for listener in configuration.listeners.enabled():
        findings += _listener(listener, configuration)
        if listener.ssl_options is not None:
            findings += _ssl_options(listener.ssl_options, f"{listener.path}.ssl_options")
    findings += _limits(configuration)
    findings += _psk(configuration)
    findings += _without_effect(configuration)
    return findings


def _without_effect(configuration: Configuration) -> Iterator[Finding]:
    """Sections that are off but have options, and sources that are never asked."""
    for name in ("flapping_detect", "audit"):
        section = getattr(configuration, name)
        if not section.enable and section != type(section)():
            message = "is false: the other options of the section have no effect"
            yield warning(f"{name}.enable", message, "set it to true, or remove the section")
    before = ""
    for source in configuration.authorization.sources:
        if source.enable and before:
            message = f"is never asked: {before} denies what it does not allow"
            yield warning(source.path, message, "put it before that one, or remove it")
        if source.enable and source.type == "mosquitto":
            before = before or source.path


def _demands_identity(listener: ListenerOptions, configuration: Configuration) -> bool:
    """Whether clients without a key cannot come as far as their username, or have another."""
    own = listener.peer_cert_as_username
    source = configuration.mqtt.peer_cert_as_username if own is None else own
    options = listener.ssl_options
    return source != "disabled" or (options is not None and is_psk_only(options))


def _psk(configuration: Configuration) -> Iterator[Finding]:
    listeners = list(configuration.listeners.enabled())
    psk = configuration.psk_authentication
    if psk.enable and not any(can_prove_psk(each, configuration) for each in listeners):
        yield warning(
            "psk_authentication.enable",
            "no listener lists PSK suites: no client can prove a key",
            'write ssl_options { versions = ["tlsv1.2"], ciphers = "PSK-AES256-GCM-SHA384,..." }, '
            "or psk_authentication.tls13 = true",
        )
    unused = "store_options" if psk.store == "file" else "init_file"
    if psk.enable and getattr(psk, unused) is not None:
        yield warning(
            f"psk_authentication.{unused}",
            f"has no effect with store = {psk.store}",
            "remove it, or name another store",
        )
    for listener in listeners:
        own = listener.psk_identity_as_username
        wanted = configuration.mqtt.psk_identity_as_username if own is None else own
        if wanted and not can_prove_psk(listener, configuration):
            name = "psk_identity_as_username"
            yield warning(
                f"mqtt.{name}" if own is None else f"{listener.path}.{name}",
                f"{listener.id} accepts no pre-shared keys: it refuses every client",
                "set it on listeners with PSK suites only",
            )
        elif wanted and not _demands_identity(listener, configuration):
            name = "psk_identity_as_username"
            yield warning(
                f"mqtt.{name}" if own is None else f"{listener.path}.{name}",
                f"{listener.id} refuses clients that prove no pre-shared key, though its suites "
                "let them finish the handshake",
                "list PSK suites only, or write false",
            )


def _listener(listener: ListenerOptions, configuration: Configuration) -> Iterator[Finding]:
    path = listener.path
    loopback = ipaddress.ip_address(listener.bind.host).is_loopback
    if not listener.uses_tls and not loopback:
        secure = {"tcp": "ssl", "ws": "wss"}[listener.type]
        yield warning(
            f"{path}.bind",
            f"{listener.bind} is open to others without TLS: passwords and messages can be read "
            "and changed on the way",
            f"bind to 127.0.0.1, or use listeners.{secure}.{listener.name}",
        )
    if listener.max_connections is None:
        yield warning(
            f"{path}.max_connections",
            "is not limited: clients can take every file descriptor of the process",
            "set it below the limit of open files (ulimit -n)",
        )
    allows_all = "allow all" in listener.access_rules
    denies = any(rule.startswith("deny ") for rule in listener.access_rules)
    if allows_all and not denies and not loopback:
        yield warning(
            f"{path}.access_rules",
            "every address may connect: no rule denies",
            'list the networks of your clients, such as "allow 10.0.0.0/8"',
        )
    yield from _access_rules(listener)
    if listener.proxy_protocol and allows_all:
        yield warning(
            f"{path}.proxy_protocol",
            "everybody who reaches this port can claim any client address in a PROXY header",
            "let only the load balancer reach the port (bind address or firewall)",
        )
    if listener.websocket is not None and listener.websocket.proxy_address_header:
        yield warning(
            f"{path}.websocket.proxy_address_header",
            "everybody who reaches this port can claim any client address in this header",
            "let only the proxy reach the port (bind address or firewall)",
        )
    if listener.enable_authn is False:
        yield warning(
            f"{path}.enable_authn", "clients of this listener are not authenticated", "write true"
        )
    yield from _certificate_identity(listener, configuration)


def _access_rules(listener: ListenerOptions) -> Iterator[Finding]:
    """Rules that read differently from what they do."""
    path = f"{listener.path}.access_rules"
    decided = ""
    for rule in map(parse_rule, listener.access_rules):
        if rule.notice:
            yield warning(path, f'"{rule.text}": {rule.notice}', "write the network itself")
        if decided:
            message = f'"{rule.text}" is never reached: "{decided}" stands before it'
            yield warning(path, message, "put it in front, or remove it")
        elif rule.network is None:
            decided = rule.text


def _certificate_identity(
    listener: ListenerOptions, configuration: Configuration
) -> Iterator[Finding]:
    """An identity is to come from the certificate, and the listener does not demand one."""
    options = listener.ssl_options
    for name in ("peer_cert_as_username", "peer_cert_as_clientid"):
        own = getattr(listener, name)
        wanted = getattr(configuration.mqtt, name) if own is None else own
        if wanted == "disabled" or (options is not None and options.requires_peer_cert):
            continue
        path = f"mqtt.{name}" if own is None else f"{listener.path}.{name}"
        if options is None:
            if not listener.proxy_protocol:
                message = f"{listener.id} sees no client certificates: it refuses every client"
                yield warning(path, message, "set it on the ssl and wss listeners only")
        elif options.verify == "verify_none":
            message = f"{listener.id} asks for no client certificate: it refuses every client"
            if options.cacertfile:
                message += ", although cacertfile is set"
            yield warning(path, message, f"set {listener.path}.ssl_options.verify = verify_peer")
        else:
            message = f"{listener.id} demands no client certificate: it refuses clients without"
            cure = f"set {listener.path}.ssl_options.fail_if_no_peer_cert = true"
            yield warning(path, message, cure)


def _ssl_options(options: SslOptions, path: str) -> Iterator[Finding]:
    if options.verify == "verify_peer" and options.fail_if_no_peer_cert is False:
        yield warning(
            f"{path}.fail_if_no_peer_cert",
            "clients that send no certificate are let in unchecked",
            "remove it, or set it to true",
        )
    names = open_names(options)
    if 0 < len(names) <= len(options.sni):
        name = names[0] or "no name, or one that is not listed"
        yield warning(
            f"{path}.sni",
            "clients choose the name they ask for: some names demand a certificate, but who asks "
            f"for {name} needs none",
            "demand certificates under every name, or give these clients a listener of their own",
        )
    if options.password is not None and len(options.password.reveal()) < 8:
        yield warning(f"{path}.password", "is short", "use 8 characters or more")


def _limits(configuration: Configuration) -> Iterator[Finding]:
    mqtt = configuration.mqtt
    if mqtt.max_packet_size > _LARGE_PACKET:
        yield warning(
            "mqtt.max_packet_size",
            "above 64MB a few clients can fill the memory with half-sent packets",
            "set the size your largest message needs",
        )
    if mqtt.max_mqueue_len is None:
        yield warning(
            "mqtt.max_mqueue_len",
            "is not limited: one absent client can fill the memory",
            "set a number",
        )
    if mqtt.max_awaiting_rel is None:
        yield warning(
            "mqtt.max_awaiting_rel",
            "is not limited: a client that never sends PUBREL can fill the memory",
            "set a number",
        )
