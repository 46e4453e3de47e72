"""Keys and the algorithms each may be used with."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.jwt_keys import (
    HMAC,
    MOST_KEYS,
    PUBLIC,
    KeySet,
    UnusableKey,
    jwks_keys,
    pem_keys,
    restricted,
    secret_keys,
)
from mqttd.auth.jwt_token import Token, parse_token
from mqttd.tls.files import FileProblem, PemSource

ALGORITHMS = [
    *((algorithm, "") for algorithm in ("HS256", "HS384", "HS512")),
    *((algorithm, "rsa") for algorithm in ("RS256", "RS384", "RS512")),
    *((algorithm, "rsa") for algorithm in ("PS256", "PS384", "PS512")),
    ("ES256", "p256"),
    ("ES384", "p384"),
    ("ES512", "p521"),
    ("ES256K", "k1"),
    ("EdDSA", "ed25519"),
    ("EdDSA", "ed448"),
]
SECRET = "a secret of 64 bytes, which is as many as the largest hash needs"


def parsed(text: bytes) -> Token:
    token = parse_token(text)
    assert token is not None
    return token


def source(text: str | bytes) -> PemSource:
    return PemSource(text if isinstance(text, bytes) else text.encode(), "k.pem")


def fits(keys: KeySet, token: Token) -> bool:
    return any(key.verifies(token) for key in keys.candidates(token) or ())


@pytest.mark.parametrize(("algorithm", "kind"), ALGORITHMS, ids=lambda value: value or "secret")
def test_each_family_verifies_its_own_and_nothing_else(
    algorithm: str, kind: str, keys: Any
) -> None:
    token = parsed(keys.token(kind, algorithm))
    mine = pem_keys(source(keys.pem(kind))) if kind else secret_keys(SECRET.encode())
    assert fits(mine, token)
    turned = bytes([token.signature[0] ^ 1]) + token.signature[1:]
    for signature in (turned, token.signature[:-1], token.signature + b"\0", b"", b"\0" * 64):
        assert not fits(mine, Token(algorithm, None, token.signed, signature, b""))
    assert not fits(mine, Token(algorithm, None, token.signed + b"A", token.signature, b""))
    same = {"EdDSA", "Ed25519", "Ed448"} if algorithm == "EdDSA" else {algorithm}
    for other in (HMAC | PUBLIC | {"none", "None", "", "RS1"}) - same:
        assert not fits(mine, Token(other, None, token.signed, token.signature, b""))
    for other in ("rsa2", "p256", "p384", "ed25519"):
        if other != kind:
            assert not fits(pem_keys(source(keys.pem(other))), token)
    if kind:
        assert not fits(secret_keys(SECRET.encode()), token)


@pytest.mark.parametrize(
    ("jwk", "text"),
    [
        (  # RFC 7515 A.2
            {
                "kty": "RSA",
                "e": "AQAB",
                "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc"
                "S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
                "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qC"
                "o5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h"
                "4FRWyuXpoQ",
            },
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3X"
            "OiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB-"
            "-f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
            "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhW"
            "kWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (  # RFC 7515 A.3
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            },
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5d"
            "jxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (  # RFC 8037 A.4
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            },
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
            "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ],
    ids=["rs256", "es256", "eddsa"],
)
def test_the_examples_of_the_rfcs(jwk: dict[str, str], text: str) -> None:
    keys = jwks_keys(json.dumps({"keys": [jwk]}).encode())
    assert keys.left_out == ()
    assert fits(keys, parsed(text.encode()))


def test_the_secret_example_of_the_rfc() -> None:
    """RFC 7515 A.1."""
    key = (
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    token = parsed(
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQog"
        b"Imh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEj"
        b"Xk"
    )
    assert fits(secret_keys(base64.urlsafe_b64decode(key)), token)


@pytest.mark.parametrize("kind", ["rsa", "p256", "ed25519"])
def test_a_public_key_is_never_a_secret(kind: str, keys: Any) -> None:
    """The attack of RFC 8725 section 2.1: HS256 with the public key's text."""
    import hashlib
    import hmac

    for text in (keys.pem(kind), keys.pem(kind).strip(), json.dumps(keys.jwk(kind))):
        head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
        signed = head + b"." + base64.urlsafe_b64encode(b"{}").rstrip(b"=")
        forged = hmac.new(text.encode(), signed, hashlib.sha256).digest()
        token = Token("HS256", None, signed, forged, b"{}")
        assert not fits(pem_keys(source(keys.pem(kind))), token)
        assert not fits(jwks_keys(keys.jwks(k=kind)), token)
        with pytest.raises(UnusableKey):
            secret_keys(text.encode())


def test_none_is_no_algorithm(keys: Any) -> None:
    for each in (pem_keys(source(keys.pem("rsa"))), secret_keys(b"x" * 32)):
        for name in ("none", "None", "NONE", "nOnE"):
            assert not fits(each, Token(name, None, b"a.b", b"", b""))


def test_an_empty_secret_is_none() -> None:
    with pytest.raises(UnusableKey):
        secret_keys(b"")


def test_several_keys_in_a_file_and_certificates(keys: Any, pki: Any, make_cert_pem: Any) -> None:
    both = pem_keys(source("# text around\n" + keys.pem("rsa", "p256") + "and after\n"))
    assert len(both.keys) == 2
    assert fits(both, parsed(keys.token("rsa", "PS384")))
    assert fits(both, parsed(keys.token("p256", "ES256", key_id="any")))
    (key,) = pem_keys(source(make_cert_pem(pki.rsa.cert))).keys
    assert "RS256" in key.algorithms


