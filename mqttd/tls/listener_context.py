"""TLS of one listener: its Contexts by server name, and who is asked about clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import attrs
from cryptography import x509

from mqttd.config.errors import ConfigurationErrors, Finding, by_severity
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.config.schema.tls import SniOptions, SslOptions
from mqttd.tls.context import (
    ALPN_MQTT,
    ServerContext,
    build_server_context,
    check_ssl_options,
)
from mqttd.tls.key_usage import KeyUsages
from mqttd.tls.verdict import Judge, PskKeys, Verdict

_NO_NAMES: Mapping[str, ServerContext] = MappingProxyType({})


@attrs.frozen(eq=False)
class ListenerTLS:
    """What the connections of one listener share; a reload makes a new one.

    ``names`` are lower-case host names, or ``*.`` and one. ``judge`` is asked about each verified
    chain. ``psk`` knows the pre-shared keys, None where they are off; ``psk_only`` says that
    nobody comes in without one. ``usages`` are the extended key usages clients need.
    """

    default: ServerContext
    names: Mapping[str, ServerContext] = _NO_NAMES
    judge: Judge | None = None
    psk: PskKeys | None = attrs.field(default=None, repr=False)
    psk_tls13: bool = False
    psk_only: bool = False
    hide_identities: bool = False
    usages: KeyUsages | None = None

    def select(self, server_name: str | None) -> ServerContext:
        """What clients get that ask for a name: its own, that of a wildcard, or the default.

        A wildcard stands for one label (RFC 9525 section 6.3).
        """
        if not self.names or not server_name:
            return self.default
        name = server_name.lower().removesuffix(".")
        found = self.names.get(name)
        if found is None:
            found = self.names.get("*." + name.partition(".")[2])
        return self.default if found is None else found

    def verdict_on(self, chain: Sequence[x509.Certificate]) -> Verdict | None:
        """What is thought of a verified chain, from memory; None when nobody is asked."""
        if self.usages is not None and (verdict := self.usages.objection(chain[0])) is not None:
            return verdict
        return None if self.judge is None else self.judge.judge(chain)

    def hides(self, identity: bytes, *, tls13: bool) -> bool:
        """Whether an unknown pre-shared key identity is answered as if its key were wrong.

        In TLS 1.3 only where nobody comes in without a key, else whoever goes on with a
        certificate would be refused (RFC 8446 appendix E.6). Old tickets stand among the
        identities there: they are no text, and hide nothing.
        """
        if not self.hide_identities or not tls13:
            return self.hide_identities
        return self.psk_only and not looks_like_ticket(identity)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Warnings and notices met on the way."""
        contexts = (self.default, *self.names.values())
        return tuple(finding for context in contexts for finding in context.findings)


def looks_like_ticket(identity: bytes) -> bool:
    """Whether a TLS 1.3 identity is no text: clients offer tickets of old sessions as such."""
    try:
        return not identity.decode().isprintable()
    except UnicodeDecodeError:
        return True


def build_listener_tls(
    options: SslOptions,
    base_dir: str | Path = ".",
    *,
    path: str = "ssl_options",
    alpn: bytes = ALPN_MQTT,
    judge: Judge | None = None,
    psk: PskKeys | None = None,
    psk_options: PskAuthenticationOptions | None = None,
    staple: Callable[[x509.Certificate], bytes] | None = None,
    now: float | None = None,
) -> ListenerTLS:
    """TLS for ``options``; :exc:`ConfigurationErrors` with every problem there is.

    ``path`` is where the options stand, ``alpn`` the listener's application protocol. ``staple``
    gives the OCSP response for a certificate of ours, within the handshake: it must be quick.
    ``psk`` and ``psk_options`` are None where pre-shared keys are off.
    """
    findings: list[Finding] = []
    contexts: dict[str, ServerContext] = {}
    psk_options = psk_options if psk is not None else None
    for name, each, where in [("", options, path), *named_options(options, path)]:
        try:
            contexts[name] = build_server_context(
                each,
                base_dir,
                path=where,
                alpn=alpn,
                now=now,
                psk=psk_options,
                staple=staple,
                has_names=bool(options.sni),
            )
        except ConfigurationErrors as errors:
            findings += errors.findings
    if findings:
        raise ConfigurationErrors(by_severity(list(dict.fromkeys(findings))))
    default = contexts.pop("")
    usages = options.verify_peer_ext_key_usage
    return ListenerTLS(
        default=default,
        names=contexts,
        judge=judge,
        psk=psk if default.suites.psk else None,
        psk_tls13=psk_options is not None and psk_options.tls13,
        psk_only=psk is not None and default.suites.psk_only,
        hide_identities=psk_options is not None and psk_options.hide_identities,
        usages=None if usages is None else KeyUsages.parse(usages),
    )


def check_listener(
    options: SslOptions,
    path: str,
    base_dir: str | Path = ".",
    now: float | None = None,
    *,
    psk: PskAuthenticationOptions | None = None,
) -> list[Finding]:
    """As :func:`~mqttd.tls.context.check_ssl_options`, with those for other server names."""
    found = []
    for _, each, where in [("", options, path), *named_options(options, path)]:
        found += check_ssl_options(each, where, base_dir, now, psk=psk)
    return by_severity(list(dict.fromkeys(found)))


def named_options(options: SslOptions, path: str) -> list[tuple[str, SslOptions, str]]:
    """Each name of ``sni`` with its options worked out, and where they stand."""
    return [
        (host.lower().removesuffix("."), _of_name(options, named), f"{path}.sni.{host}")
        for host, named in options.sni.items()
    ]


def _of_name(options: SslOptions, named: SniOptions) -> SslOptions:
    verify = named.verify or options.verify
    demand = named.fail_if_no_peer_cert
    if demand is None and verify == options.verify:
        demand = options.fail_if_no_peer_cert
    return attrs.evolve(
        options,
        certfile=named.certfile,
        keyfile=named.keyfile,
        password=named.password,
        cacertfile=named.cacertfile or options.cacertfile,
        verify=verify,
        fail_if_no_peer_cert=demand,
        ocsp=options.ocsp if named.ocsp is None else named.ocsp,
        sni={},
    )
