"""Every way an HTTP server can fail, through a real broker: the CONNACK and a line in the log."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from typing_extensions import override

from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode

SECRET = "s3cret-of-alice"
LIMIT = "request_timeout = 400ms"
UNAVAILABLE, NOT_AUTHORIZED, BAD_USER = (0x88, 3), (0x87, 5), (0x86, 4)
"""The CONNACK codes of MQTT 5 and 3.1.1."""


def answer(
    body: bytes = b'{"result": "allow"}',
    status: str = "200 OK",
    kind: str | None = "application/json",
    more: str = "",
    length: int | None = None,
) -> bytes:
    head = f"HTTP/1.1 {status}\r\n{more}"
    head += f"Content-Type: {kind}\r\n" if kind is not None else ""
    head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


ALLOW = answer()


class Server:
    """Answers each request with the same bytes; ``asked`` holds the requests."""

    def __init__(
        self,
        said: bytes,
        context: ssl.SSLContext | None = None,
        *,
        ends: bool = False,
        greets: bool = False,
        port: int = 0,
    ) -> None:
        self.said = said
        self.asked: list[bytes] = []
        self._context = context
        self._ends = ends
        self._greets = greets
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            if self._greets:
                connection.sendall(self.said)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                if b'"}' not in received:  # the end of what is asked
                    continue
                self.asked.append(received)
                received = b""
                connection.sendall(self.said)
                if self._ends:
                    break
        connection.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Full(Server):
    """Accepts nobody: its queue is full, and the kernel drops who comes."""

    @override
    def _accept(self) -> None:
        self._listening.listen(0)
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._open.append(waiting)


@attrs.frozen
class Row:
    """One failing server. ``said`` None: nobody listens. ``host`` is how the server is called."""

    name: str
    said: bytes | None
    log: str
    codes: tuple[int, int] = UNAVAILABLE
    options: str = ""
    tls: str = ""
    host: str = "127.0.0.1"
    ends: bool = False
    greets: bool = False


HUGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
HUGE += b"10000\r\n" + bytes(0x10000) + b"\r\n" + b"10000\r\n" + bytes(0x10000) + b"\r\n"
ACL = b'{"result": "allow", "acl": [{"permission": "allow", "action": "fly", "topic": "#"}]}'
ROWS = [
    Row("silent", b"", "took longer than 0.4 s", options=LIMIT),
    Row("hanging", answer(length=99), "took longer than 0.4 s", options=LIMIT),
    Row("body", answer(length=99), "took longer than 0.2 s", options="body_timeout = 200ms"),
    Row("halfhead", b"HTTP/1.1 200 OK\r\nConte", "took longer than 0.4 s", options=LIMIT),
    Row("cut", answer(length=99), "before its answer was complete", ends=True),
    Row("closed", b"", "closed the connection", ends=True),
    Row("status301", answer(b"", "301 Moved", more="Location: /x\r\n"), "sends us elsewhere"),
    Row("status302", answer(b"", "302 Found"), "answers with status 302"),
    Row("status400", answer(status="400 Bad"), "answers with status 400"),
    Row("status401", answer(status="401 Unauthorized"), "answers with status 401"),
    Row("status403", answer(status="403 Forbidden"), "answers with status 403"),
    Row("status404", answer(status="404 Not Found"), "answers with status 404"),
    Row("status500", answer(status="500 Broken"), "answers with status 500"),
    Row("status503", answer(status="503 Unavailable"), "answers with status 503"),
    Row("status201", answer(status="201 Created"), "answers with status 201"),
    Row("huge", answer(length=10_000_000), "is larger than 65536 bytes"),
    Row("hugechunks", HUGE, "is larger than 65536 bytes"),
    Row("hugehead", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000, "sends more than"),
    Row("garbage", answer(b"\xff\0{"), "something that is no JSON"),
    Row("list", answer(b"[1]"), "JSON that is no object"),
    Row("result", answer(b'{"result": "maybe"}'), "a result that is none"),
    Row("twice", answer(b'{"result": "deny", "result": "allow"}'), "no JSON"),
    Row("html", answer(b"<html>", kind="text/html"), "content of the type text/html"),
    Row("oddtype", ALLOW.replace(b"application/json", b"\xff\xfe"), "of the type another"),
    Row("twotypes", answer(more="Content-Type: text/html\r\n"), "several content types"),
    Row("untyped", answer(kind=None), "without a content type"),
    Row("packed", answer(more="Content-Encoding: gzip\r\n"), "packs its answer"),
    Row("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", "is no HTTP", greets=True),
    Row("acl", answer(ACL), "an acl that rule 1: action is none of"),
    Row("full", b"", "does not answer", options="connect_timeout = 300ms"),
    Row("down", None, "refuses connections"),
    Row("slowhandshake", b"", "took longer than 0.4 s", tls="silent", options=LIMIT),
    Row("stranger", ALLOW, "not issued by a trusted authority", tls="stranger", host="localhost"),
    Row("othername", ALLOW, "is for another name", tls="othername", host="localhost"),
    Row("expired", ALLOW, "expired", tls="expired", host="localhost"),
    Row("notls", ALLOW, "TLS", tls="none", greets=True),
    Row("mutual", ALLOW, "wants a client certificate", tls="mutual", host="localhost"),
    # What is no failure of the server, for comparison: no line about it.
    Row("deny", answer(b'{"result": "deny"}'), "", NOT_AUTHORIZED),
    Row("ignore", answer(b'{"result": "ignore"}'), "", BAD_USER),
    Row("ended", answer(b'{"result": "allow", "expire_at": 5}'), "", BAD_USER),
    Row("milliseconds", answer(b'{"result":"allow","expire_at":1900000000000}'), "", BAD_USER),
    Row("allowed", ALLOW, "", (0, 0), tls="good", host="localhost"),
    Row("empty", b"HTTP/1.1 204 No Content\r\n\r\n", "", (0, 0)),
    # EMQX's way: a failure leaves it to the next authenticator, and there is none.
    Row("asemqx", answer(status="500 Broken"), "status 500", BAD_USER, "on_error = ignore"),
]


def connack(port: int, level: int) -> int:
    """The code in it."""
    packet = encode(Connect(f"c{level}", level, username="alice", password=SECRET.encode()), level)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(packet)
        received = b""
        while len(received) < 4:
            chunk = client.recv(64)
            assert chunk, "closed without a CONNACK"
            received += chunk
        assert received[0] == 0x20
        return received[3]


class World:
    """The servers, and one broker with a listener for each."""

    def __init__(self, pki: Any, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, Server] = {}
        self.sections: list[str] = []
        self.broker: Any = None
        self._pki = pki

    def context(self, kind: str) -> ssl.SSLContext | None:
        """TLS of a server that presents what ``kind`` says."""
        import datetime

        pki, context = self._pki, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = {
            "stranger": pki.other_root.issue,
            "othername": lambda: pki.root.issue("other.test", san=[_name("other.test")]),
            "expired": lambda: pki.root.issue(
                end=pki.root.cert.not_valid_before_utc + datetime.timedelta(seconds=5)
            ),
        }.get(kind, lambda: pki.ec)()
        for name, text in (("cert", issued.chain_pem), ("key", issued.key_pem)):
            (self.folder / f"{kind}.{name}").write_text(text)
            (self.folder / f"{kind}.{name}").chmod(0o600)
        context.load_cert_chain(self.folder / f"{kind}.cert", self.folder / f"{kind}.key")
        if kind == "mutual":
            context.load_verify_locations(self.folder / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def add(self, row: Row) -> None:
        """A server that does what the row says, and a listener that asks it."""
        plain = row.tls in ("", "silent", "none")
        context = None if plain else self.context(row.tls)
        kind = Full if row.name == "full" else Server
        server = kind(row.said or b"", context, ends=row.ends, greets=row.greets)
        self.servers[row.name] = server
        if row.said is None:
            server.stop()
        scheme = "https" if row.tls else "http"
        self.listener(row.name, f'url = "{scheme}://{row.host}:{server.port}/auth"', row.options)

    def listener(self, name: str, place: str, options: str = "") -> None:
        """A listener whose clients are asked for at ``place``."""
        self.sections.append(
            f"""
