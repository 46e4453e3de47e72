"""A user name or Client Identifier taken from the client's certificate or pre-shared key."""

from __future__ import annotations

import hashlib

from mqttd.identity import PeerCertificate
from mqttd.packets.errors import MqttError
from mqttd.packets.reason_codes import ReasonCode

SOURCES = (
    "disabled",
    "cn",
    "dn",
    "crt",
    "pem",
    "md5",
    "san_dns",
    "san_uri",
    "san_email",
)
"""What ``peer_cert_as_username`` and ``peer_cert_as_clientid`` may be."""


def certificate_value(certificate: PeerCertificate | None, source: str) -> str:
    """The text ``source`` names: part of the certificate, or a form of the whole.

    ``crt`` is the DER in hexadecimal, ``md5`` the MD5 of the DER in hexadecimal (a name, not a
    proof), ``san_*`` the first such alternative name. Raises MqttError (0x87) when there is no
    certificate or it has no such part: falling back to CONNECT would let anybody take any name.
    """
    if certificate is None:
        raise MqttError(
            "the identity comes from a certificate and there is none", ReasonCode.NOT_AUTHORIZED
        )
    value = {
        "cn": lambda: certificate.common_name,
        "dn": lambda: certificate.subject,
        "crt": certificate.der.hex,
        "pem": lambda: certificate.pem,
        "md5": hashlib.md5(certificate.der, usedforsecurity=False).hexdigest,
        "san_dns": lambda: next(iter(certificate.san_dns), ""),
        "san_uri": lambda: next(iter(certificate.san_uri), ""),
        "san_email": lambda: next(iter(certificate.san_email), ""),
    }[source]()
    if not value:
        raise MqttError(f"the certificate has no {source}", ReasonCode.NOT_AUTHORIZED)
    return value


def psk_username(identity: bytes | None) -> str:
    """The proven identity of a pre-shared key as a username.

    Raises MqttError (0x87) when none was proven or it is no text that MQTT can carry: falling
    back to CONNECT would let anybody take any name.
    """
    if identity is None:
        raise MqttError(
            "the username comes from a pre-shared key and none was proven",
            ReasonCode.NOT_AUTHORIZED,
        )
    try:
        text = identity.decode()
    except UnicodeDecodeError:
        raise MqttError(
            "the pre-shared key identity is not UTF-8", ReasonCode.NOT_AUTHORIZED
        ) from None
    if not text or "\0" in text:  # [MQTT-1.5.4-2]
        raise MqttError(
            "the pre-shared key identity is no valid username", ReasonCode.NOT_AUTHORIZED
        )
    return text
