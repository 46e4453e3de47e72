"""Hashes of passwords: our own, and those other programs wrote."""

from __future__ import annotations

import base64
import hashlib

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.password_hash import LONGEST_PASSWORD, check_hash, hash_password, verify

PASSWORD = "p\u00e4ss:word$".encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mosquitto_6(password: bytes) -> str:
    salt = b"twelve bytes"
    return f"$6${_base64(salt)}${_base64(hashlib.sha512(password + salt).digest())}"


def mosquitto_7(password: bytes, rounds: int = 101) -> str:
    salt = bytes(range(64))
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, rounds)
    return f"$7${rounds}${_base64(salt)}${_base64(digest)}"


HASHES = {
    "argon2id": hash_password(PASSWORD),
    "bcrypt": bcrypt.hashpw(PASSWORD, bcrypt.gensalt(4)).decode(),
    "mosquitto 6": mosquitto_6(PASSWORD),
    "mosquitto 7": mosquitto_7(PASSWORD),
}


@pytest.mark.parametrize("text", HASHES.values(), ids=HASHES)
def test_the_right_password_and_no_other(text: str) -> None:
    check_hash(text)
    assert verify(PASSWORD, text)
    for wrong in (b"", PASSWORD[:-1], PASSWORD + b"x", PASSWORD.upper(), PASSWORD + b"\0"):
        assert not verify(wrong, text)
    assert not verify(PASSWORD.ljust(LONGEST_PASSWORD + 1), text)


def test_a_hash_of_mosquitto_passwd() -> None:
    """``mosquitto_passwd -b FILE u password`` of version 2.0 wrote these forms."""
    salt = base64.b64decode("MTIzNDU2Nzg5MDEy")
    text = "$6$MTIzNDU2Nzg5MDEy$" + _base64(hashlib.sha512(b"password" + salt).digest())
    assert verify(b"password", text)


def test_each_hash_has_its_own_salt() -> None:
    assert hash_password(b"x") != hash_password(b"x")
    assert hash_password(b"x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_bcrypt_ends_where_its_writers_ended() -> None:
    long = b"x" * 80
    text = bcrypt.hashpw(long[:72], bcrypt.gensalt(4)).decode()
    assert verify(long, text)
    assert not verify(b"x" * 71, text)
    # NUL would end the password for bcrypt in C
    assert not verify(b"x" * 72 + b"\0", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "$",
        "$1$abc$def",
        "$5$rounds=5000$hunter2",
        "$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=16$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=2,p=99$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=2$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=2,p=1$!!!$aGFzaGhhc2g",
        "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaGhhc2g",
        "$2b$12$short",
        "$2b$99$" + "x" * 53,
        "$6$salt",
        "$6$c2FsdA==$c2hvcnQ=",
        "$7$0$c2FsdA==$" + "A" * 88,
        "$7$99999999$c2FsdA==$" + "A" * 88,
        "$7$101$c2FsdA==$c2hvcnQ=",
        "$7$\u0661$c2FsdA==$" + "A" * 88,
    ],
)
def test_what_cannot_be_used_is_named_without_quoting(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|asks|holds)") as caught:
        check_hash(text)
    assert "hunter2" not in str(caught.value)
    assert "aGFzaGhhc2g" not in str(caught.value)


@given(st.text(alphabet="$26by7argon2id=,vmtp19AZaz+/", max_size=80))
def test_whatever_is_taken_can_be_checked(text: str) -> None:
    try:
        check_hash(text)
    except ValueError:
        return
    assert verify(b"x", text) in (True, False)
