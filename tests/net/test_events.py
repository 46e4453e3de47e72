"""The log lines about clients."""

from __future__ import annotations

from typing import Any


def test_a_client_with_a_name_in_version_5(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.connect("dev", username="ann", password=b"secret", keep_alive=60)
    assert world.lines()[-1] == (
        "New client connected from 192.0.2.7:4711 as dev (p5, c1, k60, u'ann')."
    )
    assert not any("secret" in line for line in world.lines())


def test_fields_for_the_json_form(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.connect("dev", level=3, clean_start=False)
    event = world.log[-1]
    assert event["event"] == "client_connected"
    assert event["listener"] == "tcp:default"
    assert event["client_id"] == "dev"
    assert event["protocol"] == 1
    assert event["clean"] == 0


def test_a_refused_client_without_an_id(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.send(b"\x10\x02\x00\x00")
    assert world.log[-1]["event"] == "client_refused"
    assert world.lines()[-1] == (
        "Client <unknown> [192.0.2.7:4711] refused on tcp:default: "
        "the first packet is not an MQTT CONNECT (0x00)."
    )


def test_a_refused_client_with_the_code(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.send(b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01a")
    assert world.lines()[-1].endswith("(0x84).")
