"""Bans kept in a file, so that a restart pardons nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mqttd.abuse.banned import Ban, from_rows
from mqttd.config.errors import ConfigurationErrors, error

NAME: Final = "banned.json"
LARGEST: Final = 256 << 20
"""Bytes of a file that is read; the most entries there may be are smaller."""
_VERSION = 1


def load_bans(path: Path, now: float) -> list[Ban]:
    """The entries of a file that hold at ``now`` (epoch seconds); none when there is no file.

    Raises ConfigurationErrors for one that cannot be read: to start without would let everybody
    in who was kept out.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise _unusable(path, str(problem.strerror)) from None
    if len(data) > LARGEST:
        raise _unusable(path, f"it has more than {LARGEST >> 20} MiB")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise _unusable(path, "it is no JSON") from None
    rows = content.get("banned") if isinstance(content, dict) else None
    if not isinstance(rows, list) or content.get("version") != _VERSION:
        raise _unusable(path, 'it is not {"version": 1, "banned": [...]}')
    try:
        return from_rows(rows, now)
    except ValueError as problem:
        raise _unusable(path, str(problem)) from None


def save_bans(path: Path, bans: Sequence[Ban]) -> None:
    """Replace the file as a whole, mode 0600. Blocks; raises OSError."""
    rows = [ban.row() for ban in bans]
    text = json.dumps({"version": _VERSION, "banned": rows}, indent=1) + "\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with open(new, "wb", opener=_private) as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unusable(path: Path, why: str) -> ConfigurationErrors:
    cure = "mend it, or move it away to begin with an empty list"
    return ConfigurationErrors(
        [error("data_dir", f"the list of bans {path} cannot be used: {why}", cure)]
    )
