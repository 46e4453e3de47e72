"""TLS of every connection the broker opens itself: one builder, from the ``ssl`` section."""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path
from typing import Any, Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from mqttd.config.errors import ConfigurationErrors, Finding, by_severity, error, warning
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.tls import native
from mqttd.tls.certificates import ServerKey, check_key_file, load_certificates, load_key
from mqttd.tls.ciphers import LEGACY_VERSIONS, Suites, choose_suites, is_psk
from mqttd.tls.files import FileProblem, PemSource, read_pem
from mqttd.tls.peer import subject_of

_DISABLE: Final = "disable"


@attrs.frozen
class ServerName:
    """Which server is expected: the name to send and to find in the certificate.

    ``sent`` is empty where none is sent: addresses are no names (RFC 6066 section 3).
    ``address`` is the packed IP address to find in place of a name, or None.
    """

    sent: bytes
    expected: bytes
    address: bytes | None


NO_NAME: Final = ServerName(b"", b"", None)


def server_name(host: str) -> ServerName:
    """The name or address ``host``, as in an address (an IPv6 one may be in brackets).

    Raises ValueError when it is neither.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        packed = ipaddress.ip_address(bare.partition("%")[0]).packed
    except ValueError:
        pass
    else:
        return ServerName(b"", b"", packed)
    name = bare.removesuffix(".")  # SNI and certificates have no trailing dot
    encoded = name.encode("idna") if name else b""
    if not encoded or len(encoded) > 255 or not all(c > 32 and c != 127 for c in encoded):
        raise ValueError("is no host name")
    return ServerName(encoded, encoded, None)


@implementer(IOpenSSLClientConnectionCreator)
class ConnectionCreator:
    """Makes the TLS connections to one server; ``last`` is the latest, to see why it failed."""

    def __init__(self, context: SSL.Context, name: ServerName, *, verify: bool) -> None:
        self._context = context
        self._name = name
        self._verify = verify
        self.last: SSL.Connection | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: ARG002, N802, N803
        """See IOpenSSLClientConnectionCreator. Raises ``SSL.Error``."""
        return self.connection()

    def connection(self) -> SSL.Connection:
        """A client connection over memory BIOs. Raises ``SSL.Error``."""
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        name = self._name
        if name.sent:
            connection.set_tlsext_host_name(name.sent)
        if self._verify and name != NO_NAME:
            native.expect_host(connection, name.expected, name.address)
        self.last = connection
        return connection

    @property
    def verify_error(self) -> int:
        """``X509_V_ERR_*`` of the latest connection's server certificate; 0: nothing wrong."""
        return 0 if self.last is None else native.verify_result(native.Handles(self.last))


@implementer(IPolicyForHTTPS)
@attrs.frozen(eq=False)
class ClientTLS:
    """The TLS of outgoing connections, shared by all that have the same ``ssl`` section.

    The names of servers are checked by OpenSSL against subjectAltName, never against the common
    name (RFC 9110 section 4.3.4). Sessions are never resumed.
    """

    context: SSL.Context = attrs.field(repr=False)
    options: ClientTLSOptions
    path: str
    findings: tuple[Finding, ...] = attrs.field(default=(), repr=False)
    """Warnings and notices met on the way."""

    @property
    def enabled(self) -> bool:
        """False where the operator refuses TLS: addresses must not be https ones then."""
        return self.options.enable

    def creator(self, host: str) -> ConnectionCreator:
        """What makes connections to ``host``. Raises ValueError when that is no host name."""
        configured = self.options.server_name_indication
        if configured == _DISABLE:
            name = NO_NAME
        else:
            name = server_name(host if configured is None else configured)
        return ConnectionCreator(self.context, name, verify=self.options.verify == "verify_peer")

    def creatorForNetloc(self, hostname: bytes, port: int) -> ConnectionCreator:  # noqa: ARG002, N802
        """See IPolicyForHTTPS."""
        return self.creator(hostname.decode("ascii"))


@attrs.frozen
class _Material:
    """Everything the options name, read and parsed."""

    suites: Suites
    authorities: tuple[x509.Certificate, ...]
    key: ServerKey | None
    chain: tuple[x509.Certificate, ...]


