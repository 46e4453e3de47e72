"""Why a client's certificate is refused, apart from revocation."""

from __future__ import annotations

from typing import Final

from mqttd.explain.cause import Cause, table

CERTIFICATE_CAUSES: Final = table(
    Cause(
        "unknown-ca",
        "the issuer of the client's certificate is not trusted here",
        "add that issuer's CA certificate to ssl_options.cacertfile, or have the client send its "
        "intermediate certificates, or give it a certificate of a CA in cacertfile",
    ),
    Cause(
        "no-certificate",
        "the client sent no certificate, and this listener demands one",
        "give the client a certificate and its key (--cert and --key), or set "
        "ssl_options.fail_if_no_peer_cert = false",
    ),
    Cause(
        "certificate-expired",
        "the client's certificate, or an issuer's, has expired",
        "renew it; if its dates are right, check the clock of this machine",
    ),
    Cause(
        "certificate-not-yet-valid",
        "the client's certificate, or an issuer's, is not valid yet",
        "check the clock of this machine and of the one that issued it",
    ),
    Cause(
        "certificate-usage",
        "the client's certificate is not meant for TLS clients",
        "issue one whose extendedKeyUsage has clientAuth, or has no such extension: mqttd certs "
        "client",
    ),
    Cause(
        "certificate-signature",
        "the signature on the client's certificate is wrong",
        "look for two CAs of one name but different keys, and give the client a certificate of "
        "the CA in ssl_options.cacertfile",
    ),
    Cause(
        "certificate-weak",
        "the client's certificate, or an issuer's, has a key or a signature too weak",
        "issue it anew with RSA 2048 or EC P-256 and SHA-256",
    ),
    Cause(
        "certificate-chain",
        "the client's chain of certificates is too long, or an issuer in it is no CA",
        "raise ssl_options.depth, or issue the client's certificate from a proper CA",
        detail=True,
    ),
    Cause(
        "bad-certificate",
        "the client's certificate was refused",
        "look at it with: mqttd certs verify CERT --ca CACERTFILE",
        detail=True,
    ),
    Cause(
        "bad-proof",
        "the client could not prove that it owns the key of its certificate",
        "give the client the key that belongs to its certificate; if it does, take it for an "
        "attack with a copied certificate",
    ),
)

VERIFY_ERRORS: Final = {
    2: "unknown-ca",
    7: "certificate-signature",
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    3: "no-distribution-point",
    11: "crl-expired",
    12: "crl-expired",
    8: "crl-bad-signature",
    18: "unknown-ca",
    19: "unknown-ca",
    20: "unknown-ca",
    21: "unknown-ca",
    22: "certificate-chain",
    23: "revoked",
    24: "certificate-chain",
    25: "certificate-chain",
    26: "certificate-usage",
    27: "unknown-ca",
    32: "certificate-chain",
    34: "bad-certificate",
    44: "crl-bad-scope",
    62: "host-mismatch",
    64: "host-mismatch",
    66: "certificate-weak",
    67: "certificate-weak",
    68: "certificate-weak",
    79: "certificate-chain",
}
"""Kinds by OpenSSL's ``X509_V_ERR_*`` numbers (openssl/x509_vfy.h)."""
