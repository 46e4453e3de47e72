"""Keys that verify tokens: from a secret, from PEM, from a JSON Web Key Set.

Each key knows the algorithms of its own kind and is never used with another: a token cannot talk
us into taking a public key for a secret (RFC 8725 sections 2.1 and 3.1). ``none`` is no algorithm
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError
from jwt.algorithms import Algorithm, get_default_algorithms

from mqttd.auth.jwt_token import Token, parse_json
from mqttd.tls.files import FileProblem, PemSource

HMAC: Final = frozenset({"HS256", "HS384", "HS512"})
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {
    "secp256r1": "ES256",
    "secp384r1": "ES384",
    "secp521r1": "ES512",
    "secp256k1": "ES256K",
}
_EDWARDS: Final = frozenset({"EdDSA", "Ed25519", "Ed448"})
"""RFC 8037, and the names RFC 9864 has in its place."""
PUBLIC: Final = _RSA | _EDWARDS | frozenset(_CURVES.values())
"""The algorithms of public keys."""

LEAST_SECRET: Final = 32
"""Bytes a secret should have. RFC 7518 section 3.2 asks for as many as the hash has."""
MOST_KEYS: Final = 100
"""Keys of one set; more are left out."""
_LEAST_RSA: Final = 2048
_MOST_RSA: Final = 8192
"""Bits; verifying takes the longer the larger a key is."""
_MOST_EXPONENT: Final = 33
"""Bits; 65537 has 17."""
_MOST_TRIED: Final = 10
"""Keys tried for one token."""
_LONGEST_NUMBER: Final = 2048
"""Characters of one number in a JSON Web Key."""
_JWK_FIELDS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)

_THEIRS: Final = get_default_algorithms()
_ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    name: _THEIRS["EdDSA" if name in _EDWARDS else name] for name in HMAC | PUBLIC
}


class UnusableKey(ValueError):  # noqa: N818 - names what is wrong
    """A key that is not taken; the text says why and holds nothing of it."""


@attrs.frozen
class VerificationKey:
    """One key, and the algorithms it may be used with."""

    algorithms: frozenset[str]
    key: Any = attrs.field(repr=False, eq=False)
    key_id: str | None = None

    def verifies(self, token: Token) -> bool:
        """Whether this key signed the token. False for an algorithm that is not the key's."""
        if token.algorithm not in self.algorithms:
            return False
        algorithm = _ALGORITHMS[token.algorithm]
        try:
            return bool(algorithm.verify(token.signed, self.key, token.signature))
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidKeyError):
            return False  # a signature that is none


@attrs.frozen
class KeySet:
    """Keys, and why others were left out."""

    keys: tuple[VerificationKey, ...] = ()
    left_out: tuple[str, ...] = ()

    def candidates(self, token: Token) -> Sequence[VerificationKey] | None:
        """The keys that may have signed the token; None when its key is not among these.

        A token without a ``kid`` may come from any key, and so may one with it where keys have
        none, as those of a file.
        """
        keys = self.keys
        if token.key_id is not None:
            keys = tuple(key for key in keys if key.key_id == token.key_id)
            keys = keys or tuple(key for key in self.keys if key.key_id is None)
        if not keys:
            return None
        return [key for key in keys if token.algorithm in key.algorithms][:_MOST_TRIED]


def secret_keys(secret: bytes) -> KeySet:
    """The one key of a shared secret. Raises UnusableKey."""
    if not secret:
        raise UnusableKey("is empty")
    try:
        key = _ALGORITHMS["HS256"].prepare_key(secret)
    except InvalidKeyError:
        raise UnusableKey("is a public key or certificate, which everybody may know") from None
    return KeySet((VerificationKey(HMAC, key),))


def pem_keys(source: PemSource) -> KeySet:
    """The public keys and certificates of a PEM source. Raises FileProblem."""
    keys = []
    for match in _PEM.finditer(source.data):
        label = match[1].decode()
        if "PRIVATE" in label:
            raise FileProblem(
                f"{source.name} holds a private key, with which anybody could make tokens",
                "give the public one: openssl pkey -in KEY -pubout -out PUBLIC",
            )
        if label.endswith("PUBLIC KEY") or label == "CERTIFICATE":
            try:
                keys.append(_public_key(_load_pem(label, match[0])))
            except UnusableKey as problem:
                raise FileProblem(
                    f"{source.name}: key {len(keys) + 1} {problem}",
                    f"use an RSA key of {_LEAST_RSA} to {_MOST_RSA} bits, EC P-256 or Ed25519",
                ) from None
    if not keys:
        raise FileProblem(
            f"{source.name} holds no public key",
            "give a PEM file with -----BEGIN PUBLIC KEY-----",
        )
    if len(keys) > _MOST_TRIED:
        raise FileProblem(
            f"{source.name} holds {len(keys)} keys, more than {_MOST_TRIED}", "remove old ones"
        )
    return KeySet(tuple(keys))


