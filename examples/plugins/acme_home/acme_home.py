"""Says what clients may do: the authorizer acme-home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zope.interface import implementer

from mqttd.identity import AccessRequest
from mqttd.interfaces import IAuthorizer, PluginContext


@implementer(IAuthorizer)
class AcmeHome:
    """Gives everybody a prefix of topics. Replace this by what knows your rules."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def authorize(self, request: AccessRequest) -> bool | None:
        """See IAuthorizer. Asking others is awaited here; nothing may block."""
        username = request.username
        if username is None or not set(username).isdisjoint("+#/"):
            return None  # such a name must not make a wildcard or another topic of the prefix
        if request.topic.startswith(f"{self._prefix}/{username}/"):
            return True
        return None  # the next source may know


def make(options: Mapping[str, Any], _context: PluginContext) -> AcmeHome:
    """Make the authorizer. Raises ValueError for options that make no sense."""
    unknown = set(options) - {"prefix"}
    if unknown:
        raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
    prefix = options.get("prefix")
    if not isinstance(prefix, str) or not prefix:
        raise ValueError("prefix is needed")
    return AcmeHome(prefix)
