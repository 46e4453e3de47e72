"""Cipher suites and versions: what a list of names really comes to in this OpenSSL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import attrs
from OpenSSL import SSL

from mqttd.config.errors import Finding, error, notice, warning

TLS13_DEFAULT: Final = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
)
TLS12_DEFAULT: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)
"""Mozilla's "intermediate" list of TLS 1.2 suites (guideline 5.7): forward secrecy, AEAD only."""
LEGACY_DEFAULT: Final = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-SHA",
    "AES256-SHA",
)
"""Added when TLS 1.0 or 1.1 is listed: they know nothing of the suites above."""

SIGNATURES: Final = (
    b"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:"
    b"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:"
    b"rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"
)
"""SHA-256 or better, also at security level 0; TLS 1.0 and 1.1 do not look at this list."""

VERSIONS: Final = {
    "tlsv1": (SSL.TLS1_VERSION, SSL.OP_NO_TLSv1),
    "tlsv1.1": (SSL.TLS1_1_VERSION, SSL.OP_NO_TLSv1_1),
    "tlsv1.2": (SSL.TLS1_2_VERSION, SSL.OP_NO_TLSv1_2),
    "tlsv1.3": (SSL.TLS1_3_VERSION, SSL.OP_NO_TLSv1_3),
}
"""Version names, oldest first: the wire number and the option that leaves it out."""
LEGACY_VERSIONS: Final = frozenset({"tlsv1", "tlsv1.1"})

_WEAK: Final = re.compile(r"NULL|(^|-)ADH-|AECDH-|EXP-|RC4|DES-|MD5|SEED|IDEA")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


@attrs.frozen
class Suites:
    """What a listener negotiates: names for TLS 1.3, names for older versions, and versions."""

    tls13: tuple[str, ...]
    older: tuple[str, ...]
    versions: tuple[str, ...]
    """The versions that have a suite, newest first."""
    psk_tls13: bool = False
    """Whether pre-shared keys are accepted in TLS 1.3."""
    psk_only: bool = False
    """Whether every suite listed for versions before TLS 1.3 needs a pre-shared key: then nobody
    is to come in without one, by no version."""

    @property
    def psk(self) -> bool:
        """Whether a pre-shared key can be proved here: by a suite, or in TLS 1.3."""
        return self.psk_tls13 or any(map(is_psk, self.older))

    @property
    def dhe(self) -> bool:
        """Whether a suite with Diffie-Hellman over finite fields is among them."""
        return any(name.startswith("DHE-") for name in self.older)

    @property
    def cipher_list(self) -> bytes:
        """OpenSSL's cipher string for everything before TLS 1.3.

        TLS 1.0 and 1.1 sign with SHA-1 and are refused above security level 0; there is no
        other way to set the level (tried on OpenSSL 4.0).
        """
        text = ":".join((*self.older, "!aNULL", "!eNULL"))
        return (text + ":@SECLEVEL=0" if self.legacy else text).encode("ascii")

    @property
    def legacy(self) -> bool:
        """Whether TLS 1.0 or 1.1 can be negotiated."""
        return not LEGACY_VERSIONS.isdisjoint(self.versions)

    def apply(self, context: SSL.Context) -> None:
        """Set versions and suites on a Context not used so far. Raises ``SSL.Error``."""
        present = [name for name in VERSIONS if name in self.versions]
        context.set_min_proto_version(VERSIONS[present[0]][0])
        context.set_max_proto_version(VERSIONS[present[-1]][0])
        for name, (_, leave_out) in VERSIONS.items():
            if name not in self.versions:
                context.set_options(leave_out)
        if self.older:
            context.set_cipher_list(self.cipher_list)
        if self.tls13:
            context.set_tls13_ciphersuites(":".join(self.tls13).encode("ascii"))


