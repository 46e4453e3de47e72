"""Lets nobody in while it cannot be recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from typing_extensions import override

from mqttd.broker.ports import Admission, EnhancedAuthenticator, EnhancedExchange
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.reason_codes import ReasonCode

_REFUSED: Final = Refused(ReasonCode.SERVER_UNAVAILABLE, "the audit log cannot be written")


class RecordedAdmission:
    """The broker's ``Admission``: asks ``inner`` unless ``failing``."""

    def __init__(self, inner: Admission, failing: Callable[[], bool]) -> None:
        self._inner = inner
        self._failing = failing

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        """Fulfils the broker's port."""
        if self._failing():
            done(_REFUSED)
        else:
            self._inner.admit(request, done)


class RecordedMethods(Mapping[str, EnhancedAuthenticator]):
    """The broker's ``enhanced``: the methods of ``inner`` unless ``failing``."""

    def __init__(
        self, inner: Mapping[str, EnhancedAuthenticator], failing: Callable[[], bool]
    ) -> None:
        self._inner = inner
        self._failing = failing

    @override
    def __getitem__(self, name: str) -> EnhancedAuthenticator:
        method = self._inner[name]
        return _Refusing() if self._failing() else method

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._inner)

    @override
    def __len__(self) -> int:
        return len(self._inner)


class _Refusing:
    def start(self, request: ConnectRequest, data: bytes | None) -> EnhancedExchange:  # noqa: ARG002
        """See the broker's ``EnhancedAuthenticator``."""
        return self

    def step(self, data: bytes | None, done: Callable[[Refused], None]) -> None:  # noqa: ARG002
        """See the broker's ``EnhancedExchange``."""
        done(_REFUSED)
