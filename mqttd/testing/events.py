"""Assertions for event sinks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from mqttd.events import EVENTS, Event
from mqttd.interfaces import IEventSink
from mqttd.testing.answers import ask, failed, optional_methods, provides

_VALUES: dict[str, Any] = {
    "str": "text",
    "int": 0,
    "float": 1_000.0,
    "bool": False,
    "bytes": b"\xff",
    "tuple[str, int]": ("192.0.2.1", 1024),
    "tuple[str, ...]": ("text",),
}
"""By type; what may be None is None."""


def assert_event_sink(sink: Any, *, events: Iterable[Event] = ()) -> None:
    """What every :class:`~mqttd.interfaces.IEventSink` must keep to.

    It is told one event of each kind, and those that are given: it must take what it is told
    without an exception, kinds it does not know as well. Answers that wait for threads or the
    network are not judged.

    Raises AssertionError, which says what to mend.
    """
    provides(IEventSink, sink)
    optional_methods(sink, "start", "stop")
    for event in (*map(example, EVENTS.values()), Event(time=1_000.0), *events):
        answer = ask(sink.handle, event)
        if isinstance(answer, Exception):
            asked = f"{type(sink).__name__}.handle({type(event).__name__})"
            raise failed(asked, answer, "leave out events that it cannot use") from answer


def example(kind: type[Event]) -> Event:
    """An event of one kind with plain values."""
    types = {field.name: str(field.type) for field in attrs.fields(kind)}
    values: dict[str, Any] = {name: _VALUES.get(type_) for name, type_ in types.items()}
    return kind(**values)
