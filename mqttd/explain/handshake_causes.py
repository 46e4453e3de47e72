"""Why a TLS handshake fails before certificates matter: first bytes, versions, suites, PSK."""

from __future__ import annotations

from typing import Final

from mqttd.explain.alert_causes import OUR_CA
from mqttd.explain.cause import Cause, table

_RIGHT_PORT = "let it connect to the port of the right listener (mqttd ctl listeners)"

HANDSHAKE_CAUSES: Final = table(
    Cause(
        "plain-mqtt",
        "the client speaks MQTT without TLS, and this port wants TLS",
        f"turn TLS on in the client (mqtts://, CA file {OUR_CA}), or use a tcp listener",
    ),
    Cause(
        "plain-http",
        "the client speaks HTTP without TLS, and this port wants TLS",
        "use wss:// with the port of a wss listener, or ws:// with that of a ws listener",
    ),
    Cause(
        "proxy-header",
        "a PROXY protocol header came, and this listener expects none",
        "set proxy_protocol = true on this listener, or turn it off in the load balancer",
    ),
    Cause("not-tls", "what came is not TLS, and this port wants TLS", _RIGHT_PORT),
    Cause(
        "version",
        "the client offers no TLS version that is allowed here",
        "update the client to TLS 1.2 or 1.3, or allow its version in ssl_options.versions",
    ),
    Cause(
        "no-shared-cipher",
        "client and broker have no cipher suite, group or signature algorithm in common",
        "add a suite the client offers to ssl_options.ciphers, or remove that option; ECDSA "
        "suites need an EC certificate, RSA suites an RSA one, PSK suites psk_authentication",
        detail=True,
    ),
    Cause(
        "alpn",
        "the client offers only application protocols (ALPN) not spoken here",
        "have it offer mqtt (ssl) or http/1.1 (wss), or no ALPN at all",
    ),
    Cause(
        "sni-unknown",
        "the client asks for a server name not served here",
        "add the name to ssl_options.sni, or have the client connect to another",
    ),
    Cause(
        "psk-unknown",
        "the client's pre-shared key identity is not known",
        "add a line IDENTITY:KEY to psk_authentication.init_file and reload: mqttd ctl reload",
    ),
    Cause(
        "psk-wrong-key",
        "the client's pre-shared key is another than ours for its identity",
        "give both the same key; mind psk_authentication.encoding (hex is not text): mqttd psk "
        "check FILE",
    ),
    Cause(
        "psk-required",
        "the client proved no pre-shared key, and this listener takes nothing else",
        "have it use PSK suites (TLS 1.2, or psk_authentication.tls13 = true for TLS 1.3), or add "
        "suites for certificates to ssl_options.ciphers",
    ),
    Cause(
        "closed-after-certificate",
        "the client closed after it was sent our certificate, which it may not trust",
        f"give it our CA, {OUR_CA}, and connect to a name in the certificate's subjectAltName",
    ),
    Cause(
        "truncated",
        "the client closed in the middle of the handshake",
        "look at the client's own log; a check by a load balancer or scanner does this too",
    ),
    Cause(
        "reset",
        "the client, or something on the way, reset the connection",
        "look at the client's own log, and for a firewall or load balancer on the way",
    ),
    Cause(
        "timeout-tls",
        "the handshake was not done within ssl_options.handshake_timeout",
        "look for a client that connects and says nothing, for packets lost on the way (MTU), or "
        "raise handshake_timeout",
    ),
    Cause(
        "timeout-gate",
        "whether to let the client in was not decided in time",
        "see what the revocation checkers wait for: mqttd ctl crl list, mqttd ctl ocsp list",
    ),
    Cause(
        "renegotiation",
        "the client asked for a renegotiation, which is always off",
        "turn renegotiation off in the client",
    ),
    Cause(
        "record",
        "a TLS record was damaged or forged",
        "look for something on the way that changes bytes; with PSK suites, the key is wrong",
    ),
    Cause(
        "malformed",
        "the client sent a malformed TLS message",
        "update the client's TLS library; a scanner does this too",
        detail=True,
    ),
    Cause(
        "protocol",
        "the client broke the TLS protocol",
        "update the client's TLS library; a scanner does this too",
        detail=True,
    ),
    Cause(
        "internal",
        "an error of the broker's own ended the handshake",
        "report the lines around this one as a bug",
        detail=True,
    ),
)