listeners.tcp.{name} {{
  bind = "127.0.0.1:0"
  authentication {{
    backend = "http"
    {place}
    headers {{ x-token = "{SECRET}-of-ours" }}
    body {{ clientid = "${{clientid}}", username = "${{username}}", password = "${{password}}" }}
    {options}
    ssl {{ enable = {"true" if "https:" in place else "false"}, cacertfile = ca.pem }}
  }}
}}"""
        )

    def code(self, name: str, level: int) -> int:
        return connack(self.broker.ports[f"tcp:{name}"], level)


def _name(text: str) -> Any:
    from cryptography import x509

    return x509.DNSName(text)


@pytest.fixture(scope="module")
def world(
    pki: Any,
    make_cert_pem: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    start_broker: Callable[..., Any],
) -> Iterator[World]:
    made = World(pki, tmp_path_factory.mktemp("world"))
    (made.folder / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    for row in ROWS:
        made.add(row)
    made.add(Row("back", None, ""))
    made.sections[-1] = made.sections[-1].replace(
        "    ssl ", "    circuit_breaker { failures = 2, reset = 300ms }\n    ssl "
    )
    several = [Server(b""), Server(answer(status="500 Broken")), Server(ALLOW)]
    several[0].stop()
    made.servers |= {f"several{number}": each for number, each in enumerate(several)}
    urls = ", ".join(f'"http://127.0.0.1:{each.port}/auth"' for each in several)
    made.listener("several", f"urls = [{urls}]")
    made.broker = start_broker("\n".join(made.sections), made.folder)
    yield made
    made.broker.stop()
    for server in made.servers.values():
        server.stop()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_client_gets_its_code_and_the_log_a_line(world: World, row: Row) -> None:
    assert (world.code(row.name, 5), world.code(row.name, 4)) == row.codes
    server = f"{row.host}:{world.servers[row.name].port}"
    told = "New client connected" if not row.codes[0] else f"refused on tcp:{row.name}:"
    assert row.codes[0] == 0 or f"0x{row.codes[0]:x}" in world.broker.wait_for(told)
    lines = [line for line in world.broker.lines if "by HTTP:" in line and server in line]
    if row.log:
        (line,) = lines
        assert row.log in line
    else:
        assert lines == []


def test_the_next_address_is_asked_when_one_fails(world: World) -> None:
    assert (world.code("several", 5), world.code("several", 4)) == (0, 0)
    assert [len(world.servers[f"several{number}"].asked) for number in range(3)] == [0, 2, 2]
    world.broker.wait_for(f"127.0.0.1:{world.servers['several0'].port} refuses connections")
    world.broker.wait_for(f"127.0.0.1:{world.servers['several1'].port} answers with status 500")


def test_a_server_is_left_alone_and_asked_again_when_it_is_back(world: World) -> None:
    down = world.servers["back"]
    assert (world.code("back", 5), world.code("back", 4)) == (0x88, 3)
    world.broker.wait_for(f"authentication by HTTP: 127.0.0.1:{down.port} is left alone for 0.3 s")
    back = world.servers["back again"] = Server(ALLOW, port=down.port)
    assert world.code("back", 5) == 0x88  # nobody is asked within the pause
    assert back.asked == []
    until = threading.Event()
    while world.code("back", 5):
        until.wait(0.05)
    world.broker.wait_for(f"authentication by HTTP: 127.0.0.1:{down.port} answers again")
    assert (world.code("back", 5), world.code("back", 4)) == (0, 0)


def test_nothing_is_told_twice_and_no_secret_at_all(world: World) -> None:
    """Each worker of a run sees the rows it had, after two more CONNECTs for each that fails."""
    failing = [row for row in ROWS if row.log and "400ms" not in row.options]
    for row in failing:
        assert (world.code(row.name, 5), world.code(row.name, 4)) == row.codes
    world.broker.stop()
    log = "\n".join(world.broker.lines)
    assert "s3cret" not in log
    for row in failing:
        port = world.servers[row.name].port
        told = [line for line in world.broker.lines if f":{port}" in line and "by HTTP:" in line]
        alone = [line for line in told if "is left alone" in line]
        assert len(told) - len(alone) == 1, told
