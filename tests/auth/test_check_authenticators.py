"""What mqttd check says of authenticators: every mistake, its place and its cure; no secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttd.auth.check import check_authenticators
from mqttd.config.errors import Finding
from mqttd.config.lint import lint
from mqttd.config.load import load_text

Findings = Callable[[str], dict[str, Finding]]
TLS = "listeners.ssl.a { bind = 8883, max_connections = 9, ssl_options { %s } }\n"


@pytest.fixture
def findings(tmp_path: Path) -> Findings:
    """Findings of one authenticator, by path."""
    (tmp_path / "users").write_text("# users\nann:$6$s3cret\nbob\n\xff")
    (tmp_path / "users").chmod(0o644)

    def call(text: str) -> dict[str, Finding]:
        loaded = load_text(f"listeners.tcp.a.bind = 1883\nauthentication {{ {text} }}")
        found = list(check_authenticators(loaded.configuration.authentication, tmp_path))
        assert "s3cret" not in repr(found)
        return {each.path: each for each in found}

    return call


@pytest.mark.parametrize(
    ("text", "path", "message", "cure"),
    [
        ("mechanism = jwtt", "mechanism", "no authenticator plugin", 'mechanism = "jwt"'),
        ("mechanism = own", "mechanism", "no authenticator plugin", "install the plugin"),
        (
            "backend = built_in_databse",
            "backend",
            "no authenticator plugin",
            'mechanism = "password_based", backend = "built_in_database"',
        ),
        ("backend = built_in_database", "file", "is not set", "path of a file"),
        ("mechanism = scram", "file", "is not set", "path of a file"),
        ("mechanism = scram, file = none", "file", "none does not exist", "create it"),
        ("mechanism = cred", "checker", "is not set", '"file:/etc/mqttd/passwords"'),
        (
            'mechanism = cred, checker = "memory:s3cret"',
            "checker",
            "memory is no checker",
            "--help-auth",
        ),
        ('mechanism = cred, checker = "file:/no/such"', "checker", "does not exist", "create it"),
        (
            "mechanism = certificate, fingerprints = [s3cret]",
            "fingerprints",
            "64 digits",
            "openssl x509",
        ),
    ],
)
def test_one_mistake(findings: Findings, text: str, path: str, message: str, cure: str) -> None:
    found = findings(text)[f"authentication.{path}"]
    assert found.severity == "error"
    assert message in found.message
    assert cure in found.cure


def test_files_are_named_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"# users\nann:$6$s3cret\nbob\n\xff:x\n")
    (tmp_path / "users").chmod(0o604)
    loaded = load_text(
        "listeners.tcp.a.bind = 1883\nauthentication { backend = built_in_database, file = users }"
    )
    found = list(check_authenticators(loaded.configuration.authentication, tmp_path))
    assert {each.path for each in found} == {"authentication.file"}
    texts = [each.message.partition("users ")[2] for each in found]
    assert texts[0].startswith("line 2: the hash is no proper $6$ hash")
    assert texts[1:3] == ["line 3: is not NAME:HASH", "line 4: is not UTF-8"]
    assert texts[3] == "can be read by everybody (0604)"
    assert "s3cret" not in repr(found)


def test_what_is_not_enabled_is_not_looked_at(findings: Findings) -> None:
    assert findings("mechanism = jwtt, enable = false") == {}


def warnings(text: str) -> dict[str, str]:
    return {each.path: each.message for each in lint(load_text(text).configuration)}


def test_who_lets_everybody_in_is_named() -> None:
    plain = 'listeners.tcp.%s { bind = "127.0.0.1:%d", max_connections = 9, %s }\n'
    own = "authentication { mechanism = scram, file = x, enable = %s }"
    good = plain % ("a", 1883, own % "true")
    assert warnings(good) == {}
    for other in ("", own % "false"):
        found = warnings(good + plain % ("b", 1884, other))
        assert "everybody" in found["authentication"]
    found = warnings(good + plain % ("b", 1884, own % "false") + own % "true")
    assert found == {}
    off = plain % ("c", 1885, "enable_authn = false")
    assert "authenticated" in warnings(good + own % "true\n" + off)["listeners.tcp.c.enable_authn"]


@pytest.mark.parametrize(
    ("listener", "useful"),
    [
        ("listeners.tcp.a.bind = 1883\n", False),
        (TLS % "verify = verify_none", False),
        (TLS % "verify = verify_peer, cacertfile = ca.pem, fail_if_no_peer_cert = false", True),
    ],
)
def test_certificates_that_nobody_looks_at(listener: str, useful: bool) -> None:
    found = warnings(listener + "authentication { mechanism = certificate }")
    assert ("lets nobody in" in found.get("authentication", "")) is not useful


def test_keys_that_nobody_can_prove() -> None:
    text = TLS % 'versions = ["tlsv1.2"], ciphers = "PSK-AES128-GCM-SHA256"'
    text += "authentication { mechanism = psk }\n"
    assert "lets nobody in" in warnings(text)["authentication"]
    text += 'psk_authentication { enable = true, init_file = "init.psk" }\n'
    assert "authentication" not in warnings(text)
