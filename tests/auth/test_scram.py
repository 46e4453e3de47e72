"""SCRAM against the example of RFC 7677, a client of others, and clients that cheat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramException

from mqttd.auth.saslprep import saslprep
from mqttd.auth.scram import METHODS, ScramAuthenticator, ScramCredential
from mqttd.identity import Authenticated, ConnectRequest, PeerInfo, Refused

REQUEST = ConnectRequest(
    client_id="c",
    username=None,
    password=None,
    level=5,
    clean_start=True,
    keep_alive=0,
    peer=PeerInfo(listener="ssl:default", peer=("127.0.0.1", 1)),
)


def authenticator(method: str = "SCRAM-SHA-256", **users: str) -> ScramAuthenticator:
    kept = {
        name: ScramCredential.new(method, password, iterations=4096)
        for name, password in users.items()
    }
    return ScramAuthenticator(method, kept.get)


def stepping(exchange: Any) -> Callable[[bytes | None], Any]:
    def step(data: bytes | None) -> Any:
        try:
            return exchange.step(data)
        except Refused as refused:
            return refused

    return step


def refusal(answer: Any) -> str:
    assert isinstance(answer, Refused)
    assert answer.reason_code == 0x86
    return answer.reason


def test_the_example_of_the_rfc() -> None:
    """RFC 7677 section 3."""
    import base64

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    kept = ScramCredential.new("SCRAM-SHA-256", "pencil", iterations=4096, salt=salt)
    server = ScramAuthenticator(
        "SCRAM-SHA-256",
        {"user": kept}.get,
        new_nonce=lambda: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    )
    step = stepping(server.start(REQUEST, None))
    assert step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    answer = step(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert isinstance(answer, Authenticated)
    assert answer.data == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert answer.identity.username == "user"


def meet(server: ScramAuthenticator, username: str, password: str) -> Any:
    client = ScramClient([server.method], username, password)
    step = stepping(server.start(REQUEST, None))
    challenge = step(client.get_client_first().encode())
    if isinstance(challenge, Refused):
        return challenge
    client.set_server_first(challenge.decode())
    answer = step(client.get_client_final().encode())
    if isinstance(answer, Authenticated):
        assert answer.data is not None
        client.set_server_final(answer.data.decode())  # checks the server's signature
    return answer


@pytest.mark.parametrize("method", METHODS)
def test_a_client_of_others(method: str) -> None:
    server = authenticator(method, **{"ann": "pässwörd", "b,o=b": "x"})
    for username, password in (("ann", "pässwörd"), ("b,o=b", "x")):
        answer = meet(server, username, password)
        assert isinstance(answer, Authenticated)
        assert answer.identity.username == username
    assert refusal(meet(server, "ann", "wrong")) == "wrong user name or password"
    assert refusal(meet(server, "nobody", "pässwörd")) == "wrong user name or password"


def test_unknown_users_look_like_known_ones() -> None:
    server = authenticator(ann="x")
    first = b"n,,n=nobody,r=abc"
    salts = {stepping(server.start(REQUEST, None))(first).split(b",s=")[1] for _ in range(3)}
    assert len(salts) == 1
    other = stepping(server.start(REQUEST, None))(b"n,,n=other,r=abc").split(b",s=")[1]
    assert {other} != salts
    # Not even who knows the keys of nobody gets in: they are all zero.
    step = stepping(server.start(REQUEST, None))
    nonce = step(first).split(b",")[0]
    import base64
    import hashlib
    import hmac

    bare = b"n=nobody,r=abc"
    server_first = nonce + b",s=" + salts.pop()
    without = b"c=biws," + nonce
    signature = hmac.digest(bytes(32), bare + b"," + server_first + b"," + without, "sha256")
    assert hashlib.sha256(signature).digest() != bytes(32)
    assert refusal(step(without + b",p=" + base64.b64encode(signature)))


def test_unknown_users_look_like_those_of_the_file() -> None:
    """Credentials that come from elsewhere have other iterations and salts than ours."""
    kept = ScramCredential.new("SCRAM-SHA-256", "x", iterations=4096, salt=bytes(24))
    server = ScramAuthenticator(
        "SCRAM-SHA-256", {"ann": kept}.get, looks=lambda: list({"ann": kept}.values())
    )
    found, known = server.credential("nobody")
    assert not known
    assert (found.iterations, len(found.salt)) == (4096, 24)
    assert server.credential("nobody")[0] == found
    assert server.credential("nobody2")[0].salt != found.salt


@pytest.mark.parametrize(
    "first",
    [
        None,
        b"",
        b"n,,",
        b"n,,r=abc,n=user",
        b"p=tls-unique,,n=user,r=abc",
        b"n,a=root,n=user,r=abc",
        b"n,,m=x,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a\x00b",
        b"n,,n=,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=" + b"u" * 3000 + b",r=abc",
    ],
)
def test_first_messages_that_are_refused(first: bytes | None) -> None:
    assert refusal(stepping(authenticator(user="x").start(REQUEST, None))(first))


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=NONCE",
        b"c=eSws,r=NONCE,p=AAAA",
        b"c=biws,r=other,p=AAAA",
        b"c=biws,r=NONCE,p=AAAA",
        b"c=biws,r=NONCE,p=???",
        b"r=NONCE,c=biws,p=AAAA",
    ],
)
def test_last_messages_that_are_refused(final: bytes) -> None:
    step = stepping(authenticator(user="x").start(REQUEST, None))
    nonce = step(b"n,,n=user,r=abc").split(b",")[0][2:]
    assert refusal(step(final.replace(b"NONCE", nonce)))
    assert refusal(step(final.replace(b"NONCE", nonce)))  # and nothing comes after


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_garbage_never_raises(messages: list[bytes]) -> None:
    step = stepping(authenticator().start(REQUEST, None))
    for message in messages:
        assert isinstance(step(message), bytes | Refused)


def test_credentials_as_text() -> None:
    kept = ScramCredential.new("SCRAM-SHA-512", "x", iterations=4096)
    assert ScramCredential.parse(kept.text()) == kept
    assert "stored_key" not in repr(kept)
    text = kept.text()
    for bad, word in (
        (text.replace("SHA-512", "MD5"), "method"),
        (text.replace("SHA-512", "SHA-256"), "length"),
        (text.replace("$4096", "$1"), "iterations"),
        (text.replace("$4096", "$x"), "iterations"),
        (text.replace(":", ":?"), "base64"),
        ("", "method"),
    ):
        with pytest.raises(ValueError, match=word):
            ScramCredential.parse(bad)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_saslprep(text: str, prepared: str) -> None:
    """RFC 4013 section 3."""
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "\u0221"])
def test_saslprep_forbids(text: str) -> None:
    with pytest.raises(ValueError, match=r"SASLprep|directions|unassigned"):
        saslprep(text)


def test_the_other_client_checks_us_too() -> None:
    """Else the tests above would show nothing of the server's signature."""
    server = authenticator(ann="x")
    client = ScramClient(["SCRAM-SHA-256"], "ann", "x")
    step = stepping(server.start(REQUEST, None))
    client.set_server_first(step(client.get_client_first().encode()).decode())
    client.get_client_final()
    with pytest.raises(ScramException):
        client.set_server_final("v=" + "A" * 43 + "=")
