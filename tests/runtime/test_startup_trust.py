"""What the start and ``mqttd check`` find in the files of revocation, stapling and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.startup import check_everything, load

TLS = "listeners.ssl.a.ssl_options"
PEER = "verify = verify_peer, cacertfile = ca.pem"


@pytest.fixture
def folder(tmp_path: Path, pki: Any) -> Path:
    (tmp_path / "cert.pem").write_text(pki.ec.chain_pem)
    (tmp_path / "key.pem").write_text(pki.ec.key_pem)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(pki.root.cert.public_bytes(Encoding.PEM))
    (tmp_path / "garbage").write_text("garbage")
    return tmp_path


def config(options: str, more: str = "") -> str:
    files = "keyfile = key.pem, certfile = cert.pem"
    return f"listeners.ssl.a {{ bind = 0, ssl_options {{ {files}, {options} }} }}\n{more}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            config("", "psk_authentication { enable = true, init_file = gone }"),
            "psk_authentication.init_file",
        ),
        (
            config("", "psk_authentication { enable = true, init_file = garbage }"),
            "psk_authentication.init_file",
        ),
        (
            config("", "psk_authentication { enable = true, store = nowhere }"),
            "psk_authentication.store",
        ),
        (
            config(f"{PEER}, enable_crl_check = true", "crl_cache.files = [garbage]"),
            "crl_cache.files",
        ),
        (
            config(f"{PEER}, enable_crl_check = true", "crl_cache.directory = gone"),
            "crl_cache.directory",
        ),
        (
            config(f"{PEER}, enable_crl_check = true", "crl_cache.ssl.cacertfile = gone"),
            "crl_cache.ssl.cacertfile",
        ),
        (
            config(f"{PEER}, ocsp_client {{ enable = true, ssl.cacertfile = gone }}"),
            f"{TLS}.ocsp_client.ssl.cacertfile",
        ),
        (config("ocsp.enable_ocsp_stapling = true"), f"{TLS}.ocsp.responder_url"),
        (
            config(
                'ocsp { enable_ocsp_stapling = true, responder_url = "http://localhost:1/"\n'
                "issuer_pem = ca.pem }"
            ),
            f"{TLS}.ocsp.issuer_pem",
        ),
        (
            config('sni { "x.org" { certfile = cert.pem, keyfile = gone } }'),
            f"{TLS}.sni.x.org.keyfile",
        ),
        (
            config(
                'sni { "x.org" { certfile = cert.pem, keyfile = key.pem\n'
                "ocsp.enable_ocsp_stapling = true } }"
            ),
            f"{TLS}.sni.x.org.ocsp.responder_url",
        ),
        (config(f"{PEER}, revocation_checkers = [gone]"), f"{TLS}.revocation_checkers"),
        (config(f"{PEER}, revocation_checkers = [crl]"), f"{TLS}.revocation_checkers"),
    ],
)
def test_each_error_has_the_path_of_its_option(folder: Path, text: str, path: str) -> None:
    findings = check_everything(load_text(text, base_dir=folder))
    assert {each.path for each in findings if each.severity == "error"} == {path}


def test_what_is_off_is_not_looked_at(folder: Path) -> None:
    text = config(
        "ocsp { issuer_pem = gone }, ocsp_client { ssl.cacertfile = gone }",
        "crl_cache { files = [gone], directory = gone }\npsk_authentication.init_file = gone",
    )
    findings = check_everything(load_text(text, base_dir=folder))
    assert not [each for each in findings if each.severity == "error"]


def test_wrong_options_and_wrong_files_are_found_in_one_run(folder: Path) -> None:
    text = config(
        f"{PEER}, enable_crl_check = true",
        """
        crl_cache { files = [garbage], check = nobody }
        mqtt.max_qos_allowed = 9
        psk_authentication { enable = true, init_file = gone }
        """,
    )
    (folder / "mqttd.conf").write_text(text)
    with pytest.raises(ConfigurationErrors) as caught:
        load(str(folder / "mqttd.conf"), folder)
    assert {each.path for each in caught.value.errors} == {
        "crl_cache.check",
        "crl_cache.files",
        "mqtt.max_qos_allowed",
        "psk_authentication.init_file",
    }


def test_one_mistake_of_many_names_is_told_once(folder: Path) -> None:
    sni = 'sni { "a.b" { keyfile = key.pem, certfile = cert.pem }, "*.b" { certfile = cert.pem } }'
    stapling = "ocsp { enable_ocsp_stapling = true, issuer_pem = gone, responder_url = nowhere }"
    (folder / "mqttd.conf").write_text(config(f"{stapling}, {sni}"))
    with pytest.raises(ConfigurationErrors) as raised:
        load(str(folder / "mqttd.conf"), folder)
    found = [str(finding) for finding in raised.value.errors]
    assert len(found) == len(set(found))
    assert any(f"{TLS}.ocsp.issuer_pem" in each for each in found)
