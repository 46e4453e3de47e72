"""Rules between the options of rates and back-off: what has no effect, or contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mqttd.config.errors import Finding, error
from mqttd.config.schema import Configuration
from mqttd.config.types import format_duration

_OF_LISTENERS = (
    "max_conn",
    "messages",
    "bytes",
    "listener_messages",
    "listener_bytes",
)


def check_abuse(configuration: Configuration) -> Iterator[Finding]:
    """Every contradiction in ``abuse`` and in the rates of listeners."""
    for listener in configuration.listeners:
        yield from _bursts(listener, listener.path, _OF_LISTENERS)
    abuse = configuration.abuse
    yield from _bursts(abuse.per_address, "abuse.per_address", ("conn", "handshake"))
    yield from _bursts(abuse.per_identity, "abuse.per_identity", ("conn",))
    failed = abuse.failed_auth
    if failed.backoff > failed.max_backoff:
        most = format_duration(failed.max_backoff)
        yield error(
            "abuse.failed_auth.backoff",
            f"is longer than max_backoff, which is {most}",
            f"write at most {most}, or raise max_backoff",
        )


def _bursts(section: Any, path: str, names: tuple[str, ...]) -> Iterator[Finding]:
    for name in names:
        if getattr(section, f"{name}_burst") and not getattr(section, f"{name}_rate"):
            yield error(
                f"{path}.{name}_burst",
                f"has no effect without {name}_rate: there is no limit that it could be on top of",
                f"set {name}_rate, or remove it",
            )
