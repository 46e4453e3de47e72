"""The packet log: one line for each packet, at level debug, in the manner of EMQ X."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.logger import Logger

from mqttd.identity import PeerInfo
from mqttd.log.packets import describe
from mqttd.packets.decode import Packet

_log = Logger(namespace="mqttd.packets")


class _Switch:
    on = False
    watchers: ClassVar[list[Callable[[], None]]] = []


def switch(on: bool) -> None:
    """Turn the packet log on or off; new connections ask for it with ``packet_trace``."""
    changed = _Switch.on != on
    _Switch.on = on
    if changed:
        for watcher in list(_Switch.watchers):
            watcher()


def watch(watcher: Callable[[], None]) -> Callable[[], None]:
    """Call ``watcher`` when the packet log is turned on or off; returns what ends that."""
    _Switch.watchers.append(watcher)
    return lambda: _Switch.watchers.remove(watcher)


def packet_trace(peer: PeerInfo) -> Callable[[str, Packet], None] | None:
    """The packet log of one connection, or None when it is off: then it costs nothing.

    It is called with ``RECV`` or ``SEND`` and the packet.
    """
    if not _Switch.on:
        return None
    host, port = peer.peer
    address = f"{host}:{port}"

    def trace(direction: str, packet: Packet) -> None:
        if _Switch.on:
            _log.debug(
                "{peer} [MQTT] {direction} {packet}",
                event="packet",
                peer=address,
                listener=peer.listener,
                direction=direction,
                packet=describe(packet),
            )

    return trace
