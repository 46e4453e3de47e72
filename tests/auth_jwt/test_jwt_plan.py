"""Findings about the options, all in one run, and the options' own forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.auth.check import check_authenticators
from mqttd.auth.jwt_keys import HMAC, PUBLIC
from mqttd.auth.jwt_plan import prepare
from mqttd.config.load import load_text
from mqttd.config.schema.authentication_jwt import JwtOptions
from mqttd.config.structure import structure

LONG = "a secret of 64 bytes, which is as many as the largest hash needs"
TIED = {"verify_claims": {"username": "${username}"}}


def test_nothing_to_say_of_good_options(findings_of: Callable[..., Any], keys: Any) -> None:
    assert findings_of(secret=LONG, **TIED) == {}
    assert findings_of(public_key=keys.pem("p256"), **TIED) == {}
    assert findings_of(endpoint="https://id.test/jwks", audience="mqtt", **TIED) == {}
    assert findings_of(secret=LONG, username_claim="sub") == {}
    assert findings_of(secret=LONG, **{"from": "username"}) == {}


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ({}, ""),
        ({"secret": LONG, "public_key": "PEM"}, ""),
        ({"secret": LONG, "endpoint": "https://id.test/"}, ""),
        ({"use_jwks": True}, "endpoint"),
        ({"use_jwks": False, "endpoint": "https://id.test/"}, ""),
        ({"algorithm": "hmac-based"}, "secret"),
        ({"algorithm": "hmac-based", "public_key": "PEM"}, "secret"),
        ({"algorithm": "public-key", "secret": LONG}, "public_key"),
        ({"secret": ""}, "secret"),
        ({"secret": "!!", "secret_base64_encoded": True}, "secret"),
        ({"secret": "é", "secret_base64_encoded": True}, "secret"),
        ({"secret": "PEM"}, "secret"),
        ({"public_key": "no/such.pem"}, "public_key"),
        ({"public_key": "-----BEGIN PUBLIC KEY-----"}, "public_key"),
        ({"endpoint": "ftp://id.test/"}, "endpoint"),
        ({"endpoint": "id.test/jwks"}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "https://id.test:0/"}, "endpoint"),
        ({"endpoint": "https://id.test:x/"}, "endpoint"),
        ({"endpoint": "https://[::1/"}, "endpoint"),
        ({"endpoint": "https://u:p@id.test/"}, "endpoint"),
        ({"endpoint": "https://id.test/a b"}, "endpoint"),
        ({"endpoint": "https://id.test/", "ssl": {"enable": False}}, "ssl.enable"),
        ({"endpoint": "https://id.test/", "ssl": {"cacertfile": "no.pem"}}, "ssl.cacertfile"),
        ({"endpoint": "https://id.test/", "headers": {"Host": "x"}}, "headers.Host"),
        ({"endpoint": "https://id.test/", "headers": {"a b": "x"}}, "headers.a b"),
        ({"endpoint": "https://id.test/", "headers": {"a": "x\ny"}}, "headers.a"),
        ({"endpoint": "https://id.test/", "keys_max_age": "1m"}, "keys_max_age"),
        ({"secret": LONG, "algorithms": "none"}, "algorithms"),
        ({"secret": LONG, "algorithms": "RS256"}, "algorithms"),
        ({"secret": LONG, "algorithms": "XX"}, "algorithms"),
        ({"endpoint": "https://id.test/", "algorithms": "HS256"}, "algorithms"),
        ({"public_key": "PEM", "algorithms": "ES256"}, "algorithms"),
        ({"secret": LONG, "verify_claims": {"a": "${usernam}"}}, "verify_claims.a"),
        ({"secret": LONG, "verify_claims": {"a": "${password}"}}, "verify_claims.a"),
        (
            {"secret": LONG, "from": "username", "verify_claims": {"a": "${username}"}},
            "verify_claims.a",
        ),
    ],
    ids=range(36),
)
def test_errors(
    section: dict[str, Any], option: str, findings_of: Callable[..., Any], keys: Any
) -> None:
    pem = keys.pem("rsa")
    given = {name: pem if value == "PEM" else value for name, value in section.items()}
    found = findings_of(**given)
    assert ("error", option) in found
    for finding in found.values():
        assert LONG not in finding.text
        assert finding.cure


@pytest.mark.parametrize(
    ("section", "severity", "option"),
    [
        ({"secret": "short", **TIED}, "warning", "secret"),
        ({"secret": LONG}, "warning", "verify_claims"),
        ({"secret": LONG, "verify_claims": {"a": "fixed"}}, "warning", "verify_claims"),
        ({"secret": LONG, "require_exp": False, **TIED}, "warning", "require_exp"),
        ({"endpoint": "http://id.test/", **TIED}, "warning", "endpoint"),
        ({"endpoint": "https://id.test/", **TIED}, "notice", "audience"),
        ({"endpoint": "http://127.0.0.1/", "ssl": {}, **TIED}, "warning", "ssl"),
        ({"secret": LONG, "ssl": {}, **TIED}, "warning", "ssl"),
        (
            {"secret": LONG, "use_jwks": True, "endpoint": "https://id.test/"},
            "warning",
            "secret",
        ),
    ],
    ids=range(9),
)
def test_what_is_risky_or_without_effect(
    section: dict[str, Any], severity: str, option: str, findings_of: Callable[..., Any]
) -> None:
    found = findings_of(**section)
    assert (severity, option) in found
    assert not [each for each in found if each[0] == "error"]


def test_a_plain_address_of_this_machine_is_fine(findings_of: Callable[..., Any]) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert findings_of(endpoint=f"http://{host}:8080/jwks", audience="a", **TIED) == {}


def test_everything_wrong_is_found_in_one_run(findings_of: Callable[..., Any]) -> None:
    found = findings_of(
        endpoint="ftp://x/", algorithms="none", verify_claims={"a": "${x}", "b": "${y}"}
    )
    assert [each for each in found if each[0] == "error"] == [
        ("error", "algorithms"),
        ("error", "endpoint"),
        ("error", "verify_claims.a"),
        ("error", "verify_claims.b"),
    ]


def test_the_configuration_is_looked_at_whole(tmp_path: Path) -> None:
    loaded = load_text(
        """
        authentication { mechanism = jwt, public_key = "no.pem", algorithms = none }
        listeners.tcp.own {
          bind = "127.0.0.1:0"
          authentication = [{ mechanism = jwt, use_jwks = true, endpoint = "ldap://x" }]
        }
        """,
        base_dir=tmp_path,
        name="mqttd.conf",
    )
    configuration = loaded.configuration
    listener = configuration.listeners.tcp["own"]
    found = [
        *check_authenticators(configuration.authentication, tmp_path),
        *check_authenticators(listener.authentication, tmp_path),
    ]
    own = "listeners.tcp.own.authentication"
    assert [each.path for each in found if each.severity == "error"] == [
        "authentication.algorithms",
        "authentication.public_key",
        f"{own}.endpoint",
    ]


def test_weak_keys_of_a_file_are_named(
    findings_of: Callable[..., Any], keys: Any, tmp_path: Path
) -> None:
    (tmp_path / "weak.pem").write_text(keys.pem("p256", "rsa1024"))
    found = findings_of(public_key="weak.pem")["error", "public_key"]
    assert "weak.pem: key 2 is RSA with 1024 bits" in found.message


def test_algorithms_are_those_of_the_source(
    options_of: Callable[..., JwtOptions], keys: Any, tmp_path: Path
) -> None:
    def chosen(**section: Any) -> frozenset[str]:
        plan = prepare(options_of(**section), "a", tmp_path)[0]
        assert plan is not None
        return plan.algorithms

    assert chosen(secret=LONG) == HMAC
    assert chosen(secret=LONG, algorithms=["hs512"]) == {"HS512"}
    assert chosen(public_key=keys.pem("rsa")) == PUBLIC
    assert chosen(endpoint="https://id.test/", algorithms="RS256,ES256") == {"RS256", "ES256"}


def test_a_secret_in_base64(local: Callable[..., Any], keys: Any, request_with: Any) -> None:
    import base64

    text = base64.b64encode(LONG.encode()).decode()
    authenticator = local(secret=text, secret_base64_encoded=True)
    assert authenticator.authenticate(request_with(keys.token())).username == "alice"


def test_emqx_forms_are_read(tmp_path: Path) -> None:
    """``from``, claims as a list, and an interval in seconds."""
    options, findings = structure(
        {
            "from": "username",
            "use_jwks": True,
            "endpoint": "https://id.test/",
            "refresh_interval": 300,
            "pool_size": 8,
            "verify_claims": [{"name": "a", "value": "${clientid}"}],
        },
        JwtOptions,
        tmp_path,
        "authentication",
    )
    assert options.from_ == "username"
    assert options.refresh_interval == 300.0
    assert options.verify_claims == {"a": "${clientid}"}
    assert [(each.severity, each.path) for each in findings] == [
        ("warning", "authentication.pool_size")
    ]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"from": "header"}, "authentication.from"),
        ({"frm": "password"}, "authentication.frm"),
        ({"refresh_interval": 0}, "authentication.refresh_interval"),
        ({"refresh_interval": True}, "authentication.refresh_interval"),
        ({"verify_claims": "a"}, "authentication.verify_claims"),
        ({"verify_claims": {"a": {"b": "c"}}}, "authentication.verify_claims"),
        ({"verify_claims": [{"name": "a"}]}, "authentication.verify_claims"),
        ({"verify_claims": [{"name": "a", "value": 1}] * 2}, "authentication.verify_claims"),
        ({"max_token_size": "1MB"}, "authentication.max_token_size"),
        ({"algorithm": "rsa"}, "authentication.algorithm"),
    ],
    ids=range(10),
)
def test_values_that_options_cannot_take(
    section: dict[str, Any], path: str, tmp_path: Path
) -> None:
    findings = structure(section, JwtOptions, tmp_path, "authentication")[1]
    assert [each.path for each in findings if each.severity == "error"] == [path]


def test_nothing_secret_is_in_a_repr(options_of: Callable[..., JwtOptions]) -> None:
    options = options_of(
        secret=LONG, endpoint="https://id.test/?key=hidden", headers={"authorization": "hidden"}
    )
    assert LONG not in repr(options)
    assert "hidden" not in repr(options)
