"""Every authenticator of mqttd's own, on a running broker, with clients of others."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from scramp import ScramClient

from mqttd.auth.password_hash import hash_password
from mqttd.auth.scram import ScramCredential

KEY = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"
SCRAM = "SCRAM-SHA-256"
PASSWORDS = {
    "ann": "argon of ann",
    "bob": "pbkdf2 of bob",
    "old": "sha512 of old",
    "eve": "bcrypt of eve",
    "sam": "pässword of sam",
    "carol": "cred of carol",
}
USERS = '{ mechanism = password_based, backend = "built_in_database", file = users }'
TLS = (
    "ssl_options { keyfile = key.pem, certfile = cert.pem, cacertfile = root.pem, "
    "verify = verify_peer, fail_if_no_peer_cert = false }"
)
CONFIG = f"""
reload_interval = 200ms
mqtt.idle_timeout = 5s
psk_authentication {{ enable = true, init_file = "init.psk" }}
authentication = [{USERS}]
listeners.tcp.users.bind = "127.0.0.1:0"
listeners.tcp.open {{ bind = "127.0.0.1:0", enable_authn = false }}
listeners.tcp.quick {{ bind = "127.0.0.1:0", enable_authn = quick_deny_anonymous }}
listeners.tcp.cred {{
  bind = "127.0.0.1:0"
  authentication {{ mechanism = cred, checker = "memory:carol:{PASSWORDS["carol"]}" }}
}}
listeners.tcp.scram {{
  bind = "127.0.0.1:0"
  authentication {{ mechanism = scram, file = scram }}
}}
listeners.tcp.down {{
  bind = "127.0.0.1:0"
  authentication = [
    {{ backend = http, url = "http://127.0.0.1:HANGING/auth", request_timeout = 3s }}
    {USERS}
  ]
}}
listeners.tcp.passed {{
  bind = "127.0.0.1:0"
  authentication = [
    {{ backend = http, url = "http://127.0.0.1:CLOSED/auth", on_error = ignore }}
    {USERS}
  ]
}}
listeners.ssl.chain {{
  bind = "127.0.0.1:0"
  {TLS}
  authentication = [
    {{ mechanism = certificate, common_names = ["dev*"] }}
    {USERS}
  ]
}}
listeners.ssl.named {{
  bind = "127.0.0.1:0"
  {TLS}
  peer_cert_as_username = cn
}}
listeners.ssl.psk {{
  bind = "127.0.0.1:0"
  ssl_options {{ versions = ["tlsv1.2"], ciphers = "PSK-AES128-GCM-SHA256" }}
  authentication {{ mechanism = psk, identities = ["sensor-*"] }}
}}
"""

Run = Callable[..., Any]
Publish = Callable[..., Any]


@pytest.fixture(scope="module")
def hanging() -> Iterator[int]:
    """The port of a server that accepts, and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    for each in kept:
        each.close()


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, pki: Any, make_cert_pem: Any, run: Run
) -> Path:
    """Files of users, keys and certificates."""
    folder = tmp_path_factory.mktemp("built_in")
    files = {
        "init.psk": f"sensor-1:{KEY}\nother-1:{KEY[::-1]}\n",
        "scram": f"sam:{ScramCredential.new(SCRAM, PASSWORDS['sam'], iterations=4096).text()}\n",
        "key.pem": pki.ec.key_pem,
        "cert.pem": pki.ec.chain_pem,
        "root.pem": make_cert_pem(pki.root.cert),
    }
    for name in ("dev7", "mallory"):
        client = pki.root.client(name)
        files |= {f"{name}.pem": client.chain_pem, f"{name}.key": client.key_pem}
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    users = folder / "users"
    users.touch(0o600)
    assert run("mosquitto_passwd", "-b", users, "bob", PASSWORDS["bob"]).status == 0
    kept = bcrypt.hashpw(PASSWORDS["eve"].encode(), bcrypt.gensalt(4)).decode()
    with users.open("a") as stream:
        stream.write(f"ann:{hash_password(PASSWORDS['ann'].encode())}\neve:{kept}\n")
    return folder


