"""What TLS and MQTT clients write when a connection fails, and which cause that means."""

from __future__ import annotations

from typing import Final

ALERTS: Final = {
    10: ("unexpected message", "protocol"),
    20: ("bad record mac", "psk-wrong-key"),
    40: ("handshake failure", "handshake-failure"),
    42: ("bad certificate", "certificate-refused"),
    43: ("unsupported certificate", "certificate-usage"),
    44: ("certificate revoked", "revoked"),
    45: ("certificate expired", "certificate-expired"),
    46: ("certificate unknown", "certificate-refused"),
    47: ("illegal parameter", "protocol"),
    48: ("unknown ca", "unknown-ca"),
    49: ("access denied", "certificate-refused"),
    50: ("decode error", "malformed"),
    51: ("decrypt error", "wrong-proof"),
    70: ("protocol version", "version"),
    71: ("insufficient security", "no-shared-cipher"),
    80: ("internal error", "internal"),
    86: ("inappropriate fallback", "version"),
    109: ("missing extension", "protocol"),
    112: ("unrecognized name", "sni-unknown"),
    115: ("unknown psk identity", "psk-unknown"),
    116: ("certificate required", "no-certificate"),
    120: ("no application protocol", "alpn"),
}
"""Alerts a broker sends: number, name as OpenSSL, Java, Go and Erlang write it, and the cause."""

HARMLESS: Final = (
    "verify return code: 0 (ok)",
    "verification: ok",
    "close notify",
)
"""What says that all is well, although it looks like the rest."""

SAYINGS: Final = (
    # The client looks at the broker's certificate and does not like it. OpenSSL and all on it:
    ("unable to get local issuer certificate", "alert-unknown-ca"),
    ("unable to get issuer certificate", "alert-unknown-ca"),
    ("unable to verify the first certificate", "alert-unknown-ca"),
    ("unable to verify leaf signature", "alert-unknown-ca"),
    ("self signed certificate", "alert-unknown-ca"),
    ("self-signed certificate", "alert-unknown-ca"),
    ("self signed cert", "alert-unknown-ca"),
    ("hostname mismatch", "host-mismatch"),
    ("ip address mismatch", "host-mismatch"),
    ("certificate is not yet valid", "server-not-yet-valid"),
    ("certificate has expired", "alert-certificate-expired"),
    ("cert has expired", "alert-certificate-expired"),
    ("certificate revoked)", "alert-certificate-revoked"),
    ("unsuitable certificate purpose", "alert-unsupported-certificate"),
    ("unsupported certificate purpose", "alert-unsupported-certificate"),
    # GnuTLS:
    ("the certificate issuer is unknown", "alert-unknown-ca"),
    ("the name in the certificate does not match", "host-mismatch"),
    ("uses expired certificate", "alert-certificate-expired"),
    ("uses not yet valid certificate", "server-not-yet-valid"),
    ("the certificate chain is revoked", "alert-certificate-revoked"),
    ("certificate requires the server to include an ocsp", "no-staple"),
    ("missing ocsp status", "no-staple"),
    # Java, Go, Node, mosquitto:
    ("unable to find valid certification path", "alert-unknown-ca"),
    ("certificate signed by unknown authority", "alert-unknown-ca"),
    ("no subject alternative", "host-mismatch"),
    ("certificate is valid for ", "host-mismatch"),
    ("contain any ip sans", "host-mismatch"),
    ("err tls cert altname invalid", "host-mismatch"),
    ("does not match certificate's altnames", "host-mismatch"),
    ("host name verification failed", "host-mismatch"),
    # Two sides of different kinds, or nobody there:
    ("wrong version number", "plain-port"),
    ("packet length too long", "plain-port"),
    ("first record does not look like a tls handshake", "plain-port"),
    ("an unexpected tls packet was received", "plain-port"),
    ("record layer failure", "plain-port"),
    ("connection refused: ", "mqtt-refused"),
    ("connection refused", "no-listener"),
    ("econnrefused", "no-listener"),
    ("name or service not known", "name-unknown"),
    ("nodename nor servname", "name-unknown"),
    ("temporary failure in name resolution", "name-unknown"),
    ("lookup error", "name-unknown"),
    ("enotfound", "name-unknown"),
    ("network is unreachable", "unreachable"),
    ("no route to host", "unreachable"),
    ("connection timed out", "unreachable"),
    ("etimedout", "unreachable"),
    # Files and settings of the client's own:
    ("key values mismatch", "client-key"),
    ("private key does not match", "client-key"),
    ("problem setting tls options: file not found", "client-file"),
    ("could not read certificate", "client-file"),
    ("could not read private key", "client-file"),
    ("could not open file or uri for loading", "client-file"),
    ("no ciphers available", "no-shared-cipher"),
    ("no protocols available", "version"),
    # Little is said:
    ("certificate verify failed", "alert-certificate-unknown"),
    ("eof occurred in violation of protocol", "closed-by-broker"),
    ("unexpected eof while reading", "closed-by-broker"),
    ("the tls connection was non-properly terminated", "closed-by-broker"),
    ("the connection was lost", "closed-by-broker"),
    ("connection reset by peer", "closed-by-broker"),
    ("econnreset", "closed-by-broker"),
    ("a tls error occurred", "client-says-little"),
)
"""Part of a line, lower case and with blanks for underscores, and the cause; the first counts."""

VAGUE: Final = {
    "alert-certificate-unknown": 1,
    "closed-by-broker": 1,
    "client-says-little": 2,
}
"""Causes that only count if a client says nothing more exact nearby; the higher the vaguer."""
