"""Plugins of strangers, built as wheels, installed beside mqttd and used by real clients."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

CONFIG = """
authentication { mechanism = "acme-tickets", secret_file = "tickets.secret" }
listeners.tcp.tickets { bind = "127.0.0.1:0" }
listeners.tcp.sql {
  bind = "127.0.0.1:0"
  authentication {
    mechanism = "acme-sql"
    connect { database = "users.db" }
  }
}
listeners.tcp.new {
  bind = "127.0.0.1:0"
  authentication { mechanism = "acme-new", username = "ann", password = "secret of ann" }
}
"""


@pytest.fixture(scope="module")
def broker(
    start_broker: Callable[..., Any],
    with_plugins: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    folder = tmp_path_factory.mktemp("strangers-broker")
    (folder / "tickets.secret").write_bytes(b"a secret that is long enough to sign with\n")
    kdf = Argon2id(salt=b"0123456789abcdef", length=32, iterations=1, lanes=1, memory_cost=64)
    database = sqlite3.connect(folder / "users.db")
    with database:
        database.execute("CREATE TABLE users (name TEXT, password TEXT, is_superuser BOOLEAN)")
        user = ("ann", kdf.derive_phc_encoded(b"secret of ann"), 0)
        database.execute("INSERT INTO users VALUES (?, ?, ?)", user)
    database.close()
    bin_folder = with_plugins.folder / "bin"
    return start_broker(CONFIG, folder, [str(bin_folder / "python"), str(bin_folder / "twistd")])


def publish(broker: Any, listener: str, *options: str) -> int:
    program = shutil.which("mosquitto_pub")
    assert program is not None, "mosquitto_pub is not installed: run make test-clients"
    command = [program, "-h", "localhost", "-p", str(broker.ports[listener]), *options]
    return subprocess.run([*command, "-t", "a", "-m", "x"], timeout=20, check=False).returncode


def test_they_are_listed_with_where_they_come_from(with_plugins: Any) -> None:
    found = json.loads(with_plugins.script("mqttd", "plugins", "list", "--json"))
    by_name = {each["name"]: each for each in found}
    for name in ("acme-tickets", "acme-sql", "acme-new"):
        assert (by_name[name]["distribution"], by_name[name]["version"]) == (name, "0.1")
        assert by_name[name]["error"] is None
    assert by_name["certificate"]["distribution"] == "mqttd-broker"
    shown = with_plugins.script("twistd", "mqttd", "--help-plugins").splitlines()
    (own,) = (line for line in shown if line.startswith("  acme-sql "))
    assert own.endswith(" Users of an SQL database.")


def test_they_bring_their_plugins_and_nothing_else_of_twisteds(with_plugins: Any) -> None:
    brought = {path.name for path in with_plugins.home.glob("twisted/*/*.py")}
    strangers = {f"acme_{name}_plugin.py" for name in ("tickets", "sql", "new")}
    assert {name for name in brought if not name.startswith("mqttd_")} == strangers


def test_tickets(broker: Any, with_plugins: Any) -> None:
    secret = str(broker.folder / "tickets.secret")
    ticket = with_plugins.python("-m", "acme_tickets", secret, "lamp", "1").strip()
    named = ("-u", "x", "-P", ticket)
    assert publish(broker, "tcp:tickets", "-i", "lamp", *named) == 0
    assert publish(broker, "tcp:tickets", "-i", "door", *named) != 0
    assert publish(broker, "tcp:tickets", "-i", "lamp") != 0
    broker.wait_for("Client door ")


def test_users_of_a_database(broker: Any) -> None:
    assert publish(broker, "tcp:sql", "-u", "ann", "-P", "secret of ann") == 0
    assert publish(broker, "tcp:sql", "-u", "ann", "-P", "wrong") != 0
    assert publish(broker, "tcp:sql", "-u", "bob", "-P", "secret of ann") != 0


def test_a_package_as_it_is_written(broker: Any) -> None:
    assert publish(broker, "tcp:new", "-u", "ann", "-P", "secret of ann") == 0
    assert publish(broker, "tcp:new", "-u", "ann", "-P", "wrong") != 0


def test_nothing_secret_is_in_the_log(broker: Any) -> None:
    broker.stop()
    text = "\n".join(broker.lines)
    assert "secret of ann" not in text
    assert "long enough to sign with" not in text
