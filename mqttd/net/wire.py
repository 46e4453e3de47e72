"""Bytes onto the socket at once, where Twisted would ask the reactor to be told when it may."""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection


def write_now(transport: Any, data: bytes) -> None:
    """Like ``transport.write``, but an idle socket is written to at once.

    Twisted's own ``write`` never sends: it registers for writability and sends a turn later, two
    system calls and a pass through the reactor more for each message. What the socket does not
    take, and any error, goes Twisted's way: order, pauses and the end of the connection stay
    its matter. Transports that are no TCP socket just ``write``.
    """
    if (
        isinstance(transport, Connection)
        and not transport.dataBuffer
        and not transport._tempDataLen
        and transport.connected
        and not transport._writeDisconnected
    ):
        sent = transport.writeSomeData(data)
        if isinstance(sent, int) and sent:
            if sent == len(data):
                return
            data = data[sent:]
    transport.write(data)
