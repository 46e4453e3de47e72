"""Changes of files of users: one line at a time, everything else as it was."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mqttd.packets.primitives import LONGEST_STRING
from mqttd.tls.issue import write_new

_NEW_MODE = 0o600


def check_name(name: str) -> None:
    """Raises ValueError for a name that cannot stand in such a file, or cannot be used in MQTT."""
    if not name or name != name.strip():
        raise ValueError("the name is empty, or begins or ends with a space")
    if ":" in name or name.startswith("#"):
        raise ValueError("the name holds a colon, or begins with #")
    if any(ord(each) < 32 or 127 <= ord(each) < 160 for each in name):
        raise ValueError("the name holds a control character")
    try:
        if len(name.encode()) > LONGEST_STRING:
            raise ValueError("the name is longer than 65,535 bytes")
    except UnicodeEncodeError:
        raise ValueError("the name is not UTF-8") from None


def with_user(data: bytes, name: str, secret: str) -> bytes:
    """The file with this user, in place of the one of the same name or at its end."""
    new = f"{name}:{secret}".encode()
    lines = data.split(b"\n")
    place = _place(lines, name)
    if place is not None:
        lines[place] = new + (b"\r" if lines[place].endswith(b"\r") else b"")
        return b"\n".join(lines)
    between = b"\n" if data and not data.endswith(b"\n") else b""
    return data + between + new + b"\n"


def without_user(data: bytes, name: str) -> bytes | None:
    """The file without this user; None when it is not there."""
    lines = data.split(b"\n")
    place = _place(lines, name)
    if place is None:
        return None
    del lines[place]
    return b"\n".join(lines)


def _place(lines: list[bytes], name: str) -> int | None:
    begin = name.encode() + b":"
    return next((at for at, line in enumerate(lines) if line.startswith(begin)), None)


@contextmanager
def changing(file: Path) -> Iterator[Callable[[bytes], None]]:
    """Nobody else changes the file meanwhile; what is given writes it whole or not at all.

    Mode and owner stay, for the broker must still be able to read it; a new file has mode 0600.
    Raises OSError.
    """
    file = file.resolve()  # a link stays one
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)

        def write(data: bytes) -> None:
            try:
                status = file.stat()
            except FileNotFoundError:
                write_new(file, data, _NEW_MODE)
            else:
                owner = (status.st_uid, status.st_gid)
                write_new(file, data, status.st_mode & 0o777, replace=True, owner=owner)

        yield write
    finally:
        os.close(folder)
