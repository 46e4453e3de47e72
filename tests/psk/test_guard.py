"""Faults of a stranger's store refuse clients, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mqttd.interfaces import IPSKStore
from mqttd.psk.guard import GuardedStore


class Store:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.answer: Any = b"k" * 16
        self.watchers: list[Callable[[], object]] = []

    def key_for(self, identity: bytes) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def identities(self) -> Sequence[Any]:
        return self.answer  # type: ignore[no-any-return]

    def on_change(self, changed: Callable[[], object]) -> None:
        self.watchers.append(changed)

    def reload(self) -> str:
        return "read"


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    observer: Any = found.append
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def test_good_answers_pass() -> None:
    store = Store()
    guarded = GuardedStore("acme", store)
    assert verifyObject(IPSKStore, guarded)
    assert guarded.key_for(b"a") == b"k" * 16
    store.answer = None
    assert guarded.key_for(b"a") is None
    store.answer = [b"a", b"b"]
    assert guarded.identities() == (b"a", b"b")
    guarded.on_change(print)
    assert store.watchers == [print]
    assert guarded.reload() == "read"
    assert not hasattr(guarded, "start")
    assert repr(guarded) == "<GuardedStore acme>"


@pytest.mark.parametrize("answer", [RuntimeError("no"), b"", b"k" * 513, "secret text", 7])
def test_faults_are_unknown_identities(answer: Any, events: list[dict[str, Any]]) -> None:
    store = Store()
    store.answer = answer
    guarded = GuardedStore("acme", store)
    for _ in range(3):
        assert guarded.key_for(b"a") is None
    (event,) = [each for each in events if each.get("event") == "psk_store_failed"]
    assert event["name"] == "acme"
    assert "secret text" not in str(event)


def test_a_list_that_fails(events: list[dict[str, Any]]) -> None:
    store = Store()
    store.answer = 7
    assert GuardedStore("acme", store).identities() == ()
    assert [each["method"] for each in events if "method" in each] == ["identities"]
    store.answer = [b"a", "b"]
    assert GuardedStore("acme", store).identities() == (b"a",)
