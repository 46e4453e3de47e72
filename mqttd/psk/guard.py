"""What stands between mqttd and a stranger's store of pre-shared keys: its faults harm nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.interfaces import IPSKStore
from mqttd.psk.psk_file import LONGEST_KEY


@implementer(IPSKStore)
class GuardedStore:
    """A store whose answers are looked at before they are used.

    An exception, or a key that is none, counts as an identity that is not known: the client is
    refused, and a live session of it ends. Each kind of fault is logged once. What the store has
    beyond IPSKStore is passed on.
    """

    _log = Logger()

    def __init__(self, name: str, store: Any) -> None:
        self._name = name
        self._store = store
        self._said: set[str] = set()

    @override
    def __repr__(self) -> str:
        return f"<GuardedStore {self._name}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def key_for(self, identity: bytes) -> bytes | None:
        """See IPSKStore."""
        try:
            key = self._store.key_for(identity)
        except Exception:
            self._failed("key_for")
            return None
        if key is None:
            return None
        if not isinstance(key, bytes) or not 1 <= len(key) <= LONGEST_KEY:
            self._said_once(
                "a key",
                "The PSK store {name} gave what is no key of 1 to {most} bytes. Clients it does "
                "so for are refused. Said once.",
                most=LONGEST_KEY,
            )
            return None
        return key

    def identities(self) -> Sequence[bytes]:
        """See IPSKStore."""
        try:
            return tuple(each for each in self._store.identities() if isinstance(each, bytes))
        except Exception:
            self._failed("identities")
            return ()

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IPSKStore."""
        self._store.on_change(changed)

    def _failed(self, method: str) -> None:
        if method not in self._said:
            self._said.add(method)
            self._log.failure(
                "The PSK store {name} failed in {method}. Clients it fails for are refused. "
                "Said once.",
                event="psk_store_failed",
                name=self._name,
                method=method,
            )

    def _said_once(self, what: str, text: str, **fields: object) -> None:
        if what not in self._said:
            self._said.add(what)
            self._log.error(text, event="psk_store_failed", name=self._name, **fields)
