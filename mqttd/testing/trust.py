"""Assertions for revocation checkers and stores of pre-shared keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography import x509

from mqttd.interfaces import (
    GOOD,
    REVOKED,
    UNKNOWN,
    IPSKStore,
    IRevocationChecker,
    RevocationStatus,
)
from mqttd.testing.answers import WAITING, ask, failed, provides
from mqttd.testing.requests import certificate_chain

Chain = Sequence[x509.Certificate]

_LONGEST_KEY = 512
_OUTCOMES = (GOOD, REVOKED, UNKNOWN)


def assert_revocation_checker(
    checker: Any,
    *,
    good: Iterable[Chain] = (),
    revoked: Iterable[Chain] = (),
    unknown: Iterable[Chain] = (),
) -> None:
    """What every :class:`~mqttd.interfaces.IRevocationChecker` must keep to.

    It is asked about a chain it has never seen, and about those given: ``known`` must answer at
    once, ``check`` must be awaitable, and both must give a status. ``check`` is asked where
    ``known`` says None; answers that wait for the network are not judged.

    Raises AssertionError, which says what to mend.
    """
    provides(IRevocationChecker, checker)
    kind = type(checker).__name__
    _remembers(checker)
    _status(checker, certificate_chain("nobody knows this device"))
    for chains, expected in ((good, GOOD), (revoked, REVOKED), (unknown, UNKNOWN)):
        for chain in chains:
            status = _status(checker, chain)
            if status is None or status.outcome != expected:
                shown = "not there yet" if status is None else status.outcome
                subject = chain[0].subject.rfc4514_string()
                raise AssertionError(f"{kind} should say {expected} of {subject}, not {shown}")


def assert_psk_store(
    store: Any, *, keys: Mapping[bytes, bytes] | None = None, unknown: Iterable[bytes] = ()
) -> None:
    """What every :class:`~mqttd.interfaces.IPSKStore` must keep to.

    It is asked for identities as any client may send them: keys must be there at once and of
    1 to 512 bytes; whoever is listed must have one; ``repr`` must not show it. The ``keys`` it
    must give, and identities it must not know (``unknown``) can be given.

    Raises AssertionError, which says what to mend.
    """
    provides(IPSKStore, store)
    kind = type(store).__name__
    _remembers(store)
    for identity in (b"", b"\0", b"\xff" * 128, b"nobody-has-this-identity"):
        _key(store, identity)
    listed = ask(store.identities)
    if isinstance(listed, Exception):
        raise failed(f"{kind}.identities()", listed, "return an empty list") from listed
    if not isinstance(listed, Sequence) or not all(isinstance(each, bytes) for each in listed):
        raise AssertionError(
            f"{kind}.identities() gave a {type(listed).__name__}: it must be a list of bytes"
        )
    for identity in listed:
        if _key(store, identity) is None:
            raise AssertionError(f"{kind} lists the identity {identity!r} and has no key for it")
    for identity, key in (keys or {}).items():
        if _key(store, identity) != key:
            raise AssertionError(f"{kind} does not give the key of {identity!r}")
    for identity in unknown:
        if _key(store, identity) is not None:
            raise AssertionError(f"{kind} has a key for {identity!r}, which it should not know")


def _remembers(plugin: Any) -> None:
    asked = f"{type(plugin).__name__}.on_change(function)"
    answer = ask(plugin.on_change, lambda: None)
    if isinstance(answer, Exception):
        raise failed(asked, answer, "remember the function, no more") from answer


def _status(checker: Any, chain: Chain) -> RevocationStatus | None:
    kind = type(checker).__name__
    asked = f"{kind}.known(chain)"
    try:
        status = checker.known(chain)
    except Exception as error:
        cure = "return None to be asked by check(), or a RevocationStatus"
        raise failed(asked, error, cure) from error
    if hasattr(status, "__await__"):
        getattr(status, "close", lambda: None)()
        raise AssertionError(
            f"{asked} is awaited for: it is asked within the TLS handshake, which cannot wait; "
            "return None and leave it to check()"
        )
    if status is None:
        asked = f"{kind}.check(chain)"
        try:
            awaited = checker.check(chain)
        except Exception as error:
            cure = "make it async; what cannot be asked is RevocationStatus(UNKNOWN, ...)"
            raise failed(asked, error, cure) from error
        if not hasattr(awaited, "__await__"):
            raise AssertionError(f"{asked} cannot be awaited: make it async")
        status = ask(lambda: awaited)
        if isinstance(status, Exception):
            cure = "what cannot be asked is RevocationStatus(UNKNOWN, cause, text)"
            raise failed(asked, status, cure) from status
        if status is WAITING:
            return None
    if not isinstance(status, RevocationStatus) or status.outcome not in _OUTCOMES:
        raise AssertionError(
            f"{asked} gave {status!r}: it must be a RevocationStatus whose outcome is one of "
            f"{', '.join(_OUTCOMES)}"
        )
    if status.outcome != GOOD and not status.cause:
        raise AssertionError(f"{asked} gave {status!r} without a cause, a word for the log")
    return status


def _key(store: Any, identity: bytes) -> bytes | None:
    kind = type(store).__name__
    asked = f"{kind}.key_for({identity[:40]!r})"
    try:
        key = store.key_for(identity)
    except Exception as error:
        raise failed(asked, error, "return None for an identity that is not known") from error
    if hasattr(key, "__await__"):
        getattr(key, "close", lambda: None)()
        raise AssertionError(
            f"{asked} is awaited for: the TLS handshake cannot wait; keep the keys in memory"
        )
    if key is None:
        return None
    if not isinstance(key, bytes) or not 1 <= len(key) <= _LONGEST_KEY:
        # Not the key itself: test logs are kept.
        raise AssertionError(
            f"{asked} gave a {type(key).__name__}: a key is 1 to {_LONGEST_KEY} bytes"
        )
    if len(key) > 3 and (repr(key)[2:-1] in repr(store) or key.hex() in repr(store)):
        raise AssertionError(f"repr({kind}) shows the key of {identity!r}: repr goes to logs")
    return key
