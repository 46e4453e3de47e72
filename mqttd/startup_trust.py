"""Looks at what trust and its records need, before they are put to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509

from mqttd.audit.check import check_audit
from mqttd.auth.check import check_authenticators
from mqttd.authz.check import check_sources
from mqttd.config.errors import Finding, error
from mqttd.config.load import Loaded
from mqttd.config.schema.tls import OcspOptions, SslOptions
from mqttd.outgoing.tls import check_client_tls
from mqttd.plugins import UnknownPlugin, event_sink, psk_store, revocation_checker
from mqttd.psk.check import check_psk
from mqttd.revocation.crl_files import check_crl_files
from mqttd.revocation.ocsp_findings import check_ocsp_client
from mqttd.revocation.stapling import check_stapling, find_issuer
from mqttd.tls.certificates import load_certificates
from mqttd.tls.files import FileProblem, read_pem

SWITCHES = {"crl": "set enable_crl_check = true", "ocsp": "set ocsp_client.enable = true"}
"""Checkers that ``revocation_checkers`` cannot name: they have an option of their own."""


def check_listener_trust(options: SslOptions, path: str, base_dir: Path) -> Iterator[Finding]:
    """Stapling, OCSP of clients and checkers of one listener; ``path`` is its ``ssl_options``."""
    for place, certfile, cacertfile, ocsp in _stapling(options):
        chain = _chain(certfile, base_dir)
        if chain:
            yield from _check_stapling(ocsp, chain, f"{path}.{place}", base_dir, cacertfile)
        if ocsp.enable_ocsp_stapling:
            yield from check_client_tls(ocsp.ssl, f"{path}.{place}.ssl", base_dir)
    yield from check_ocsp_client(options.ocsp_client, f"{path}.ocsp_client")
    if options.ocsp_client.enable:
        yield from check_client_tls(options.ocsp_client.ssl, f"{path}.ocsp_client.ssl", base_dir)
    where = f"{path}.revocation_checkers"
    for name in options.revocation_checkers:
        if name in SWITCHES:
            yield error(where, f"{name} has an option of its own", SWITCHES[name])
        else:
            yield from _unknown(lambda name=name: revocation_checker(name), where)  # type: ignore[misc]


def check_common_trust(loaded: Loaded) -> Iterator[Finding]:
    """The store of pre-shared keys, and revocation lists if a listener uses them."""
    configuration = loaded.configuration
    psk = configuration.psk_authentication
    if psk.enable:
        yield from _unknown(lambda: psk_store(psk.store), "psk_authentication.store")
    yield from check_psk(psk, loaded.base_dir)
    yield from check_audit(configuration.audit, loaded.base_dir)
    for sink in configuration.event_sinks:
        if sink.enable:
            yield from _unknown(partial(event_sink, sink.name), f"{sink.path}.type")
    yield from check_authenticators(configuration.authentication, loaded.base_dir)
    for listener in configuration.listeners.enabled():
        yield from check_authenticators(listener.authentication, loaded.base_dir)
    yield from check_sources(configuration.authorization.sources, loaded.base_dir)
    crl_cache = configuration.crl_cache
    if any(
        listener.ssl_options is not None and listener.ssl_options.enable_crl_check
        for listener in configuration.listeners.enabled()
    ):
        yield from check_crl_files(crl_cache, loaded.base_dir)
        yield from check_client_tls(crl_cache.ssl, "crl_cache.ssl", loaded.base_dir)


def _stapling(
    options: SslOptions,
) -> Iterator[tuple[str, str | None, str | None, OcspOptions]]:
    """Where each ``ocsp`` section stands, the certificate it is about, authorities, section."""
    yield "ocsp", options.certfile, options.cacertfile, options.ocsp
    for name, named in options.sni.items():
        cacertfile = named.cacertfile or options.cacertfile
        place, ocsp = f"sni.{name}.ocsp", named.ocsp
        if ocsp is None:
            place, ocsp = "ocsp", options.ocsp
        yield place, named.certfile, cacertfile, ocsp


def _check_stapling(
    ocsp: OcspOptions,
    chain: Sequence[x509.Certificate],
    path: str,
    base_dir: Path,
    cacertfile: str | None,
) -> Iterator[Finding]:
    issuer, findings = find_issuer(ocsp, chain, base_dir, path, cacertfile)
    if ocsp.enable_ocsp_stapling:
        yield from findings
    yield from check_stapling(ocsp, chain, issuer, path)


def _chain(certfile: str | None, base_dir: Path) -> Sequence[x509.Certificate]:
    """The certificates of the file; none when it has errors, which are said elsewhere."""
    if not certfile:
        return ()
    try:
        return load_certificates(read_pem(certfile, base_dir))
    except FileProblem:
        return ()


def _unknown(find: Callable[[], Any], path: str) -> Iterator[Finding]:
    try:
        find()
    except UnknownPlugin as problem:
        others = f"write one of {', '.join(problem.known)}, or " if problem.known else ""
        cure = f"{others}install the package that has it: mqttd plugins list"
        yield error(path, str(problem), cure)
