"""Fetched lists and answers kept in files, so that a restart during an outage works."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs
from twisted.logger import Logger

_ABOUT_LIMIT = 64 << 10


@attrs.frozen
class Stored:
    """One thing that was kept: what it is called, its bytes, and what was noted about it."""

    key: str
    data: bytes = attrs.field(repr=False)
    about: dict[str, str]


class DiskCache:
    """A directory of files: ``HASH.SUFFIX`` with the bytes, ``HASH.json`` with key and notes.

    Nothing read back may be trusted: it must be validated as if it came from the network. Files
    are mode 0600, replaced as a whole, at most ``capacity`` pairs, none above ``max_size`` bytes.
    All methods block and belong into a thread; at most one at a time. None raises: what cannot be
    kept or read is one line in the log, because the broker works without.
    """

    _log = Logger()

    def __init__(self, directory: Path, suffix: str, *, capacity: int, max_size: int) -> None:
        self._directory = directory
        self._suffix = suffix
        self._capacity = capacity
        self._max_size = max_size
        self._complained = False

    def save(self, key: str, data: bytes, about: Mapping[str, str]) -> None:
        """Keep the bytes under a key, in place of what was kept there."""
        name = _file_name(key)
        notes = json.dumps({"key": key, "about": dict(about)}).encode()
        if len(data) > self._max_size or len(notes) > _ABOUT_LIMIT:
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._replace(f"{name}.{self._suffix}", data)
            self._replace(f"{name}.json", notes)
            self._drop_surplus()
        except OSError as problem:
            self._complain("cannot be written", problem)
        else:
            self._complained = False

    def remove(self, key: str) -> None:
        """Forget what is kept under a key."""
        self._unlink(_file_name(key))

    def load(self) -> list[Stored]:
        """All that is kept, newest first; damaged and foreign files are passed over."""
        found = []
        for key, about in self.notes():
            data = self.read(key)
            if data is not None:
                found.append(Stored(key, data, about))
        return found

    def notes(self) -> list[tuple[str, dict[str, str]]]:
        """Key and notes of all that is kept, newest first, without the bytes."""
        try:
            names = self._names()
        except FileNotFoundError:
            return []
        except OSError as problem:
            self._complain("cannot be read", problem)
            return []
        found = map(self._noted, names[: self._capacity])
        return [noted for noted in found if noted is not None]

    def read(self, key: str) -> bytes | None:
        """The bytes kept under a key, or None."""
        try:
            path = self._directory / f"{_file_name(key)}.{self._suffix}"
            return _bounded(path, self._max_size)
        except OSError:
            return None

    def _noted(self, name: str) -> tuple[str, dict[str, str]] | None:
        try:
            notes = json.loads(_bounded(self._directory / f"{name}.json", _ABOUT_LIMIT))
            key, about = notes["key"], notes["about"]
            # a file under another's name would be written back under a second one
            if not isinstance(key, str) or _file_name(key) != name:
                return None
            return key, {str(word): str(value) for word, value in about.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def _names(self) -> list[str]:
        """The names of the pairs, newest first."""
        aged = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                name, _, suffix = entry.name.partition(".")
                if suffix == "json" and len(name) == 64:
                    with contextlib.suppress(OSError):
                        aged.append((entry.stat(follow_symlinks=False).st_mtime_ns, name))
        return [name for _, name in sorted(aged, reverse=True)]

    def _drop_surplus(self) -> None:
        for name in self._names()[self._capacity :]:
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        for suffix in ("json", self._suffix):
            with contextlib.suppress(OSError):
                (self._directory / f"{name}.{suffix}").unlink()

    def _replace(self, name: str, data: bytes) -> None:
        """Write a file as a whole: who reads it sees the old bytes or the new, never a part."""
        path = self._directory / name
        new = self._directory / f".{name}.new"
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def _complain(self, what: str, problem: OSError) -> None:
        if not self._complained:
            self._complained = True
            self._log.warn(
                "The cache {directory} {what}: {problem}. A restart will have to fetch anew.",
                event="disk_cache_failed",
                directory=str(self._directory),
                what=what,
                problem=problem.strerror or str(problem),
            )


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file; OSError for another kind of file or one above the limit."""
    # a pipe or a device put here must not hang the thread
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError(None, "not a regular file of bearable size")
        return file.read(limit + 1)[:limit]
