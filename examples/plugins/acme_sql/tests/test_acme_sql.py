"""Tests of acme-sql with a real database: trial runs the reactor, as threads need one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from acme_sql import NOBODY, SqlAuthenticator, is_password, make
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twisted.internet import defer, reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from mqttd.identity import Identity, Refused
from mqttd.plugins import authenticator
from mqttd.testing import assert_authenticator, connect_request, plugin_context

TABLE = "CREATE TABLE users (name TEXT PRIMARY KEY, password TEXT, is_superuser BOOLEAN)"


def hashed(password: bytes) -> str:
    kdf = Argon2id(salt=b"0123456789abcdef", length=32, iterations=1, lanes=1, memory_cost=64)
    text: str = kdf.derive_phc_encoded(password)
    return text


class SqlTests(TestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        with sqlite3.connect(self.folder / "users.db") as database:
            database.execute(TABLE)
            users = [("ann", hashed(b"secret of ann"), 1), ("bob", hashed(b"secret of bob"), 0)]
            database.executemany("INSERT INTO users VALUES (?, ?, ?)", users)
        database.close()

    def made(self, **options: Any) -> SqlAuthenticator:
        made = make(options, plugin_context(self.folder, reactor))
        made.start()
        self.addCleanup(made.stop)
        return made

    async def test_who_comes_in(self) -> None:
        made = self.made()
        ann = await made.authenticate(connect_request("ann", "secret of ann"))
        assert ann == Identity("ann", is_superuser=True)
        bob = await made.authenticate(connect_request("bob", "secret of bob"))
        assert bob == Identity("bob")
        assert await made.authenticate(connect_request()) is None

    async def test_who_does_not(self) -> None:
        made = self.made()
        for username, password in (
            ("ann", "secret of bob"),
            ("ann", None),
            ("ann", "x" * 2_000),
            ("nobody", "secret of ann"),
            ("' OR 1=1 --", "secret of ann"),
        ):
            with pytest.raises(Refused) as caught:
                await made.authenticate(connect_request(username, password))
            assert (caught.value.reason_code, caught.value.reason) == (134, "")

    async def test_a_database_that_fails(self) -> None:
        made = self.made(query="SELECT password, is_superuser FROM nothing WHERE name = {}")
        with pytest.raises(sqlite3.OperationalError):
            await made.authenticate(connect_request("ann", "secret of ann"))

    async def test_a_database_that_is_slow(self) -> None:
        made = self.made(
            time_limit=0.05,
            query="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
            "i < 1000000) SELECT max(i), 0 FROM n WHERE {} IS NOT NULL",
        )
        with pytest.raises(defer.TimeoutError):
            await made.authenticate(connect_request("ann", "secret of ann"))

    async def test_more_clients_than_can_wait(self) -> None:
        made = self.made()
        made._waiting = 200
        with pytest.raises(Refused) as caught:
            await made.authenticate(connect_request("ann", "secret of ann"))
        assert caught.value.reason_code == 137

    def test_it_keeps_to_the_interface(self) -> None:
        assert_authenticator(self.made())

    def test_it_is_declared(self) -> None:
        plugin = authenticator("acme-sql")
        context = plugin_context(self.folder, Clock())
        for options, told in (
            ({"connect": {"database": "missing.db"}}, "missing.db: no such file"),
            ({"driver": "json"}, "driver 'json' is no Python database driver"),
            ({"time_limit": 0}, "time_limit is seconds"),
            ({"file": "users.db"}, "unknown option: file"),
        ):
            with pytest.raises(ValueError, match=told):
                plugin.make(options, context)

    def test_nobody_has_a_password(self) -> None:
        assert not is_password(b"", NOBODY)