def choose_suites(
    names: Sequence[str],
    versions: Sequence[str],
    path: str,
    *,
    psk_enabled: bool = False,
    psk_tls13: bool = False,
) -> tuple[Suites | None, list[Finding]]:
    """Work out the suites for ``ciphers`` and ``versions`` of the section at ``path``.

    ``names`` may mix TLS 1.3 and older suites, OpenSSL's and IANA's names; none means the
    preselected ones. What cannot be used is left out with a finding that names it. None is
    returned, with an error among the findings, when nothing is left.
    """
    if not names:
        return _default(versions, path, psk_tls13=psk_tls13)
    findings: list[Finding] = []
    option = f"{path}.ciphers"
    tls13, older, unknown, weak, psk = _sort(names, psk_enabled=psk_enabled)
    if unknown:
        findings.append(
            warning(
                option,
                f"unknown or unavailable cipher suites are left out: {', '.join(unknown)}",
                "remove them; 'openssl ciphers -s ALL' shows names",
            )
        )
    if weak:
        findings.append(
            warning(
                option,
                "cipher suites without encryption or without authentication are left out: "
                + ", ".join(weak),
                "remove them",
            )
        )
    if psk:
        only = not tls13 and not older
        say = error if only else warning
        findings.append(
            say(
                option,
                "pre-shared keys are off, so these cipher suites are left out: " + ", ".join(psk),
                "set psk_authentication { enable = true, init_file = ... }"
                + ("" if only else ", or remove them"),
            )
        )
        if only:
            return None, findings
    psk_only = bool(older) and all(map(is_psk, older))
    suites = _fit(tls13, older, versions, option, findings)
    if suites is not None:
        suites = attrs.evolve(suites, psk_only=psk_only)
        suites = _with_psk(suites, psk_tls13=psk_tls13)
        findings += _psk_remarks(suites, path)
        findings += _remarks(suites, path)
    return suites, findings


def is_psk(name: str) -> bool:
    """Whether a suite, by OpenSSL's name, needs a pre-shared key."""
    return "PSK" in name.split("-")


def _with_psk(suites: Suites, *, psk_tls13: bool) -> Suites:
    """Put suites with SHA-256 first where pre-shared keys are used in TLS 1.3.

    They are bound to SHA-256 there: under another suite OpenSSL would pass the key over.
    """
    if not psk_tls13 or not suites.tls13:
        return suites
    first = [name for name in suites.tls13 if name.endswith("SHA256")]
    if suites.psk_only:
        first = first or [name for name in TLS13_DEFAULT if name.endswith("SHA256")]
    rest = [] if suites.psk_only else [name for name in suites.tls13 if name not in first]
    return attrs.evolve(suites, tls13=(*first, *rest), psk_tls13=bool(first))


def _psk_remarks(suites: Suites, path: str) -> list[Finding]:
    if not suites.psk_only or not suites.tls13 or suites.psk_tls13:
        return []
    return [
        warning(
            f"{path}.versions",
            "a client that speaks TLS 1.3 would slip past the pre-shared keys, which only older "
            "versions ask for here: every such client is refused after its handshake",
            'write versions = ["tlsv1.2"], or psk_authentication.tls13 = true',
        )
    ]


def _default(
    versions: Sequence[str], path: str, *, psk_tls13: bool = False
) -> tuple[Suites | None, list[Finding]]:
    legacy = not LEGACY_VERSIONS.isdisjoint(versions)
    below_13 = any(name != "tlsv1.3" for name in versions)
    suites = Suites(
        tls13=TLS13_DEFAULT if "tlsv1.3" in versions else (),
        older=(TLS12_DEFAULT + LEGACY_DEFAULT if legacy else TLS12_DEFAULT) if below_13 else (),
        versions=tuple(versions),
    )
    return _with_psk(suites, psk_tls13=psk_tls13), _version_remarks(suites, path)


def _sort(
    names: Sequence[str], *, psk_enabled: bool
) -> tuple[list[str], list[str], list[str], list[str], list[str]]:
    """TLS 1.3 names, older names, and those to leave out: unknown, weak, PSK."""
    tls13: list[str] = []
    older: list[str] = []
    unknown: list[str] = []
    weak: list[str] = []
    psk: list[str] = []
    for name in _unique(names):
        if name.startswith("TLS_") and "_WITH_" not in name:
            (tls13 if _known_tls13(name) else unknown).append(name)
            continue
        known = _known_older(name)
        if known is None:
            unknown.append(name)
        elif _WEAK.search(known):
            weak.append(name)
        else:
            (psk if is_psk(known) and not psk_enabled else older).append(known)
    return tls13, older, unknown, weak, psk


