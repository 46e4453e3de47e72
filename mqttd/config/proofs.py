"""What clients of a listener can or must prove in the TLS handshake."""

from __future__ import annotations

from mqttd.config.schema import Configuration, ListenerOptions, SslOptions


def is_psk_suite(name: str) -> bool:
    """Whether a cipher suite, by its OpenSSL or IANA name, needs a pre-shared key."""
    return "PSK" in name.upper().replace("_", "-").split("-")


def demands_proof(listener: ListenerOptions, *, psk: bool) -> bool:
    """Whether nobody comes in without having proved something in the TLS handshake."""
    options = listener.ssl_options
    if options is None:
        return False
    return not open_names(options) or (psk and is_psk_only(options))


def open_names(options: SslOptions) -> list[str]:
    """The server names under which clients without a certificate come in; empty: any other."""
    names = [] if options.requires_peer_cert else [""]
    for host, named in options.sni.items():
        verify = named.verify or options.verify
        demand = named.fail_if_no_peer_cert
        if demand is None and verify == options.verify:
            demand = options.fail_if_no_peer_cert
        if not (verify == "verify_peer" if demand is None else demand):
            names.append(host)
    return names


def _older_suites(options: SslOptions) -> list[str]:
    return [name for name in options.ciphers if "_WITH_" in name or name[:4] != "TLS_"]


def is_psk_only(options: SslOptions) -> bool:
    """Whether every suite below TLS 1.3 needs a pre-shared key."""
    older = _older_suites(options)
    return bool(older) and all(map(is_psk_suite, older))


def can_prove_psk(listener: ListenerOptions, configuration: Configuration) -> bool:
    """Whether a client of the listener can prove a pre-shared key."""
    options = listener.ssl_options
    psk = configuration.psk_authentication
    if options is None or not psk.enable:
        return False
    return any(map(is_psk_suite, options.ciphers)) or (psk.tls13 and "tlsv1.3" in options.versions)