@pytest.mark.parametrize(
    "text",
    ["private", "rsa1024", "none", "broken", "dsa", "many"],
)
def test_files_that_give_no_key(text: str, keys: Any, make_key_pem: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric import x25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    x25519_key = x25519.X25519PrivateKey.generate().public_key()
    content = {
        "private": keys.pem("p256") + make_key_pem(keys["p256"]),
        "rsa1024": keys.pem("rsa1024"),
        "none": "-----BEGIN DH PARAMETERS-----\nAA==\n-----END DH PARAMETERS-----\n",
        "broken": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "dsa": x25519_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "many": keys.pem("p256") * 11,
    }[text]
    with pytest.raises(FileProblem) as caught:
        pem_keys(source(content))
    assert "PRIVATE KEY-----" not in caught.value.message


def test_a_key_set_gives_each_key_its_algorithms(keys: Any) -> None:
    found = jwks_keys(keys.jwks(r="rsa", e="p384", o="ed25519", k="k1"))
    assert [(key.key_id, len(key.algorithms)) for key in found.keys] == [
        ("r", 6),
        ("e", 1),
        ("o", 2),
        ("k", 1),
    ]
    assert fits(found, parsed(keys.token("rsa", "RS512", "r")))
    assert fits(found, parsed(keys.token("rsa", "RS512")))  # no kid: whichever fits
    assert not fits(found, parsed(keys.token("rsa", "RS512", "e")))
    assert found.candidates(parsed(keys.token("rsa", "RS512", "unknown"))) is None
    assert found.candidates(parsed(keys.token("rsa", "RS512", "e"))) == []


def test_a_key_with_alg_is_good_for_that_one(keys: Any) -> None:
    found = jwks_keys(json.dumps({"keys": [keys.jwk("rsa", alg="PS256")]}).encode())
    assert fits(found, parsed(keys.token("rsa", "PS256")))
    assert not fits(found, parsed(keys.token("rsa", "RS256")))


def test_two_keys_with_one_kid_are_both_tried(keys: Any) -> None:
    two = [keys.jwk("rsa", kid="k"), keys.jwk("rsa2", kid="k")]
    found = jwks_keys(json.dumps({"keys": two}).encode())
    for kind in ("rsa", "rsa2"):
        assert fits(found, parsed(keys.token(kind, "RS256", "k")))


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        ({"use": "enc"}, False),
        ({"key_ops": ["sign"]}, False),
        ({"d": "AA"}, True),
        ({"k": "AA"}, True),
        ({"kty": "oct", "k": "AAAA"}, True),
        ({"kty": "??"}, True),
        ({"kty": ["RSA"]}, True),
        ({"n": None}, True),
        ({"n": "AQAB"}, True),
        ({"n": "!"}, True),
        ({"n": ""}, True),
        ({"n": "A" * 2049}, True),
        ({"e": "AQ"}, True),
        ({"e": "AAAA"}, True),
        ({"e": "_" * 86}, True),
        ({"alg": "HS256"}, True),
        ({"alg": "ES256"}, True),
        ({"alg": "none"}, True),
        ({"alg": ["RS256"]}, True),
        ({"kid": 7}, True),
    ],
    ids=range(20),
)
def test_keys_of_a_set_that_are_not_taken(
    change: dict[str, Any], left_out: bool, keys: Any
) -> None:
    bad = keys.jwk("rsa") | change
    found = jwks_keys(json.dumps({"keys": [bad, keys.jwk("p256", kid="good")]}).encode())
    assert [key.key_id for key in found.keys] == ["good"]
    assert len(found.left_out) == left_out
    assert all("key 1" in each for each in found.left_out)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},  # no point of the curve
        {"kty": "EC", "crv": "P-224", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "\u00fc"},
        {},
        None,
        [],
        "key",
    ],
    ids=range(11),
)
def test_broken_keys_are_left_out(jwk: Any) -> None:
    found = jwks_keys(json.dumps({"keys": [jwk]}).encode())
    assert found.keys == ()
    assert len(found.left_out) == 1


@pytest.mark.parametrize(
    "data", [b"", b"x", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"[" * 9999]
)
def test_what_is_no_key_set(data: bytes) -> None:
    with pytest.raises(UnusableKey):
        jwks_keys(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
_NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid", "d"])
_KINDS = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "A" * 43, "AQAB"])


@given(st.lists(st.dictionaries(_NAMES, _JSON | _KINDS), max_size=3) | _JSON)
def test_sets_of_any_kind_raise_nothing_else(jwks: Any) -> None:
    for data in ({"keys": jwks}, jwks):
        with contextlib.suppress(UnusableKey):
            jwks_keys(json.dumps(data).encode())


def test_weak_and_too_many_keys_are_left_out(keys: Any) -> None:
    weak = jwks_keys(keys.jwks(k="rsa1024"))
    assert weak.keys == ()
    assert "1024 bits" in weak.left_out[0]
    many = [keys.jwk("p256", kid=str(number)) for number in range(MOST_KEYS + 5)]
    found = jwks_keys(json.dumps({"keys": many}).encode())
    assert len(found.keys) == MOST_KEYS
    assert found.left_out == ("5 keys beyond the first 100",)
    nameless = jwks_keys(json.dumps({"keys": [keys.jwk("p256")] * 50}).encode())
    tried = nameless.candidates(parsed(keys.token("p256", "ES256")))
    assert tried is not None
    assert len(tried) == 10


def test_keys_can_be_restricted(keys: Any) -> None:
    found = restricted(jwks_keys(keys.jwks(r="rsa", e="p256")), {"RS256"})
    assert [key.algorithms for key in found.keys] == [{"RS256"}, set()]


def test_no_key_is_in_a_repr(keys: Any) -> None:
    assert SECRET not in repr(secret_keys(SECRET.encode()))