@pytest.fixture(scope="module")
def broker(start_broker: Callable[..., Any], folder: Path, hanging: int) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = CONFIG.replace("HANGING", str(hanging)).replace("CLOSED", str(port))
    return start_broker(config, folder)


@pytest.fixture
def publish(broker: Any, run: Run, folder: Path) -> Publish:
    """mosquitto_pub: by the name of a listener, with a user's name and password."""

    def call(
        listener: str, *more: object, user: str | None = None, password: str | None = None
    ) -> Any:
        kind = "ssl" if listener in ("chain", "named", "psk") else "tcp"
        names = [] if user is None else ["-u", user]
        names += [] if password is None else ["-P", password]
        if kind == "ssl" and listener != "psk":
            names += ["--cafile", str(folder / "root.pem")]
        address = ("-h", "localhost", "-p", broker.ports[f"{kind}:{listener}"])
        return run("mosquitto_pub", *address, "-t", "t", "-m", "x", "-q", "1", *names, *more)

    return call


@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("user", ["ann", "bob", "eve"])
def test_hashes_of_every_kind(publish: Publish, user: str, version: str) -> None:
    ended = publish("users", "-V", version, user=user, password=PASSWORDS[user])
    assert (ended.status, ended.output) == (0, "")


@pytest.mark.parametrize(
    ("user", "password"), [("ann", "wrong"), ("ann", ""), ("nobody", PASSWORDS["ann"])]
)
def test_wrong_passwords_and_unknown_names_look_the_same(
    publish: Publish, user: str, password: str
) -> None:
    told = publish("users", "-V", "mqttv311", user=user, password=password)
    assert "bad user name or password" in told.output.lower()
    assert told.status == 4
    told = publish("users", "-V", "mqttv5", user=user, password=password)
    assert "bad user name or password" in told.output.lower()
    assert told.status == 134


def test_nobody_in_particular(publish: Publish) -> None:
    assert publish("users", "-V", "mqttv311").status == 5
    assert publish("users", "-V", "mqttv5").status == 135
    assert publish("quick", "-V", "mqttv5").status == 135
    assert publish("quick", user="ann", password=PASSWORDS["ann"]).status == 0
    assert publish("quick", user="ann", password="wrong").status == 4
    assert publish("open").status == 0
    assert publish("open", user="ann", password="wrong").status == 0


def test_a_listener_has_its_own(publish: Publish) -> None:
    assert publish("cred", user="carol", password=PASSWORDS["carol"]).status == 0
    assert publish("cred", user="carol", password="wrong").status == 4
    assert publish("cred", user="ann", password=PASSWORDS["ann"]).status == 4
    assert publish("users", user="carol", password=PASSWORDS["carol"]).status == 4


def test_certificates_come_first(publish: Publish, folder: Path) -> None:
    def proof(name: str) -> tuple[object, ...]:
        return ("--cert", folder / f"{name}.pem", "--key", folder / f"{name}.key")

    assert publish("chain", *proof("dev7")).status == 0
    # The password does not help who has a certificate that is not let in.
    ann = {"user": "ann", "password": PASSWORDS["ann"]}
    assert publish("chain", *proof("mallory"), **ann).status == 5
    assert publish("chain", "-V", "mqttv5", *proof("mallory"), **ann).status == 135
    assert publish("chain", **ann).status == 0
    assert publish("chain").status == 5
    # A name from a certificate is wanted: the client's own is none, whatever the password.
    assert publish("named", **ann).status == 5
    assert publish("named", "-V", "mqttv5", **ann).status == 135


def test_keys(publish: Publish) -> None:
    assert publish("psk", "--psk-identity", "sensor-1", "--psk", KEY).status == 0
    assert publish("psk", "--psk-identity", "other-1", "--psk", KEY[::-1]).status == 5


