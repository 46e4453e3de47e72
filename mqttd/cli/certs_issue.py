"""The actions of ``mqttd certs`` that make something: ca, server, client, revoke, crl."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.certs.authority import CRL, create_authority, open_authority
from mqttd.certs.errors import CertsProblem
from mqttd.certs.index import REASONS, serial_text
from mqttd.tls.certificates import load_certificates
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.issue import (
    CLIENT,
    KEY_KINDS,
    OCSP_SIGNER,
    SERVER,
    Wanted,
    alternative_name,
    write_new,
)

Action = tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]

_MOST_DAYS = 36_500


def add_actions(actions: Any) -> Iterator[Action]:
    """Add the actions; yields each parser with the function that runs it."""
    ca = actions.add_parser("ca", help="make a certificate authority in a folder")
    ca.add_argument("folder", metavar="DIR", type=Path)
    ca.add_argument("--cn", default="mqttd CA", metavar="NAME", help="its name (%(default)s)")
    _add_common(ca, days=3650)
    yield ca, _ca

    server = actions.add_parser("server", help="issue a certificate for a broker")
    _add_ca(server)
    server.add_argument(
        "--san",
        action="append",
        default=[],
        metavar="NAME",
        required=True,
        help="host name or IP address clients connect to; may be given more than once, or as a "
        "list with commas",
    )
    server.add_argument("--cn", metavar="NAME", help="common name (the first --san)")
    _add_issue(server, days=365)
    yield server, _server

    client = actions.add_parser("client", help="issue a certificate for a client")
    _add_ca(client)
    client.add_argument("--cn", required=True, metavar="NAME", help="common name: who it is")
    client.add_argument(
        "--san",
        action="append",
        default=[],
        metavar="NAME",
        help="further name: host name, IP address, URI or e-mail address",
    )
    _add_issue(client, days=365)
    yield client, _client

    signer = actions.add_parser(
        "ocsp-signer", help="issue a certificate for an OCSP responder of the authority"
    )
    _add_ca(signer)
    signer.add_argument("--cn", default="OCSP responder", metavar="NAME", help="(%(default)s)")
    _add_issue(signer, days=365)
    yield signer, _signer

    revoke = actions.add_parser("revoke", help="revoke a certificate and write a new list")
    _add_ca(revoke)
    revoke.add_argument("certificate", metavar="CERT", help="its file, or its serial number")
    revoke.add_argument("--reason", choices=list(REASONS), default="", metavar="REASON",
                        help=", ".join(REASONS))  # fmt: skip
    _add_crl(revoke)
    yield revoke, _revoke

    crl = actions.add_parser("crl", help="write the list of revoked certificates (CRL)")
    _add_ca(crl)
    _add_crl(crl)
    yield crl, _crl


def _add_ca(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ca", required=True, type=Path, metavar="DIR", help="folder of the authority"
    )


def _add_common(parser: argparse.ArgumentParser, *, days: int) -> None:
    parser.add_argument(
        "--days", type=_days, default=days, metavar="N", help="how long it is good (%(default)s)"
    )
    parser.add_argument(
        "--key",
        choices=KEY_KINDS,
        default="ec",
        metavar="KIND",
        help=f"kind of key: {', '.join(KEY_KINDS)} (%(default)s: P-256)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def _add_issue(parser: argparse.ArgumentParser, *, days: int) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="write PATH.pem and PATH.key (the name)"
    )
    parser.add_argument("--crl-url", metavar="URL", help="where its revocation list will be")
    parser.add_argument("--ocsp-url", metavar="URL", help="the OCSP responder to ask about it")
    _add_common(parser, days=days)


def _add_crl(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=_days, default=30, metavar="N", help="time to the next list (%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"write the list there too (DIR/{CRL})"
    )
    parser.add_argument("--der", action="store_true", help="write --out as DER, not PEM")
    parser.add_argument(
        "--crl-url", metavar="URL", help="say in the list that it is the one of this address"
    )


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 0 < days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is no number of days from 1 to {_MOST_DAYS}")
    return days


def _ca(options: argparse.Namespace) -> int:
    made = create_authority(
        options.folder, options.cn, days=options.days, key_kind=options.key, force=options.force
    )
    print(f"made {made.folder / 'ca.pem'} (give it to those who are to trust the authority)")
    print(f"made {made.folder / 'ca.key'} (keep it; who has it can issue certificates)")
    return 0


def _server(options: argparse.Namespace) -> int:
    names = [name for each in options.san for name in each.split(",") if name]
    if not names:
        raise CertsProblem("--san is empty", "name the host clients connect to")
    return _issue(options, options.cn or names[0][:64], SERVER, names)


def _client(options: argparse.Namespace) -> int:
    return _issue(options, options.cn, CLIENT, options.san)


def _signer(options: argparse.Namespace) -> int:
    return _issue(options, options.cn, OCSP_SIGNER, [])


def _issue(
    options: argparse.Namespace, name: str, usage: x509.ObjectIdentifier, names: list[str]
) -> int:
    try:
        wanted = Wanted(
            days=options.days,
            usage=usage,
            names=[alternative_name(each) for each in names],
            crl_url=_url(options.crl_url),
            ocsp_url=_url(options.ocsp_url),
        )
    except ValueError as problem:
        raise CertsProblem(str(problem)) from None
    out = options.out or Path(_file_name(name))
    certificate, key = open_authority(options.ca).issue(
        name, wanted, key_kind=options.key, out=out, force=options.force
    )
    print(f"made {certificate} and {key}")
    return 0


def _file_name(name: str) -> str:
    """A name as that of a file: nothing that leads to another folder."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".")
    return kept or "certificate"


def _url(url: str | None) -> str | None:
    if url is not None and not (
        url.startswith(("http://", "https://")) and url.isascii() and url.isprintable()
    ):
        raise ValueError(f"{url} is no http or https address")
    return url


def _revoke(options: argparse.Namespace) -> int:
    authority = open_authority(options.ca)
    entry = authority.revoke(_serial(options.certificate), options.reason)
    print(f"revoked {serial_text(entry.serial)} ({entry.subject})")
    return _crl(options)


def _serial(text: str) -> int:
    if not Path(text).exists():
        try:
            return int(text.replace(":", ""), 16)
        except ValueError:
            raise CertsProblem(
                f"{text} is neither a file nor a serial number",
                "give the certificate's file, or the number that mqttd certs show says",
            ) from None
    try:
        return load_certificates(read_pem(text, "."))[0].serial_number
    except FileProblem as problem:
        raise CertsProblem(problem.message, problem.cure) from None


def _crl(options: argparse.Namespace) -> int:
    authority = open_authority(options.ca)
    try:
        url = _url(options.crl_url)
    except ValueError as problem:
        raise CertsProblem(str(problem)) from None
    crl = authority.make_crl(options.days, url=url)
    print(f"made {authority.folder / CRL}: {len(crl)} revoked, next list in {options.days} days")
    if options.out is not None:
        data = crl.public_bytes(Encoding.DER if options.der else Encoding.PEM)
        try:
            write_new(options.out, data, 0o644, replace=True)
        except OSError as problem:
            raise CertsProblem(f"{options.out}: {problem.strerror}") from None
        print(f"made {options.out}")
    return 0
