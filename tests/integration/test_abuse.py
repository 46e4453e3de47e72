"""Clients that come too often, guess passwords, flap or send too fast."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from mqttd.cli import main

TCP = 'listeners.tcp.default { bind = "127.0.0.1:0" }\n'
SSL = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
"""
CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02it"
SECRET = "quite-a-good-one"
GUESS = "not-the-right-one"


@pytest.fixture
def ctl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Run ``mqttd ctl`` where a broker was started; status and what it printed."""

    def call(broker: Any, *arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(broker.folder)
        status = main(["ctl", "--config", "mqttd.conf", *arguments])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return call


def s_client(broker: Any, source: str) -> str:
    done = subprocess.run(
        [
            "openssl",
            "s_client",
            "-bind",
            f"{source}:0",
            "-connect",
            f"127.0.0.1:{broker.ports['ssl:default']}",
        ],
        input=b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=20,
        check=False,
    )
    return done.stdout.decode(errors="replace")


def test_handshakes_of_an_address_are_limited_before_tls(start_broker: Callable[..., Any]) -> None:
    limits = 'abuse { exempt = [], per_address { handshake_rate = "2/1h" } }'
    broker = start_broker(SSL + limits)
    assert "BEGIN CERTIFICATE" in s_client(broker, "127.0.0.1")
    assert "BEGIN CERTIFICATE" in s_client(broker, "127.0.0.1")
    third = s_client(broker, "127.0.0.1")
    assert "no peer certificate available" in third
    assert "BEGIN CERTIFICATE" in s_client(broker, "127.0.0.2")
    line = broker.wait_for("[handshake-rate]")
    assert "abuse.per_address.handshake_rate" in line
    assert "127.0.0.1" in line


def add_user(folder: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "mqttd"),
        "passwd",
        "set",
        "--stdin",
        "users",
        "bob",
    ]
    subprocess.run(command, input=f"{SECRET}\n", text=True, cwd=folder, check=True)


def publish(run: Any, broker: Any, *more: str, source: str = "127.0.0.1") -> Any:
    port = str(broker.ports["tcp:default"])
    where = ("-h", "127.0.0.1", "-p", port, "-A", source)
    return run("mosquitto_pub", *where, "-t", "t", "-m", "x", *more)


def test_guessing_passwords_ends_in_a_ban_that_outlives_a_restart(
    start_broker: Callable[..., Any], run: Any, tmp_path: Path, ctl: Callable[..., Any]
) -> None:
    add_user(tmp_path)
    config = (
        TCP
        + 'authentication { backend = "built_in_database", file = "users" }\n'
        + "abuse { exempt = [], failed_auth { address_max_count = 3, ban_after = 0 } }"
    )
    broker = start_broker(config, tmp_path)
    for _ in range(3):
        assert publish(run, broker, "-u", "bob", "-P", GUESS).status == 4
    assert publish(run, broker, "-u", "bob", "-P", SECRET).status != 0
    assert publish(run, broker, "-u", "bob", "-P", SECRET, source="127.0.0.2").status == 0
    broker.wait_for("peerhost 127.0.0.1 is banned by failed authentication until ")
    broker.stop()

    again = start_broker(config, tmp_path)
    assert publish(run, again, "-u", "bob", "-P", SECRET).status != 0
    again.wait_for("the address is on the list of bans: by failed authentication")
    status, text = ctl(again, "banned")
    assert status == 0
    assert "peerhost  127.0.0.1" in text
    assert ctl(again, "banned", "remove", "peerhost", "127.0.0.1") == (0, "ok\n")
    assert publish(run, again, "-u", "bob", "-P", SECRET).status == 0


def test_one_device_with_an_old_password_is_slowed_down_alone(
    start_broker: Callable[..., Any], run: Any, tmp_path: Path
) -> None:
    add_user(tmp_path)
    broker = start_broker(
        TCP
        + 'authentication { backend = "built_in_database", file = "users" }\n'
        + "abuse { exempt = [], failed_auth { max_count = 2, backoff = 1h, max_backoff = 1h } }",
        tmp_path,
    )
    for _ in range(2):
        assert publish(run, broker, "-u", "old", "-P", GUESS, "-V", "5").status == 0x86
    assert publish(run, broker, "-u", "old", "-P", GUESS, "-V", "5").status == 0x9F
    assert publish(run, broker, "-u", "bob", "-P", SECRET, "-V", "5").status == 0
    broker.wait_for("old [127.0.0.1] failed to authenticate 2 times or more")


def test_a_client_that_flaps_is_banned(start_broker: Callable[..., Any], run: Any) -> None:
    broker = start_broker(
        TCP + "abuse.exempt = []\nflapping_detect { enable = true, max_count = 3 }"
    )
    for _ in range(4):
        assert publish(run, broker, "-i", "pump").status == 0
    broker.wait_for("clientid pump is banned by flapping detector until ")
    assert publish(run, broker, "-i", "pump").status == 5
    assert publish(run, broker, "-i", "pump", "-V", "5").status == 0x8A
    assert publish(run, broker, "-i", "other").status == 0


@pytest.mark.parametrize(("listener", "qos"), [("tcp", "1"), ("ssl", "0"), ("ssl", "2")])
def test_a_rate_delays_and_loses_nothing(
    start_broker: Callable[..., Any], run: Any, listener: str, qos: str
) -> None:
    limited = (
        (TCP + SSL)
        .replace("{\n  bind", "{ bind")
        .replace(
            f"listeners.{listener}.default {{",
            f'listeners.{listener}.default {{ messages_rate = "200/1s", bytes_rate = "20KB/1s",',
        )
    )
    broker = start_broker(limited + 'listeners.tcp.free { bind = "127.0.0.1:0" }')
    count = 500
    got: list[str] = []
    subscribed: list[int] = []
    subscriber = paho.Client(CallbackAPIVersion.VERSION2, client_id="all")
    subscriber.on_message = lambda _c, _u, message: got.append(message.payload.decode())
    subscriber.on_subscribe = lambda _c, _u, mid, _r, _p: subscribed.append(mid)
    subscriber.connect("127.0.0.1", broker.ports["tcp:free"])
    subscriber.subscribe("t", 2)
    while not subscribed:
        subscriber.loop(0.1)
    port = str(broker.ports[f"{listener}:default"])
    tls = ("--cafile", broker.cafile) if listener == "ssl" else ()
    lines = "".join(f"{number}\n" for number in range(count)).encode()
    began = time.monotonic()
    done = run(
        "mosquitto_pub", "-h", "localhost", "-p", port, *tls, "-t", "t", "-q", qos, "-l",
        stdin=lines,
    )  # fmt: skip
    assert done.status == 0, done.output
    taken = time.monotonic() - began
    while len(got) < count:
        assert subscriber.loop(5) == 0
    subscriber.disconnect()
    assert got == [str(number) for number in range(count)]
    if qos != "0":  # a goodbye lets on what was sent before it
        assert taken > 1.0


def test_bans_kick_and_are_listed_and_end(
    start_broker: Callable[..., Any], ctl: Callable[..., tuple[int, str]], run: Any
) -> None:
    broker = start_broker(TCP)
    ended: list[Any] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="pump", protocol=paho.MQTTv5)
    client.on_disconnect = lambda _c, _u, _f, reason, _p: ended.append(reason)
    client.connect("127.0.0.1", broker.ports["tcp:default"])
    while not client.is_connected():
        client.loop(0.1)
    assert ctl(broker, "banned") == (0, "Nobody is banned.\n")
    status, text = ctl(
        broker, "banned", "add", "clientid", "pump", "--for", "1h", "--reason", "leaks"
    )
    assert status == 0
    assert text.startswith("clientid pump is banned until ")
    until = time.monotonic() + 10
    while not ended and time.monotonic() < until:
        client.loop(0.1)
    assert [reason.value for reason in ended] == [0x98]
    broker.wait_for("clientid pump is banned by mqttd ctl until ")
    assert publish(run, broker, "-i", "pump", "-V", "5").status == 0x8A
    broker.wait_for("Client pump [")

    status, text = ctl(broker, "status")
    assert "banned         1\n" in text
    assert "refused        banned 1" in text

    for kind, who in (("username", "bob"), ("peerhost_net", "192.0.2.0/24")):
        assert ctl(broker, "banned", "add", kind, who)[0] == 0
    status, text = ctl(broker, "banned", "list", "--json")
    rows = json.loads(text)
    assert [(row["as"], row["who"], row["by"], row["until"]) for row in rows[1:]] == [
        ("username", "bob", "mqttd ctl", "infinity"),
        ("peerhost_net", "192.0.2.0/24", "mqttd ctl", "infinity"),
    ]
    assert rows[0]["reason"] == "leaks"
    assert ctl(broker, "banned", "remove", "peerhost_net", "192.0.2.0/24") == (0, "ok\n")
    assert ctl(broker, "banned", "remove", "peerhost_net", "192.0.2.0/24") == (1, "Not Found.\n")
    assert ctl(broker, "banned", "clear") == (0, "Nobody is banned any more.\n")
    assert publish(run, broker, "-i", "pump").status == 0


def test_a_ban_of_a_network_ends_what_comes_from_there(
    start_broker: Callable[..., Any], ctl: Callable[..., tuple[int, str]], dial: Any
) -> None:
    broker = start_broker(TCP)
    port = broker.ports["tcp:default"]
    there, silent, here = (
        dial(port, source="127.0.0.9"),
        dial(port, source="127.0.0.9"),
        dial(port),
    )
    assert there.ask() == b"\x20\x02\x00\x00"
    assert here.ask(CONNECT.replace(b"it", b"ti")) == b"\x20\x02\x00\x00"
    assert ctl(broker, "banned", "add", "peerhost_net", "127.0.0.8/30")[0] == 0
    assert there.read(1) == b""
    assert silent.read(1) == b""
    assert dial(port, source="127.0.0.10").ask() == b""
    assert here.ask(b"\xc0\x00", 2) == b"\xd0\x00"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add", "clientid"), 2, "needs AS and WHO"),
        (("add", "clientid_re", "a+"), 1, "clientid_pattern"),
        (("add", "peerhost", "host"), 1, "IP address"),
        (("add", "clientid", "a", "--for", "soon"), 2, "duration"),
        (("add", "clientid", "a", "--for", "1h", "--until", "infinity"), 2, "use one"),
        (("add", "clientid", "a", "--until", "2001-01-01T00:00:00Z"), 1, "over already"),
        (("remove", "what", "a"), 1, "as must be one of"),
        (("remove",), 2, "needs AS and WHO"),
    ],
)
def test_what_ctl_says_no_to(
    broker: Any, ctl: Callable[..., tuple[int, str]], arguments: Any, status: int, said: str
) -> None:
    got, text = ctl(broker, "banned", *arguments)
    assert got == status
    assert said in text


def test_an_identity_has_so_many_clients(
    start_broker: Callable[..., Any], dial: Any, packet: Any, run: Any
) -> None:
    broker = start_broker(
        TCP + "abuse { exempt = [], per_identity.max_connections = 1 }\n"
        "sys_topics.sys_msg_interval = 200ms"
    )

    def connect(name: str, username: str) -> bytes:
        client = dial(broker.ports["tcp:default"])
        answer: bytes = client.ask(packet(name, username=username, level=5), 4)
        return answer[:1] + answer[3:4]

    assert connect("one", "bob") == b"\x20\x00"
    assert connect("two", "bob") == b"\x20\x97"
    assert connect("one", "bob") == b"\x20\x00"  # takes its own session over
    assert connect("two", "eve") == b"\x20\x00"
    port = str(broker.ports["tcp:default"])
    topic = "$SYS/broker/abuse/refused/identity-connections"
    got = run("mosquitto_sub", "-p", port, "-t", topic, "-C", "1", "-W", "5", "-u", "see")
    assert got.output.strip() == "1"


def test_limits_change_while_it_runs(
    start_broker: Callable[..., Any], ctl: Callable[..., tuple[int, str]], dial: Any, packet: Any
) -> None:
    broker = start_broker(TCP + "abuse.exempt = []")
    port = broker.ports["tcp:default"]
    first = dial(port)
    assert first.ask(packet("one"), 4)[:1] == b"\x20"
    (broker.folder / "mqttd.conf").write_text(
        TCP.replace("}", ', messages_rate = "1/1h" }')
        + "abuse { exempt = [], per_address.max_connections = 1 }"
    )
    status, text = ctl(broker, "reload")
    assert status == 0
    assert "abuse.per_address.max_connections" in text
    assert dial(port).ask(packet("two"), 4) == b""
    assert first.publish(b"t", b"x") == b"\x40\x02\x00\x07"
    first.send(b"\x32\x06\x00\x01t\x00\x08x")
    first.send(b"\xc0\x00")
    (broker.folder / "mqttd.conf").write_text(TCP + "abuse.exempt = []")
    assert ctl(broker, "reload")[0] == 0
    assert sorted((first.read(2), first.read(4)), key=len) == [b"\xd0\x00", b"\x40\x02\x00\x08"]
    assert dial(port).ask(packet("two"), 4)[:1] == b"\x20"


def test_a_broken_list_of_bans_keeps_the_broker_from_starting(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "banned.json").write_text("oops")
    (tmp_path / "mqttd.conf").write_text(TCP)
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "twistd"),
            "-n",
            "--pidfile=",
            "mqttd",
            "--config",
            "mqttd.conf",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert "banned.json cannot be used: it is no JSON" in done.stdout
    assert "move it away" in done.stdout
