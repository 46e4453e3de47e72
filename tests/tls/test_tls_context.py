"""check_ssl_options finds everything in one run; build_server_context builds or refuses."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.schema.tls import SslOptions
from mqttd.config.types import Secret
from mqttd.tls import native
from mqttd.tls.context import build_server_context, check_ssl_options

if TYPE_CHECKING:
    from tests.conftest import Authority, Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]
    MakeRoot = Callable[..., Authority]

PATH = "listeners.ssl.default.ssl_options"
DAY = datetime.timedelta(days=1)
FILES = {"keyfile": "key.pem", "certfile": "cert.pem"}


def options(**changes: Any) -> SslOptions:
    return SslOptions(**{**FILES, **changes})


def check(folder: Path, **changes: Any) -> list[Finding]:
    return check_ssl_options(options(**changes), PATH, folder)


def one(findings: list[Finding], severity: str, option: str) -> Finding:
    """The only finding there is, of that severity and about that option."""
    assert [(f.severity, f.path) for f in findings] == [(severity, f"{PATH}.{option}")], findings
    return findings[0]


def write(folder: Path, name: str, text: str | bytes) -> None:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    (folder / name).chmod(0o600)


def test_nothing_wrong(folder: Path) -> None:
    assert check(folder) == []
    assert check(folder, verify="verify_peer", cacertfile="cacert.pem") == []


def test_all_problems_in_one_run(folder: Path, pki: Pki) -> None:
    write(folder, "cert.pem", pki.rsa.chain_pem)
    (folder / "key.pem").chmod(0o644)
    findings = check(
        folder,
        verify="verify_peer",
        cacertfile="missing.pem",
        dhfile="cert.pem",
        ciphers=["NOPE"],
        versions=["tlsv1.2", "tlsv1.1"],
    )
    assert [(f.severity, f.path.removeprefix(PATH)) for f in findings] == [
        ("error", ".keyfile"),
        ("error", ".cacertfile"),
        ("error", ".dhfile"),
        ("error", ".ciphers"),
        ("warning", ".keyfile"),
        ("warning", ".ciphers"),
    ]
    assert all(finding.message and finding.cure for finding in findings)
    with pytest.raises(ConfigurationErrors) as caught:
        build_server_context(
            options(cacertfile="missing.pem", dhfile="cert.pem"), folder, path=PATH
        )
    assert len(caught.value.errors) == 3
    assert f"{PATH}.cacertfile: {folder}/missing.pem does not exist" in str(caught.value)


@pytest.mark.parametrize("option", ["keyfile", "certfile", "cacertfile"])
def test_file_problems(folder: Path, option: str) -> None:
    name = str(folder / "x.pem")
    finding = one(check(folder, **{option: "x.pem"}), "error", option)
    assert finding.message == f"{name} does not exist"
    write(folder, "x.pem", "")
    assert f"{name} is empty" in one(check(folder, **{option: name}), "error", option).message
    write(folder, "x.pem", "hello")
    assert "is no PEM file" in one(check(folder, **{option: name}), "error", option).message
    write(folder, "x.pem", b"\x30\x82\x01\x02")
    finding = one(check(folder, **{option: name}), "error", option)
    assert "looks like DER" in finding.message
    assert "-inform DER" in finding.cure
    write(folder, "x.pem", "-----BEGIN DH PARAMETERS-----\nMA==\n-----END DH PARAMETERS-----\n")
    assert "holds no " in one(check(folder, **{option: name}), "error", option).message
    kind = "PRIVATE KEY" if option == "keyfile" else "CERTIFICATE"
    write(folder, "x.pem", f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")
    assert "cannot be read" in one(check(folder, **{option: name}), "error", option).message
    assert "not a regular file" in one(check(folder, **{option: "."}), "error", option).message
    finding = one(check(folder, **{option: "a\nb"}), "error", option)
    assert "neither the path of a file nor PEM text" in finding.message
    finding = one(check(folder, **{option: "cert.pem/x"}), "error", option)
    assert "cannot be read: Not a directory" in finding.message


def test_fifo_does_not_stop_the_start(folder: Path) -> None:
    import os

    os.mkfifo(folder / "fifo")
    assert "not a regular file" in one(check(folder, certfile="fifo"), "error", "certfile").message


@pytest.mark.parametrize("value", [None, "", "  "])
def test_unset(folder: Path, value: str | None) -> None:
    one(check(folder, keyfile=value), "error", "keyfile")
    one(check(folder, certfile=value), "error", "certfile")
    one(check(folder, cacertfile=value, verify="verify_peer"), "error", "cacertfile")
    assert check(folder, cacertfile=value) == []


def test_pem_text_in_the_options(folder: Path, pki: Pki, make_cert_pem: Any) -> None:
    assert check_ssl_options(pki.options(), PATH, folder) == []
    authorities = make_cert_pem(pki.root.cert, pki.other_root.cert)
    assert check(folder, verify="verify_peer", cacertfile=authorities) == []
    finding = one(
        check_ssl_options(pki.options(keyfile=pki.rsa.chain_pem), PATH, folder), "error", "keyfile"
    )
    assert finding.message == "the text of the option holds no private key"
    assert pki.ec.key_pem not in repr(pki.server_context())


def test_encrypted_key(folder: Path, pki: Pki, make_key_pem: Any, join: Join) -> None:
    write(folder, "key.pem", make_key_pem(pki.ec.key, "correct horse"))
    finding = one(check(folder), "error", "password")
    assert "is encrypted and there is no password" in finding.message
    finding = one(check(folder, password=Secret("wrong pony")), "error", "password")
    assert "cannot be decrypted with the password given" in finding.message
    assert "pony" not in str(finding)
    assert check(folder, password=Secret("correct horse")) == []
    context = build_server_context(options(password=Secret("correct horse")), folder)
    pair = join(pki.client_context(), context)
    pair.run()
    assert pair.server.handshake_complete


def test_traditional_encrypted_key(folder: Path, pki: Pki) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    pem = pki.ec.key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    )
    write(folder, "key.pem", pem)
    one(check(folder), "error", "password")
    assert check(folder, password=Secret("secret")) == []


def test_needless_password_is_a_notice(folder: Path) -> None:
    finding = one(check(folder, password=Secret("whatever")), "notice", "password")
    assert "is not needed" in finding.message


def test_key_of_another_certificate(folder: Path, pki: Pki) -> None:
    write(folder, "key.pem", pki.rsa.key_pem)
    finding = one(check(folder), "error", "keyfile")
    assert "does not belong to the certificate in certfile (CN=localhost" in finding.message


def test_key_of_a_useless_kind(folder: Path) -> None:
    key = x25519.X25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write(folder, "key.pem", pem)
    assert "of a kind TLS servers do not use" in one(check(folder), "error", "keyfile").message


def test_key_and_certificate_in_one_file(folder: Path, pki: Pki) -> None:
    write(folder, "both.pem", pki.ec.key_pem + pki.ec.chain_pem)
    assert check(folder, keyfile="both.pem", certfile="both.pem") == []


def test_key_open_to_others(folder: Path) -> None:
    (folder / "key.pem").chmod(0o644)
    finding = one(check(folder), "warning", "keyfile")
    assert "(mode 0644)" in finding.message
    assert finding.cure == f"chmod 600 {folder}/key.pem"
    (folder / "key.pem").chmod(0o640)
    assert check(folder) == []


def test_times(folder: Path, pki: Pki) -> None:
    begin, end = pki.ec.cert.not_valid_before_utc, pki.ec.cert.not_valid_after_utc

    def at(moment: datetime.datetime) -> list[Finding]:
        return check_ssl_options(options(), PATH, folder, moment.timestamp())

    late = at(end + 2 * DAY)
    assert [(f.severity, f.path) for f in late][:1] == [("error", f"{PATH}.certfile")]
    assert f"expired on {end:%Y-%m-%d %H:%M} UTC" in late[0].message
    early = at(begin - DAY)
    assert "is not valid before" in early[0].message
    assert early[0].severity == "error"
    finding = one(at(end - 10 * DAY), "warning", "certfile")
    assert "expires in 10 days" in finding.message
    assert at(end - 31 * DAY) == []


def test_short_lived_certificate_is_not_warned_of_at_once(folder: Path, pki: Pki) -> None:
    now = datetime.datetime.now(datetime.UTC)
    short = pki.root.issue(begin=now, end=now + 6 * DAY)
    write(folder, "key.pem", short.key_pem)
    write(folder, "cert.pem", short.chain_pem)
    assert check(folder) == []
    later = check_ssl_options(options(), PATH, folder, (now + 4.9 * DAY).timestamp())
    assert "expires in 26 hours" in one(later, "warning", "certfile").message


def test_expired_issuer_is_a_warning(folder: Path, make_root: MakeRoot) -> None:
    now = datetime.datetime.now(datetime.UTC)
    root = make_root("Old Root", begin=now - 9 * DAY, end=now - DAY)
    leaf = root.issue()
    write(folder, "key.pem", leaf.key_pem)
    write(folder, "cert.pem", leaf.chain_pem + root.chain_pem)
    finding = one(check(folder), "warning", "certfile")
    assert "the issuer CN=Old Root" in finding.message
    assert "expired" in finding.message


def test_chain_order(folder: Path, pki: Pki, make_cert_pem: Any) -> None:
    leaf, middle, root = pki.ec.cert, pki.intermediate.cert, pki.root.cert
    for good in ([leaf], [leaf, middle], [leaf, middle, root]):
        write(folder, "cert.pem", make_cert_pem(*good))
        assert check(folder) == []
    write(folder, "cert.pem", make_cert_pem(middle, leaf, root))
    finding = one([f for f in check(folder) if f.severity == "error"], "error", "certfile")
    assert "belongs to keyfile is number 2" in finding.message
    assert "own certificate first" in finding.cure
    write(folder, "cert.pem", make_cert_pem(leaf, root, middle))
    finding = one(check(folder), "warning", "certfile")
    assert "number 2 is not the issuer of number 1" in finding.message
    write(folder, "cert.pem", make_cert_pem(leaf, middle, pki.other_root.cert))
    finding = one(check(folder), "warning", "certfile")
    assert "number 3" in finding.message
    assert "(CN=Other Root) is not part of the chain" in finding.message


def test_leaf_that_suits_no_server(folder: Path, pki: Pki, make_root: MakeRoot) -> None:
    authority = make_root("Self")
    write(folder, "key.pem", authority.key_pem)
    write(folder, "cert.pem", authority.cert.public_bytes(Encoding.PEM))
    words = [finding.message for finding in check(folder)]
    assert any("is a certificate authority" in message for message in words)
    assert any("no subjectAltName" in message for message in words)
    client = pki.root.issue(usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    write(folder, "key.pem", client.key_pem)
    write(folder, "cert.pem", client.chain_pem)
    assert "lacks serverAuth" in one(check(folder), "warning", "certfile").message
    usage = x509.KeyUsage(False, False, True, *[False] * 6)
    odd = pki.root.issue(extra=[usage])
    write(folder, "key.pem", odd.key_pem)
    write(folder, "cert.pem", odd.chain_pem)
    (only,) = check(folder)
    assert "keyUsage lacks digitalSignature" in only.message


def test_weak_key_is_refused_in_openssls_words(folder: Path, pki: Pki) -> None:
    weak = pki.root.issue(kind="rsa1024")
    write(folder, "key.pem", weak.key_pem)
    write(folder, "cert.pem", weak.chain_pem)
    finding = one(check(folder), "error", "certfile")
    assert "ee key too small" in finding.message


def test_suites_that_do_not_fit_the_key(folder: Path) -> None:
    finding = one(
        check(folder, ciphers=["ECDHE-RSA-AES128-GCM-SHA256"], versions=["tlsv1.2"]),
        "error",
        "ciphers",
    )
    assert "no suite listed for tlsv1.2 fits the EC key" in finding.message
    both = check(folder, ciphers=["ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"])
    one(both, "warning", "ciphers")


def test_authority_that_is_none(folder: Path, pki: Pki) -> None:
    write(folder, "cacert.pem", pki.client_ec.chain_pem)
    assert check(folder, cacertfile="cacert.pem") == []  # not used with verify_none
    found = check(folder, cacertfile="cacert.pem", verify="verify_peer")
    assert "is not a certificate authority" in one(found, "warning", "cacertfile").message


DH_2048 = """-----BEGIN DH PARAMETERS-----
MIIBDAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAgICAOE=
-----END DH PARAMETERS-----
"""


@pytest.mark.parametrize("groups", [b"X25519:P-256", b"X25519:P-256:ffdhe3072", None])
def test_dhfile(folder: Path, pki: Pki, join: Join, groups: bytes | None) -> None:
    write(folder, "dh.pem", DH_2048)
    suite = "DHE-RSA-AES128-GCM-SHA256"
    context = pki.server_context(
        pki.rsa, ciphers=[suite], versions=["tlsv1.2"], dhfile=str(folder / "dh.pem")
    )
    assert context.findings == ()
    client = pki.client_context(ciphers=b"ALL")
    if groups is not None:
        assert native._lib.SSL_CTX_set1_curves_list(client._context, groups) == 1
    pair = join(client, context)
    pair.run()
    assert pair.server.info().cipher == suite


def test_dhfile_problems(folder: Path) -> None:
    one(check(folder, dhfile="none.pem"), "error", "dhfile")
    finding = one(check(folder, dhfile="cert.pem"), "error", "dhfile")
    assert "holds no Diffie-Hellman parameters" in finding.message
    write(folder, "dh.pem", DH_2048.replace("MIIBDAKCAQEA", "MIIBDAKCAQEA/"))
    one(check(folder, dhfile="dh.pem"), "error", "dhfile")
    write(folder, "dh.pem", "-----BEGIN DH PARAMETERS-----\nMA==\n-----END DH PARAMETERS-----\n")
    assert "dhparam" in one(check(folder, dhfile="dh.pem"), "error", "dhfile").cure


def test_sessions_are_off(pki: Pki) -> None:
    context = pki.mutual().context
    assert context.get_session_cache_mode() == SSL.SESS_CACHE_OFF
    assert context.set_options(0) & SSL.OP_NO_TICKET
    assert context.get_verify_mode() == SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    assert pki.server_context().context.get_verify_mode() == SSL.VERIFY_NONE


def test_authority_names_are_sent(pki: Pki, join: Join, make_cert_pem: Any) -> None:
    authorities = make_cert_pem(pki.root.cert, pki.other_root.cert)
    for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
        pair = join(
            pki.client_context(pki.client_ec, version=version), pki.mutual(cacertfile=authorities)
        )
        pair.run()
        names = pair.client._connection.get_client_ca_list(as_cryptography=True)
        assert [name.rfc4514_string() for name in names] == ["CN=Test Root", "CN=Other Root"]


def test_too_many_authority_names_are_left_out(
    pki: Pki, join: Join, make_root: MakeRoot, make_cert_pem: Any
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    roots = [make_root(f"{number:060d}", key=key).cert for number in range(250)]
    context = pki.mutual(cacertfile=make_cert_pem(pki.root.cert, *roots))
    assert [finding.severity for finding in context.findings] == ["notice"]
    for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
        pair = join(pki.client_context(pki.client_ec, version=version), context)
        pair.run()
        assert pair.server.handshake_complete
        assert pair.client._connection.get_client_ca_list(as_cryptography=True) == []


def test_a_context_is_frozen_once_used(pki: Pki, join: Join) -> None:
    context = pki.server_context()
    join(pki.client_context(), context).run()
    with pytest.raises(ValueError, match="cannot be mutated"):
        context.context.set_options(0)
    with pytest.raises(AttributeError):
        context.context = SSL.Context(SSL.TLS_METHOD)  # type: ignore[misc]


def test_what_a_server_context_tells(pki: Pki) -> None:
    context = pki.mutual(fail_if_no_peer_cert=False, versions=["tlsv1.2", "tlsv1.1"])
    assert context.verify_peer
    assert not context.requires_peer_cert
    assert [c.subject.rfc4514_string() for c in context.chain] == [
        "CN=localhost",
        "CN=Test Intermediate",
    ]
    assert context.suites.versions == ("tlsv1.2", "tlsv1.1")
    assert [finding.severity for finding in context.findings] == ["warning"]
    assert isinstance(context.chain[0], x509.Certificate)
