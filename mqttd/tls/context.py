"""From ``ssl_options`` to a Context that listeners share: checked whole, built whole, frozen."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL, crypto

from mqttd.config.errors import ConfigurationErrors, Finding, by_severity, error, notice, warning
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.config.schema.tls import SslOptions
from mqttd.tls import native
from mqttd.tls.certificates import (
    ServerKey,
    check_authorities,
    check_chain,
    check_key_file,
    load_certificates,
    load_key,
)
from mqttd.tls.ciphers import SIGNATURES, Suites, choose_suites, unusable_with
from mqttd.tls.files import FileProblem, PemSource, read_pem, resolve
from mqttd.tls.key_usage import KeyUsages
from mqttd.tls.needed import missing_for_psk

ALPN_MQTT: Final = b"mqtt"
"""What ssl listeners speak (IANA's ALPN protocol id)."""
ALPN_HTTP: Final = b"http/1.1"
"""What wss listeners speak: WebSocket begins as HTTP/1.1 (RFC 6455)."""

_FFDHE2048: Final = Path(__file__).with_name("ffdhe2048.pem")
"""Parameters for DHE suites where no ``dhfile`` is set (RFC 7919 appendix A.1)."""

_MOST_CA_NAMES: Final = 16 << 10
"""Bytes of authority names sent with a certificate request; more breaks small clients."""


@attrs.frozen(eq=False)
class ServerContext:
    """TLS of one listener, shared by its connections and never changed; a reload makes a new one.

    Several make a :class:`~mqttd.tls.listener_context.ListenerTLS`: one for each server name.
    """

    context: SSL.Context = attrs.field(repr=False)
    suites: Suites
    chain: tuple[x509.Certificate, ...]
    """The server's certificate, then its issuers."""
    verify_peer: bool
    requires_peer_cert: bool
    findings: tuple[Finding, ...] = attrs.field(default=(), repr=False)
    """Warnings and notices met on the way."""


@attrs.frozen
class _Material:
    """Everything the options name, read and parsed; ``dhfile`` is there when DHE suites are."""

    key: ServerKey
    chain: tuple[x509.Certificate, ...]
    authorities: tuple[x509.Certificate, ...]
    suites: Suites
    dhfile: Path | None


@attrs.frozen
class _Wishes:
    """What the listener adds to its options."""

    alpn: bytes = ALPN_MQTT
    psk: PskAuthenticationOptions | None = None
    staple: Callable[[x509.Certificate], bytes] | None = None
    has_names: bool = False


def check_ssl_options(
    options: SslOptions,
    path: str,
    base_dir: str | Path = ".",
    now: float | None = None,
    *,
    psk: PskAuthenticationOptions | None = None,
) -> list[Finding]:
    """Everything wrong or risky in ``options`` and the files it names, errors first.

    ``path`` is where the options stand (``listeners.ssl.default.ssl_options``), ``base_dir`` where
    relative paths start, ``now`` epoch seconds (None: the clock); ``psk`` is None where pre-shared
    keys are off. Opens files, changes nothing. Those of ``sni`` are not looked at here: see
    :func:`mqttd.tls.listener_context.check_listener`.
    """
    return by_severity(_prepare(options, path, base_dir, now, _Wishes(psk=psk))[2])


def build_server_context(
    options: SslOptions,
    base_dir: str | Path = ".",
    *,
    path: str = "ssl_options",
    alpn: bytes = ALPN_MQTT,
    now: float | None = None,
    psk: PskAuthenticationOptions | None = None,
    staple: Callable[[x509.Certificate], bytes] | None = None,
    has_names: bool = False,
) -> ServerContext:
    """The Context for ``options``; :exc:`ConfigurationErrors` with every problem there is.

    ``alpn`` is the application protocol of the listener: a client that offers others only is
    refused, one that offers none is let in. ``staple`` gives the OCSP response for our
    certificate, empty when there is none; ``has_names`` says that there are certificates for
    other server names. The rest is as for :func:`check_ssl_options`.
    """
    wishes = _Wishes(alpn, psk, staple, has_names)
    material, context, findings = _prepare(options, path, base_dir, now, wishes)
    if material is None or context is None:
        raise ConfigurationErrors(findings)
    return ServerContext(
        context=context,
        suites=material.suites,
        chain=material.chain,
        verify_peer=options.verify == "verify_peer",
        requires_peer_cert=options.requires_peer_cert,
        findings=tuple(by_severity(findings)),
    )


def _prepare(
    options: SslOptions,
    path: str,
    base_dir: str | Path,
    now: float | None,
    wishes: _Wishes,
) -> tuple[_Material | None, SSL.Context | None, list[Finding]]:
    """Read, judge and, when nothing is wrong, build."""
    moment = datetime.datetime.fromtimestamp(time.time() if now is None else now, datetime.UTC)
    material, findings = _read(options, path, Path(base_dir), moment, wishes.psk)
    if material is None or any(finding.severity == "error" for finding in findings):
        return None, None, findings
    try:
        context = _build(options, material, wishes)
    except SSL.Error as problem:
        findings.append(_refusal(problem, path))
        return None, None, findings
    return material, context, findings


def _read(
    options: SslOptions,
    path: str,
    base_dir: Path,
    now: datetime.datetime,
    psk: PskAuthenticationOptions | None,
) -> tuple[_Material | None, list[Finding]]:
    findings: list[Finding] = []

    def source_of(option: str, value: str | None) -> PemSource | None:
        if value is None or not value.strip():
            if option != "cacertfile" or options.verify == "verify_peer":
                findings.append(error(f"{path}.{option}", "is not set", "name a PEM file"))
            return None
        try:
            return read_pem(value, base_dir)
        except FileProblem as problem:
            findings.append(error(f"{path}.{option}", problem.message, problem.cure))
            return None

    key, chain = _read_pair(options, path, source_of, now, findings)
    authorities = _read_authorities(options, path, source_of, now, findings)
    dhfile = _read_dh(options, path, base_dir, findings)
    suites, about_suites = choose_suites(
        options.ciphers,
        options.versions,
        path,
        psk_enabled=psk is not None,
        psk_tls13=psk is not None and psk.tls13,
    )
    findings += about_suites
    if dhfile is None and suites is not None and options.ciphers and suites.dhe:
        dhfile = _FFDHE2048
    findings += _check_usages(options, path)
    if psk is not None and suites is not None and suites.psk and (lacks := missing_for_psk()):
        message = f"this pyOpenSSL cannot do: {lacks}"
        findings.append(error(f"{path}.ciphers", message, "list no PSK suites"))
    if key is None or not chain or suites is None:
        return None, findings
    findings += _check_suites_for_key(suites, key, path)
    findings += _check_demands(options, suites, path)
    return _Material(key, tuple(chain), tuple(authorities), suites, dhfile), findings


def _read_pair(
    options: SslOptions,
    path: str,
    source_of: Callable[[str, str | None], PemSource | None],
    now: datetime.datetime,
    findings: list[Finding],
) -> tuple[ServerKey | None, list[x509.Certificate]]:
    key: ServerKey | None = None
    chain: list[x509.Certificate] = []
    source = source_of("keyfile", options.keyfile)
    if source is not None:
        findings += check_key_file(source, path)
        try:
            key = load_key(source, options.password)
        except FileProblem as problem:
            option = problem.option or "keyfile"
            findings.append(error(f"{path}.{option}", problem.message, problem.cure))
        else:
            if options.password is not None and b"ENCRYPTED" not in source.data:
                findings.append(
                    notice(f"{path}.password", f"is not needed: {source.name} is not encrypted")
                )
    source = source_of("certfile", options.certfile)
    if source is not None:
        try:
            chain = load_certificates(source)
        except FileProblem as problem:
            findings.append(error(f"{path}.certfile", problem.message, problem.cure))
        else:
            findings += check_chain(chain, key, path, source.name, now)
    return key, chain


def _read_authorities(
    options: SslOptions,
    path: str,
    source_of: Callable[[str, str | None], PemSource | None],
    now: datetime.datetime,
    findings: list[Finding],
) -> list[x509.Certificate]:
    option = f"{path}.cacertfile"
    source = source_of("cacertfile", options.cacertfile)
    if source is None:
        return []
    try:
        authorities = load_certificates(source)
    except FileProblem as problem:
        findings.append(error(option, problem.message, problem.cure))
        return []
    if options.verify == "verify_peer":
        findings += check_authorities(authorities, path, source.name, now)
        if not _names_fit(authorities):
            findings.append(
                notice(
                    option,
                    f"{source.name} holds too many authorities for clients to be told their names",
                    "list only the authorities that issue client certificates",
                )
            )
    return authorities


def _read_dh(
    options: SslOptions, path: str, base_dir: Path, findings: list[Finding]
) -> Path | None:
    if options.dhfile is None or not options.dhfile.strip():
        return None
    option = f"{path}.dhfile"
    cure = "make one: openssl dhparam -out FILE 2048"
    try:
        source = read_pem(str(resolve(options.dhfile, base_dir)), base_dir)
        if b"BEGIN DH PARAMETERS" not in source.data:
            raise FileProblem(f"{source.name} holds no Diffie-Hellman parameters", cure)
    except FileProblem as problem:
        findings.append(error(option, problem.message, problem.cure))
        return None
    dhfile = resolve(options.dhfile, base_dir)
    try:
        SSL.Context(SSL.TLS_SERVER_METHOD).load_tmp_dh(str(dhfile))
    except SSL.Error as problem:
        reasons = _reasons(problem) or "they do not parse"
        message = f"{dhfile} holds Diffie-Hellman parameters that cannot be used: {reasons}"
        findings.append(error(option, message, cure))
        return None
    return dhfile


def _check_usages(options: SslOptions, path: str) -> list[Finding]:
    if options.verify_peer_ext_key_usage is None:
        return []
    option = f"{path}.verify_peer_ext_key_usage"
    try:
        KeyUsages.parse(options.verify_peer_ext_key_usage)
    except ValueError as problem:
        return [error(option, str(problem), 'write "clientAuth", or "OID:1.2.3"')]
    if options.verify == "verify_none":
        return [warning(option, "has no effect with verify = verify_none", "remove it")]
    return []


def _check_suites_for_key(suites: Suites, key: ServerKey, path: str) -> list[Finding]:
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC"
    below = [name for name in suites.versions if name != "tlsv1.3"]
    unusable = unusable_with(suites, kind)
    if below and len(unusable) == len(suites.older):
        say = warning if suites.tls13 else error
        return [
            say(
                f"{path}.ciphers",
                f"no suite listed for {', '.join(below)} fits the {kind} key of keyfile",
                f"list suites for {'ECDHE-RSA' if kind == 'RSA' else 'ECDHE-ECDSA'}, or use the "
                "other kind of certificate",
            )
        ]
    lost = [name for name in unusable if name.startswith("RSA-PSK")]
    if lost:
        return [
            warning(
                f"{path}.ciphers",
                f"these need an RSA key in keyfile, which holds an {kind} one: {', '.join(lost)}",
                "use an RSA certificate, or list PSK or ECDHE-PSK suites in their place",
            )
        ]
    return []


def _check_demands(options: SslOptions, suites: Suites, path: str) -> list[Finding]:
    """RSA-PSK is a key exchange with a certificate: its clients would be asked for one, too."""
    lost = [name for name in suites.older if name.startswith("RSA-PSK")]
    if not lost or not options.requires_peer_cert:
        return []
    say = error if len(lost) == len(suites.older) and not suites.tls13 else warning
    return [
        say(
            f"{path}.fail_if_no_peer_cert",
            f"clients of {', '.join(lost)} are refused: they have no certificate to send",
            "use a listener of its own for them, with verify = verify_none",
        )
    ]


def _build(options: SslOptions, material: _Material, wishes: _Wishes) -> SSL.Context:
    """Put a Context together. Raises ``SSL.Error`` where OpenSSL's own rules are stricter."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    material.suites.apply(context)
    native.prepare_context(context, alpn=(wishes.alpn,), ffdhe=material.dhfile is not None)
    if material.suites.legacy:
        native.allow_signatures(context, SIGNATURES)
    # A resumed session skips the check of the client certificate and loses a PSK identity.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"mqttd")  # else a client that offers a session fails with alert 80
    context.set_options(
        SSL.OP_NO_TICKET
        | SSL.OP_NO_COMPRESSION  # CRIME
        | SSL.OP_NO_RENEGOTIATION
    )
    if options.honor_cipher_order or material.suites.psk_tls13:
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.use_certificate(material.chain[0])
    for issuer in material.chain[1:]:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(material.key)
    context.check_privatekey()
    if material.dhfile is not None:
        context.load_tmp_dh(str(material.dhfile))
    if wishes.psk is not None and material.suites.psk:
        native.accept_psk(context, wishes.psk.identity_hint)
    if wishes.staple is not None:
        context.set_ocsp_server_callback(_stapler(wishes.staple, material.chain[0]))
    if wishes.has_names:
        native.watch_server_name(context)
    context.set_verify_depth(options.depth)  # it stays that of the first Context under any name
    if options.verify == "verify_peer":
        _trust(context, material.authorities, partial=options.partial_chain != "false")
        native.require_peer_certificate(context, optional=not options.requires_peer_cert)
    return context


def _stapler(
    staple: Callable[[x509.Certificate], bytes], certificate: x509.Certificate
) -> Callable[[SSL.Connection, object], bytes]:
    def give(_connection: SSL.Connection, _data: object) -> bytes:
        try:
            return staple(certificate)
        except Exception:
            return b""  # an error here would end the connection without an alert

    return give


def _trust(
    context: SSL.Context, authorities: Sequence[x509.Certificate], *, partial: bool
) -> None:
    store = context.get_cert_store()
    if store is None:
        raise SSL.Error("no certificate store")
    if partial:
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    if _names_fit(authorities):
        for authority in authorities:
            context.add_client_ca(authority)


def _names_fit(authorities: Sequence[x509.Certificate]) -> bool:
    """Whether the authorities' names can be sent along with the request for a certificate."""
    size = sum(len(authority.subject.public_bytes()) for authority in authorities)
    return size <= _MOST_CA_NAMES


def _refusal(problem: SSL.Error, path: str) -> Finding:
    reasons = _reasons(problem)
    option, cure = "certfile", "use an EC (P-256) or RSA certificate of at least 2048 bits"
    if "dh key too small" in reasons:
        option, cure = "dhfile", "make one: openssl dhparam -out FILE 2048"
    elif "cipher" in reasons:
        option, cure = "ciphers", "leave ciphers out for the preselected ones"
    return error(f"{path}.{option}", f"OpenSSL refuses it: {reasons or 'no reason given'}", cure)


def _reasons(problem: SSL.Error) -> str:
    """OpenSSL's words out of ``SSL.Error([(library, function, reason), ...])``."""
    stack = problem.args[0] if problem.args else ""
    if isinstance(stack, str):
        return stack
    return ", ".join(str(entry[-1]) for entry in stack)
