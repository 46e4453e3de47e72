"""An authentication method of MQTT 5: acme-challenge."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import implementer

from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.interfaces import (
    IAuthenticator,
    IEnhancedAuthenticator,
    IEnhancedExchange,
    PluginContext,
)
from mqttd.packets.reason_codes import ReasonCode

METHOD = "ACME-CHALLENGE"
"""The Authentication Method that clients name in CONNECT."""


@implementer(IEnhancedExchange)
class Exchange:
    """One client: a random challenge goes out, its HMAC with the shared secret must come back."""

    def __init__(self, username: str | None, secret: bytes, new_challenge: Callable[[], bytes]):
        self._username = username
        self._secret = secret
        self._new_challenge = new_challenge
        self._challenge: bytes | None = None

    async def step(self, data: bytes | None) -> bytes | Authenticated:
        """See IEnhancedExchange."""
        if self._challenge is None:
            self._challenge = self._new_challenge()
            return self._challenge
        expected = hmac.digest(self._secret, self._challenge, hashlib.sha256)
        if not hmac.compare_digest(data or b"", expected):
            raise Refused(ReasonCode.NOT_AUTHORIZED)
        return Authenticated(Identity(username=self._username))


@implementer(IEnhancedAuthenticator)
class Method:
    """Begins the exchanges. Replace the secret by one of each client."""

    def __init__(self, secret: bytes, new_challenge: Callable[[], bytes]) -> None:
        self._secret = secret
        self._new_challenge = new_challenge

    def start(self, request: ConnectRequest, _data: bytes | None) -> Exchange:
        """See IEnhancedAuthenticator."""
        return Exchange(request.username, self._secret, self._new_challenge)


@implementer(IAuthenticator)
class AcmeChallenge:
    """Offers the method; who comes without one is left to the next authenticator."""

    def __init__(
        self,
        secret: bytes,
        new_challenge: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    ) -> None:
        self.methods = {METHOD: Method(secret, new_challenge)}

    def authenticate(self, _request: ConnectRequest) -> None:
        """See IAuthenticator."""


def make(options: Mapping[str, Any], _context: PluginContext) -> AcmeChallenge:
    """Make the authenticator. Raises ValueError for options that make no sense."""
    unknown = set(options) - {"secret"}
    if unknown:
        raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
    secret = options.get("secret")
    if not isinstance(secret, str) or not secret:
        raise ValueError("secret is needed")
    return AcmeChallenge(secret.encode())
