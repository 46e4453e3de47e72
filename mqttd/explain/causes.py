"""Every known cause of a refused connection, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mqttd.explain.alert_causes import ALERT_CAUSES
from mqttd.explain.cause import Cause
from mqttd.explain.certificate_causes import CERTIFICATE_CAUSES, VERIFY_ERRORS
from mqttd.explain.client_causes import CLIENT_CAUSES
from mqttd.explain.handshake_causes import HANDSHAKE_CAUSES
from mqttd.explain.plain_causes import PLAIN_CAUSES
from mqttd.explain.revocation_causes import REVOCATION_CAUSES

__all__ = ["CAUSES", "Cause", "cause_of", "kind_of"]

CAUSES: Final[Mapping[str, Cause]] = MappingProxyType(
    {
        **HANDSHAKE_CAUSES,
        **CERTIFICATE_CAUSES,
        **REVOCATION_CAUSES,
        **ALERT_CAUSES,
        **PLAIN_CAUSES,
        **CLIENT_CAUSES,
    }
)
"""Causes by kind."""

_OTHER_NAMES: Final = {"certificate-revoked": "revoked", "crl": "bad-certificate"}


def cause_of(kind: str) -> Cause:
    """The cause of that kind; for a kind of a plugin's own, one that shows the text it came with.

    Never raises.
    """
    cause = CAUSES.get(kind) or CAUSES.get(_OTHER_NAMES.get(kind, ""))
    if cause is not None:
        return cause
    return Cause(
        kind, "the connection was refused", "look at the plugin that refused it", detail=True
    )


def kind_of(kind: str, *, alert: str | None = None, verify_error: int | None = None) -> str:
    """The most exact kind of a failure.

    ``kind`` is the word it came with, ``alert`` the name of an alert the *client* sent, and
    ``verify_error`` OpenSSL's ``X509_V_ERR_*`` for the client's certificate.
    """
    if kind == "alert" and alert is not None:
        exact = f"alert-{alert.replace('_', '-')}"
        return exact if exact in CAUSES else kind
    if kind == "bad-certificate" and verify_error is not None:
        return VERIFY_ERRORS.get(verify_error, kind)
    return _OTHER_NAMES.get(kind, kind)
