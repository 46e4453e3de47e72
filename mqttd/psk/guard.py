"""What stands between mqttd and a stranger's store of pre-shared keys: its faults harm nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.interfaces import IPSKStore
from mqttd.log.failures import Quiet, what_failed
from mqttd.plugins import dismiss
from mqttd.psk.psk_file import LONGEST_KEY


@implementer(IPSKStore)
class GuardedStore:
    """A store whose answers are looked at before they are used.

    An exception, or a key that is none, counts as an identity that is not known: the client is
    refused, and a live session of it ends. Each kind of fault is one line in ten seconds. What the
    store has beyond IPSKStore is passed on.
    """

    _log = Logger()

    def __init__(
        self, name: str, store: Any, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._store = store
        self._quiet = Quiet(now)

    @override
    def __repr__(self) -> str:
        return f"<GuardedStore {self._name}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def key_for(self, identity: bytes) -> bytes | None:
        """See IPSKStore."""
        try:
            key = self._store.key_for(identity)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # asyncio's CancelledError is no Exception
            self._failed("key_for", "failed in key_for: " + what_failed(error))
            return None
        if key is None:
            return None
        if not isinstance(key, bytes) or not 1 <= len(key) <= LONGEST_KEY:
            dismiss(key)
            self._failed("key_for", f"gave what is no key of 1 to {LONGEST_KEY} bytes")
            return None
        return key

    def identities(self) -> Sequence[bytes]:
        """See IPSKStore."""
        try:
            listed = self._store.identities()
            # A Deferred can be iterated over, without end.
            if not isinstance(listed, Collection):
                dismiss(listed)
                self._failed("identities", "gave identities that are no list")
                return ()
            return tuple(each for each in listed if isinstance(each, bytes))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._failed("identities", "failed in identities: " + what_failed(error))
            return ()

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IPSKStore."""
        self._store.on_change(changed)

    def _failed(self, method: str, what: str) -> None:
        count = self._quiet.count(what)
        if count:
            self._log.error(
                "The PSK store {name} {what}. Clients it fails for are refused ({count} times by "
                "now).",
                event="psk_store_failed",
                name=self._name,
                method=method,
                what=what,
                count=count,
            )
