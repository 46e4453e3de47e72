"""One connection's outgoing bytes: gathered during a turn, joined and written once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer, ITransport
from zope.interface import implementer

from mqttd.net.turn import Turn

_MANY = 64
_SMALL = 256
"""While a peer is slow, this many parts of fewer bytes on average are joined: an acknowledgement
of 4 bytes costs ten times as much as an object of its own."""


@implementer(IPushProducer)
class WriteBuffer:
    """Joins small writes and knows when there are too many.

    ``write`` puts the joined bytes on the wire, through WebSocket and TLS where there are any.
    While the transport asks for a pause, bytes stay here; ``writable`` turns False when more than
    ``high_watermark`` bytes wait, which is when ``filled`` is called, and True again, with
    ``drained``, when they are gone. ``resumed`` is called whenever the transport has sent all it
    had, and was given what waited here.
    """

    __slots__ = (
        "_compact",
        "_dirty",
        "_drained",
        "_filled",
        "_high_watermark",
        "_parts",
        "_paused",
        "_resumed",
        "_size",
        "_transport",
        "_turn",
        "_write",
        "writable",
    )

    def __init__(
        self,
        transport: ITransport,
        turn: Turn,
        high_watermark: int,
        write: Callable[[bytes], None],
        filled: Callable[[], None],
        drained: Callable[[], None],
        resumed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._turn = turn
        self._high_watermark = high_watermark
        self._write = write
        self._filled = filled
        self._drained = drained
        self._resumed = resumed
        self._parts: list[bytes] = []
        self._compact = 0
        self._size = 0
        self._paused = False
        self._dirty = False
        self.writable = True

    @property
    def paused(self) -> bool:
        """Whether the transport has more than it can send."""
        return self._paused

    @property
    def size(self) -> int:
        """Bytes that wait here, the transport's own buffer not counted."""
        return self._size

    def add(self, parts: tuple[bytes, ...]) -> None:
        """Take bytes to be written at the end of the turn."""
        self._parts += parts
        for part in parts:
            self._size += len(part)
        if not self._dirty:
            self._dirty = True
            self._turn.dirty.append(self)
            self._turn.touch()
        if self._size > self._high_watermark and self.writable:
            self.writable = False
            self._filled()

    def flush(self) -> None:
        """Write what there is, unless the transport asked for a pause."""
        self._dirty = False
        if not self._paused:
            self.force()
        elif len(self._parts) - self._compact >= _MANY:
            self._join_small()

    def _join_small(self) -> None:
        """Make one part of the last turns' many small ones; large ones stay shared."""
        new = self._parts[self._compact :]
        joined = b"".join(new)
        if len(joined) < _SMALL * len(new):
            self._parts[self._compact :] = [joined]
        self._compact = len(self._parts)

    def force(self) -> None:
        """Write what there is, paused or not; for the last bytes of a connection."""
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._compact = 0
            self._size = 0
            self._write(data)
        if not self.writable and not self._paused:
            self.writable = True
            self._drained()

    def clear(self) -> None:
        """Forget everything; the connection is gone."""
        self._parts.clear()
        self._compact = 0
        self._size = 0

    def pauseProducing(self) -> None:
        """The transport has enough for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport has sent what it had."""
        self._paused = False
        self.flush()
        if not self._paused:
            self._resumed()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.clear()
