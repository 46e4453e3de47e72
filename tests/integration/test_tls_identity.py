"""Names taken from client certificates, by listener and for all."""

from __future__ import annotations

import hashlib
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SOURCES = ["cn", "dn", "crt", "pem", "md5", "san_dns", "san_uri", "san_email"]
LISTENER = (
    'listeners.%s.%s { bind = "127.0.0.1:0", %s, ssl_options { keyfile = ec.key, '
    "certfile = ec.pem, cacertfile = root.pem, verify = verify_peer, "
    "fail_if_no_peer_cert = false } }\n"
)


@pytest.fixture(scope="module")
def folder(pki: Any, make_cert_pem: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broker's files and those of two clients, one with all kinds of names, one with few."""
    folder = tmp_path_factory.mktemp("identity")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Works"),
            x509.NameAttribute(NameOID.COMMON_NAME, "pump-7"),
        ]
    )
    names: list[x509.GeneralName] = [
        x509.DNSName("pump-7.example.com"),
        x509.UniformResourceIdentifier("urn:dev:pump:7"),
        x509.RFC822Name("pump-7@example.com"),
    ]
    full = pki.root.client(subject=subject, san=names)
    for name, issued in {"ec": pki.ec, "full": full, "plain": pki.client_ec}.items():
        (folder / f"{name}.pem").write_text(issued.chain_pem)
        (folder / f"{name}.key").touch(0o600)
        (folder / f"{name}.key").write_text(issued.key_pem)
    (folder / "root.pem").write_text(make_cert_pem(pki.root.cert))
    return folder


@pytest.fixture(scope="module")
def broker(start_broker: Any, folder: Path) -> Any:
    """User names by listener; the Client Identifier on one of them too."""
    config = "".join(
        LISTENER % ("ssl", f"user_{source}", f"peer_cert_as_username = {source}")
        for source in SOURCES
    )
    config += LISTENER % ("wss", "user_cn", "peer_cert_as_username = cn")
    config += LISTENER % ("ssl", "id_cn", "peer_cert_as_clientid = cn")
    config += LISTENER % ("ssl", "id_dns", "peer_cert_as_clientid = san_dns")
    config += LISTENER % ("ssl", "home", 'peer_cert_as_username = cn, mountpoint = "${username}/"')
    return start_broker(config, folder)


@pytest.fixture(scope="module")
def for_all(start_broker: Any, folder: Path) -> Any:
    """The options for all listeners, and one listener that says otherwise."""
    other = folder.parent / f"{folder.name}-all"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("mqttd.conf", "run"))
    config = "mqtt { peer_cert_as_username = cn, peer_cert_as_clientid = san_uri }\n"
    config += LISTENER % ("ssl", "all", "enable = true")
    config += LISTENER % ("ssl", "own", "peer_cert_as_username = disabled")
    config += 'listeners.tcp.plain.bind = "127.0.0.1:0"\n'
    return start_broker(config, other)


def context(folder: Path, certificate: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(folder / "root.pem"))
    if certificate:
        made.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    return made


def expected(folder: Path, source: str) -> str:
    pem = (folder / "full.pem").read_text()
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    return {
        "cn": "pump-7",
        "dn": "CN=pump-7,O=Works",
        "crt": der.hex(),
        "pem": pem,
        "md5": hashlib.md5(der).hexdigest(),
        "san_dns": "pump-7.example.com",
        "san_uri": "urn:dev:pump:7",
        "san_email": "pump-7@example.com",
    }[source]


@pytest.mark.parametrize("source", SOURCES)
def test_the_username_is_from_the_certificate(
    broker: Any, folder: Path, dial: Any, packet: Any, source: str
) -> None:
    client = dial(broker.ports[f"ssl:user_{source}"], context(folder, "full"))
    client_id = f"by-{source}"
    assert client.ask(packet(client_id, username="root")) == b"\x20\x02\x00\x00"
    line = broker.wait_for(f" as {client_id} (")
    name = expected(folder, source)
    shown = name.replace("\n", "\\n")[:60]
    assert f"u'{shown}" in line
    assert "root" not in line


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("level", [4, 5])
def test_without_a_certificate_there_is_no_name(
    broker: Any, folder: Path, dial: Any, packet: Any, source: str, level: int
) -> None:
    client = dial(broker.ports[f"ssl:user_{source}"], context(folder, None))
    answer = client.ask(packet("x", username="root", level=level))
    assert answer[0] == 0x20
    assert answer[3] == (0x87 if level == 5 else 5)


@pytest.mark.parametrize("source", ["san_dns", "san_uri", "san_email"])
def test_a_certificate_without_that_name_is_none(
    broker: Any, folder: Path, dial: Any, packet: Any, source: str
) -> None:
    client = dial(broker.ports[f"ssl:user_{source}"], context(folder, "plain"))
    assert client.ask(packet("x", level=5))[3] == 0x87


@pytest.mark.parametrize(("listener", "name"), [("id_cn", "pump-7"), ("id_dns", "pump-7.example")])
def test_the_client_identifier_is_from_the_certificate(
    broker: Any, folder: Path, dial: Any, packet: Any, listener: str, name: str
) -> None:
    client = dial(broker.ports[f"ssl:{listener}"], context(folder, "full"))
    assert client.ask(packet("somebody-else")) == b"\x20\x02\x00\x00"
    broker.wait_for(f" as {name}")
    refused = dial(broker.ports[f"ssl:{listener}"], context(folder, None))
    assert refused.ask(packet("somebody-else")) == b"\x20\x02\x00\x05"


def test_the_options_for_all_listeners(for_all: Any, folder: Path, dial: Any, packet: Any) -> None:
    client = dial(for_all.ports["ssl:all"], context(folder, "full"))
    assert client.ask(packet("x", username="y")) == b"\x20\x02\x00\x00"
    for_all.wait_for("as urn:dev:pump:7 (p2, c1, k0, u'pump-7')")


def test_a_listener_has_the_last_word(for_all: Any, folder: Path, dial: Any, packet: Any) -> None:
    client = dial(for_all.ports["ssl:own"], context(folder, "full"))
    assert client.ask(packet("x", username="mine")) == b"\x20\x02\x00\x00"
    for_all.wait_for("as urn:dev:pump:7 (p2, c1, k0, u'mine')")


def test_a_plain_listener_lets_nobody_in_then(for_all: Any, dial: Any, packet: Any) -> None:
    assert dial(for_all.ports["tcp:plain"]).ask(packet("x", username="y"))[3] == 5


def test_a_mountpoint_from_the_certificate(
    broker: Any, folder: Path, dial: Any, packet: Any
) -> None:
    clients = []
    for certificate in ("full", "plain"):
        client = dial(broker.ports["ssl:home"], context(folder, certificate))
        assert client.ask(packet(f"home-{certificate}", username="pump-7"))[3] == 0
        assert client.subscribe(b"#")[:2] == b"\x90\x03"
        clients.append(client)
    for client, payload in zip(clients, (b"first", b"other"), strict=True):
        client.publish(b"t", payload)
    for client, payload in zip(clients, (b"first", b"other"), strict=True):
        client.send(b"\xc0\x00")
        received = b""
        while b"\xd0\x00" not in received:
            more = client.read(1)
            assert more
            received += more
        (wrong,) = {b"first", b"other"} - {payload}
        assert wrong not in received
