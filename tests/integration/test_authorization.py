"""Rules in a real broker, with clients we did not write."""

from __future__ import annotations

import http.server
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

RULES = """\
rules = [
  { permission = allow, who { username = "root" }, topics = ["#"] }
  { permission = deny, topics = ["in/secret"] }
  { permission = allow, action = publish, topics = ["out/${clientid}/#", "will/${username}"] }
  { permission = allow, action = publish, qos = [0], retain = false, topics = ["plain"] }
  { permission = allow, action = subscribe, topics = ["in/+", "eq watched/#"] }
]
"""
CONFIG = """
listeners.tcp.default.bind = "127.0.0.1:0"
reload_interval = 1s
%s
authorization {
  sources = [ { type = file, path = "acl.conf" } ]
  deny_action = %s
}
"""
SECONDS = 10.0
MQTTD = Path(sys.executable).parent / "mqttd"
NO_SUBSCRIBERS = 0x10
NONE_GRANTED = "All subscription requests were denied"


def configure(folder: Path, deny_action: str = "ignore", more: str = "") -> str:
    (folder / "acl.conf").write_text(RULES)
    return CONFIG % (more, deny_action)


@pytest.fixture(scope="module")
def broker(start_broker: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("rules")
    return start_broker(configure(folder), folder)


class Client:
    """A client of paho's, whose events are waited for."""

    def __init__(self, broker: Any, client_id: str, username: str | None, v5: bool) -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self.v5 = v5
        self.port = broker.ports["tcp:default"]
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol)
        if username is not None:
            self.paho.username_pw_set(username)
        self.connack: queue.Queue[Any] = queue.Queue()
        self.suback: queue.Queue[list[int]] = queue.Queue()
        self.puback: queue.Queue[int] = queue.Queue()
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.ended: queue.Queue[Any] = queue.Queue()
        self.paho.on_connect = lambda _c, _u, _f, code, _p: self.connack.put(code.value)
        self.paho.on_subscribe = lambda _c, _u, _m, codes, _p: self.suback.put(
            [code.value for code in codes]
        )
        self.paho.on_publish = lambda _c, _u, _m, code, _p: self.puback.put(code.value)
        self.paho.on_message = lambda _c, _u, message: self.messages.put(
            (message.topic, bytes(message.payload))
        )
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self.ended.put(code.value)

    def connect(self) -> Client:
        self.paho.connect("127.0.0.1", self.port)
        self.paho.loop_start()
        assert self.connack.get(timeout=SECONDS) == 0
        return self

    def subscribe(self, topic_filter: str, qos: int = 1) -> int:
        if self.v5:
            self.paho.subscribe(topic_filter, options=SubscribeOptions(qos=qos))
        else:
            self.paho.subscribe(topic_filter, qos)
        (code,) = self.suback.get(timeout=SECONDS)
        return code

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, **more: Any) -> int:
        """The reason code; that nobody subscribed is as good as success."""
        self.paho.publish(topic, payload, qos, **more)
        code: int = self.puback.get(timeout=SECONDS)
        return 0 if code == NO_SUBSCRIBERS else code

    def message(self) -> tuple[str, bytes]:
        return self.messages.get(timeout=SECONDS)

    def stop(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Connects a client of paho's."""
    made: list[Client] = []

    def make(
        broker: Any, client_id: str, username: str | None = "u", *, v5: bool = True
    ) -> Client:
        made.append(Client(broker, client_id, username, v5))
        return made[-1].connect()

    yield make
    for each in made:
        each.stop()


@pytest.mark.parametrize("v5", [False, True])
def test_what_may_be_published(broker: Any, client: Callable[..., Client], v5: bool) -> None:
    name = f"pub{v5}"
    watcher = client(broker, f"watch{v5}", "root")
    assert watcher.subscribe("#") == 1
    publisher = client(broker, name, v5=v5)
    denied = 0x87 if v5 else 0
    assert publisher.publish(f"out/{name}/a") == 0
    assert publisher.publish("out/other/a") == denied
    assert publisher.publish("in/a") == denied
    assert publisher.publish("plain") == denied
    publisher.publish("plain", qos=0, retain=True)
    publisher.publish("plain", qos=0)
    assert publisher.publish(f"out/{name}/b", qos=2) == 0
    # paho sends PUBREL although PUBREC refused, and is told of an unknown Packet Identifier
    assert publisher.publish("nowhere", qos=2) == (0x92 if v5 else 0)
    assert publisher.publish(f"out/{name}/end") == 0
    got = [watcher.message()[0] for _ in range(4)]
    assert got == [f"out/{name}/a", "plain", f"out/{name}/b", f"out/{name}/end"]
    line = broker.wait_for(f"client {name} ")
    assert (
        "on tcp:default may not publish to out/other/a: denied by authorization.no_match" in line
    )


@pytest.mark.parametrize("v5", [False, True])
def test_what_may_be_subscribed(broker: Any, client: Callable[..., Client], v5: bool) -> None:
    subscriber = client(broker, f"sub{v5}", v5=v5)
    denied = 0x87 if v5 else 0x80
    assert subscriber.subscribe("in/a") == 1
    assert subscriber.subscribe("in/secret") == denied
    assert subscriber.subscribe("in/+") == denied
    assert subscriber.subscribe("$share/g/in/b") == 1
    assert subscriber.subscribe("$share/g/in/secret") == denied
    assert subscriber.subscribe("#") == denied
    assert subscriber.subscribe("watched/#") == 1
    assert subscriber.subscribe("watched/a") == denied
    broker.wait_for(f"client sub{v5} ")
    broker.wait_for("may not subscribe to in/+: denied by authorization.sources (file), line 3")


def test_retained_messages_are_asked_about(broker: Any, client: Callable[..., Client]) -> None:
    root = client(broker, "retaining", "root")
    for topic in ("watched/a", "in/kept"):
        assert root.publish(topic, b"kept", retain=True) == 0
    subscriber = client(broker, "retained")
    assert subscriber.subscribe("watched/#") == 1
    assert subscriber.subscribe("in/kept") == 1
    assert subscriber.message() == ("in/kept", b"kept")
    assert root.publish("watched/a", b"live") == 0
    assert subscriber.message() == ("watched/a", b"live")


def test_a_will_is_asked_about_at_connect(
    broker: Any, client: Callable[..., Client], run: Callable[..., Any]
) -> None:
    subscribe = [
        *("mosquitto_sub", "-p", broker.ports["tcp:default"], "-u", "who", "-i", "willing"),
        *("-t", "in/a", "-E", "-V", "5", "-W", 5, "--will-payload", "gone"),
    ]
    ended = run(*subscribe, "--will-topic", "will/who")
    assert ended.status == 0, ended.output
    ended = run(*subscribe, "--will-topic", "will/other")
    assert ended.status != 0
    assert "Not authorized" in ended.output
    broker.wait_for("may not leave a Will for will/other: denied by authorization.no_match")


def test_mosquittos_clients_are_told(broker: Any, run: Callable[..., Any]) -> None:
    port = broker.ports["tcp:default"]
    ended = run("mosquitto_pub", "-p", port, "-V", "5", "-q", 1, "-d", "-t", "no", "-m", "x")
    assert "RC:135" in ended.output
    ended = run("mosquitto_sub", "-p", port, "-V", "5", "-t", "in/#", "-W", 5)
    assert NONE_GRANTED in ended.output


def test_the_running_broker_says_which_rule_decides(
    broker: Any, client: Callable[..., Client], run: Callable[..., Any]
) -> None:
    client(broker, "asked")
    socket = broker.folder / "run/mqttd.sock"
    ask = (MQTTD, "ctl", "--socket", socket, "acl", "explain")
    ended = run(*ask, "asked", "publish", "out/asked/a", cwd=broker.folder)
    assert ended.status == 0, ended.output
    assert "acl.conf:4 decides" in ended.output
    assert ended.output.endswith("allowed\n")
    ended = run(*ask, "asked", "subscribe", "#", "--qos", 1)
    assert ended.status == 1
    assert "acl.conf:3 decides\n    deny publish and subscribe: in/secret\n" in ended.output
    ended = run(*ask, "nobody", "publish", "a")
    assert (ended.status, "Client ID not found" in ended.output) == (1, True)
    ended = run(*ask, "asked", "publish", "a/#")
    assert (ended.status, "wildcard" in ended.output) == (1, True)


def test_a_server_is_asked_by_the_command(tmp_path: Path, run: Callable[..., Any]) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    (tmp_path / "mqttd.conf").write_text(
        'listeners.tcp.default.bind = "127.0.0.1:0"\n'
        "authorization.sources = [ { type = http, method = post, "
        f'url = "http://127.0.0.1:{server.server_address[1]}/acl", '
        'body { topic = "${topic}" } } ]\n'
    )
    ask = (MQTTD, "acl", "explain", "-c", "mqttd.conf", "--ask", "publish", "a")
    try:
        ended = run(*ask, cwd=tmp_path)
        assert ended.status == 0, ended.output
        assert "(http): says allow\nallowed" in ended.output
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    ended = run(*ask, cwd=tmp_path)
    assert ended.status == 1
    assert "(http): failed, which denies" in ended.output


@pytest.mark.parametrize("v5", [False, True])
def test_who_is_denied_can_be_sent_away(
    start_broker: Callable[..., Any], tmp_path: Path, client: Callable[..., Client], v5: bool
) -> None:
    broker = start_broker(configure(tmp_path, "disconnect"), tmp_path)
    publisher = client(broker, "away", v5=v5)
    assert publisher.publish("out/away/a") == 0
    publisher.paho.publish("no", b"x", 0)
    code = publisher.ended.get(timeout=SECONDS)
    assert code == (0x87 if v5 else 0x80)
    broker.wait_for("may not publish to no: denied by authorization.no_match")
    subscriber = client(broker, "away2", v5=v5)
    subscriber.paho.subscribe("no")
    assert subscriber.ended.get(timeout=SECONDS) == (0x87 if v5 else 0x80)
    broker.wait_for("may not subscribe to no: denied by authorization.no_match")


def test_changed_rules_reach_clients_that_are_connected(
    start_broker: Callable[..., Any], tmp_path: Path, client: Callable[..., Client]
) -> None:
    broker = start_broker(configure(tmp_path), tmp_path)
    root = client(broker, "root", "root")
    subscriber = client(broker, "live")
    assert [subscriber.subscribe(each) for each in ("in/a", "in/b")] == [1, 1]
    assert subscriber.publish("out/live/a") == 0
    assert subscriber.publish("new/a") == 0x87

    write(tmp_path / "acl.conf", "rules = [ { permission = maybe } ]")
    broker.wait_for("acl.conf:1")
    assert root.publish("in/b", b"still") == 0
    assert subscriber.message() == ("in/b", b"still")

    changed = RULES.replace('"in/+"', '"in/a"').replace("out/${clientid}", "new")
    write(tmp_path / "acl.conf", changed)
    line = broker.wait_for("is no longer allowed")
    assert "live" in line
    assert "to subscribe to in/b: dropped" in line
    assert root.publish("in/b", b"dropped") == 0
    assert root.publish("in/a", b"kept") == 0
    assert subscriber.message() == ("in/a", b"kept")
    assert subscriber.publish("out/live/a") == 0x87
    assert subscriber.publish("new/a") == 0


def test_mosquittos_file_in_a_real_broker(
    start_broker: Callable[..., Any], tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "acl").write_text("user roger\ntopic write out/#\npattern read status/%c\n")
    broker = start_broker(
        'listeners.tcp.default.bind = "127.0.0.1:0"\n'
        'authorization.sources = [ { type = mosquitto, path = "acl" } ]\n',
        tmp_path,
    )
    base = ("-p", broker.ports["tcp:default"], "-V", "5", "-i", "c1")
    publish = ("mosquitto_pub", *base, "-q", 1, "-d", "-m", "x")
    assert "RC:16" in run(*publish, "-u", "roger", "-t", "out/a").output
    assert "RC:135" in run(*publish, "-u", "roger", "-t", "status/c1").output
    assert "RC:135" in run(*publish, "-t", "out/a").output
    subscribe = ("mosquitto_sub", *base, "-E", "-W", 5)
    assert run(*subscribe, "-t", "status/c1").output == ""
    assert NONE_GRANTED in run(*subscribe, "-t", "status/c2").output


def write(file: Path, text: str) -> None:
    """Replace a file as a whole, with a time that tells."""
    new = file.with_name("new")
    new.write_text(text)
    now = time.time() + 2
    os.utime(new, (now, now))
    new.replace(file)
