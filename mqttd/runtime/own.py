"""The certificates a listener presents and trusts, and those it staples responses for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.schema.tls import OcspOptions
from mqttd.revocation.stapling import find_issuer
from mqttd.runtime.expiry import OwnCertificate
from mqttd.tls.certificates import load_certificates
from mqttd.tls.files import FileProblem, is_pem_text, read_pem
from mqttd.tls.listener_context import ListenerTLS


def certificates_of(options: ListenerOptions, tls: ListenerTLS) -> Iterator[OwnCertificate]:
    """Server certificates and the issuers that are sent with them."""
    ssl_options = options.ssl_options
    assert ssl_options is not None
    files = {
        name.lower().removesuffix("."): named.certfile for name, named in ssl_options.sni.items()
    }
    files[""] = ssl_options.certfile or ""
    for name, context in (("", tls.default), *tls.names.items()):
        whose = f" of {name}" if name else ""
        for number, certificate in enumerate(context.chain):
            role = "an issuer of the server certificate" if number else "the server certificate"
            file = _file(files.get(name, ""))
            yield OwnCertificate(options.id, role + whose, certificate, file=file)


def authorities_of(options: ListenerOptions, base_dir: Path) -> Iterator[OwnCertificate]:
    """The authorities whose client certificates are accepted."""
    ssl_options = options.ssl_options
    assert ssl_options is not None
    verified = [("", ssl_options.cacertfile, ssl_options.verify)]
    for name, named in ssl_options.sni.items():
        verify = named.verify or ssl_options.verify
        verified.append((f" of {name}", named.cacertfile or ssl_options.cacertfile, verify))
    seen: set[x509.Certificate] = set()
    for whose, cacertfile, verify in verified:
        if verify != "verify_peer" or not cacertfile:
            continue
        with contextlib.suppress(FileProblem):  # said where the option itself is looked at
            for certificate in load_certificates(read_pem(cacertfile, base_dir)):
                if certificate not in seen:
                    seen.add(certificate)
                    role = f"the authority of clients{whose}"
                    file = _file(cacertfile)
                    yield OwnCertificate(options.id, role, certificate, served=False, file=file)


def _file(value: str) -> str:
    return "" if is_pem_text(value) else value


def stapled_by(
    options: ListenerOptions, tls: ListenerTLS, base_dir: Path
) -> Iterator[tuple[x509.Certificate, x509.Certificate, OcspOptions]]:
    """Each certificate that responses are to be fetched for, with its issuer and options."""
    ssl_options = options.ssl_options
    if ssl_options is None:
        return
    sections = {name.lower().removesuffix("."): named for name, named in ssl_options.sni.items()}
    for name, context in (("", tls.default), *tls.names.items()):
        named = sections.get(name)
        ocsp = ssl_options.ocsp if named is None or named.ocsp is None else named.ocsp
        if not ocsp.enable_ocsp_stapling or not context.chain:
            continue
        cacertfile = (named and named.cacertfile) or ssl_options.cacertfile
        issuer, _ = find_issuer(ocsp, context.chain, base_dir, "", cacertfile)
        if issuer is not None:
            yield context.chain[0], issuer, ocsp
