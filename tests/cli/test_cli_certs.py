"""``mqttd certs``: a day with the little authority, wrong use, and what is printed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mqttd.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def certs(*words: str) -> int:
    return main(["certs", *words])


def test_a_day_with_the_authority(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert certs("ca", "ca", "--cn", "Home", "--days", "1000") == 0
    assert certs("server", "--ca", "ca", "--san", "localhost,127.0.0.1", "--out", "out/mqtt") == 0
    assert certs("client", "--ca", "ca", "--cn", "dev/1", "--crl-url", "http://h/c.crl") == 0
    assert certs("ocsp-signer", "--ca", "ca") == 0
    assert "made dev_1.pem and dev_1.key" in capsys.readouterr().out
    assert certs("verify", "dev_1.pem", "--ca", "ca/ca.pem", "--purpose", "client") == 0
    assert certs("verify", "out/mqtt.pem", "--ca", "ca/ca.pem", "--host", "127.0.0.1") == 0
    assert certs("check", "out/mqtt.pem", "--key", "out/mqtt.key", "--chain", "ca/ca.pem",
                 "--client-ca", "ca/ca.pem", "--profile", "cloud") == 0  # fmt: skip
    assert capsys.readouterr().out.endswith("usable\n")
    assert certs("revoke", "--ca", "ca", "dev_1.pem", "--out", "www/c.crl") == 1
    os.mkdir("www")
    assert certs("revoke", "--ca", "ca", "dev_1.pem", "--out", "www/c.crl", "--der") == 0
    assert (here / "www/c.crl").read_bytes()[:1] == b"\x30"
    capsys.readouterr()
    assert certs("verify", "dev_1.pem", "--ca", "ca/ca.pem", "--crl", "ca/crl.pem") == 1
    assert "dev_1.pem: certificate revoked" in capsys.readouterr().out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    certs("ca", "ca", "--key", "rsa:2048")
    certs("client", "--ca", "ca", "--cn", "dev", "--ocsp-url", "http://h/o", "--san", "urn:d:1")
    certs("crl", "--ca", "ca")
    capsys.readouterr()
    assert certs("show", "dev.pem") == 0
    said = capsys.readouterr().out
    assert "subject: CN=dev\n" in said
    assert "names: urn:d:1\n" in said
    assert "ocsp urls: http://h/o" in said
    assert certs("show", "dev.pem", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["issuer"], shown["days_left"], shown["ca"]) == ("CN=mqttd CA", 364, False)
    assert certs("revoke", "--ca", "ca", shown["serial"]) == 0
    capsys.readouterr()
    assert certs("show", "ca/crl.pem") == 0
    assert f"revoked: {shown['serial']} on " in capsys.readouterr().out


def test_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    certs("ca", "ca")
    certs("server", "--ca", "ca", "--san", "localhost", "--days", "20")
    capsys.readouterr()
    assert certs("check", "localhost.pem", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    rules = {rule["rule"]: rule for rule in said["rules"]}
    assert not rules["validity"]["ok"]
    assert rules["validity"]["findings"][0]["severity"] == "warning"
    assert not rules["key-match"]["checked"]
    assert certs("check", "localhost.pem", "--profile", "cloud") == 1
    assert "error: validity: the certificate has 19 days left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ca", "ca"], "ca holds an authority already"),
        (["server", "--ca", "none", "--san", "h"], "does not exist"),
        (["server", "--ca", "ca", "--san", ","], "--san is empty"),
        (["server", "--ca", "ca", "--san", "a b"], "is no host name"),
        (
            ["client", "--ca", "ca", "--cn", "d", "--crl-url", "ftp://h"],
            "no http or https address",
        ),
        (["client", "--ca", "ca", "--cn", "x" * 65], "64"),
        (["revoke", "--ca", "ca", "none.pem"], "neither a file nor a serial number"),
        (["revoke", "--ca", "ca", "AB"], "no certificate with serial number AB"),
        (["show", "none.pem"], "does not exist"),
        (["verify", "ca/ca.pem", "--ca", "ca/index.txt"], "is empty"),
        (["split", "ca/ca.key", "--out-dir", "x"], "holds no certificate"),
    ],
)
def test_what_cannot_be_done(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    certs("ca", "ca")
    capsys.readouterr()
    assert certs(*words) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["ca"], ["ca", "x", "--days", "0"], ["ca", "x", "--key", "dsa"], ["client"]]
)
def test_wrong_use(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        certs(*words)
    assert caught.value.code == 2


def test_a_name_leads_to_no_other_folder(here: Path) -> None:
    certs("ca", "ca")
    assert certs("client", "--ca", "ca", "--cn", "../../etc/x") == 0
    assert (here / "_.._etc_x.pem").exists()
