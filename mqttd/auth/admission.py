"""Who may come in, listener by listener: the broker's ``Admission`` and its methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs

from mqttd.broker.ports import EnhancedAuthenticator, EnhancedExchange
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.reason_codes import ReasonCode

Done = Callable[[Identity | Refused], None]
_NONE: Mapping[str, EnhancedAuthenticator] = MappingProxyType({})


class Chain(Protocol):
    """Authenticators in order."""

    def admit(self, request: ConnectRequest, done: Done) -> None:
        """See the broker's ``Admission``."""


@attrs.frozen(eq=False)
class Doors:
    """How one listener lets clients in.

    ``chain`` None: everybody comes in. ``needs_username``: who names none is refused before
    anybody is asked. ``methods`` are those of MQTT 5's enhanced authentication.
    """

    chain: Chain | None = None
    needs_username: bool = False
    methods: Mapping[str, EnhancedAuthenticator] = _NONE


OPEN = Doors()


class ListenerAdmission:
    """The broker's ``Admission``: asks what belongs to the client's listener.

    A listener that is not known here lets nobody in.
    """

    def __init__(self) -> None:
        self._doors: Mapping[str, Doors] = {}
        self.methods: dict[str, EnhancedAuthenticator] = {}
        """The broker's ``enhanced``: every method of any listener."""

    def use(self, doors: Mapping[str, Doors]) -> None:
        """From now on; clients that are connected stay."""
        self._doors = doors
        names = {name for each in doors.values() for name in each.methods}
        self.methods.clear()
        self.methods.update({name: _Method(name, self) for name in names})

    def admit(self, request: ConnectRequest, done: Done) -> None:
        """Fulfils the broker's port."""
        doors = self._doors.get(request.peer.listener)
        if doors is None:
            done(Refused(ReasonCode.SERVER_UNAVAILABLE, "the listener is being removed"))
        elif doors.needs_username and not request.username:
            done(Refused(ReasonCode.NOT_AUTHORIZED, "a user name is demanded here"))
        elif doors.chain is None:
            done(Identity(username=request.username))
        else:
            doors.chain.admit(request, done)

    def method_of(self, request: ConnectRequest, name: str) -> EnhancedAuthenticator | None:
        """The authentication method, if the client's listener has it."""
        doors = self._doors.get(request.peer.listener)
        return None if doors is None else doors.methods.get(name)


class _Method:
    """One method for all listeners; those that do not have it refuse."""

    def __init__(self, name: str, admission: ListenerAdmission) -> None:
        self._name = name
        self._admission = admission

    def start(self, request: ConnectRequest, data: bytes | None) -> EnhancedExchange:
        """See the broker's ``EnhancedAuthenticator``."""
        method = self._admission.method_of(request, self._name)
        return _Refusal() if method is None else method.start(request, data)


class _Refusal:
    def step(self, data: bytes | None, done: Callable[[Refused], None]) -> None:  # noqa: ARG002
        """See the broker's ``EnhancedExchange``."""
        code = ReasonCode.BAD_AUTHENTICATION_METHOD
        done(Refused(code, "the Authentication Method is not known here"))
