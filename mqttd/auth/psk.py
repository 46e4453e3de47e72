"""Proven pre-shared key identities as who a client is."""

from __future__ import annotations

from zope.interface import implementer

from mqttd.config.patterns import fits
from mqttd.config.schema.authentication import PskAuthenticatorOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode


@implementer(IAuthenticator)
class PskAuthenticator:
    """See PskAuthenticatorOptions."""

    def __init__(self, options: PskAuthenticatorOptions) -> None:
        self._patterns = tuple(options.identities)

    def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        identity = request.peer.psk_identity
        if identity is None:
            return None
        try:
            text = identity.decode()
        except UnicodeDecodeError:
            text = ""
        if text and any(fits(pattern, text) for pattern in self._patterns):
            return Identity(username=request.username)
        raise Refused(ReasonCode.NOT_AUTHORIZED, "no pattern lets this key identity in")


def make(options: PskAuthenticatorOptions, _context: PluginContext) -> PskAuthenticator:
    """The plugin's target."""
    return PskAuthenticator(options)