def test_what_fails_refuses_unless_it_may_be_passed_over(publish: Publish, broker: Any) -> None:
    ann = {"user": "ann", "password": PASSWORDS["ann"]}
    assert publish("passed", **ann).status == 0
    assert publish("passed", user="ann", password="wrong").status == 4
    line = broker.wait_for("; the next one is asked")
    assert "password_based:http" in line
    assert publish("down", "-V", "mqttv5", **ann).status == 136
    line = broker.wait_for("; clients are refused")
    assert "password_based:http" in line


def text(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def sized(body: bytes) -> bytes:
    """Behind its length, a Variable Byte Integer of one or two bytes."""
    low, high = len(body) & 0x7F, len(body) >> 7
    return bytes([low | 0x80, high] if high else [low]) + body


def packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + sized(body)


def with_password(user: str, password: str) -> bytes:
    """CONNECT of MQTT 3.1.1."""
    body = text(b"MQTT") + b"\x04\xc2\0\0" + text(b"early")
    return packet(0x10, body + text(user.encode()) + text(password.encode()))


SUBSCRIBE = packet(0x82, b"\0\1" + text(b"early") + b"\0")
PUBLISH = packet(0x32, text(b"early") + b"\0\2" + b"hello")


@pytest.mark.parametrize("listener", ["users", "cred", "open", "passed"])
def test_packets_sent_with_connect_wait_for_the_answer(
    broker: Any, dial: Callable[..., Any], listener: str
) -> None:
    """[MQTT-3.1.4-5]: a client need not wait for CONNACK."""
    user = "carol" if listener == "cred" else "ann"
    client = dial(broker.ports[f"tcp:{listener}"])
    client.send(with_password(user, PASSWORDS[user]) + SUBSCRIBE + PUBLISH)
    answers = b"\x20\x02\0\0" + b"\x90\3\0\1\0"
    assert client.read(len(answers)) == answers
    both = {client.read(4)[:1] + b"", client.read(4)[:1]}
    assert both & {b"\x40", b"\x30"}


def test_packets_sent_with_a_connect_that_is_refused_do_nothing(
    broker: Any, dial: Callable[..., Any]
) -> None:
    watcher = dial(broker.ports["tcp:open"])
    body = text(b"MQTT") + b"\x04\x02\0\0" + text(b"watcher")
    watcher.send(packet(0x10, body) + SUBSCRIBE)
    assert watcher.read(9) == b"\x20\x02\0\0" + b"\x90\3\0\1\0"
    client = dial(broker.ports["tcp:users"])
    client.send(with_password("ann", "wrong") + SUBSCRIBE + PUBLISH)
    assert client.read(100) == b"\x20\x02\0\4"
    assert watcher.ask(b"\xc0\0", 2) == b"\xd0\0"


def resident(broker: Any) -> int:
    """Bytes of memory the broker has."""
    pages = Path(f"/proc/{broker.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_who_sends_on_while_an_answer_is_awaited_is_not_read(
    broker: Any, dial: Callable[..., Any]
) -> None:
    before = resident(broker)
    client = dial(broker.ports["tcp:down"])
    client.send(with_password("ann", PASSWORDS["ann"]))
    client.socket.settimeout(1)
    crowd, sent = PUBLISH * 10_000, 0
    try:
        while sent < 64 << 20:
            sent += client.socket.send(crowd)
    except TimeoutError:
        pass
    # What two sockets hold is all that could be sent, and the broker has none of it.
    assert sent < 32 << 20
    assert resident(broker) - before < 8 << 20
    client.socket.settimeout(10)
    assert client.read(4) == b"\x20\x02\0\3"
    assert client.read(1) == b""


class Scram:
    """A client of MQTT 5 whose proofs are made by a library of others."""

    def __init__(self, client: Any, user: str, password: str) -> None:
        self.client = client
        self.user = user
        self.password = password

    def _properties(self, message: str) -> bytes:
        return sized(b"\x15" + text(SCRAM.encode()) + b"\x16" + text(message.encode()))

    def answer(self) -> tuple[int, int, bytes]:
        """First byte, reason code, and Authentication Data of a packet."""
        kind, size = self.client.read(2)
        if size & 0x80:
            size = (size & 0x7F) | self.client.read(1)[0] << 7
        body = self.client.read(size)
        code = body[1] if kind == 0x20 else body[0]
        _, found, data = body.partition(b"\x16")
        return kind, code, data[2 : 2 + int.from_bytes(data[:2])] if found else b""

    def prove(self, begin: Callable[[bytes], bytes], end: int) -> int:
        """The whole exchange; the reason code at its end, once the server's proof is right."""
        scram = ScramClient([SCRAM], self.user, self.password)
        self.client.send(begin(self._properties(scram.get_client_first())))
        kind, code, data = self.answer()
        assert (kind, code) == (0xF0, 0x18)
        scram.set_server_first(data.decode())
        self.client.send(packet(0xF0, b"\x18" + self._properties(scram.get_client_final())))
        kind, code, data = self.answer()
        if code == 0:
            assert kind == end
            scram.set_server_final(data.decode())
        return code

    def connect(self) -> int:
        head = text(b"MQTT") + b"\x05\x02\0\0"
        return self.prove(lambda known: packet(0x10, head + known + text(b"scram")), 0x20)

    def renew(self) -> int:
        return self.prove(lambda known: packet(0xF0, b"\x19" + known), 0xF0)


def test_scram(broker: Any, dial: Callable[..., Any], publish: Publish) -> None:
    port = broker.ports["tcp:scram"]
    client = Scram(dial(port), "sam", PASSWORDS["sam"])
    assert client.connect() == 0
    assert "u'sam'" in broker.wait_for("as scram")
    assert client.renew() == 0
    assert client.client.ask(b"\xc0\0", 2) == b"\xd0\0"
    assert Scram(dial(port), "sam", "wrong").connect() == 0x86
    assert Scram(dial(port), "nobody", PASSWORDS["sam"]).connect() == 0x86
    # Not offered elsewhere, and passwords are not taken here.
    elsewhere = Scram(dial(broker.ports["tcp:users"]), "sam", PASSWORDS["sam"])
    head = text(b"MQTT") + b"\x05\x02\0\0"
    elsewhere.client.send(packet(0x10, head + elsewhere._properties("n,,n=sam,r=x") + text(b"s")))
    assert elsewhere.answer()[:2] == (0x20, 0x8C)
    assert publish("scram", "-V", "mqttv5", user="sam", password=PASSWORDS["sam"]).status == 134
    client.password = "wrong"
    assert client.renew() == 0x87


def test_a_changed_file_counts_and_a_bad_one_does_not(
    broker: Any, publish: Publish, folder: Path, run: Run
) -> None:
    users = folder / "users"
    before = users.read_text()
    assert run("mosquitto_passwd", "-b", users, "new", "of new").status == 0
    broker.wait_for("reload (files changed): users")
    assert publish("users", user="new", password="of new").status == 0
    users.write_text(f"{before}hunter2\n")
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("is not NAME:HASH")
    assert publish("users", user="new", password="of new").status == 0
    users.write_text(before)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("reload (SIGHUP): users")
    assert publish("users", user="new", password="of new").status == 4
    assert publish("users", user="ann", password=PASSWORDS["ann"]).status == 0


def test_no_secret_is_in_the_log(broker: Any) -> None:
    """The last test of this file."""
    log = "\n".join(broker.lines)
    for secret in (*PASSWORDS.values(), KEY, "hunter2", "$argon2id$", "$7$", "$2b$"):
        assert secret not in log
