"""What we use of pyOpenSSL's private names, by what it is for; and what of it is not there."""

from __future__ import annotations

from typing import Final

from OpenSSL import SSL, crypto

from mqttd.tls import native

NEEDED: Final = {
    "naming key exchange groups": ["SSL_CTX_set1_curves_list"],
    "naming signature algorithms": ["SSL_CTX_set1_sigalgs_list"],
    "releasing idle buffers": ["SSL_MODE_RELEASE_BUFFERS"],
    "telling which alert was sent": ["SSL_set_info_callback"],
    "refusing an ALPN offer": ["SSL_CTX_set_alpn_select_cb"],
    "choosing a certificate by server name": ["SSL_get_verify_mode", "SSL_set_verify"],
    "choosing the alert for a refused certificate": [
        "SSL_CTX_set_verify",
        "SSL_get_verify_result",
        "X509_STORE_CTX_get_current_cert",
        "X509_STORE_CTX_get_error",
        "X509_STORE_CTX_get_error_depth",
        "X509_STORE_CTX_set_error",
        "X509_V_ERR_CERT_REJECTED",
        "X509_up_ref",
        "X509_verify_cert_error_string",
    ],
    "checking a server's name": [
        "SSL_get0_param",
        "X509_VERIFY_PARAM_set1_host",
        "X509_VERIFY_PARAM_set1_ip",
        "X509_VERIFY_PARAM_set_hostflags",
    ],
    "reading and writing records": [
        "BIO_new",
        "BIO_read",
        "BIO_s_mem",
        "BIO_write",
        "ERR_clear_error",
        "ERR_get_error",
        "ERR_reason_error_string",
        "SSL_do_handshake",
        "SSL_get_error",
        "SSL_read",
        "SSL_set_bio",
        "SSL_shutdown",
        "SSL_write",
    ],
}

NEEDED_FOR_PSK: Final = [
    "Cryptography_SSL_SESSION_new",
    "SSL_CIPHER_find",
    "SSL_CTX_set_psk_client_callback",
    "SSL_CTX_set_psk_find_session_callback",
    "SSL_CTX_set_psk_server_callback",
    "SSL_CTX_use_psk_identity_hint",
    "SSL_SESSION_free",
    "SSL_SESSION_set1_master_key",
    "SSL_SESSION_set_cipher",
    "SSL_SESSION_set_protocol_version",
    "SSL_session_reused",
    "SSL_version",
]
"""Only configurations with pre-shared keys are refused without these."""


def missing_for_psk() -> str:
    """What pre-shared keys lack here, in plain words; empty when nothing."""
    library = native.binding()
    gone = [name for name in NEEDED_FOR_PSK if not hasattr(library, name)]
    return f"pre-shared keys ({', '.join(gone)})" if gone else ""


def missing(library: object) -> list[str]:
    """Say in plain words what the binding ``library`` cannot do for us; [] when all is well."""
    if library is None:
        return ["pyOpenSSL no longer shows its binding (SSL._lib, SSL._ffi)"]
    lacks = [
        f"{purpose} ({', '.join(gone)})"
        for purpose, names in NEEDED.items()
        if (gone := [name for name in names if not hasattr(library, name)])
    ]
    if not hasattr(crypto.X509, "_from_raw_x509_ptr"):
        lacks.append("reading a certificate in a callback (X509._from_raw_x509_ptr)")
    context = SSL.Context(SSL.TLS_METHOD)
    if not hasattr(context, "_context"):
        lacks.append("reaching the Context itself (Context._context)")
    connection = SSL.Connection(context, None)
    if gone := [n for n in ("_ssl", "_into_ssl", "_from_ssl") if not hasattr(connection, n)]:
        lacks.append(f"reaching a Connection itself ({', '.join(gone)})")
    return lacks
