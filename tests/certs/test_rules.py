"""Each rule of imports finds what it is for, and says what to do."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID

from mqttd.certs.errors import CertsProblem
from mqttd.certs.material import read_material
from mqttd.certs.rules import RULES, check_material
from mqttd.certs.split import split_bundle

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


class Files:
    """Writes what is to be checked, and checks it."""

    def __init__(self, folder: Path, cert_pem: Any, key_pem: Any) -> None:
        self.folder = folder
        self.cert_pem = cert_pem
        self.key_pem = key_pem

    def write(self, name: str, *certificates: x509.Certificate) -> str:
        file = self.folder / name
        file.write_text(self.cert_pem(*certificates))
        return str(file)

    def check(
        self,
        issued: Any,
        *,
        cloud: bool = True,
        certificates: list[x509.Certificate] | None = None,
        chain: list[x509.Certificate] | None = None,
        key: bytes | str | None = None,
        client_ca: list[x509.Certificate] | None = None,
    ) -> dict[str, str]:
        """Severity and message of each finding, by rule."""
        key_file = self.folder / "server.key"
        key_file.write_bytes(key.encode() if isinstance(key, str) else key or
                             self.key_pem(issued.key).encode())  # fmt: skip
        chain = issued.issuers if chain is None else chain
        material = read_material(
            self.write("server.pem", *(certificates or [issued.cert])),
            str(key_file),
            self.write("chain.pem", *chain) if chain else None,
            None if client_ca is None else self.write("clients.pem", *client_ca),
        )
        return {
            finding.path: f"{finding.severity}: {finding.message}; {finding.cure}"
            for outcome in check_material(material, cloud=cloud)
            for finding in outcome.findings
        }


@pytest.fixture
def files(tmp_path: Path, make_cert_pem: Any, make_key_pem: Any) -> Files:
    return Files(tmp_path, make_cert_pem, make_key_pem)


@pytest.mark.parametrize("server", ["ec", "rsa-of-rsa"])
def test_good_files_pass_every_rule(files: Files, pki: Any, make_root: Any, server: str) -> None:
    issued = pki.ec if server == "ec" else make_root("RSA", "rsa").issue(kind="rsa")
    assert files.check(issued, client_ca=[pki.root.cert]) == {}


@pytest.mark.parametrize(
    ("form", "begin"),
    [
        (PrivateFormat.PKCS8, b"-----BEGIN PRIVATE KEY"),
        (PrivateFormat.TraditionalOpenSSL, b"-----BEGIN RSA PRIVATE KEY"),
    ],
)
def test_both_forms_of_keys(
    files: Files, make_root: Any, form: PrivateFormat, begin: bytes
) -> None:
    issued = make_root("RSA", "rsa").issue(kind="rsa")
    pem = issued.key.private_bytes(Encoding.PEM, form, NoEncryption())
    assert pem.startswith(begin)
    assert files.check(issued, key=pem) == {}


def test_openssh_keys_are_refused(files: Files, pki: Any) -> None:
    pem = pki.ec.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert "holds a private key that cannot be read" in files.check(pki.ec, key=pem)["pem"]


def test_a_password(files: Files, pki: Any, make_key_pem: Any) -> None:
    locked = make_key_pem(pki.ec.key, "secret words")
    found = files.check(pki.ec, key=locked)
    assert found["key-password"].startswith("error: ")
    assert "openssl pkey" in found["key-password"]
    assert files.check(pki.ec, key=locked, cloud=False)["key-password"].startswith("warning: ")


@pytest.mark.parametrize(
    ("key", "cloud", "words"),
    [
        (
            lambda: rsa.generate_private_key(65537, 1024),
            True,
            "notice: .*1024 bits, which is weak",
        ),
        (lambda: rsa.generate_private_key(65537, 1024), False, "warning: .*1024 bits"),
        (lambda: rsa.generate_private_key(65537, 3072), True, "error: .*RSA 3072, which is not"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), True, "error: .*EC secp521r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), False, "error: .*EC secp256k1"),
        (ed25519.Ed25519PrivateKey.generate, True, "error: .*Ed25519"),
    ],
)
def test_kinds_of_keys(files: Files, pki: Any, key: Any, cloud: bool, words: str) -> None:
    found = files.check(pki.root.issue(key=key()), cloud=cloud)
    assert re.match(words, found["key-algorithm"])


@pytest.mark.parametrize(
    "key",
    [
        lambda: rsa.generate_private_key(65537, 3072),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_a_broker_of_ones_own_takes_more_kinds(files: Files, pki: Any, key: Any) -> None:
    assert "key-algorithm" not in files.check(pki.root.issue(key=key()), cloud=False)


def test_a_key_of_another_certificate(files: Files, pki: Any, make_key_pem: Any) -> None:
    found = files.check(pki.ec, key=make_key_pem(pki.client_ec.key))
    assert "does not belong to the certificate (CN=localhost)" in found["key-match"]


def test_a_certificate_and_a_ca_of_two_algorithms(files: Files, pki: Any) -> None:
    assert files.check(pki.rsa)["issuer-algorithm"].startswith(
        "error: the certificate has an RSA key and is signed with an EC key"
    )
    assert files.check(pki.rsa, cloud=False)["issuer-algorithm"].startswith("warning: ")
    alone = files.check(pki.rsa, chain=[])
    assert "signed with an EC key" in alone["issuer-algorithm"]


def test_a_missing_issuer_and_the_file_it_belongs_in(files: Files, pki: Any) -> None:
    alone = files.check(pki.ec, chain=[])
    assert alone["chain-complete"].startswith(
        "error: the issuer CN=Test Intermediate is not in the files; give the certificate of "
        "CN=Test Intermediate with --chain"
    )
    wrong = files.check(pki.ec, chain=[pki.root.cert])
    assert (
        f"append the certificate of CN=Test Intermediate to {files.folder}/chain.pem"
        in (wrong["chain-complete"])
    )
    assert files.check(pki.ec, chain=[pki.intermediate.cert]) == {}  # the root may be left out
    own = files.check(pki.root.issue(), chain=[], cloud=False)
    assert own["chain-complete"].startswith("notice: ")


def test_where_a_missing_issuer_can_be_had(files: Files, pki: Any) -> None:
    access = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS,
        x509.UniformResourceIdentifier("http://ca.example/ca.crt"),
    )
    issued = pki.root.issue(extra=[x509.AuthorityInformationAccess([access])])
    assert "it is at http://ca.example/ca.crt" in files.check(issued, chain=[])["chain-complete"]


def test_order_and_strangers(files: Files, pki: Any) -> None:
    middle, root = pki.intermediate.cert, pki.root.cert
    found = files.check(pki.ec, chain=[root, middle])
    assert "1. CN=localhost, 2. CN=Test Intermediate, 3. CN=Test Root" in found["chain-order"]
    found = files.check(pki.ec, chain=[middle, root, pki.other_root.cert])
    assert "CN=Other Root in" in found["chain-order"]
    assert "remove it from" in found["chain-order"]
    first = files.check(pki.ec, certificates=[middle, pki.ec.cert], chain=[root])
    assert "1. CN=localhost" in first["chain-order"]
    assert "put the server's own certificate first" in first["key-match"]


def test_a_certificate_in_both_files(files: Files, pki: Any) -> None:
    found = files.check(pki.ec, chain=[pki.ec.cert, *pki.ec.issuers])
    assert list(found) == ["chain-order"]
    assert "CN=localhost stands twice in " in found["chain-order"]
    assert found["chain-order"].endswith("/chain.pem")


def test_a_self_signed_certificate_is_a_chain_of_its_own(files: Files, make_root: Any) -> None:
    san = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    assert files.check(make_root("Alone", extra=[san])) == {}


def test_one_file_with_everything_is_to_be_split_for_the_form(files: Files, pki: Any) -> None:
    found = files.check(pki.ec, certificates=[pki.ec.cert, pki.intermediate.cert], chain=[])
    assert found == {"chain-order": found["chain-order"]}
    assert "mqttd certs split" in found["chain-order"]
    assert not files.check(
        pki.ec, certificates=[pki.ec.cert, pki.intermediate.cert], chain=[], cloud=False
    )


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        (-90, -1, "error: the certificate expired on"),
        (1, 365, "error: the certificate is not valid before"),
        (-300, 59, "error: the certificate has 58 days left, less than 60"),
        (-300, 61, ""),
    ],
)
def test_dates(files: Files, pki: Any, begin: int, end: int, words: str) -> None:
    issued = pki.root.issue(begin=NOW + begin * DAY, end=NOW + end * DAY)
    assert files.check(issued).get("validity", "").startswith(words)
    if end == 59:
        assert files.check(issued, cloud=False)["validity"].startswith("warning: ")


def test_an_issuer_that_expired(files: Files, pki: Any) -> None:
    old = pki.root.issue("Old", ca=True, begin=NOW - 90 * DAY, end=NOW - DAY)
    assert "the issuer CN=Old expired" in files.check(old.issue())["validity"]


def test_names_and_use(files: Files, pki: Any) -> None:
    assert files.check(pki.root.issue(san=[]))["san"].startswith("error: ")
    found = files.check(pki.root.client(san=[x509.DNSName("a.example")]))
    assert "not meant for TLS servers" in found["usage"]


def test_client_ca(files: Files, pki: Any) -> None:
    found = files.check(pki.ec, client_ca=[pki.client_ec.cert])
    assert "CN=dev-ec in" in found["client-ca"]
    old = pki.root.issue("Old", ca=True, begin=NOW - 90 * DAY, end=NOW - DAY)
    assert "not valid now" in files.check(pki.ec, client_ca=[old.cert])["client-ca"]


def test_files_that_cannot_be_read(files: Files, tmp_path: Path, pki: Any) -> None:
    der = tmp_path / "server.der"
    der.write_bytes(pki.ec.cert.public_bytes(Encoding.DER))
    material = read_material(str(der), str(tmp_path / "none.key"), str(tmp_path / "none.pem"))
    (outcome,) = check_material(material)
    assert [finding.path for finding in outcome.findings] == ["pem"] * 3
    assert "looks like DER" in outcome.findings[0].message
    assert "openssl x509" in outcome.findings[0].cure


def test_rules_without_a_file_are_not_checked(files: Files, pki: Any) -> None:
    outcomes = check_material(read_material(files.write("server.pem", pki.ec.cert)))
    assert {outcome.rule for outcome in outcomes} == {"pem", *RULES}
    assert {outcome.rule for outcome in outcomes if not outcome.checked} == {
        "key-password",
        "key-format",
        "key-match",
        "client-ca",
    }


def test_a_bundle_is_split_as_the_form_wants_it(files: Files, tmp_path: Path, pki: Any) -> None:
    second = pki.intermediate.issue("Second", ca=True)
    leaf = second.issue()
    bundle = files.write(
        "bundle.pem", pki.root.cert, pki.intermediate.cert, leaf.cert, second.cert, leaf.cert
    )
    out = tmp_path / "out"
    written = split_bundle(bundle, out)
    assert written == {out / "user.pem": 1, out / "chain.pem": 2, out / "root.pem": 1}
    chain = x509.load_pem_x509_certificates((out / "chain.pem").read_bytes())
    assert chain == [second.cert, pki.intermediate.cert]
    with pytest.raises(CertsProblem, match="exists already"):
        split_bundle(bundle, out)
    assert split_bundle(bundle, out, force=True)


def test_two_users_in_a_bundle_are_too_many(files: Files, tmp_path: Path, pki: Any) -> None:
    bundle = files.write("bundle.pem", pki.ec.cert, pki.client_ec.cert)
    with pytest.raises(CertsProblem, match="2 certificates that are no CA's"):
        split_bundle(bundle, tmp_path / "out")
