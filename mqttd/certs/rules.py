"""The rules files of a server are checked by, one by one.

The rules are those EMQX Cloud has for imported certificates. A broker of one's own can do without
some of them: they are warnings then, and errors in the profile ``cloud``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mqttd.certs.chains import check_chain_complete, check_chain_order, find_issuer
from mqttd.certs.material import Material, is_encrypted
from mqttd.config.errors import Finding, error, notice, warning
from mqttd.tls.certificates import check_leaf, extension_of, issued
from mqttd.tls.peer import subject_of

CLOUD: Final = "cloud"
LEAST_LEFT: Final = datetime.timedelta(days=60)
"""Life a certificate must have left to be imported."""

_FORMATS: Final = (
    b"-----BEGIN RSA PRIVATE KEY-----",
    b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN EC PRIVATE KEY-----",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
)
"""PKCS#1, PKCS#8, SEC 1, and PKCS#8 with a password."""


@attrs.frozen
class Outcome:
    """What became of one rule; without findings it holds, or was not ``checked``."""

    rule: str
    title: str
    findings: tuple[Finding, ...] = ()
    checked: bool = True
    """False when there is no file to check."""

    @property
    def ok(self) -> bool:
        """Whether nothing that matters was found."""
        return not any(finding.severity != "notice" for finding in self.findings)


@attrs.frozen
class Checked:
    """What a rule looks at."""

    material: Material
    leaf: x509.Certificate
    cloud: bool
    now: datetime.datetime

    def minor(self, rule: str, message: str, cure: str) -> Finding:
        """A finding that is an error only in the cloud."""
        return (error if self.cloud else warning)(rule, message, cure)


def check_material(
    material: Material, *, cloud: bool = False, now: datetime.datetime | None = None
) -> list[Outcome]:
    """Every rule with its findings, whose ``path`` is the rule's name. Never raises."""
    pem = Outcome("pem", "files are PEM and can be read", tuple(material.unread))
    leaf = material.leaf
    if leaf is None:
        return [pem]
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    checked = Checked(material, leaf, cloud, now)
    outcomes = [pem]
    absent = _absent(material)
    for name, (title, rule) in RULES.items():
        findings = () if name in absent else tuple(rule(checked))
        outcomes.append(Outcome(name, title, findings, name not in absent))
    return outcomes


def _absent(material: Material) -> set[str]:
    """The rules there is nothing to check by."""
    absent = set()
    if material.key_source is None:
        absent |= {"key-password", "key-format", "key-match"}
    elif material.key is None:
        absent.add("key-match")
    if material.client_ca is None:
        absent.add("client-ca")
    return absent


def _version(checked: Checked) -> list[Finding]:
    if checked.leaf.version is x509.Version.v3:
        return []
    return [
        error(
            "x509-v3",
            "the certificate is of X.509 version 1, which has no extensions",
            "issue it with extensions: openssl x509 -req ... -extfile FILE, or mqttd certs server",
        )
    ]


def _names(checked: Checked) -> list[Finding]:
    findings = []
    if extension_of(checked.leaf, x509.SubjectAlternativeName) is None:
        findings.append(
            checked.minor(
                "san",
                "the certificate has no subjectAltName, so clients that check the server's name "
                "refuse it",
                "issue it with the broker's names and addresses: mqttd certs server --san NAME",
            )
        )
    if not checked.leaf.issuer.rdns:
        findings.append(
            error("san", "the certificate does not say who issued it", "issue it from a CA")
        )
    return findings


def _key_algorithm(checked: Checked) -> list[Finding]:
    public = _public_key(checked.leaf)
    what = _describe_key(public)
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size == 2048:
            return []
        if public.key_size == 1024:
            weak = "the certificate's RSA key has 1024 bits, which is weak"
            say = notice if checked.cloud else warning
            return [say("key-algorithm", weak, "issue it with RSA 2048 or EC P-256")]
        if public.key_size > 2048 and not checked.cloud:
            return []
    elif isinstance(public, ec.EllipticCurvePublicKey):
        if isinstance(public.curve, ec.SECP256R1 | ec.SECP384R1):
            return []
        if isinstance(public.curve, ec.SECP521R1) and not checked.cloud:
            return []
    elif isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and not checked.cloud:
        return []
    return [
        error(
            "key-algorithm",
            f"the certificate's key is {what}, which is not among RSA 1024, RSA 2048, EC P-256 "
            "and EC P-384",
            "issue it with RSA 2048 or EC P-256",
        )
    ]


def _key_password(checked: Checked) -> list[Finding]:
    source = checked.material.key_source
    if source is None or not is_encrypted(source):
        return []
    return [
        checked.minor(
            "key-password",
            f"{source.name} has a password, so whether it belongs to the certificate is not "
            "checked",
            f"take it off: openssl pkey -in {source.name} -out NEW.key; this broker also takes it "
            "with ssl_options.password",
        )
    ]


