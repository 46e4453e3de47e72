"""A chain of authenticators, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from mqttd.auth.chain import AuthenticatorChain, Link
from mqttd.identity import ConnectRequest
from mqttd.testing import connect_request

NOW = 1_700_000_000.0


@pytest.fixture
def now() -> float:
    """Epoch seconds at the start of a test."""
    return NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ask(clock: Clock) -> Callable[..., list[Any]]:
    """Ask a chain of authenticators, or of Links; what it answered, now or later, is a list."""

    def call(*authenticators: Any, request: ConnectRequest | None = None) -> list[Any]:
        links = [
            each if isinstance(each, Link) else Link(f"number {number}", each)
            for number, each in enumerate(authenticators)
        ]
        answers: list[Any] = []
        chain = AuthenticatorChain(links, clock, now=lambda: NOW + clock.seconds())
        chain.admit(request or connect_request("ann", b"s3cret"), answers.append)
        return answers

    return call
