"""Reading what an option names: a PEM file, or PEM text standing in the configuration itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import attrs

_LARGEST: Final = 8 << 20
"""Bytes; a bundle of every public authority is a twentieth of this."""


class FileProblem(Exception):  # noqa: N818 - becomes a finding
    """A file cannot be used: ``message`` names it and says why, ``cure`` what to do.

    ``option`` is the option to blame when it is another than the one that named the file.
    """

    def __init__(self, message: str, cure: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option
        self.message = message
        self.cure = cure


@attrs.frozen
class PemSource:
    """PEM bytes and where they came from."""

    data: bytes = attrs.field(repr=False)
    name: str
    """The file's full path, or ``the text of the option``."""
    mode: int | None = None
    """Permission bits of the file; None for text."""


def is_pem_text(value: str) -> bool:
    """Whether an option's value is PEM itself rather than the path of a file."""
    return "-----BEGIN " in value


def resolve(value: str, base_dir: str | Path) -> Path:
    """The file an option names; a relative path starts at ``base_dir``."""
    return Path(base_dir, value).absolute()


def read_pem(value: str, base_dir: str | Path) -> PemSource:
    """Read an option's PEM. Raises :exc:`FileProblem`, also when there is no PEM in it."""
    if is_pem_text(value):
        return PemSource(value.encode("utf-8", "replace"), "the text of the option")
    if not value.strip() or any(mark in value for mark in "\n\r\0"):
        raise FileProblem(
            "is neither the path of a file nor PEM text",
            'give the path of a PEM file, or PEM text from "-----BEGIN" on',
        )
    path = resolve(value, base_dir)
    data, mode = read_file(path)
    if b"-----BEGIN " not in data:
        found = "is empty" if not data.strip() else "is no PEM file"
        cure = "give a PEM file; it holds lines such as -----BEGIN CERTIFICATE-----"
        if data[:1] == b"\x30":
            found = "is no PEM file but looks like DER"
            cure = "convert it: openssl x509 (or pkey) -inform DER -in FILE -out FILE.pem"
        raise FileProblem(f"{path} {found}", cure)
    return PemSource(data, str(path), mode)


def read_file(path: Path, largest: int = _LARGEST) -> tuple[bytes, int]:
    """A regular file's bytes and permission bits. Raises :exc:`FileProblem`."""
    user = "make the file readable for the user who runs the broker"
    try:
        # O_NONBLOCK: a FIFO in the place of a file must not stop the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileProblem(f"{path} does not exist", "correct the path or create it") from None
    except OSError as problem:
        cure = user if isinstance(problem, PermissionError) else "correct the path"
        raise FileProblem(f"{path} cannot be read: {problem.strerror}", cure) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileProblem(f"{path} is not a regular file", "give the path of a file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    except OSError as problem:
        raise FileProblem(f"{path} cannot be read: {problem.strerror}", user) from None
    finally:
        os.close(descriptor)
    if len(data) > largest:
        raise FileProblem(f"{path} is larger than {largest >> 20} MB", "give a smaller file")
    return data, stat.S_IMODE(status.st_mode)
