"""Lines to paste into a shell, for who starts the broker in one."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mqttd.config.schema.tls import DEFAULT_CERTFILE, SslOptions
from mqttd.net.listeners import Listener
from mqttd.tls.bootstrap import DEFAULT_CACERTFILE


def print_hints(listeners: Iterable[Listener]) -> None:
    """Ready-to-paste lines for the first TLS listener, without the log's time stamps."""
    for listener in listeners:
        if listener.factory.options.type != "ssl" or sys.__stdout__ is None:
            continue
        tls = listener.factory.tls_context
        if tls is None or tls.psk_only:  # these clients would be refused
            continue
        options = listener.factory.options.ssl_options
        assert options is not None
        cafile = _cafile(options)
        if cafile is None:
            continue
        address = f"-h localhost -p {listener.port} --cafile {cafile}"
        print(f"\nTry it:\n  mosquitto_sub {address} -t hello/# -v", file=sys.__stdout__)
        print(f"  mosquitto_pub {address} -t hello/world -m 'it works'\n", file=sys.__stdout__)
        sys.__stdout__.flush()
        return


def _cafile(options: SslOptions) -> str | None:
    """The CA file a client would name, where it is known: with the certificates we made."""
    if options.certfile != DEFAULT_CERTFILE or options.requires_peer_cert:
        return None
    return options.cacertfile or DEFAULT_CACERTFILE