def check_client_tls(
    options: ClientTLSOptions,
    path: str = "ssl",
    base_dir: str | Path = ".",
    now: float | None = None,
) -> list[Finding]:
    """Everything wrong or risky in ``options`` and the files it names, errors first.

    ``path`` is where the options stand, ``base_dir`` where relative paths start, ``now`` epoch
    seconds (None: the clock). Opens files, changes nothing.
    """
    return by_severity(_prepare(options, path, base_dir, now)[1])


def build_client_tls(
    options: ClientTLSOptions,
    base_dir: str | Path = ".",
    path: str = "ssl",
    now: float | None = None,
) -> ClientTLS:
    """The TLS for ``options``; :exc:`ConfigurationErrors` with every problem there is."""
    context, findings = _prepare(options, path, base_dir, now)
    if context is None:
        raise ConfigurationErrors(findings)
    return ClientTLS(context, options, path, tuple(by_severity(findings)))


def _prepare(
    options: ClientTLSOptions, path: str, base_dir: str | Path, now: float | None
) -> tuple[SSL.Context | None, list[Finding]]:
    moment = datetime.datetime.fromtimestamp(time.time() if now is None else now, datetime.UTC)
    material, findings = _Reader(options, path, Path(base_dir), moment).read()
    if material is None or any(finding.severity == "error" for finding in findings):
        return None, findings
    try:
        return _build(options, material), findings
    except SSL.Error as problem:
        reasons = ", ".join(str(each[-1]) for each in problem.args[0] if each) or "no reason given"
        findings.append(
            error(
                f"{path}.certfile",
                f"OpenSSL refuses the key or certificate: {reasons}",
                "use an EC (P-256) or RSA certificate of at least 2048 bits",
            )
        )
        return None, findings


