"""Hashes of passwords: Argon2id of our own, and those of mosquitto and bcrypt read as well."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

import bcrypt
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_ITERATIONS: Final = 2
_LANES: Final = 1
_MEMORY: Final = 19 << 10
"""KiB: OWASP's first choice for Argon2id (19 MiB, 2 rounds, 1 lane); some 15 ms."""
_MOST_MEMORY: Final = 256 << 10
_MOST_ROUNDS: Final = 1_000_000
LONGEST_PASSWORD: Final = 4096
"""Bytes; a longer one is wrong without being hashed."""


def hash_password(password: bytes) -> str:
    """A new Argon2id hash in PHC form, with a salt of its own."""
    kdf = Argon2id(
        salt=secrets.token_bytes(16),
        length=32,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY,
    )
    text: str = kdf.derive_phc_encoded(password)
    return text


def check_hash(text: str) -> None:
    """Raise ValueError, without the text, for a hash that :func:`verify` could not use."""
    kind = text.split("$")[1] if text.count("$") >= 2 and text.startswith("$") else ""
    if kind == "argon2id":
        _check_argon2(text)
    elif kind in ("2a", "2b", "2y"):
        if len(text) != 60:
            raise ValueError("is no whole bcrypt hash")
        try:
            bcrypt.checkpw(b"", text.encode())
        except ValueError:
            raise ValueError("is no proper bcrypt hash") from None
    elif kind == "6":
        _mosquitto_6(text)
    elif kind == "7":
        _mosquitto_7(text)
    else:
        raise ValueError("is of no kind known here ($argon2id$, $2b$, $6$ or $7$)")


def verify(password: bytes, text: str) -> bool:
    """Whether the password is that of a hash that :func:`check_hash` accepts. Takes long: for a
    thread."""
    if len(password) > LONGEST_PASSWORD:
        return False
    kind = text.split("$")[1]
    if kind == "argon2id":
        try:
            Argon2id.verify_phc_encoded(password, text)
        except (InvalidKey, ValueError):
            return False
        return True
    if kind == "6":
        salt, kept = _mosquitto_6(text)
        return hmac.compare_digest(hashlib.sha512(password + salt).digest(), kept)
    if kind == "7":
        if password.endswith(b"\0"):
            return False  # HMAC pads keys with it (RFC 2104): as good as without
        rounds, salt, kept = _mosquitto_7(text)
        made = hashlib.pbkdf2_hmac("sha512", password, salt, rounds, len(kept))
        return hmac.compare_digest(made, kept)
    if b"\0" in password:
        return False  # bcrypt ends there, and would take what stands before
    # Bcrypt looks at 72 bytes; longer ones are cut, as every writer of such hashes did.
    return bcrypt.checkpw(password[:72], text.encode())


def _check_argon2(text: str) -> None:
    try:
        _, _, version, parameters, salt, kept = text.split("$")
        values = dict(part.split("=") for part in parameters.split(","))
        memory, rounds, lanes = (int(values[name]) for name in "mtp")
        sizes = [len(base64.b64decode(part + "=" * (-len(part) % 4))) for part in (salt, kept)]
    except (ValueError, KeyError):
        raise ValueError("is no proper Argon2id hash") from None
    if version != "v=19" or min(sizes) < 8:
        raise ValueError("is no proper Argon2id hash")
    # A hash is run for every client that comes: one of gigabytes would end the broker.
    if not (8 <= memory <= _MOST_MEMORY and 1 <= rounds <= 100 and 1 <= lanes <= 16):
        raise ValueError(f"asks for more than {_MOST_MEMORY >> 10} MiB, 100 rounds or 16 lanes")


def _mosquitto_6(text: str) -> tuple[bytes, bytes]:
    """``$6$SALT$HASH``: SHA-512 of password and salt."""
    parts = text.split("$")
    if len(parts) != 4:
        raise ValueError("is no proper $6$ hash of mosquitto_passwd")
    salt, kept = _decoded(parts[2]), _decoded(parts[3])
    if len(kept) != 64:
        raise ValueError("is no proper $6$ hash of mosquitto_passwd")
    return salt, kept


def _mosquitto_7(text: str) -> tuple[int, bytes, bytes]:
    """``$7$ROUNDS$SALT$HASH``: PBKDF2 with HMAC-SHA-512."""
    parts = text.split("$")
    if len(parts) != 5 or not parts[2].isdecimal() or not parts[2].isascii():
        raise ValueError("is no proper $7$ hash of mosquitto_passwd")
    rounds, salt, kept = int(parts[2]), _decoded(parts[3]), _decoded(parts[4])
    if not 1 <= rounds <= _MOST_ROUNDS or not salt or len(kept) != 64:
        raise ValueError("is no proper $7$ hash of mosquitto_passwd")
    return rounds, salt, kept


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("holds something that is not base64") from None
