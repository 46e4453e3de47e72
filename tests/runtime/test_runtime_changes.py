"""What differs between two configurations, which files they name, and what needs a restart."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from mqttd.config.load import load_configuration, load_text
from mqttd.runtime.changes import differences, needs_restart
from mqttd.runtime.sources import digests, look, named_files

BASE = 'listeners.ssl.a { bind = "127.0.0.1:1" }\n'


def changes(new: str, old: str = BASE) -> list[str]:
    return differences(load_text(old).configuration, load_text(new).configuration)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", []),
        ("listeners.ssl.a.max_connections = 5", ["listeners.ssl.a.max_connections"]),
        ('listeners.ssl.a.bind = "127.0.0.1:2"', ["listeners.ssl.a.bind"]),
        ("listeners.ssl.a.max_conn_rate = 5/s", ["listeners.ssl.a.max_conn_rate"]),
        ("listeners.ssl.a.ssl_options.password = x", ["listeners.ssl.a.ssl_options.password"]),
        (
            'listeners.ssl.a.ssl_options.sni { "x.y" { keyfile = k, certfile = c } }',
            ["listeners.ssl.a.ssl_options.sni.x.y"],
        ),
        ("listeners.tcp.b.bind = 3", ["listeners.tcp.b"]),
        ("mqtt.max_inflight = 3", ["mqtt.max_inflight"]),
        ("mqtt.max_mqueue_len = 3", ["mqtt.max_mqueue_len"]),
        ("reload_interval = 3s", ["reload_interval"]),
        ("listeners.ssl.a.acceptors = 3", []),  # has no effect here
    ],
)
def test_each_change_has_the_path_of_its_option(more: str, expected: list[str]) -> None:
    assert changes(BASE + more) == expected
    assert changes(BASE, BASE + more) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("mqtt.max_mqueue_len", True),
        ("mqtt.shared_subscription_strategy", True),
        ("mqtt.max_inflight", False),
        ("control.socket", True),
        ("log.console.level", False),
        ("log.file.path", True),
        ("listeners.tcp.a.tcp_options.backlog", True),
        ("listeners.tcp.a.tcp_options.nodelay", False),
        ("listeners.tcp.a.bind", False),
    ],
)
def test_what_needs_a_restart(path: str, expected: bool) -> None:
    assert needs_restart(path) is expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crl").mkdir()
    for name in ("key.pem", "cert.pem", "psk.txt", "crl/a.crl", "crl/b.txt", "secret"):
        (tmp_path / name).write_text(name)
    (tmp_path / "more.conf").write_text("mqtt.max_inflight = 3\n")
    (tmp_path / "mqttd.conf").write_text(
        """
        include "more.conf"
        listeners.ssl.a {
          bind = 1, ssl_options {
            keyfile = key.pem, certfile = cert.pem, password = "file://secret"
            sni { "x.org" { keyfile = other.key, certfile = "/absolute.pem" } }
          }
        }
        listeners.ssl.off { enable = false, ssl_options.keyfile = never.pem }
        psk_authentication { enable = true, init_file = psk.txt }
        crl_cache { files = [own.crl], directory = crl }
        log.file.path = "log/x.log"
        """
    )
    return tmp_path


def loaded(folder: Path) -> Any:
    return load_configuration(folder / "mqttd.conf", {}, base_dir=folder)


def test_every_file_that_is_read_is_named(folder: Path) -> None:
    files = {
        str(file.relative_to(folder) if file.is_relative_to(folder) else file): option
        for file, option in named_files(loaded(folder)).items()
    }
    tls = "listeners.ssl.a.ssl_options"
    assert files == {
        "mqttd.conf": "",
        "more.conf": "",
        "secret": "",
        "key.pem": f"{tls}.keyfile",
        "cert.pem": f"{tls}.certfile",
        "other.key": f"{tls}.sni.x.org.keyfile",
        "/absolute.pem": f"{tls}.sni.x.org.certfile",
        "psk.txt": "psk_authentication.init_file",
        "own.crl": "crl_cache.files",
        "crl": "crl_cache.directory",
        "crl/a.crl": "crl_cache.directory",
    }


def test_a_look_sees_each_kind_of_change(folder: Path) -> None:
    configuration = loaded(folder)
    looks = [look(configuration)]
    (folder / "cert.pem").write_text("longer than before")
    looks.append(look(configuration))
    os.utime(folder / "key.pem", ns=(1, 1))
    looks.append(look(configuration))
    (folder / "new").write_text("psk.txt")
    (folder / "new").replace(folder / "psk.txt")
    looks.append(look(configuration))
    (folder / "key.pem").unlink()
    looks.append(look(configuration))
    (folder / "crl/new.crl").write_text("")
    looks.append(look(configuration))
    assert all(one != other for one, other in itertools.pairwise(looks))
    assert look(configuration) == looks[-1]


def test_a_digest_sees_content_only(folder: Path) -> None:
    configuration = loaded(folder)
    before = digests(configuration)
    os.utime(folder / "key.pem", ns=(1, 1))
    assert digests(configuration) == before
    (folder / "key.pem").write_text("other")
    after = digests(configuration)
    assert [file.name for file in before if before[file] != after[file]] == ["key.pem"]


def test_inline_pem_is_no_file() -> None:
    text = 'listeners.ssl.a.ssl_options.certfile = """-----BEGIN CERTIFICATE-----"""'
    assert all("BEGIN" not in str(file) for file in named_files(load_text(text)))
