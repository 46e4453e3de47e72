"""What the client means by the TLS alert it gave up with."""

from __future__ import annotations

from typing import Final

from mqttd.explain.cause import Cause, table

OUR_CA: Final = "etc/certs/cacert.pem"
"""Where the CA is that the first start makes."""

_SUITES = "allow a version and suites the client has: ssl_options.versions and ciphers"


def _mostly(name: str) -> Cause:
    return Cause(
        f"alert-{name}",
        f"the client gave up with the alert {name.replace('-', '_')}",
        "look at the client's own log; update its TLS library if it is old",
    )


ALERT_CAUSES: Final = table(
    Cause(
        "alert-unknown-ca",
        "the client does not have our CA",
        f"give it {OUR_CA}, or whichever CA issued ssl_options.certfile, as its CA file; if it "
        "has that, certfile lacks an intermediate certificate",
    ),
    Cause(
        "alert-bad-certificate",
        "the client refused our certificate: most often the name it connects to is not in it",
        "connect to a name in the certificate's subjectAltName, or issue one with that name: "
        f"mqttd certs server --san; also make sure that the client has our CA, {OUR_CA}",
    ),
    Cause(
        "alert-certificate-unknown",
        "the client refused our certificate and does not say why",
        f"give it our CA, {OUR_CA} (Java: import it into the trust store), and connect to a name "
        "in the certificate's subjectAltName",
    ),
    Cause(
        "alert-certificate-expired",
        "the client says our certificate has expired",
        "renew ssl_options.certfile; if its dates are right, check the clock of the client",
    ),
    Cause(
        "alert-certificate-revoked",
        "the client says our certificate is revoked",
        "ask the CA why, and put a new certificate and key in place",
    ),
    Cause(
        "alert-unsupported-certificate",
        "the client cannot use our kind of certificate",
        "use a server certificate (extendedKeyUsage serverAuth) of RSA 2048 or EC P-256",
    ),
    Cause(
        "alert-handshake-failure",
        "the client found no common ground with us",
        _SUITES + "; clients without EC need an RSA certificate",
    ),
    Cause("alert-protocol-version", "the client does not accept our TLS version", _SUITES),
    Cause("alert-insufficient-security", "the client demands stronger suites", _SUITES),
    Cause(
        "alert-unrecognized-name",
        "the client says we do not serve the name it asked for",
        "add the name to ssl_options.sni",
    ),
    Cause(
        "alert-bad-certificate-status-response",
        "the client refused our stapled OCSP response",
        "look at it: mqttd ctl ocsp list; check this machine's clock",
    ),
    Cause(
        "alert-unknown-psk-identity",
        "the client does not know the pre-shared key",
        "give client and broker the same identity and key: mqttd psk new",
    ),
    Cause(
        "alert-decrypt-error",
        "the client could not verify our signature or pre-shared key",
        "if it uses a pre-shared key, give both sides the same; else make sure that keyfile "
        "belongs to certfile",
    ),
    Cause(
        "alert-bad-record-mac",
        "the client could not decrypt what we sent",
        "if it uses a pre-shared key, give both sides the same; else something on the way changes "
        "the bytes",
    ),
    Cause(
        "alert-no-application-protocol",
        "the client does not speak the protocol offered (ALPN)",
        "have it offer mqtt (ssl) or http/1.1 (wss), or no ALPN at all",
    ),
    Cause(
        "alert-certificate-required",
        "the client demands a certificate",
        "set ssl_options.certfile and keyfile",
    ),
    Cause(
        "alert-inappropriate-fallback",
        "the client refused a fallback to an older TLS version",
        "look for something on the way that disturbs TLS 1.3",
    ),
    Cause(
        "alert-access-denied",
        "the client denies us access",
        "look at the client's own rules for our certificate",
    ),
    Cause(
        "alert-user-canceled",
        "the client gave up on its own will",
        "nothing, unless it should not have",
    ),
    *map(
        _mostly,
        (
            "unexpected-message",
            "record-overflow",
            "illegal-parameter",
            "decode-error",
            "missing-extension",
            "unsupported-extension",
        ),
    ),
    Cause(
        "alert-internal-error",
        "the client gave up with the alert internal_error",
        "mosquitto clients say this when the name they connect to is not in our certificate's "
        "subjectAltName: mqttd certs server --san; else look at the client's own log",
    ),
    Cause(
        "alert",
        "the client gave up with an alert",
        "look at the client's own log",
        detail=True,
    ),
)
