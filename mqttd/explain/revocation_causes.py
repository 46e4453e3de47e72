"""Why a client is refused by the checks of revocation: CRL, OCSP, and the gate around them."""

from __future__ import annotations

from typing import Final

from mqttd.explain.cause import Cause, table

_OR_ALLOW = ", or set crl_cache.on_unavailable = allow to let such clients in"
_OR_SOFT = ", or set ssl_options.ocsp_client.mode = soft to let such clients in"


def _cause(kind: str, words: str, cure: str) -> Cause:
    return Cause(kind, words, cure, detail=True)


REVOCATION_CAUSES: Final = table(
    _cause(
        "revoked",
        "the client's certificate is revoked",
        "if the client is to be trusted again, issue it a new certificate with a new key",
    ),
    _cause(
        "crl-unreachable",
        "the revocation list of the client's CA cannot be fetched",
        "make its distribution point reachable from here (whom to trust over https: "
        "crl_cache.ssl), or give the list in crl_cache.files" + _OR_ALLOW,
    ),
    _cause(
        "crl-timeout",
        "the server of the revocation list did not answer in time",
        "mend that server, or raise crl_cache.http_timeout" + _OR_ALLOW,
    ),
    _cause(
        "crl-expired",
        "the revocation list of the client's CA is past its nextUpdate",
        "have the CA publish a new list (mqttd certs crl)" + _OR_ALLOW,
    ),
    _cause(
        "crl-not-yet-valid",
        "the revocation list of the client's CA is not valid yet",
        "check the clock of this machine and of the CA",
    ),
    _cause(
        "crl-bad-signature",
        "the signature of the revocation list is not by the client's CA",
        "find out who changed the list, and have the CA publish it again",
    ),
    _cause(
        "crl-bad-issuer",
        "the revocation list is of another CA than the client's",
        "correct the distribution point, or the list in crl_cache.files",
    ),
    _cause(
        "crl-bad-scope",
        "the revocation list does not cover this certificate",
        "publish a full list for client certificates; delta and indirect lists, and lists for "
        "some reasons only, are not used",
    ),
    _cause(
        "crl-delta",
        "the revocation list is a delta list, which is not used",
        "publish a full list at the distribution point",
    ),
    _cause(
        "crl-unknown-extension",
        "the revocation list has a critical extension that is not known here",
        "have the CA publish a list without it",
    ),
    _cause(
        "crl-older",
        "the revocation list is older than one seen before",
        "find out who serves the old list; it may hide a revocation",
    ),
    _cause(
        "crl-garbage",
        "what the distribution point serves is no revocation list",
        "have it serve the list itself, DER or PEM; look for an error page or a login page",
    ),
    _cause(
        "crl-too-large",
        "the revocation list is larger than crl_cache.max_size",
        "raise crl_cache.max_size, or let the CA split its lists",
    ),
    _cause(
        "no-distribution-point",
        "the client's certificate names no revocation list, and none is given for its CA",
        "issue certificates with a distribution point (mqttd certs client --crl-url), or give the "
        "list in crl_cache.files, or set crl_cache.on_missing_distribution_point = allow",
    ),
    _cause(
        "ocsp-unreachable",
        "the OCSP responder cannot be reached",
        "make it reachable from here (whom to trust over https: ssl_options.ocsp_client.ssl), or "
        "set ssl_options.ocsp_client.responder_url" + _OR_SOFT,
    ),
    _cause(
        "ocsp-timeout",
        "the OCSP responder did not answer in time",
        "mend the responder, or raise ssl_options.ocsp_client.timeout" + _OR_SOFT,
    ),
    _cause(
        "ocsp-garbage",
        "the OCSP responder answered with something that is no OCSP response",
        "check responder_url and what is served there",
    ),
    _cause(
        "ocsp-bad-signature",
        "the OCSP response is not signed by the client's CA or one it delegated to",
        "correct the responder's certificate: issued by that CA, extendedKeyUsage OCSPSigning",
    ),
    _cause(
        "ocsp-unauthorized",
        "the OCSP responder does not answer for this CA",
        "set ssl_options.ocsp_client.responder_url to the responder of the client's CA",
    ),
    _cause(
        "ocsp-try-later",
        "the OCSP responder is busy or has an internal error",
        "look at the responder" + _OR_SOFT,
    ),
    _cause(
        "ocsp-refused",
        "the OCSP responder refused the request",
        "look at the responder's log",
    ),
    _cause(
        "ocsp-stale",
        "the OCSP response is past its nextUpdate or not valid yet",
        "check the clocks of this machine and of the responder, and whether it gets new lists",
    ),
    _cause(
        "ocsp-wrong-certificate",
        "the OCSP response is about another certificate",
        "look for a cache or proxy in front of the responder that mixes answers up",
    ),
    _cause(
        "ocsp-unknown",
        "the OCSP responder does not know the client's certificate",
        "have the CA tell its responder of the certificate, or check that the client's CA is the "
        "one the responder serves",
    ),
    _cause(
        "ocsp-bad-nonce",
        "the OCSP response has another nonce than the request",
        "turn ssl_options.ocsp_client.nonce off if the responder answers from a cache",
    ),
    _cause(
        "no-responder",
        "the client's certificate names no OCSP responder, and none is set",
        "set ssl_options.ocsp_client.responder_url, or issue certificates that name one",
    ),
    _cause(
        "revocation-timeout",
        "whether the client's certificate is revoked was not known in time",
        "see what the checkers wait for: mqttd ctl crl list, mqttd ctl ocsp list",
    ),
    _cause(
        "revocation-busy",
        "too many clients wait to know whether their certificates are revoked",
        "see what the checkers wait for: mqttd ctl crl list, mqttd ctl ocsp list",
    ),
    _cause(
        "revocation-unknown",
        "no checker knows whether the client's certificate is revoked",
        "see what the checkers have: mqttd ctl crl list, mqttd ctl ocsp list",
    ),
    _cause(
        "revocation-failed",
        "a check whether the client's certificate is revoked failed",
        "look for the error of the checker in the log",
    ),
)
