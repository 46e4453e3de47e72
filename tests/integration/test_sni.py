"""Certificates and the demand for client certificates by the name a client asks for."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

CONFIG = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = key.pem, certfile = cert.pem
    sni {
      "devices.example.com" {
        keyfile = devices-key.pem, certfile = devices.pem
        verify = verify_peer, cacertfile = root.pem
      }
      "*.example.com" { keyfile = any-key.pem, certfile = any.pem }
    }
  }
}
reload_interval = 0s
"""
CONNACK = b"\x20\x02\x00\x00"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def _names(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


@pytest.fixture(scope="module")
def broker(
    pki: Any, start_broker: Any, make_cert_pem: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("sni")
    issued = {
        "": pki.ec,
        "devices": pki.intermediate.issue("devices", san=_names("devices.example.com")),
        "any": pki.intermediate.issue("any", san=_names("*.example.com")),
        "client": pki.client_ec,
        "stranger": pki.stranger,
    }
    for name, each in issued.items():
        (folder / (f"{name}-key.pem" if name else "key.pem")).write_text(each.key_pem)
        (folder / (f"{name}.pem" if name else "cert.pem")).write_text(each.chain_pem)
    (folder / "root.pem").write_text(make_cert_pem(pki.root.cert))
    return start_broker(CONFIG, folder)


@pytest.fixture
def shown(broker: Any, run: Any) -> Callable[..., str]:
    """The subject of the certificate that s_client gets, its chain and name checked."""

    def call(*options: str) -> str:
        done = run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{broker.ports['ssl:default']}",
            "-CAfile", broker.folder / "root.pem", "-verify_return_error", *options,
        )  # fmt: skip
        line: str = next(each for each in done.output.splitlines() if each.startswith("subject="))
        return line.replace(" ", "").removeprefix("subject=CN=")

    return call


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("devices.example.com", "devices"),
        ("DEVICES.example.com", "devices"),
        ("other.example.com", "any"),
        ("two.labels.example.com", "localhost"),
        ("example.com", "localhost"),
        ("localhost", "localhost"),
    ],
)
def test_each_name_has_its_certificate(shown: Any, version: str, name: str, subject: str) -> None:
    assert shown("-servername", name, version) == subject


def test_no_name_gets_the_default(shown: Any) -> None:
    assert shown("-noservername") == "localhost"


def _admitted(
    broker: Any, name: str, version: ssl.TLSVersion, certificate: str | None = None
) -> bool:
    folder: Path = broker.folder
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.minimum_version = context.maximum_version = version
    if certificate is not None:
        context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}-key.pem")
    port = broker.ports["ssl:default"]
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
            return secure.recv(4) == CONNACK
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_the_demand_for_a_certificate_follows_the_name(
    broker: Any, version: ssl.TLSVersion
) -> None:
    assert not _admitted(broker, "devices.example.com", version)
    assert not _admitted(broker, "devices.example.com", version, "stranger")
    assert _admitted(broker, "devices.example.com", version, "client")
    assert _admitted(broker, "other.example.com", version)
    assert _admitted(broker, "localhost", version)


def test_the_name_is_not_a_way_around_a_listener_that_demands_one(
    pki: Any, start_broker: Any, broker: Any, tmp_path: Path
) -> None:
    """The default demands, one name does not: only that name gets in without."""
    for file in broker.folder.glob("*.pem"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    other = start_broker(
        """
        listeners.ssl.default {
          bind = "127.0.0.1:0"
          ssl_options {
            keyfile = key.pem, certfile = cert.pem, verify = verify_peer, cacertfile = root.pem
            sni {
              "open.example.com" {
                keyfile = any-key.pem, certfile = any.pem, verify = verify_none
              }
              "devices.example.com" { keyfile = devices-key.pem, certfile = devices.pem }
            }
          }
        }
        """,
        tmp_path,
    )
    for version in (TLS12, TLS13):
        assert _admitted(other, "open.example.com", version)
        assert not _admitted(other, "localhost", version)
        assert not _admitted(other, "devices.example.com", version)
        assert _admitted(other, "devices.example.com", version, "client")


def test_every_error_of_every_name_is_found_in_one_run(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mqttd.conf").write_text(CONFIG)
    (tmp_path / "any.pem").write_text("garbage")
    done = run(Path(sys.executable).with_name("mqttd"), "check", "-c", "mqttd.conf", cwd=tmp_path)
    assert done.status == 1
    for option in (
        "keyfile",
        "certfile",
        "sni.devices.example.com.keyfile",
        "sni.devices.example.com.certfile",
        "sni.devices.example.com.cacertfile",
        "sni.*.example.com.keyfile",
        "sni.*.example.com.certfile",
    ):
        assert f"error: listeners.ssl.default.ssl_options.{option}" in done.output