def _load_pem(label: str, pem: bytes) -> Any:
    try:
        if label == "CERTIFICATE":
            return x509.load_pem_x509_certificate(pem).public_key()
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("cannot be read") from None


def jwks_keys(data: bytes) -> KeySet:
    """The usable keys of a JSON Web Key Set (RFC 7517 section 5). Raises UnusableKey when it is
    none."""
    try:
        fields = parse_json(data)
    except ValueError:
        raise UnusableKey("is no JSON") from None
    listed = fields.get("keys") if isinstance(fields, dict) else None
    if not isinstance(listed, list):
        raise UnusableKey("is no key set: it has no list of keys")
    keys, left_out = [], []
    for number, jwk in enumerate(listed[:MOST_KEYS], 1):
        try:
            key = _jwk(jwk)
        except UnusableKey as problem:
            left_out.append(f"key {number} {problem}")
        else:
            if key is not None:
                keys.append(key)
    if len(listed) > MOST_KEYS:
        left_out.append(f"{len(listed) - MOST_KEYS} keys beyond the first {MOST_KEYS}")
    return KeySet(tuple(keys), tuple(left_out))


def _jwk(jwk: Any) -> VerificationKey | None:
    """One key of a set; None for one that is not for signatures, which is nothing unusual."""
    if not isinstance(jwk, dict):
        raise UnusableKey("is no JSON object")
    if jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops")
    if isinstance(uses, list) and "verify" not in uses:
        return None
    kind = jwk.get("kty")
    if kind == "oct" or "d" in jwk or "k" in jwk:
        raise UnusableKey("is a secret one, with which anybody could make tokens")
    names = _JWK_FIELDS.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise UnusableKey("is of a kind that is not known here")
    given = {name: jwk.get(name) for name in names}
    if not all(isinstance(text, str) and len(text) <= _LONGEST_NUMBER for text in given.values()):
        raise UnusableKey("lacks a part, or has one that is too long")
    key_id = jwk.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise UnusableKey("has a kid that is no text")
    key = _public_key(_load_jwk({"kty": kind, **given}), key_id)
    only = jwk.get("alg")
    if only is not None:
        if not isinstance(only, str) or only not in key.algorithms:
            raise UnusableKey("has an alg that does not fit its kind")
        key = attrs.evolve(key, algorithms=frozenset({only}))
    return key


def _load_jwk(fields: Mapping[str, Any]) -> Any:
    name = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[fields["kty"]]
    try:
        return _ALGORITHMS[name].from_jwk(dict(fields))
    except (InvalidKeyError, ValueError, TypeError, UnsupportedAlgorithm, OverflowError):
        raise UnusableKey("cannot be read") from None


def _public_key(key: Any, key_id: str | None = None) -> VerificationKey:
    if isinstance(key, rsa.RSAPublicKey):
        if not _LEAST_RSA <= key.key_size <= _MOST_RSA:
            raise UnusableKey(f"is RSA with {key.key_size} bits, not {_LEAST_RSA} to {_MOST_RSA}")
        if key.public_numbers().e.bit_length() > _MOST_EXPONENT:
            raise UnusableKey("is RSA with an exponent that nobody has")
        algorithms = _RSA
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        algorithms = frozenset({_CURVES[key.curve.name]})
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithms = frozenset({"EdDSA", "Ed25519"})
    elif isinstance(key, ed448.Ed448PublicKey):
        algorithms = frozenset({"EdDSA", "Ed448"})
    else:
        raise UnusableKey("is of a kind that is not known here")
    return VerificationKey(algorithms, key, key_id)


def restricted(keys: KeySet, allowed: Iterable[str]) -> KeySet:
    """The keys with none but the allowed algorithms."""
    return attrs.evolve(keys, keys=tuple(_restricted(keys.keys, frozenset(allowed))))


def _restricted(
    keys: Iterable[VerificationKey], allowed: frozenset[str]
) -> Iterator[VerificationKey]:
    for key in keys:
        yield attrs.evolve(key, algorithms=key.algorithms & allowed)
