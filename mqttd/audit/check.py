"""Looks at the audit log there is before it is gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mqttd.audit.writer import Unusable, find_end
from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.events import AuditOptions
from mqttd.tls.files import FileProblem, read_file, resolve

_LEAST_KEY: Final = 16


def check_audit(options: AuditOptions, base_dir: Path) -> Iterator[Finding]:
    """Everything wrong or risky about the section ``audit`` and its files."""
    if not options.enable:
        return
    key = b""
    if options.key_file is not None:
        place = resolve(options.key_file, base_dir)
        try:
            data, mode = read_file(place)
        except FileProblem as problem:
            yield error("audit.key_file", problem.message, problem.cure)
            return
        key = data.strip()
        if len(key) < _LEAST_KEY:
            cure = f"openssl rand -hex 32 > {place}"
            yield error("audit.key_file", f"{place} holds fewer than {_LEAST_KEY} bytes", cure)
        if mode & 0o077:
            what = f"{place} can be read by others ({mode:04o})"
            yield warning("audit.key_file", what, f"chmod 600 {place}")
    file = resolve(options.file, base_dir)
    try:
        find_end(file, key)
    except Unusable as problem:
        yield error("audit.file", problem.problem, problem.cure)
    except OSError as problem:
        yield error("audit.file", f"{file} cannot be read: {problem.strerror}", "correct the path")
    else:
        where = file if file.exists() else _nearest(file.parent)
        if not os.access(where, os.W_OK):
            cure = "make it writable for the user who runs the broker"
            yield error("audit.file", f"{where} cannot be written to", cure)


def key_of(options: AuditOptions, base_dir: Path) -> bytes:
    """The key of the chain; empty without one. Raises FileProblem."""
    if options.key_file is None:
        return b""
    return read_file(resolve(options.key_file, base_dir))[0].strip()


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it in which it can be made."""
    while not folder.exists():
        folder = folder.parent
    return folder