def _unique(names: Sequence[str]) -> list[str]:
    split = (part.strip() for name in names for part in re.split(r"[,:\s]", name))
    return list(dict.fromkeys(part for part in split if part))


def _known_tls13(name: str) -> bool:
    if _NAME.fullmatch(name) is None:
        return False
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.set_tls13_ciphersuites(name.encode("ascii"))
    except SSL.Error:
        return False
    return name in SSL.Connection(context, None).get_cipher_list()


def _known_older(name: str) -> str | None:
    """OpenSSL's name of a suite given by its own or IANA's name; None when it is no one suite."""
    if _NAME.fullmatch(name) is None:
        return None
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_options(SSL.OP_NO_TLSv1_3)
    try:
        context.set_cipher_list(name.encode("ascii") + b":@SECLEVEL=0")
    except SSL.Error:
        return None
    # A group name such as HIGH or ALL stands for several suites, and lets weak ones in.
    found = [s for s in SSL.Connection(context, None).get_cipher_list() if s[:4] != "TLS_"]
    return found[0] if len(found) == 1 else None


def _fit(
    tls13: list[str],
    older: list[str],
    versions: Sequence[str],
    option: str,
    findings: list[Finding],
) -> Suites | None:
    """Match the suites left with the versions; a version without a suite drops out."""
    if "tlsv1.3" not in versions and tls13:
        findings.append(
            warning(option, f"tlsv1.3 is not in versions, so these have no effect: {_all(tls13)}")
        )
        tls13 = []
    if "tlsv1.3" in versions and older and not tls13:
        findings.append(
            notice(
                option, f"lists no suite for tlsv1.3; the usual are used: {_all(TLS13_DEFAULT)}"
            )
        )
        tls13 = list(TLS13_DEFAULT)
    below = [name for name in versions if name != "tlsv1.3"]
    if older and not below:
        findings.append(
            warning(option, f"only tlsv1.3 is in versions, so these have no effect: {_all(older)}")
        )
        older = []
    if below and tls13 and not older:
        findings.append(
            warning(
                option,
                f"lists no usable suite for {_all(below)}, which therefore cannot be negotiated",
                "add a suite for it, such as ECDHE-ECDSA-AES128-GCM-SHA256, or drop the version",
            )
        )
        below = []
    if not tls13 and not older:
        findings.append(
            error(
                option,
                f"no usable cipher suite is left for {_all(versions)}",
                "list suites of these versions, or leave ciphers out for the preselected ones",
            )
        )
        return None
    left = [name for name in versions if name in below or (name == "tlsv1.3" and tls13)]
    return Suites(tuple(tls13), tuple(older), tuple(left))


def _remarks(suites: Suites, path: str) -> list[Finding]:
    findings = _version_remarks(suites, path)
    legacy = [name for name in suites.versions if name in LEGACY_VERSIONS]
    if legacy and not any(re.search(r"-SHA$", name) for name in suites.older):
        findings.append(
            warning(
                f"{path}.ciphers",
                f"no suite listed exists in {_all(legacy)}, which therefore cannot be negotiated",
                f"add {LEGACY_DEFAULT[0]} and {LEGACY_DEFAULT[1]}, or drop these versions",
            )
        )
    return findings


def _version_remarks(suites: Suites, path: str) -> list[Finding]:
    legacy = [name for name in suites.versions if name in LEGACY_VERSIONS]
    if not legacy:
        return []
    return [
        warning(
            f"{path}.versions",
            f"{' and '.join(legacy)} rest on SHA-1 and are withdrawn (RFC 8996); to allow them "
            "the security level of this listener is lowered for every client",
            "drop them once no client needs them",
        )
    ]


def unusable_with(suites: Suites, key_kind: str) -> list[str]:
    """The suites before TLS 1.3 that a certificate of ``key_kind`` (RSA or EC) cannot serve."""
    other = {"RSA": "ECDSA", "EC": "RSA"}[key_kind]
    return [name for name in suites.older if _authentication(name) in {other, "DSS"}]


def _authentication(name: str) -> str:
    for mark in ("ECDSA", "DSS", "RSA"):
        if mark in name.split("-"):
            return mark
    return "PSK" if "PSK" in name.split("-") else "RSA"  # AES128-SHA and its like are RSA


def _all(names: Sequence[str]) -> str:
    return ", ".join(names)
