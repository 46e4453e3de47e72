"""Fuzz all else that reads bytes of others: ``python fuzz/fuzz_trust.py --runs 5000``.

TLS handshakes, ClientHello, PROXY headers, WebSocket frames; key files, revocation lists and OCSP
answers. Each must end in a value or in its own error. The inputs to start from are made at each
run, with keys of their own; exit status 1 and the input in hexadecimal when a reader failed.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from pathlib import Path

import readers
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL
from readers import Target

from mqttd.config.schema.tls import SslOptions
from mqttd.net.proxy_protocol import InvalidProxyHeader, ProxyParser
from mqttd.net.websocket_frames import FrameError, FrameReader
from mqttd.psk.psk_file import parse_psk_file
from mqttd.revocation.ocsp_message import BadAnswer, Question
from mqttd.revocation.revocation_list import BadList, read_list
from mqttd.tls.channel import TLSChannel
from mqttd.tls.client_hello import parse_client_hello
from mqttd.tls.context import build_server_context
from mqttd.tls.failure import TLSFailure
from mqttd.tls.issue import key_pem, make_authority, name_of

_LARGEST = 4096
_NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
_DAY = datetime.timedelta(days=1)


def _tls(authority: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Target:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cert.pem").write_bytes(authority.public_bytes(Encoding.PEM))
        (Path(folder) / "key.pem").write_bytes(key_pem(key))
        options = SslOptions(certfile="cert.pem", keyfile="key.pem")
        context = build_server_context(options, folder)
    client = TLSChannel(SSL.Context(SSL.TLS_CLIENT_METHOD), server=False, server_hostname=b"a.b")
    client.start()
    hello = client.outgoing()

    def check(data: bytes) -> None:
        found = parse_client_hello(data)
        if found is not None:
            repr(found)
        channel = TLSChannel(context)
        try:
            for at in range(0, len(data), 200):
                if channel.receive(data[at : at + 200]):
                    raise AssertionError("bytes of a client before the handshake")
                channel.outgoing()
        except TLSFailure as failure:
            if not failure.kind or not failure.cause:
                raise AssertionError("a failure without its kind or cause") from failure
        channel.hello()

    return Target(
        check, [hello, hello[:60], b"GET / HTTP/1.1\r\n\r\n"], (b"\x16\x03\x01", b"\x03\x04")
    )


def _revocation_list(authority: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Target:
    entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(_NOW - _DAY)
    entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
    builder = x509.CertificateRevocationListBuilder(issuer_name=authority.subject)
    builder = builder.last_update(_NOW - _DAY).next_update(_NOW + _DAY)
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    made = builder.add_revoked_certificate(entry.build()).sign(key, SHA256())

    def check(data: bytes) -> None:
        try:
            proven = read_list(data, authority, now=time.time(), max_size=_LARGEST)
        except BadList as problem:
            if not problem.cause:
                raise AssertionError("a refusal without its cause") from problem
        else:
            proven.find(7)

    return Target(check, [made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM)])


def _ocsp(authority: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Target:
    good = ocsp.OCSPCertStatus.GOOD
    builder = ocsp.OCSPResponseBuilder().add_response(
        authority, authority, SHA1(), good, _NOW - _DAY, _NOW + _DAY, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority)
    made = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    question = Question.of(authority, authority)

    def check(data: bytes) -> None:
        try:
            repr(question.read(data, time.time()))
        except BadAnswer as problem:
            if not problem.cause:
                raise AssertionError("a refusal without its cause") from problem

    return Target(check, [made, b"\x30\x03\x0a\x01\x06"])


def _keys() -> Target:
    def check(data: bytes) -> None:
        for encoding in ("auto", "hex", "base64", "text"):
            found = parse_psk_file(data, encoding=encoding)
            if any(key.hex() in repr(found) for key in found.keys.values() if len(key) > 3):
                raise AssertionError("a key is shown")

    seeds = [b"a:" + b"0f" * 16 + b"\n# no\nb:" + b"secret" * 4, b"c:" + b"QUJD" * 8 + b"\r\n"]
    return Target(check, seeds, (b":", b"\n", b"\r\n", b"#", b"\xff\xfe", b"=="))


def _proxy() -> Target:
    def check(data: bytes) -> None:
        for step in (1, 7, _LARGEST):
            parser = ProxyParser()
            try:
                for at in range(0, len(data), step):
                    found = parser.feed(data[at : at + step])
                    if found is not None:
                        repr(found[0])
                        break
            except InvalidProxyHeader as problem:
                str(problem)

    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x15\x7f\0\0\x01\x7f\0\0\x01\x04\xd2\x07\x5b"
    v2 += b"\x20\x00\x06\x01\0\0\0\0\x00"
    seeds = [b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 1883\r\n", b"PROXY UNKNOWN\r\n", v2]
    return Target(check, seeds, (b"TCP6 ::1", b"\r\n", b"\x20\x00", b"\x21\x00\x03", b" 65535"))


def _frames() -> Target:
    def check(data: bytes) -> None:
        for step in (1, _LARGEST):
            reader = FrameReader(_LARGEST, _LARGEST, None)
            out: list[bytes] = []
            try:
                for at in range(0, len(data), step):
                    reader.feed(data[at : at + step], out)
            except FrameError:
                pass
            if sum(map(len, out)) > len(data):
                raise AssertionError("more came out than went in")

    seeds = [b"\x82\x85abcd\x01\x02\x03\x04\x05", b"\x89\x80abcd", b"\x88\x82abcd\x62\x8a"]
    return Target(check, seeds, (b"\xfe", b"\xff", b"\x00\x80", b"\x80\x80"))


def targets() -> dict[str, Target]:
    """Every reader by its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = make_authority(key, name_of("Fuzz"), days=3)
    return {
        "tls": _tls(authority, key),
        "crl": _revocation_list(authority, key),
        "ocsp": _ocsp(authority, key),
        "psk": _keys(),
        "proxy": _proxy(),
        "websocket": _frames(),
    }


if __name__ == "__main__":
    sys.exit(readers.main(__doc__ or "", targets()))
