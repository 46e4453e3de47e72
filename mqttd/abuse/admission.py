"""The guard at the broker's door: around every authenticator, in both ways of authenticating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from typing_extensions import override

from mqttd.abuse.guard import Guard
from mqttd.broker.ports import Admission, EnhancedAuthenticator, EnhancedExchange
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused


class GuardedAdmission:
    """The broker's ``Admission``: asks the guard before and after it asks ``inner``."""

    def __init__(self, inner: Admission, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        """Fulfils the broker's port."""
        refused = self._guard.before(request)
        if refused is not None:
            done(refused)
        else:
            self._inner.admit(request, partial(self._answered, request, done))

    def _answered(
        self,
        request: ConnectRequest,
        done: Callable[[Identity | Refused], None],
        answer: Identity | Refused,
    ) -> None:
        done(self._guard.judged(request, answer))


class GuardedMethods(Mapping[str, EnhancedAuthenticator]):
    """The broker's ``enhanced``: the methods of ``inner``, guarded. ``inner`` may change."""

    def __init__(self, inner: Mapping[str, EnhancedAuthenticator], guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    @override
    def __getitem__(self, name: str) -> EnhancedAuthenticator:
        return _Method(self._inner[name], self._guard)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._inner)

    @override
    def __len__(self) -> int:
        return len(self._inner)


class _Method:
    def __init__(self, inner: EnhancedAuthenticator, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    def start(self, request: ConnectRequest, data: bytes | None) -> EnhancedExchange:
        """See the broker's ``EnhancedAuthenticator``."""
        refused = self._guard.before(request)
        if refused is not None:
            return _Refusal(refused)
        return _Exchange(self._inner.start(request, data), request, self._guard)


class _Refusal:
    def __init__(self, refused: Refused) -> None:
        self._refused = refused

    def step(self, data: bytes | None, done: Callable[[Refused], None]) -> None:  # noqa: ARG002
        """See the broker's ``EnhancedExchange``."""
        done(self._refused)


class _Exchange:
    def __init__(self, inner: EnhancedExchange, request: ConnectRequest, guard: Guard) -> None:
        self._inner = inner
        self._request = request
        self._guard = guard

    def step(
        self, data: bytes | None, done: Callable[[bytes | Authenticated | Refused], None]
    ) -> None:
        """See the broker's ``EnhancedExchange``."""
        self._inner.step(data, partial(self._answered, done))

    def _answered(
        self,
        done: Callable[[bytes | Authenticated | Refused], None],
        answer: bytes | Authenticated | Refused,
    ) -> None:
        if isinstance(answer, Refused):
            self._guard.judged(self._request, answer)
        elif isinstance(answer, Authenticated):
            judged = self._guard.judged(self._request, answer.identity)
            if isinstance(judged, Refused):
                answer = judged
        done(answer)
