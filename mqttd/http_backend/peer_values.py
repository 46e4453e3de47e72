"""What is known of a client by its connection, under the names that placeholders have."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final

from mqttd.http_backend.template import CannotRender, Read
from mqttd.identity import PeerCertificate


def _certificate(read: Callable[[PeerCertificate], str]) -> Read:
    def value(request: Any) -> str:
        certificate = request.peer.certificate
        return "" if certificate is None else read(certificate)

    return value


def text_of(name: str, value: bytes | None) -> str:
    """The text in ``value``, empty for None. Raises CannotRender when it is none."""
    if value is None:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CannotRender(f"the {name} is not UTF-8 text") from None


PEER: Final[dict[str, Read]] = {
    "peerhost": lambda request: request.peer.peer[0],
    "peerport": lambda request: str(request.peer.peer[1]),
    "listener": lambda request: request.peer.listener,
    "sni": lambda request: request.peer.sni or "",
    "tls_version": lambda request: request.peer.tls_version or "",
    "psk_identity": lambda request: text_of("PSK identity", request.peer.psk_identity),
    "cert_subject": _certificate(lambda certificate: certificate.subject),
    "cert_issuer": _certificate(lambda certificate: certificate.issuer),
    "cert_common_name": _certificate(lambda certificate: certificate.common_name),
    # base64 of the DER without lines around it, as EMQX has it under this name
    "cert_pem": _certificate(lambda certificate: base64.b64encode(certificate.der).decode()),
    "cert_san_dns": _certificate(lambda certificate: ",".join(certificate.san_dns)),
    "cert_san_uri": _certificate(lambda certificate: ",".join(certificate.san_uri)),
    "cert_san_email": _certificate(lambda certificate: ",".join(certificate.san_email)),
    "cert_serial": _certificate(lambda certificate: f"{certificate.serial:x}"),
    "cert_fingerprint": _certificate(
        lambda certificate: hashlib.sha256(certificate.der).hexdigest()
    ),
}
"""Values of whatever has a ``peer``, by the name of their placeholder."""
