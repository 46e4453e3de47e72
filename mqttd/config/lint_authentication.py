"""Listeners that let everybody in, and authenticators that nobody can pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mqttd.config.errors import Finding, warning
from mqttd.config.proofs import can_prove_psk, demands_proof
from mqttd.config.schema import Configuration, ListenerOptions
from mqttd.config.schema.authentication import Authenticator

_CURE = "write a section authentication, or demand certificates with verify = verify_peer"


def authentication_findings(configuration: Configuration) -> Iterator[Finding]:
    """A warning for each weak or useless setting of authentication."""
    psk = configuration.psk_authentication.enable
    asked: list[tuple[ListenerOptions, list[Authenticator]]] = []
    told = False
    common = _enabled(configuration.authentication)
    for listener in configuration.listeners.enabled():
        entries = _enabled(listener.authentication) or common
        if listener.enable_authn is not False:
            asked.append((listener, entries))
        if not told and not entries and not demands_proof(listener, psk=psk):
            told = True
            message = "no authenticator is configured: everybody who can connect is let in"
            yield warning("authentication", message, _CURE)
    yield from _useless(
        "certificate",
        asked,
        _sees_certificates,
        "no listener that asks it checks client certificates: it lets nobody in",
        "write ssl_options.verify = verify_peer there",
    )
    yield from _useless(
        "psk",
        asked,
        lambda listener: can_prove_psk(listener, configuration),
        "no listener that asks it accepts pre-shared keys: it lets nobody in",
        "write psk_authentication.enable = true, and PSK suites there",
    )


def _enabled(authenticators: Iterable[Authenticator]) -> list[Authenticator]:
    return [each for each in authenticators if each.enable]


def _useless(
    name: str,
    asked: list[tuple[ListenerOptions, list[Authenticator]]],
    can_prove: Callable[[ListenerOptions], bool],
    message: str,
    cure: str,
) -> Iterator[Finding]:
    """Authenticators of one kind, where no client has what they look at."""
    paths = {entry.path: False for _, entries in asked for entry in entries if entry.name == name}
    for listener, entries in asked:
        for entry in entries:
            if entry.name == name and can_prove(listener):
                paths[entry.path] = True
    for path, useful in paths.items():
        if not useful:
            yield warning(path, message, cure)


def _sees_certificates(listener: ListenerOptions) -> bool:
    options = listener.ssl_options
    if options is None:
        return False
    named = (each.verify for each in options.sni.values())
    return "verify_peer" in (options.verify, *named)
