"""Tests of acme-census, without a socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from acme_census import AcmeCensus

from mqttd.plugins import event_sink
from mqttd.testing import MemoryBroker, assert_event_sink, plugin_context


def test_it_keeps_to_the_interface(tmp_path: Path) -> None:
    assert_event_sink(AcmeCensus(tmp_path / "clients"))


def test_clients_are_counted(tmp_path: Path) -> None:
    sink = AcmeCensus(tmp_path / "clients")
    broker = MemoryBroker(event_sinks=[sink])
    one, _other = broker.connected("one"), broker.connected("other")
    assert sink.connected == {"memory:default": 2}
    one.disconnect()
    sink.stop()
    assert (tmp_path / "clients").read_text() == "memory:default 1\n"


def test_it_is_declared(tmp_path: Path) -> None:
    plugin = event_sink("acme-census")
    context = plugin_context(tmp_path)
    assert_event_sink(plugin.make({"file": "clients"}, context))
    with pytest.raises(ValueError, match="file is needed"):
        plugin.make({}, context)
    with pytest.raises(ValueError, match="unknown option: name"):
        plugin.make({"name": "x"}, context)
