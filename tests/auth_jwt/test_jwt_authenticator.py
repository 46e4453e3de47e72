"""The authenticator with keys of its own: who comes in, who is refused, who is left to others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import maybeDeferred
from zope.interface.verify import verifyObject

from mqttd.auth.jwt_authenticator import JWTAuthenticator, make
from mqttd.auth.jwt_plan import prepare
from mqttd.config.errors import ConfigurationErrors
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.plugins import authenticator

NOW = 1_700_000_000.0
SECRET = "a secret of 64 bytes, which is as many as the largest hash needs"


@pytest.fixture
def refusal(request_with: Callable[..., ConnectRequest]) -> Callable[..., str]:
    """Why a token is refused; always with the same code."""

    def why(made: JWTAuthenticator, token: bytes, **changes: Any) -> str:
        with pytest.raises(Refused) as caught:
            made.authenticate(request_with(token, **changes))
        assert caught.value.reason_code == 0x86
        return caught.value.reason

    return why


def test_it_is_a_plugin_like_any_other(local: Callable[..., Any]) -> None:
    assert verifyObject(IAuthenticator, local(secret=SECRET))
    assert authenticator("jwt").description


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("HS256", ""),
        ("HS384", ""),
        ("HS512", ""),
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("ES512", "p521"),
        ("EdDSA", "ed25519"),
    ],
)
def test_a_good_token_lets_in(
    algorithm: str, kind: str, local: Callable[..., Any], keys: Any, request_with: Any
) -> None:
    made = local(public_key=keys.pem(kind)) if kind else local(secret=SECRET)
    token = keys.token(kind, algorithm)
    assert made.authenticate(request_with(token)) == Identity(
        username="alice", expires_at=NOW + 65
    )
    text = token.decode()
    assert text not in repr(made)


def test_a_token_as_the_user_name(local: Callable[..., Any], keys: Any, request_with: Any) -> None:
    made = local(secret=SECRET, **{"from": "username"})
    token = keys.token(sub="dev7")
    came_in = made.authenticate(request_with(None, username=token.decode()))
    assert came_in.username == "dev7"
    assert made.authenticate(request_with(token, username=None)) is None
    assert made.authenticate(request_with(token)) is None  # "alice" is no token


@pytest.mark.parametrize(
    "password", [None, b"", b"a password", b"a.b.c", b"\xff\xfe", b"a" * 9000]
)
def test_what_is_no_token_is_left_to_the_next(
    password: bytes | None, local: Callable[..., Any], request_with: Any
) -> None:
    assert local(secret=SECRET).authenticate(request_with(password)) is None


def test_too_large_to_be_read(
    local: Callable[..., Any], keys: Any, refusal: Callable[..., str]
) -> None:
    made = local(secret=SECRET, max_token_size="1KB")
    assert refusal(made, keys.token(more="x" * 1000)) == "the token is too large"
    assert refusal(made, b"x" * 1025) == "the token is too large"


def test_refusals_say_why_and_quote_nothing(
    local: Callable[..., Any], keys: Any, refusal: Callable[..., str]
) -> None:
    rsa = local(public_key=keys.pem("rsa"))
    good = keys.token("rsa", "RS256")
    head, payload, signature = good.split(b".")
    assert refusal(rsa, keys.token("rsa2", "RS256")) == "the token's signature is wrong"
    assert refusal(rsa, b".".join((head, payload, b""))) == "the token's signature is wrong"
    other = keys.token("rsa", "RS256", sub="other").split(b".")[1]
    assert refusal(rsa, b".".join((head, other, signature))) == "the token's signature is wrong"
    assert refusal(rsa, keys.token()) == "HS256 is not one of the accepted algorithms"
    assert refusal(rsa, keys.token("p256", "ES256")) == "the token's alg does not fit its key"
    assert refusal(rsa, keys.token("rsa", "RS256", exp=NOW - 10)) == "the token has expired"
    crit = keys.token("rsa", "RS256", headers={"crit": ["x"], "x": 1})
    assert "critical" in refusal(rsa, crit)


@pytest.mark.parametrize("name", ["none", "None", "NONE"])
def test_without_a_signature_nobody_comes_in(
    name: str, local: Callable[..., Any], keys: Any, refusal: Callable[..., str]
) -> None:
    import base64

    head = base64.urlsafe_b64encode(b'{"alg":"%s"}' % name.encode()).rstrip(b"=")
    payload = keys.token().split(b".")[1]
    for made in (local(secret=SECRET), local(public_key=keys.pem("rsa"))):
        for signature in (b"", b"AAAA", keys.token().split(b".")[2]):
            why = refusal(made, b".".join((head, payload, signature)))
            assert why.endswith("is not one of the accepted algorithms")


def test_only_the_listed_algorithms_count(
    local: Callable[..., Any], keys: Any, refusal: Callable[..., str], request_with: Any
) -> None:
    made = local(public_key=keys.pem("rsa"), algorithms=["PS256"])
    assert made.authenticate(request_with(keys.token("rsa", "PS256")))
    why = refusal(made, keys.token("rsa", "RS256"))
    assert why == "RS256 is not one of the accepted algorithms"


def test_claims_are_compared_with_the_client(
    local: Callable[..., Any], keys: Any, refusal: Callable[..., str], request_with: Any
) -> None:
    claims = {"username": "${username}", "device": "${clientid}"}
    made = local(secret=SECRET, verify_claims=claims)
    token = keys.token(username="alice", device="c1")
    assert made.authenticate(request_with(token))
    assert "username" in refusal(made, token, username="bob")
    assert "device" in refusal(made, token, client_id="c2")
    assert "username" in refusal(made, token, username=None)


def test_a_changed_file_counts_after_a_reload(
    options_of: Callable[..., Any],
    keys: Any,
    request_with: Any,
    refusal: Callable[..., str],
    settle: Callable[..., Any],
    lines: list[Any],
    tmp_path: Path,
) -> None:
    file = tmp_path / "public.pem"
    file.write_text(keys.pem("rsa"))
    options = options_of(public_key="public.pem", algorithms=["RS256"])
    plan, _ = prepare(options, "authentication", tmp_path)
    assert plan is not None
    made = JWTAuthenticator(
        options, plan, None, tmp_path, now=lambda: NOW, in_thread=maybeDeferred
    )
    old, new = keys.token("rsa", "RS256"), keys.token("rsa2", "RS256")
    for bad in ("", "garbage", keys.pem("p256"), keys.pem("rsa1024")):
        file.write_text(bad)
        settle(made.reload())
        assert made.authenticate(request_with(old))
    assert [each["event"] for each in lines if "event" in each] == ["jwt_key_refused"] * 4
    file.write_text(keys.pem("rsa2"))
    settle(made.reload())
    assert made.authenticate(request_with(new))
    assert refusal(made, old) == "the token's signature is wrong"


def test_there_is_nothing_to_reload_of_a_secret(local: Callable[..., Any]) -> None:
    assert local(secret=SECRET).reload() is None


def test_make_tells_everything_that_is_wrong(
    options_of: Callable[..., Any], tmp_path: Path
) -> None:
    context = PluginContext(None, tmp_path, tmp_path)
    with pytest.raises(ConfigurationErrors) as caught:
        make(options_of(public_key="no.pem", algorithms=["none"]), context)
    assert len(caught.value.errors) == 2
    make(options_of(secret=SECRET), context).start()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_garbage_never_comes_in_and_never_breaks(
    data: st.DataObject, local: Callable[..., Any], keys: Any, request_with: Any
) -> None:
    """Tokens cut, turned and mixed: ignored or refused."""
    good = keys.token("p256", "ES256", key_id="k")
    made = local(public_key=keys.pem("p256"))
    at = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255))
    for text in (
        good[:at],
        good[:at] + bytes([byte]) + good[at:],
        data.draw(st.binary(max_size=300)),
        b".".join(data.draw(st.permutations(good.split(b".")))),
        good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :],
    ):
        if text != good:
            with contextlib.suppress(Refused):
                assert made.authenticate(request_with(text)) is None