class _Reader:
    """Reads what one ``ssl`` section names, and gathers findings."""

    def __init__(
        self, options: ClientTLSOptions, path: str, base_dir: Path, now: datetime.datetime
    ) -> None:
        self._options = options
        self._path = path
        self._base_dir = base_dir
        self._now = now
        self._findings: list[Finding] = []

    def read(self) -> tuple[_Material | None, list[Finding]]:
        self._check_name()
        authorities = self._authorities()
        key, chain = self._pair()
        suites = self._suites()
        if suites is None:
            return None, self._findings
        return _Material(suites, authorities, key, chain), self._findings

    def _error(self, option: str, message: str, cure: str) -> None:
        self._findings.append(error(f"{self._path}.{option}", message, cure))

    def _warning(self, option: str, message: str, cure: str) -> None:
        self._findings.append(warning(f"{self._path}.{option}", message, cure))

    def _source(self, option: str, value: str | None) -> PemSource | None:
        if value is None or not value.strip():
            return None
        try:
            return read_pem(value, self._base_dir)
        except FileProblem as problem:
            self._error(option, problem.message, problem.cure)
            return None

    def _check_name(self) -> None:
        options = self._options
        name = options.server_name_indication
        if options.verify == "verify_none":
            self._warning(
                "verify",
                "the server is not checked: anybody in between can read and change everything",
                "set it to verify_peer",
            )
        elif name == _DISABLE:
            self._warning(
                "server_name_indication",
                "no name is looked for: every server with a certificate of a trusted authority "
                "is taken for the right one",
                "name the server, or remove it",
            )
        if name is not None and name != _DISABLE:
            try:
                server_name(name)
            except ValueError:
                self._error(
                    "server_name_indication",
                    "is neither a host name nor an IP address",
                    "name the server, write disable, or remove it",
                )

    def _authorities(self) -> tuple[x509.Certificate, ...]:
        options = self._options
        if options.cacertfile is None or not options.cacertfile.strip():
            if options.verify == "verify_peer" and options.cacerts == "none":
                self._error(
                    "cacertfile",
                    "is not set and cacerts is none, so no server can be trusted",
                    "name a PEM file of authorities, or set cacerts to system",
                )
            return ()
        source = self._source("cacertfile", options.cacertfile)
        if source is None:
            return ()
        try:
            authorities = tuple(load_certificates(source))
        except FileProblem as problem:
            self._error("cacertfile", problem.message, problem.cure)
            return ()
        for authority in authorities:
            self._check_time(authority, "cacertfile", f"{subject_of(authority)} in {source.name}")
        return authorities

    def _pair(self) -> tuple[ServerKey | None, tuple[x509.Certificate, ...]]:
        options = self._options
        for option, value, other, needed in (
            ("certfile", options.certfile, "keyfile", options.keyfile),
            ("keyfile", options.keyfile, "certfile", options.certfile),
        ):
            if _is_set(value) and not _is_set(needed):
                self._error(other, f"is not set, but {option} is", f"set both, or remove {option}")
        key: ServerKey | None = None
        chain: tuple[x509.Certificate, ...] = ()
        source = self._source("keyfile", options.keyfile)
        if source is not None:
            self._findings += check_key_file(source, self._path)
            try:
                key = load_key(source, options.password)
            except FileProblem as problem:
                self._error(problem.option or "keyfile", problem.message, problem.cure)
        source = self._source("certfile", options.certfile)
        if source is not None:
            try:
                chain = tuple(load_certificates(source))
            except FileProblem as problem:
                self._error("certfile", problem.message, problem.cure)
            else:
                self._check_time(chain[0], "certfile", f"the certificate in {source.name}")
        if key is not None and chain and _public_key(chain[0]) != key.public_key():
            self._error(
                "keyfile",
                "does not belong to the first certificate in certfile",
                "give the key this certificate was made for; our own certificate stands first",
            )
        return key, chain

    def _check_time(self, certificate: x509.Certificate, option: str, what: str) -> None:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= self._now <= end:
            word = "expired on" if self._now > end else "is not valid before"
            moment = end if self._now > end else begin
            self._warning(option, f"{what} {word} {moment:%Y-%m-%d %H:%M UTC}", "renew it")

    def _suites(self) -> Suites | None:
        options = self._options
        psk = [name for name in options.ciphers if is_psk(name.replace("_", "-"))]
        names = [name for name in options.ciphers if name not in psk]
        if psk:
            message = f"servers are not reached by pre-shared keys: {', '.join(psk)}"
            cure = "list other suites, or remove ciphers"
            if not names:
                self._error("ciphers", message, cure)
                return None
            self._warning("ciphers", f"{message}; left out", cure)
        suites, found = choose_suites(names, options.versions, self._path)
        # Its words on old versions are about a listener and its clients.
        versions = f"{self._path}.versions"
        self._findings += [finding for finding in found if finding.path != versions]
        old = LEGACY_VERSIONS.intersection(options.versions)
        if old:
            self._warning(
                "versions",
                f"{' and '.join(sorted(old))} rest on SHA-1 and are withdrawn (RFC 8996)",
                "drop them once the server knows newer ones",
            )
        return suites


def _build(options: ClientTLSOptions, material: _Material) -> SSL.Context:
    """Put a Context together. Raises ``SSL.Error`` where OpenSSL's own rules are stricter."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    material.suites.apply(context)
    native.prepare_context(
        context, ffdhe=any(name.startswith("DHE-") for name in material.suites.older)
    )
    # A resumed session would skip the check of the server's certificate.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(
        SSL.OP_NO_TICKET
        | SSL.OP_NO_COMPRESSION  # CRIME
        | SSL.OP_NO_RENEGOTIATION
    )
    if options.verify == "verify_peer":
        context.set_verify(SSL.VERIFY_PEER)
        context.set_verify_depth(options.depth)
        if material.authorities:
            store = context.get_cert_store()
            if store is None:
                raise SSL.Error([("", "", "no certificate store")])
            for authority in material.authorities:
                store.add_cert(crypto.X509.from_cryptography(authority))
        elif options.cacerts == "system":
            context.set_default_verify_paths()
    else:
        context.set_verify(SSL.VERIFY_NONE)
    if material.key is not None and material.chain:
        context.use_certificate(material.chain[0])
        for issuer in material.chain[1:]:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(material.key)
        context.check_privatekey()
    return context


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _is_set(value: str | None) -> bool:
    return value is not None and bool(value.strip())
