"""Tests of acme-tickets, without a socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from acme_tickets import Tickets, ticket
from twisted.internet.task import Clock

from mqttd.plugins import authenticator
from mqttd.testing import MemoryBroker, assert_authenticator, connect_request, plugin_context

SECRET = b"the secret of these tests, quite long"
NOW = 1_000


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "tickets.secret"
    file.write_bytes(SECRET + b"\n")
    return file


def test_who_comes_in(secret_file: Path) -> None:
    good = ticket(SECRET, "lamp", NOW + 60)
    assert_authenticator(
        Tickets(secret_file, now=lambda: NOW),
        admits=[connect_request(None, good, client_id="lamp")],
        refuses=[
            connect_request(None, good, client_id="door"),
            connect_request(None, f"{NOW + 3600}.{good.partition('.')[2]}", client_id="lamp"),
            connect_request(None, f"{NOW + 60}.", client_id="lamp"),
            connect_request(None, ticket(SECRET, "lamp", NOW), client_id="lamp"),
        ],
        leaves=[
            connect_request("ann", "password of ann"),
            connect_request(client_id="lamp"),
            connect_request(None, f"{'9' * 5_000}.x", client_id="lamp"),
        ],
    )


def test_the_connection_ends_with_the_ticket(secret_file: Path) -> None:
    clock = Clock()
    tickets = Tickets(secret_file, now=clock.seconds)
    broker = MemoryBroker(authenticators=[tickets], clock=clock)
    password = ticket(SECRET, "lamp", 60).encode()
    client = broker.connected("lamp", keep_alive=0, password=password)
    broker.advance(59)
    assert not client.closed
    broker.advance(2)
    assert client.closed


def test_it_is_declared(secret_file: Path, tmp_path: Path) -> None:
    plugin = authenticator("acme-tickets")
    context = plugin_context(tmp_path)
    assert_authenticator(plugin.make({"secret_file": "tickets.secret"}, context))
    for options, told in (
        ({}, "secret_file is needed"),
        ({"secret_file": "missing"}, "No such file"),
        ({"secret": "x"}, "unknown option: secret"),
    ):
        with pytest.raises(ValueError, match=told):
            plugin.make(options, context)
    secret_file.write_bytes(b"short")
    with pytest.raises(ValueError, match="less than 32 bytes"):
        plugin.make({"secret_file": "tickets.secret"}, context)
