"""Everything TLS needs, made from one configuration and swapped as one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import succeed

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.tls.context import ALPN_HTTP, ALPN_MQTT, build_server_context


@attrs.frozen(eq=False)
class Credentials:
    """What the listeners of one configuration present and accept."""

    loaded: Loaded
    tls: Mapping[str, Any] = attrs.field(repr=False)

    def tls_of(self, options: ListenerOptions) -> Any:
        """TLS of a listener by its options, or None for a plain one."""
        return self.tls.get(options.id)


class Trust:
    """Holds the credentials in use. ``changed`` is called when sessions must be checked again."""

    def __init__(self, reactor: Any, changed: Callable[[], object] = lambda: None) -> None:
        self._reactor = reactor
        self._changed = changed
        self._current: Credentials | None = None

    def prepare(self, loaded: Loaded) -> Credentials:
        """Credentials for ``loaded``, to be used by :meth:`adopt`; may run in a thread.

        Raises ConfigurationErrors with every error there is.
        """
        findings: list[Finding] = []
        tls = {}
        for options in loaded.configuration.listeners.enabled():
            if options.ssl_options is None:
                continue
            try:
                tls[options.id] = build_server_context(
                    options.ssl_options,
                    loaded.base_dir,
                    path=f"{options.path}.ssl_options",
                    alpn=ALPN_HTTP if options.uses_websocket else ALPN_MQTT,
                )
            except ConfigurationErrors as errors:
                findings += errors.findings
        if findings:
            raise ConfigurationErrors(findings)
        return Credentials(loaded, tls)

    def ready(self, credentials: Credentials) -> Awaitable[object]:
        """Done when the credentials can be used at once, within a bounded time. Never raises."""
        return succeed(None)

    def adopt(self, credentials: Credentials) -> None:
        """Use them in place of the former. Does not fail."""
        again = self._current is not None
        self._current = credentials
        if again:
            self._changed()

    def start(self) -> None:
        """Begin background work; the reactor runs."""

    def stop(self) -> None:
        """End background work."""
