"""Why nothing came back from a server, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from mqttd.tls import native

UNREACHABLE: Final = "unreachable"
TIMEOUT: Final = "timeout"
TLS: Final = "tls"
TOO_LARGE: Final = "too-large"
REDIRECTS: Final = "redirects"
BAD_URL: Final = "bad-url"
BAD_ANSWER: Final = "bad-answer"


class FetchError(Exception):
    """No usable answer. ``cause`` is a stable word, one of this module's constants; ``text`` says
    what happened, as part of a sentence, with the server's name and nothing secret. ``waited``:
    most of its time went by before its turn came."""

    def __init__(self, cause: str, text: str, *, waited: bool = False) -> None:
        super().__init__(text)
        self.cause = cause
        self.text = text
        self.waited = waited


_VERIFY_TEXTS: Final = {
    10: "its certificate, or one above it, has expired",
    9: "its certificate, or one above it, is not valid yet",
    18: "its certificate is self-signed and not among the trusted authorities",
    19: "the authority above its certificate is not trusted",
    20: "its certificate was not issued by a trusted authority",
    21: "its certificate was not issued by a trusted authority, and it sent no other",
    22: "there are too many certificates between its own and the root",
    26: "its certificate is not meant for a TLS server",
    62: "its certificate is for another name",
    64: "its certificate is for another IP address",
    79: "a certificate above its own is not an authority's",
}
"""By ``X509_V_ERR_*``; what is not here gets OpenSSL's own words."""

_ALERTS: Final = (
    (r"alert certificate required|alert handshake failure", "it wants a client certificate, or "
     "no cipher suite fits both"),
    (r"alert (unknown ca|bad certificate|certificate unknown|unsupported certificate)",
     "it does not accept our client certificate"),
    (r"alert certificate expired", "our client certificate has expired"),
    (r"alert certificate revoked", "our client certificate is revoked"),
    (r"alert unrecognized name", "it does not know the name we asked for"),
    (r"alert protocol version|unsupported protocol|wrong ssl version|no protocols available",
     "it speaks none of our TLS versions"),
    (r"wrong version number|packet length too long|http request", "it does not speak TLS there"),
    (r"unexpected eof", "it closed the connection in the middle"),
)  # fmt: skip


def explain(failure: BaseException, server: str, verify_error: int) -> FetchError:
    """The error for ``failure`` of an exchange with ``server`` (host:port).

    ``verify_error`` is what was found wrong with the server's certificate, 0 for nothing. An
    error that is none of the network's is raised again: it is a bug.
    """
    for each in _inside(failure):
        if isinstance(each, FetchError):
            return each
        if isinstance(each, CancelledError):
            raise each
        if isinstance(each, SSL.Error):
            return FetchError(TLS, f"TLS with {server} failed: {_tls_text(each, verify_error)}")
        found = _network(each, server)
        if found is not None:
            return found
    raise failure


def given_up(failure: BaseException) -> bool:
    """Whether it is we who ended the exchange, and not the network."""
    return any(isinstance(each, CancelledError) for each in _inside(failure))


def _inside(problem: BaseException) -> Iterator[BaseException]:
    """The errors that others only wrap, the wrapped ones first."""
    reasons = getattr(problem, "reasons", ())
    failures = [reason for reason in reasons if isinstance(reason, Failure)]
    values = [failure.value for failure in failures if failure.value is not None]
    # An error of TLS says more than the loss of the connection that follows it.
    for value in sorted(values, key=lambda value: not isinstance(value, SSL.Error)):
        yield from _inside(value)
    yield problem


def _network(problem: BaseException, server: str) -> FetchError | None:
    host = server.rpartition(":")[0]
    match problem:
        case error.TimeoutError():
            return FetchError(TIMEOUT, f"{server} does not answer")
        case error.DNSLookupError() | error.UnknownHostError():
            return FetchError(UNREACHABLE, f"the name {host} is not known")
        case error.ConnectionRefusedError():
            return FetchError(UNREACHABLE, f"{server} refuses connections")
        case error.NoRouteError():
            return FetchError(UNREACHABLE, f"there is no way to {server}")
        case error.ConnectError():
            return FetchError(UNREACHABLE, f"cannot connect to {server}: {problem}")
        case error.ConnectionLost() | error.ConnectionDone() | error.ConnectionAborted():
            text = f"{server} closed the connection before its answer was complete"
            return FetchError(UNREACHABLE, text)
        case (
            ResponseFailed()
            | ResponseNeverReceived()
            | RequestTransmissionFailed()
            | RequestGenerationFailed()
        ):
            return FetchError(BAD_ANSWER, f"{server} sends something that is no HTTP answer")
        case _:
            return None


def _tls_text(problem: SSL.Error, verify_error: int) -> str:
    if verify_error:
        text = _VERIFY_TEXTS.get(verify_error)
        return text or native.verify_error_text(verify_error)
    errors = problem.args[0] if problem.args else []
    reasons = ", ".join(str(each[-1]) for each in errors if each)
    for pattern, text in _ALERTS:
        if re.search(pattern, reasons):
            return f"{text} ({reasons})"
    return reasons or "the connection ended"
