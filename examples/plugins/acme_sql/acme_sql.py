"""Lets in the users of an SQL database: SQLite, PostgreSQL, or any other with a Python driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode

QUERY = "SELECT password, is_superuser FROM users WHERE name = {}"
"""One row for a user that is known: the Argon2id hash (``$argon2id$...``), and a truth value."""
NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""Compared for users that are not known: the time of an answer must not tell who is."""
MOST_WAITING = 200
"""Clients; more are refused as busy, rather than kept in a queue without end."""
CONNECTIONS = 5
LONGEST_PASSWORD = 1024


@implementer(IAuthenticator)
class SqlAuthenticator:
    """Asks the database in the threads of Twisted's adbapi, within ``time_limit`` seconds.

    A database that fails or takes too long refuses the client: the exception is enough, the broker
    does the rest and writes the name of this plugin to the log.
    """

    def __init__(
        self,
        new_pool: Callable[[], ConnectionPool],
        query: str,
        time_limit: float,
        reactor: Any,
    ) -> None:
        self._new_pool = new_pool
        self._query = query
        self._time_limit = time_limit
        self._reactor = reactor
        self._pool: ConnectionPool | None = None
        self._waiting = 0

    def start(self) -> None:
        """Called by the broker when it begins to use this authenticator."""
        self._pool = self._new_pool()

    def stop(self) -> None:
        """Called by the broker when it no longer does."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        if request.username is None:
            return None
        if self._waiting >= MOST_WAITING:
            raise Refused(ReasonCode.SERVER_BUSY)
        self._waiting += 1
        try:
            checking = Deferred.fromCoroutine(self._check(request.username, request.password))
            identity: Identity = await checking.addTimeout(self._time_limit, self._reactor)
        finally:
            self._waiting -= 1
        return identity

    async def _check(self, username: str, password: bytes | None) -> Identity:
        if self._pool is None:
            raise RuntimeError("not started")
        # The name is a parameter, never part of the text: that is what SQL injection lives on.
        rows = await self._pool.runQuery(self._query, (username,))
        known, is_superuser = rows[0] if len(rows) == 1 else (NOBODY, False)
        # Hashing takes some 20 ms on purpose, and would hold up every other client here.
        if not await deferToThread(is_password, password or b"", known):
            raise Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        return Identity(username=username, is_superuser=bool(is_superuser))


def is_password(password: bytes, known: str) -> bool:
    """Whether the password is that of an Argon2id hash; compared in constant time."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        Argon2id.verify_phc_encoded(password, known)
    except InvalidKey:
        return False
    return True


def make(options: Mapping[str, Any], context: PluginContext) -> SqlAuthenticator:
    """Make the authenticator of a section; see README.rst. Raises ValueError."""
    unknown = set(options) - {"driver", "connect", "query", "time_limit"}
    if unknown:
        raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
    driver = options.get("driver", "sqlite3")
    try:
        mark = "?" if import_module(driver).paramstyle == "qmark" else "%s"
    except (ImportError, AttributeError):
        raise ValueError(f"driver {driver!r} is no Python database driver") from None
    connect = dict(options.get("connect") or {})
    if driver == "sqlite3":
        file = context.base_dir / str(connect.get("database", "users.db"))
        if not file.is_file():
            raise ValueError(f"{file}: no such file")
        # Read only; adbapi gives each thread a connection of its own, and closes it in another.
        connect = {"database": f"{file.as_uri()}?mode=ro", "uri": True, "check_same_thread": False}
    try:
        time_limit = float(options.get("time_limit", 5))
    except (TypeError, ValueError):
        time_limit = 0.0
    if not 0 < time_limit <= 60:
        raise ValueError("time_limit is seconds, more than 0 and at most 60")

    def new_pool() -> ConnectionPool:
        return ConnectionPool(
            driver,
            cp_reactor=context.reactor,
            cp_min=1,
            cp_max=CONNECTIONS,
            cp_reconnect=True,
            **connect,
        )

    query = str(options.get("query", QUERY)).format(mark)
    return SqlAuthenticator(new_pool, query, time_limit, context.reactor)
