"""Lets in who has a signed token: ``mechanism = "jwt"``."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.auth.jwks import KeysUnavailable, RemoteKeys, Schedule
from mqttd.auth.jwt_keys import HMAC, PUBLIC, KeySet, VerificationKey, restricted
from mqttd.auth.jwt_plan import Plan, prepare, reread_public_key
from mqttd.auth.jwt_token import BadToken, Token, parse_token
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication_jwt import JwtOptions
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.outgoing.http import HTTPClient
from mqttd.outgoing.tls import build_client_tls
from mqttd.packets.reason_codes import ReasonCode

_NAMED: Final = HMAC | PUBLIC | {"none"}
"""What may be repeated of a client's words."""


@implementer(IAuthenticator)
class JWTAuthenticator:
    """Lets in clients with a token that a known key signed and whose claims fit.

    Signatures are verified in the reactor's thread. RS256 with 2048 bits takes 46 microseconds
    with all that belongs to it, HS256 22, ES256 97, EdDSA 129; handing work to another thread
    takes 54 by itself. P-384 and P-521 take 500, as a TLS handshake with them does.
    ``remote`` is where keys come from when not from the plan.
    """

    _log = Logger(namespace="mqttd.auth.jwt_authenticator")

    def __init__(
        self,
        options: JwtOptions,
        plan: Plan,
        remote: RemoteKeys | None,
        base_dir: Path,
        *,
        path: str = "authentication",
        now: Callable[[], float] = time.time,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self._options = options
        self._plan = plan
        self._keys = plan.keys or KeySet()
        self._remote = remote
        self._base_dir = base_dir
        self._path = path
        self._now = now
        self._in_thread = in_thread

    @override
    def __repr__(self) -> str:
        return f"<JWTAuthenticator {self._path}>"

    def authenticate(self, request: ConnectRequest) -> Identity | Awaitable[Identity] | None:
        """See IAuthenticator. Raises Refused, and KeysUnavailable when there are no keys."""
        text = self._token_of(request)
        if not text:
            return None
        if len(text) > self._options.max_token_size:
            raise _refused("the token is too large")
        try:
            token = parse_token(text)
        except BadToken as problem:
            raise _refused(problem.reason) from None
        if token is None:
            return None
        if token.algorithm not in self._plan.algorithms:
            name = token.algorithm if token.algorithm in _NAMED else "the token's alg"
            raise _refused(f"{name} is not one of the accepted algorithms")
        if self._remote is None:
            return self._checked(token, self._keys.candidates(token), request)
        try:
            candidates = self._remote.keys.candidates(token)
        except KeysUnavailable:
            candidates = None
        if candidates is not None:
            return self._checked(token, candidates, request)
        refreshed = self._remote.refreshed()
        if refreshed is None:
            return self._checked(token, self._remote.keys.candidates(token), request)
        return self._later(refreshed, self._remote, token, request)

    def start(self) -> None:
        """See IAuthenticator."""
        if self._remote is not None:
            self._remote.start()

    def stop(self) -> Deferred[None] | None:
        """See IAuthenticator."""
        return None if self._remote is None else self._remote.stop()

    def reload(self) -> Deferred[None] | None:
        """Read the file of the public key again; a bad one changes nothing."""
        if not self._plan.from_file:
            return None
        reading: Deferred[KeySet] = self._in_thread(
            reread_public_key, self._plan, self._options, self._path, self._base_dir
        )
        return reading.addCallbacks(self._take, self._keep)

    def _token_of(self, request: ConnectRequest) -> bytes | None:
        if self._options.from_ == "password":
            return request.password
        return None if request.username is None else request.username.encode("utf-8", "replace")

    async def _later(
        self,
        refreshed: Deferred[None],
        remote: RemoteKeys,
        token: Token,
        request: ConnectRequest,
    ) -> Identity:
        await refreshed
        return self._checked(token, remote.keys.candidates(token), request)

    def _checked(
        self, token: Token, keys: Sequence[VerificationKey] | None, request: ConnectRequest
    ) -> Identity:
        if keys is None:
            raise _refused("the key of the token is not known")
        if not keys:
            raise _refused("the token's alg does not fit its key")
        if not any(key.verifies(token) for key in keys):
            raise _refused("the token's signature is wrong")
        try:
            return self._plan.claims.identity(token.payload, request, self._now())
        except BadToken as problem:
            raise _refused(problem.reason) from None

    def _take(self, keys: KeySet) -> None:
        self._keys = keys

    def _keep(self, failure: Any) -> None:
        failure.trap(ConfigurationErrors)
        for finding in failure.value.errors:
            self._log.error("{finding}", event="jwt_key_refused", finding=finding.text)


def _refused(reason: str) -> Refused:
    return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, reason)


def make(
    options: JwtOptions, context: PluginContext, path: str = "authentication"
) -> JWTAuthenticator:
    """The plugin's target. Raises ConfigurationErrors."""
    plan, findings = prepare(options, path, context.base_dir)
    if plan is None:
        raise ConfigurationErrors(findings)
    remote = None
    if plan.keys is None:
        remote = _remote_keys(options, plan, context, path)
    return JWTAuthenticator(options, plan, remote, context.base_dir, path=path)


def _remote_keys(options: JwtOptions, plan: Plan, context: PluginContext, path: str) -> RemoteKeys:
    url = (options.endpoint or "").strip()
    tls = None
    if url.lower().startswith("https:"):
        tls = build_client_tls(options.ssl or ClientTLSOptions(), context.base_dir, f"{path}.ssl")
    client = HTTPClient(context.reactor, tls, connect_timeout=options.connect_timeout, pool_size=1)
    return RemoteKeys(
        url,
        client,
        context.reactor,
        Schedule(
            interval=options.refresh_interval,
            timeout=options.request_timeout,
            max_age=options.keys_max_age,
        ),
        headers=options.headers,
        choose=lambda keys: restricted(keys, plan.algorithms),
    )
