"""SCRAM-SHA-256 and SCRAM-SHA-512 as an MQTT 5 authentication method (RFC 5802, RFC 7677).

The password never crosses the wire, and what the broker keeps does not let its reader log in.
Channel binding is not offered: TLS ends in the broker, and the certificate is checked by name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import attrs
from zope.interface import implementer

from mqttd.auth.saslprep import saslprep
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.interfaces import IEnhancedAuthenticator, IEnhancedExchange
from mqttd.packets.reason_codes import ReasonCode

METHODS: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
"""Authentication Methods and the hash of each."""
ITERATIONS: Final = 15_000
"""PBKDF2 rounds of new credentials; RFC 7677 section 4 asks for 4096 at least."""
MOST_ITERATIONS: Final = 1_000_000
"""A client computes as many: more would lock small devices out."""

_NONCE_BYTES: Final = 24
_SALT_BYTES: Final = 16
_LONGEST: Final = 2048
"""Bytes of one message of the client's."""


@attrs.frozen
class ScramCredential:
    """What is kept of a password: enough to check, not to log in (RFC 5802 section 3)."""

    method: str
    iterations: int
    salt: bytes
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    @classmethod
    def new(
        cls, method: str, password: str, *, iterations: int = ITERATIONS, salt: bytes | None = None
    ) -> ScramCredential:
        """From a password. Raises ValueError for one with characters that SASLprep forbids."""
        name = METHODS[method]
        salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
        prepared = saslprep(password).encode()
        salted = hashlib.pbkdf2_hmac(name, prepared, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", name)
        return cls(
            method,
            iterations,
            salt,
            hashlib.new(name, client_key).digest(),
            hmac.digest(salted, b"Server Key", name),
        )

    @classmethod
    def parse(cls, text: str) -> ScramCredential:
        """From ``METHOD$ITERATIONS:SALT$STORED_KEY:SERVER_KEY``, base64 as PostgreSQL writes it.

        Raises ValueError that says what is wrong, without the text.
        """
        method, _, rest = text.partition("$")
        head, _, keys = rest.partition("$")
        rounds, _, salt = head.partition(":")
        stored, _, server = keys.partition(":")
        if method not in METHODS:
            raise ValueError(f"is of no method known here ({', '.join(METHODS)})")
        if not rounds.isascii() or not rounds.isdigit():
            raise ValueError("has no number of iterations")
        if not 4096 <= int(rounds) <= MOST_ITERATIONS:
            raise ValueError(f"has fewer than 4096 or more than {MOST_ITERATIONS} iterations")
        try:
            parts = [base64.b64decode(part, validate=True) for part in (salt, stored, server)]
        except ValueError:
            raise ValueError("is not base64 where it should be") from None
        size = hashlib.new(METHODS[method]).digest_size
        if not parts[0] or {len(parts[1]), len(parts[2])} != {size}:
            raise ValueError("has keys of another length than the method's")
        return cls(method, int(rounds), *parts)

    def text(self) -> str:
        """As :meth:`parse` reads it; secret enough for a file of mode 0600."""
        salt, stored, server = (
            base64.b64encode(part).decode()
            for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.method}${self.iterations}:{salt}${stored}:{server}"


@implementer(IEnhancedAuthenticator)
class ScramAuthenticator:
    """One method of MQTT 5's enhanced authentication.

    ``find`` gives the credential of a user, at once, or None. An unknown user is answered as a
    known one, with a salt that stays the same, so that names cannot be found out; iterations and
    length of the salt are those of one of ``looks``, since credentials may differ in them.
    """

    def __init__(
        self,
        method: str,
        find: Callable[[str], ScramCredential | None],
        *,
        looks: Callable[[], Sequence[ScramCredential]] = tuple,
        new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(_NONCE_BYTES),
    ) -> None:
        self.method = method
        self._find = find
        self._looks = looks
        self._new_nonce = new_nonce
        self._secret = secrets.token_bytes(32)

    def start(self, request: ConnectRequest, data: bytes | None) -> ScramExchange:  # noqa: ARG002
        """Begin; the client's first message comes by the exchange's first step."""
        return ScramExchange(self, request, self._new_nonce())

    def credential(self, username: str) -> tuple[ScramCredential, bool]:
        """The credential of a user, and whether there is such a user."""
        found = self._find(username)
        if found is not None and found.method == self.method:
            return found, True
        name = METHODS[self.method]
        key = hmac.digest(self._secret, username.encode(), "sha256")
        iterations, length, looks = ITERATIONS, _SALT_BYTES, self._looks()
        if looks:
            look = looks[int.from_bytes(key) % len(looks)]
            iterations, length = look.iterations, len(look.salt)
        salt = hashlib.shake_256(key).digest(length)
        nobody = bytes(hashlib.new(name).digest_size)
        return ScramCredential(self.method, iterations, salt, nobody, nobody), False


@implementer(IEnhancedExchange)
class ScramExchange:
    """One authentication: two messages of the client's, in turn."""

    def __init__(
        self, authenticator: ScramAuthenticator, request: ConnectRequest, nonce: str
    ) -> None:
        self._authenticator = authenticator
        self._request = request
        self._nonce = nonce
        self._username: str | None = None
        self._credential: ScramCredential | None = None
        self._known = False
        self._first_bare = ""
        self._server_first = ""
        self._header = ""
        self._over = False

    def step(self, data: bytes | None) -> bytes | Authenticated:
        """See IEnhancedExchange; answers at once. Raises Refused."""
        try:
            if self._over or data is None or len(data) > _LONGEST:
                raise ValueError("a message is missing, too long, or one too many")
            text = data.decode()
            if self._credential is None:
                return self._first(text)
            self._over = True
            return self._final(text, self._credential)
        except ValueError as problem:
            self._over = True
            raise _refused(f"SCRAM: {problem}") from None

    def _first(self, text: str) -> bytes:
        """client-first-message (RFC 5802 section 7)."""
        binding, comma, rest = text.partition(",")
        authorization, comma2, bare = rest.partition(",")
        if not comma or not comma2:
            raise ValueError("the first message has no header")
        if binding not in ("n", "y"):
            raise ValueError("channel binding is not offered")
        if authorization:
            raise ValueError("acting for somebody else is not offered")
        fields = bare.split(",")
        # An extension that must be understood (m=) would stand first.
        if len(fields) < 2 or fields[0][:2] != "n=" or fields[1][:2] != "r=":
            raise ValueError("the first message has no name and nonce")
        nonce = fields[1][2:]
        if not nonce or not all("\x21" <= each <= "\x7e" for each in nonce):
            raise ValueError("the nonce is not printable")
        self._username = saslprep(_unescaped(fields[0][2:]))
        if not self._username:
            raise ValueError("the name is empty")
        credential, self._known = self._authenticator.credential(self._username)
        self._credential = credential
        self._header = f"{binding},{authorization},"
        self._first_bare = bare
        self._nonce = nonce + self._nonce
        salt = base64.b64encode(credential.salt).decode()
        self._server_first = f"r={self._nonce},s={salt},i={credential.iterations}"
        return self._server_first.encode()

    def _final(self, text: str, credential: ScramCredential) -> Authenticated:
        """client-final-message: the proof."""
        without_proof, mark, proof_text = text.rpartition(",p=")
        fields = without_proof.split(",")
        if not mark or len(fields) < 2 or fields[0][:2] != "c=" or fields[1][:2] != "r=":
            raise ValueError("the last message has no binding, nonce and proof")
        if _decoded(fields[0][2:]) != self._header.encode():
            raise ValueError("the channel binding is another than announced")
        if not hmac.compare_digest(fields[1][2:].encode(), self._nonce.encode()):
            raise ValueError("the nonce is another than ours")
        name = METHODS[credential.method]
        message = f"{self._first_bare},{self._server_first},{without_proof}".encode()
        signature = hmac.digest(credential.stored_key, message, name)
        proof = _decoded(proof_text)
        if len(proof) != len(signature):
            raise ValueError("the proof has another length than the method's")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        digest = hashlib.new(name, client_key).digest()
        right = hmac.compare_digest(digest, credential.stored_key)
        if not (right and self._known):
            raise _refused("wrong user name or password")
        server_signature = hmac.digest(credential.server_key, message, name)
        answer = b"v=" + base64.b64encode(server_signature)
        return Authenticated(Identity(username=self._username), answer)


def _refused(reason: str) -> Refused:
    return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, reason)


def _unescaped(name: str) -> str:
    """``saslname``: ``=2C`` is a comma, ``=3D`` an equals sign, and nothing else follows one."""
    if name.replace("=2C", "").replace("=3D", "").find("=") >= 0:
        raise ValueError("the name is not escaped as it should be")
    return name.replace("=2C", ",").replace("=3D", "=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("what should be base64 is not") from None
