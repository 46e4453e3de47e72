"""Sessions follow the credential: what is taken away by a reload ends who came in by it."""

from __future__ import annotations

import datetime
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

CONNACK = b"\x20"
SECONDS = 5.0
"""The longest time between the reload and the end of a session."""

MUTUAL = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = key.pem, certfile = cert.pem
    cacertfile = authorities.pem, verify = verify_peer
    MORE
  }
}
reload_interval = 0s
"""


def _lists(authority: Any, *revoked: Any) -> bytes:
    """A CRL of an authority, PEM."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.cert.subject)
        .last_update(now - datetime.timedelta(minutes=1))
        .next_update(now + datetime.timedelta(days=1))
    )
    for each in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(each.cert.serial_number)
            .revocation_date(now)
            .build()
        )
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def folder(tmp_path: Path, pki: Any, make_cert_pem: Any) -> Path:
    files = {"": pki.ec, "client": pki.client_ec, "other": pki.stranger}
    for name, issued in files.items():
        (tmp_path / (f"{name}-key.pem" if name else "key.pem")).write_text(issued.key_pem)
        (tmp_path / (f"{name}.pem" if name else "cert.pem")).write_text(issued.chain_pem)
    (tmp_path / "root.pem").write_text(make_cert_pem(pki.root.cert))
    both = make_cert_pem(pki.root.cert, pki.other_root.cert)
    (tmp_path / "authorities.pem").write_text(both)
    return tmp_path


def _client(
    broker: Any, dial: Any, packet: Any, name: str, version: ssl.TLSVersion | None = None
) -> Any:
    """A connected MQTT 5 client with the certificate of a file."""
    folder: Path = broker.folder
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    client = dial(broker.ports["ssl:default"], context)
    head = client.ask(packet(name, level=5), 2)
    assert head[:1] == CONNACK
    assert client.read(head[1])[1] == 0
    return client


def _reload(broker: Any) -> None:
    broker.lines.clear()
    broker.process.send_signal(signal.SIGHUP)
    line = broker.wait_for("reload (SIGHUP)")
    assert "changed nothing" not in line, "\n".join(broker.lines)


def _is_cut(client: Any) -> bool:
    """Whether 0x87, Not authorized, comes within the time."""
    begun = time.monotonic()
    client.socket.settimeout(SECONDS + 5)
    head = client.read(3)
    assert head[:1] == b"\xe0"
    assert head[2] == 0x87
    return time.monotonic() - begun < SECONDS


def _lives(client: Any) -> bool:
    return bool(client.ask(b"\xc0\x00", 2) == b"\xd0\x00")


def test_clients_of_an_authority_that_was_removed(
    folder: Path, start_broker: Any, dial: Any, packet: Any
) -> None:
    broker = start_broker(MUTUAL.replace("MORE", ""), folder)
    kept, cut = (_client(broker, dial, packet, name) for name in ("client", "other"))
    (folder / "authorities.pem").write_bytes((folder / "root.pem").read_bytes())
    _reload(broker)
    assert _is_cut(cut)
    assert _lives(kept)
    broker.wait_for("session ended on ssl:default: client other")


def test_clients_stay_where_live_enforcement_is_off(
    folder: Path, start_broker: Any, dial: Any, packet: Any
) -> None:
    broker = start_broker(MUTUAL.replace("MORE", "live_enforcement = false"), folder)
    client = _client(broker, dial, packet, "other")
    (folder / "authorities.pem").write_bytes((folder / "root.pem").read_bytes())
    _reload(broker)
    assert _lives(client)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        _client(broker, dial, packet, "other")


def test_clients_that_a_list_in_a_file_revokes(
    folder: Path, start_broker: Any, dial: Any, packet: Any, pki: Any
) -> None:
    (folder / "lists").mkdir()
    for name, authority in (("root", pki.root), ("other", pki.other_root)):
        (folder / f"lists/{name}.crl").write_bytes(_lists(authority))
    config = MUTUAL.replace("MORE", "enable_crl_check = true") + "crl_cache.directory = lists\n"
    broker = start_broker(config, folder)
    kept, cut = (_client(broker, dial, packet, name) for name in ("client", "other"))
    (folder / "lists/other.crl").write_bytes(_lists(pki.other_root, pki.stranger))
    _reload(broker)
    assert _is_cut(cut)
    assert _lives(kept)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            _client(broker, dial, packet, "other", version)
    # a list that is no list changes nothing
    (folder / "lists/other.crl").write_text("garbage")
    broker.lines.clear()
    broker.process.send_signal(signal.SIGHUP)
    assert "changed nothing" in broker.wait_for("reload (SIGHUP)")
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        _client(broker, dial, packet, "other")
    assert _lives(kept)


PSK = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = key.pem, certfile = cert.pem
    versions = ["tlsv1.2"], ciphers = "PSK-AES256-GCM-SHA384,ECDHE-PSK-AES256-CBC-SHA"
  }
}
psk_authentication { enable = true, init_file = psk.txt }
reload_interval = 0s
"""
KEYS = {"one": "11" * 32, "two": "22" * 32, "three": "33" * 32}


def test_clients_whose_key_was_removed_or_changed(
    folder: Path, start_broker: Any, spawn: Any
) -> None:
    def write(**keys: str) -> None:
        lines = "".join(f"{name}:{key}\n" for name, key in keys.items())
        (folder / "psk.txt").write_text(lines)

    write(**KEYS)
    broker = start_broker(PSK, folder)
    clients = {
        name: spawn(
            "mosquitto_sub", "-h", "127.0.0.1", "-p", broker.ports["ssl:default"], "-V", "5",
            "--psk-identity", name, "--psk", key, "-t", "x", "-i", name, "-d",
        )
        for name, key in KEYS.items()
    }  # fmt: skip
    for name in KEYS:
        broker.wait_for(f"as {name} ")
    write(one=KEYS["one"], two="44" * 32)
    _reload(broker)
    begun = time.monotonic()
    assert "pre-shared key changed" in broker.wait_for("client two [")
    assert "pre-shared key withdrawn" in broker.wait_for("client three [")
    assert time.monotonic() - begun < SECONDS
    assert not any("client one [" in line for line in broker.lines)
    assert clients["one"].poll() is None
    # one bad line: all the others stay as they are
    (folder / "psk.txt").write_text(f"one:{'55' * 32}\nno separator\nshort:12\n")
    broker.lines.clear()
    broker.process.send_signal(signal.SIGHUP)
    assert "changed nothing" in broker.wait_for("reload (SIGHUP)")
    assert sum("reload refused" in line for line in broker.lines) >= 2
    assert not any("55" * 32 in line for line in broker.lines)
    assert not any("client one [" in line for line in broker.lines)
