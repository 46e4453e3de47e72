"""A guard with a clock that stands still, and clients that ask it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from mqttd.abuse.banned import Ban, BanList
from mqttd.abuse.guard import Guard, Objection, Visit
from mqttd.config.schema.abuse import (
    AbuseOptions,
    FailedAuthOptions,
    FlappingOptions,
    PerAddressOptions,
    PerIdentityOptions,
)
from mqttd.identity import ConnectRequest, Identity, PeerInfo, Refused
from mqttd.packets.reason_codes import ReasonCode

START = 1_700_000_000.0


class Bench:
    """One guard. ``now`` is its clock; the time of day goes along."""

    def __init__(self, **options: Any) -> None:
        self.now = 100.0
        self.bans: list[Ban] = []
        self.excess: list[Any] = []
        self._in: dict[int, ConnectRequest] = {}
        flapping = options.pop("flapping_detect", {})
        self.guard = Guard(
            _options(**options),
            FlappingOptions(**flapping),
            BanList(options.get("max_banned", 100)),
            now=lambda: self.now,
            wall=lambda: START + self.now,
            banned=self.bans.append,
            excess=self.excess.append,
        )

    def configure(self, **options: Any) -> None:
        flapping = options.pop("flapping_detect", {})
        self.guard.configure(_options(**options), FlappingOptions(**flapping))

    def enter(self, host: str = "192.0.2.7", *, tls: bool = False) -> Visit | str:
        """A connection, or the kind of the objection."""
        answer = self.guard.enter(host, tls=tls)
        return answer.kind if isinstance(answer, Objection) else answer

    def request(
        self, name: str | None = "u", host: str = "192.0.2.7", client_id: str = "c", **peer: Any
    ) -> ConnectRequest:
        return ConnectRequest(
            client_id=client_id,
            username=name,
            password=None,
            level=5,
            clean_start=True,
            keep_alive=0,
            peer=PeerInfo(listener="tcp:default", peer=(host, 4711), **peer),
        )

    def admit(self, request: ConnectRequest, answer: Identity | Refused | None = None) -> int:
        """The reason code a client gets whom the authenticators answer so; 0: it is in."""
        refused = self.guard.before(request)
        if refused is None:
            judged = self.guard.judged(request, answer or Identity())
            if not isinstance(judged, Refused):
                self.connected(request, judged)
                return 0
            refused = judged
        self.guard.ended(request.peer)
        return refused.reason_code

    def connected(self, request: ConnectRequest, identity: Identity) -> None:
        username = request.username if identity.username is None else identity.username
        if id(request.peer) not in self._in:  # else it came to prove itself anew
            self._in[id(request.peer)] = request
            connection: Any = SimpleNamespace(
                peer=request.peer, username=username, client_id=request.client_id
            )
            self.guard.connected(connection)

    def gone(self, request: ConnectRequest) -> None:
        del self._in[id(request.peer)]
        self.guard.ended(request.peer)

    def fail(self, name: str = "u", host: str = "192.0.2.7") -> int:
        """A client with a wrong password."""
        wrong = Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "wrong")
        return self.admit(self.request(name, host), wrong)


def _options(**options: Any) -> AbuseOptions:
    sections = {
        "per_address": PerAddressOptions,
        "per_identity": PerIdentityOptions,
        "failed_auth": FailedAuthOptions,
    }
    made = {
        name: sections[name](**value) if name in sections else value
        for name, value in options.items()
    }
    return AbuseOptions(**made)


@attrs.frozen
class Rate:
    """As many in so many seconds."""

    count: float
    interval: float = 1.0


@pytest.fixture
def rate() -> type[Rate]:
    return Rate


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench
