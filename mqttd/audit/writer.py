"""Writes the audit log: in order, off the reactor's thread, and on from where it ended."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from mqttd.audit.records import RESUMED, BrokenRecord, Head, opened, sealed, torn_hash

MOST_WAITING: Final = 10_000
"""Records that wait to be written; more are lost, and the next one says how many."""
_TAIL: Final = 1 << 20
"""Bytes at the end of a file in which its last record stands."""
_AT_ONCE: Final = 500
"""Records of one write."""
_QUIET: Final = 60.0
"""Seconds between two lines that writing fails."""
_PAUSE: Final = 1.0
"""Seconds from a write that failed to the next."""


class Unusable(ValueError):  # noqa: N818 - names what is wrong
    """An audit log that cannot be gone on with: ``problem`` says why, ``cure`` what to do."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


@attrs.frozen
class End:
    """How a file ends: where the chain is, and what stands behind its last record."""

    head: Head
    torn: bytes = attrs.field(default=b"", repr=False)
    newline: bool = True


def find_end(file: Path, key: bytes = b"") -> End | None:
    """The end of a file there is; None when there is none, or an empty one.

    Raises Unusable when its last whole line is no record, and OSError.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read()
    if not tail:
        return None
    body, _, rest = tail.rpartition(b"\n")
    if rest:
        try:
            return End(opened(rest, key)[1], newline=False)
        except BrokenRecord:
            pass  # the end of a crash
    if not body:
        if size > len(tail) or not rest:
            raise Unusable(f"{file} does not end in a record", "move it away and look at it")
        return End(Head(), rest, newline=False)
    last = body.rpartition(b"\n")[2]
    try:
        return End(opened(last, key)[1], rest, newline=not rest)
    except BrokenRecord as problem:
        raise Unusable(
            f"the last record of {file} {problem}",
            "run mqttd audit verify, then move the file away; is the key the same?",
        ) from None


class AuditLog:
    """One audit log that is written to. :meth:`open` comes first."""

    _log = Logger()

    def __init__(
        self,
        file: Path,
        *,
        clock: Any,
        key: bytes = b"",
        rotation_size: int = 0,
        rotation_count: int = 10,
        sync: bool = False,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        """``rotation_size`` in bytes, 0 for never; ``rotation_count`` former files are kept.
        ``sync``: each write is on the disk before the next."""
        self._file = file
        self._clock = clock
        self._key = key
        self._rotation_size = rotation_size
        self._rotation_count = rotation_count
        self._sync = sync
        self._in_thread = in_thread
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._lost = 0
        self._writing = False
        self._retry: Any = None
        self._told = float("-inf")
        self._failing = False
        self._closing: Deferred[None] | None = None
        self.head = Head()
        """The end of what was written."""

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._failing

    def open(self, now: str) -> None:
        """Go on where the file ends; ``now`` is the time of the first record.

        Raises Unusable and OSError, also when the file cannot be written.
        """
        end = find_end(self._file, self._key) or find_end(self._numbered(1), self._key)
        begin = b""
        fields: dict[str, Any] = {"time": now, "event": RESUMED}
        if end is not None:
            self.head = end.head
            begin = b"" if end.newline else b"\n"
            if end.torn:
                fields["torn"] = torn_hash(end.torn)
        line, head = sealed(self.head, fields, self._key)
        self._append(begin + line)
        self.head = head

    def has_room(self, *, frequent: bool = False) -> bool:
        """Whether one more record can wait. ``frequent``: of a kind that one client can cause
        thousands of at once. Half of the room is kept from those, or a client could make room
        for what it does not want to be seen."""
        return len(self._waiting) < (MOST_WAITING // 2 if frequent else MOST_WAITING)

    def lose(self) -> None:
        """A record there is no room for; the next one says how many."""
        self._lost += 1

    def add(self, fields: Mapping[str, Any]) -> None:
        """Write a record, soon. Never raises and never blocks."""
        if not self.has_room():
            self.lose()
            return
        if self._lost:
            # It stands where they should have stood, for the queue is in order.
            fields = {**fields, "lost_before": self._lost}
            self._lost = 0
        self._waiting.append(fields)
        if not self._writing and self._retry is None:
            self._write()

    def close(self) -> Deferred[None]:
        """Fires when what waits is written, or one more try to write it has failed."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self._write()
        if not self._writing:
            return succeed(None)
        self._closing = self._closing or Deferred()
        return self._closing

    # --- within ------------------------------------------------------------------------------

    def _write(self) -> None:
        """Seal what waits and hand it to a thread; one batch is on its way at a time."""
        self._retry = None
        head = self.head
        lines = []
        for fields in islice(self._waiting, _AT_ONCE):
            line, head = sealed(head, fields, self._key)
            lines.append(line)
        self._writing = True
        writing = self._in_thread(self._append, b"".join(lines))
        writing.addCallbacks(partial(self._written, len(lines), head), self._failed)
        writing.addErrback(lambda failure: self._log.failure("the audit log broke", failure))

    def _written(self, count: int, head: Head, _: object) -> None:
        self._writing = False
        self.head = head
        for _number in range(count):
            self._waiting.popleft()
        if self._failing:
            self._failing = False
            self._told = float("-inf")
            self._log.info("the audit log is written again", event="audit_recovered")
        if self._waiting:
            self._write()
        else:
            self._closed()

    def _failed(self, failure: Any) -> None:
        """Nothing of the batch stands in the file: it is tried again, the chain as it was."""
        self._writing = False
        self._failing = True
        now = self._clock.seconds()
        if now >= self._told + _QUIET:
            self._told = now
            error = failure.value
            said = error.strerror if isinstance(error, OSError) else type(error).__name__
            self._log.error(
                "the audit log {file} cannot be written: {said}; {count} records wait, and "
                "beyond {most} they are lost",
                event="audit_failed",
                file=str(self._file),
                said=said,
                count=len(self._waiting),
                most=MOST_WAITING,
            )
        if self._closing is None:
            self._retry = self._clock.callLater(_PAUSE, self._write)
        else:
            self._closed()

    def _closed(self) -> None:
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.callback(None)

    def _append(self, data: bytes) -> None:
        """Runs in a thread. All of it or nothing. Raises OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._file, flags, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if self._sync:
                    os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # a full disk takes the first part of a line
                raise
        finally:
            os.close(descriptor)
        if self._rotation_size and before + len(data) >= self._rotation_size:
            # The records stand: that a file cannot be renamed must not have them written twice.
            with suppress(OSError):
                self._rotate()

    def _rotate(self) -> None:
        """The file becomes FILE.1, that FILE.2, and the oldest goes."""
        for number in range(self._rotation_count, 0, -1):
            former = self._numbered(number - 1) if number > 1 else self._file
            if former.exists():
                former.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}")
