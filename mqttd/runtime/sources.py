"""Every file the configuration names: which they are, and whether they are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from mqttd.config.load import Loaded
from mqttd.config.option import PATH, PATH_OR_PEM, documentation_of, is_pem
from mqttd.config.schema.authentication import Authenticator
from mqttd.config.schema.authorization import Source
from mqttd.config.schema.listeners import Listeners

_WRITTEN = frozenset(("audit.file", "data_dir", "log.file.path", "control.socket"))
"""Options that name what the broker itself writes."""

_LARGEST = 64 << 20
"""Bytes hashed of one file; more is refused by whoever reads it."""

Look = Mapping[Path, tuple[int, ...] | None]
"""What a look at the files saw: modification time (ns), size and inode; None: no such file."""

Digests = Mapping[Path, bytes]
"""What the files held, hashed; a file that cannot be read is left out."""


def named_files(loaded: Loaded) -> dict[Path, str]:
    """Each file that is read, and the option that names it; empty for the configuration itself.

    Of ``crl_cache.directory`` it is the directory and the lists that are in it now.
    """
    files = dict.fromkeys(loaded.files, "")
    for path, value in _paths(loaded.configuration, ""):
        files.setdefault(loaded.base_dir / value, path)
    for value in loaded.configuration.crl_cache.files:
        if not is_pem(value):
            files.setdefault(loaded.base_dir / value, "crl_cache.files")
    directory = loaded.configuration.crl_cache.directory
    if directory is not None:
        for file in _lists_in(loaded.base_dir / directory):
            files.setdefault(file, "crl_cache.directory")
    return files


def look(loaded: Loaded) -> Look:
    """One look at every file: what a change would change, without reading them."""
    return {file: _seen(file) for file in named_files(loaded)}


def digests(loaded: Loaded) -> Digests:
    """Read and hash every file."""
    return _digests(named_files(loaded))


def digests_of(section: Any, base_dir: Path) -> Digests:
    """Read and hash the files that one section of the configuration names."""
    return _digests(base_dir / value for _, value in _paths(section, ""))


def _digests(files: Iterable[Path]) -> Digests:
    found = {}
    for file in files:
        try:
            if file.is_file():
                with file.open("rb") as stream:
                    found[file] = hashlib.sha256(stream.read(_LARGEST)).digest()
        except OSError:
            continue
    return found


def _seen(file: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _lists_in(directory: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.endswith((".crl", ".pem")):
            yield directory / name


def _paths(section: Any, path: str) -> Iterator[tuple[str, str]]:
    """Options that name files, of this section and those within it."""
    if isinstance(section, Listeners):
        for listener in section.enabled():
            yield from _paths(listener, listener.path)
        return
    if isinstance(section, list):
        for each in section:
            yield from _paths(each, path)
        return
    if isinstance(section, Authenticator | Source):
        if section.enable:
            yield from _paths(section.options, section.path)
        return
    if isinstance(section, dict):
        for name, each in section.items():
            yield from _paths(each, f"{path}.{name}")
        return
    if not attrs.has(type(section)):
        return
    for field in attrs.fields(type(section)):
        value = getattr(section, field.name)
        option = f"{path}.{field.name}".lstrip(".")
        documentation = documentation_of(field)
        kind = None if documentation is None else documentation.kind
        if kind not in (PATH, PATH_OR_PEM):
            yield from _paths(value, option)
        elif value and option not in _WRITTEN and not is_pem(value) and "\0" not in value:
            yield option, value