def _key_format(checked: Checked) -> list[Finding]:
    source = checked.material.key_source
    if source is None or any(label in source.data for label in _FORMATS):
        return []
    return [
        error(
            "key-format",
            f"{source.name} is neither PKCS#1 nor PKCS#8",
            f"convert it: openssl pkcs8 -topk8 -nocrypt -in {source.name} -out NEW.key",
        )
    ]


def _key_match(checked: Checked) -> list[Finding]:
    material = checked.material
    if material.key is None or material.key_source is None:
        return []
    public = material.key.public_key()
    if _public_key(checked.leaf) == public:
        return []
    name = material.key_source.name
    for certificate in material.presented:
        if _public_key(certificate) == public:
            return [
                error(
                    "key-match",
                    f"{name} belongs to {subject_of(certificate)}, which is not the first "
                    f"certificate in {material.certificate.name}",
                    "put the server's own certificate first",
                )
            ]
    return [
        error(
            "key-match",
            f"{name} does not belong to the certificate ({subject_of(checked.leaf)})",
            "give the key this certificate was made for, or the certificate of this key",
        )
    ]


def _issuer_algorithm(checked: Checked) -> list[Finding]:
    leaf = checked.leaf
    issuer = find_issuer(leaf, checked.material.presented)
    if issuer is not None:
        theirs = _family(_public_key(issuer))
    else:
        theirs = _signature_family(leaf)
    ours = _family(_public_key(leaf))
    if ours == theirs:
        return []
    return [
        checked.minor(
            "issuer-algorithm",
            f"the certificate has an {ours} key and is signed with an {theirs} key",
            f"issue it with an {theirs} key, or from a CA with an {ours} key",
        )
    ]


def _validity(checked: Checked) -> list[Finding]:
    findings = []
    leaf = checked.leaf
    for certificate in dict.fromkeys(checked.material.presented):
        own = certificate is leaf
        what = "the certificate" if own else f"the issuer {subject_of(certificate)}"
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if checked.now > end:
            findings.append(error("validity", f"{what} expired on {end:%Y-%m-%d}", "renew it"))
        elif checked.now < begin:
            findings.append(
                error(
                    "validity",
                    f"{what} is not valid before {begin:%Y-%m-%d}",
                    "check this machine's clock, or wait",
                )
            )
        elif end - checked.now < LEAST_LEFT:
            left = (end - checked.now).days
            short = f"{what} has {left} days left, less than {LEAST_LEFT.days}"
            findings.append(checked.minor("validity", short, "renew it"))
    return findings


def _usage(checked: Checked) -> list[Finding]:
    name = checked.material.certificate.name
    return [
        attrs.evolve(finding, path="usage")
        for finding in check_leaf(checked.leaf, "usage", name)
        if "subjectAltName" not in finding.message and not issued(checked.leaf, checked.leaf)
    ]


def _client_ca(checked: Checked) -> list[Finding]:
    file = checked.material.client_ca
    findings = []
    for certificate in file.certificates if file else ():
        what = f"{subject_of(certificate)} in {file.name if file else ''}"
        constraints = extension_of(certificate, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            findings.append(
                error(
                    "client-ca",
                    f"{what} is not a certificate authority",
                    "give the certificate of the CA that issues the client certificates",
                )
            )
        if not certificate.not_valid_before_utc <= checked.now <= certificate.not_valid_after_utc:
            findings.append(error("client-ca", f"{what} is not valid now", "renew it"))
    return findings


RULES: Final[dict[str, tuple[str, Callable[[Checked], list[Finding]]]]] = {
    "x509-v3": ("the certificate is of X.509 version 3", _version),
    "key-algorithm": ("the key is RSA 1024 or 2048, or EC P-256 or P-384", _key_algorithm),
    "key-password": ("the private key has no password", _key_password),
    "key-format": ("the private key is PKCS#1 or PKCS#8", _key_format),
    "key-match": ("the private key belongs to the certificate", _key_match),
    "issuer-algorithm": ("certificate and CA have keys of one algorithm", _issuer_algorithm),
    "chain-complete": (
        "the chain is complete",
        lambda checked: check_chain_complete(checked.material, cloud=checked.cloud),
    ),
    "chain-order": (
        "the chain is in order",
        lambda checked: check_chain_order(checked.material, cloud=checked.cloud),
    ),
    "validity": ("everything is valid now and for 60 days more", _validity),
    "san": ("the certificate names the server and its issuer", _names),
    "usage": ("the certificate is meant for TLS servers", _usage),
    "client-ca": ("the CA of client certificates is one and valid", _client_ca),
}
"""The rules by name, each with what it demands."""


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except Exception:  # of a kind that is not known: never equal, never allowed
        return None


def _family(public: object) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return "EC"
    return "Ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "other"


def _signature_family(certificate: x509.Certificate) -> str:
    name = certificate.signature_algorithm_oid._name.lower()
    if "rsa" in name:
        return "RSA"
    return "EC" if "ecdsa" in name else "Ed25519" if "ed25519" in name else "other"


def _describe_key(public: object) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return f"RSA {public.key_size}"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"EC {public.curve.name}"
    return _family(public)
