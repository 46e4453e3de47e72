"""What only a client sees: causes that are found in its transcript, not in the broker's log."""

from __future__ import annotations

from typing import Final

from mqttd.explain.cause import Cause, table

CLIENT_CAUSES: Final = table(
    Cause(
        "host-mismatch",
        "the name the client connects to is not in the server's certificate",
        "connect to a name in its subjectAltName, or issue one with that name: mqttd certs server "
        "--san",
    ),
    Cause(
        "handshake-failure",
        "the broker found no common ground with the client",
        "the broker's own line says which: no suite in common, or (TLS 1.2) the client sent no "
        "certificate (--cert and --key)",
    ),
    Cause(
        "certificate-refused",
        "the broker refused the client's certificate",
        "the broker's own line says why; look at the certificate with: mqttd certs verify CERT "
        "--ca CACERTFILE",
    ),
    Cause(
        "wrong-proof",
        "the broker could not verify the client's key",
        "with a pre-shared key (TLS 1.3): give both sides the same; with a certificate: give the "
        "client the key that belongs to it",
    ),
    Cause(
        "server-not-yet-valid",
        "the server's certificate is not valid yet",
        "check the clock of the client and of the machine that issued the certificate",
    ),
    Cause(
        "client-says-little",
        "the client says that TLS failed, and not why",
        "the broker's own line for the client's address says more; mosquitto_pub and "
        "mosquitto_sub: check --cafile, and that HOST is in the server's certificate",
    ),
    Cause(
        "plain-port",
        "the port does not speak TLS",
        "connect to the port of an ssl listener (8883), or turn TLS off in the client",
    ),
    Cause(
        "no-listener",
        "nothing listens at that address and port",
        "start the broker, and check address and port: mqttd ctl listeners",
        tls=False,
    ),
    Cause(
        "name-unknown",
        "the host name has no address",
        "check the spelling and the name server",
        tls=False,
    ),
    Cause(
        "unreachable",
        "the broker's machine cannot be reached, or does not answer",
        "check the address, the route and the firewalls",
        tls=False,
    ),
    Cause(
        "closed-by-broker",
        "the broker closed the connection without an alert",
        "the broker's own line for this address says why; the port may be one without TLS or, "
        "with TLS 1.3, the client's certificate not good",
    ),
    Cause(
        "mqtt-refused",
        "the broker refused the client in MQTT, after TLS",
        "check user name, password and Client Identifier; the broker's own line says which",
        tls=False,
    ),
    Cause(
        "no-staple",
        "the certificate demands a stapled OCSP response (must-staple), and none came",
        "turn ssl_options.ocsp.enable_ocsp_stapling on, and look at: mqttd ctl ocsp list",
    ),
    Cause(
        "client-key",
        "the client's key does not belong to its certificate",
        "give it the key the certificate was made for",
    ),
    Cause(
        "client-file",
        "a certificate or key file of the client cannot be read",
        "check the path and that it is PEM; a key with a password needs it",
    ),
)
