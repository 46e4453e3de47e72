"""Requests and answers against ``openssl ocsp``, and answers that lie."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqttd.revocation.ocsp_message import (
    BadAnswer,
    Question,
    get_url,
    prefers_get,
    responder_of,
    url_problem,
)

HOUR = 3600.0


def question(pki: Any, nonce: bytes | None = None) -> Question:
    return Question.of(pki.client_ec.cert, pki.root.cert, nonce)


def cause_of(asked: Question, body: bytes, now: float) -> str:
    with pytest.raises(BadAnswer) as caught:
        asked.read(body, now)
    assert caught.value.text
    return caught.value.cause


class Forger:
    """Makes answers with any content and signer."""

    def __init__(self, pki: Any, now: float) -> None:
        self.pki = pki
        self.now = datetime.datetime.fromtimestamp(now, datetime.UTC)

    def make(
        self,
        *,
        cert: Any = None,
        issuer: Any = None,
        signer: Any = None,
        sent: Any = None,
        by_name: bool = False,
        begin: float = -60,
        end: float | None = HOUR,
        status: Any = ocsp.OCSPCertStatus.GOOD,
        algorithm: Any = None,
        digest: Any = None,
        extra: Any = None,
    ) -> bytes:
        signer = signer or self.pki.root
        encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=cert or self.pki.client_ec.cert,
                issuer=issuer or self.pki.root.cert,
                algorithm=algorithm or hashes.SHA1(),
                cert_status=status,
                this_update=self.now + datetime.timedelta(seconds=begin),
                next_update=None if end is None else self.now + datetime.timedelta(seconds=end),
                revocation_time=self.now - datetime.timedelta(days=2) if revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(encoding, signer.cert)
        )
        if sent:
            builder = builder.certificates([each.cert for each in sent])
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        made = builder.sign(signer.key, None if digest == "none" else digest or hashes.SHA256())
        return made.public_bytes(Encoding.DER)


@pytest.fixture
def forger(pki: Any, wall: Any) -> Forger:
    return Forger(pki, wall())


def test_a_good_answer_of_openssl(pki: Any, ocsp_responder: Any, wall: Any) -> None:
    responder = ocsp_responder(pki.root)
    responder.good(pki.client_ec.cert)
    asked = question(pki)
    answer = asked.read(responder.answer(asked.der), wall())
    assert answer.status == "good"
    assert answer.text == "good"
    assert answer.responder == ""
    assert answer.next_update is not None
    assert abs((answer.expires.timestamp() - wall()) - HOUR) < 60


def test_a_revoked_answer_of_openssl_says_when_and_why(
    pki: Any, ocsp_responder: Any, wall: Any
) -> None:
    responder = ocsp_responder(pki.root)
    responder.revoke(pki.client_ec.cert, "cessationOfOperation")
    asked = question(pki)
    answer = asked.read(responder.answer(asked.der), wall())
    assert answer.status == "revoked"
    assert answer.reason == "cessationOfOperation"
    assert answer.when is not None
    assert abs(wall() - HOUR - answer.when.timestamp()) < 60
    assert answer.text.startswith("revoked on 2")
    assert answer.text.endswith(" UTC (cessationOfOperation)")


def test_an_unknown_answer_of_openssl(pki: Any, ocsp_responder: Any, wall: Any) -> None:
    asked = question(pki)
    answer = asked.read(ocsp_responder(pki.root).answer(asked.der), wall())
    assert answer.status == "unknown"


def test_a_nonce_comes_back_from_openssl(pki: Any, ocsp_responder: Any, wall: Any) -> None:
    responder = ocsp_responder(pki.root)
    responder.good(pki.client_ec.cert)
    asked = question(pki, b"n" * 32)
    body = responder.answer(asked.der)
    assert asked.read(body, wall()).status == "good"
    other = question(pki, b"m" * 32)
    assert cause_of(other, body, wall()) == "ocsp-bad-nonce"


def test_an_answer_without_the_nonce_is_refused(pki: Any, forger: Forger, wall: Any) -> None:
    asked = question(pki, b"n" * 32)
    assert cause_of(asked, forger.make(), wall()) == "ocsp-bad-nonce"


def test_openssl_reads_our_request(pki: Any, tmp_path: Path) -> None:
    path = tmp_path / "request.der"
    path.write_bytes(question(pki, b"n" * 32).der)
    shown = subprocess.run(
        ["openssl", "ocsp", "-reqin", str(path), "-req_text"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    ).stdout
    assert "Hash Algorithm: sha1" in shown
    assert f"Serial Number: {pki.client_ec.cert.serial_number:X}" in shown.replace(": 0", ": ")
    assert "OCSP Nonce" in shown


@pytest.mark.parametrize("by_name", [False, True])
def test_a_delegated_responder(pki: Any, forger: Forger, wall: Any, by_name: bool) -> None:
    signer = pki.root.issue(
        "responder", san=[], usage=ExtendedKeyUsageOID.OCSP_SIGNING, extra=[x509.OCSPNoCheck()]
    )
    answer = question(pki).read(forger.make(signer=signer, sent=[signer], by_name=by_name), wall())
    assert answer.status == "good"
    assert answer.responder == "CN=responder"
    assert answer.nocheck


def test_a_delegated_responder_of_openssl(pki: Any, ocsp_responder: Any, wall: Any) -> None:
    signer = pki.root.issue("responder", san=[], usage=ExtendedKeyUsageOID.OCSP_SIGNING)
    responder = ocsp_responder(pki.root, signer)
    responder.good(pki.client_ec.cert)
    asked = question(pki)
    answer = asked.read(responder.answer(asked.der), wall())
    assert (answer.status, answer.responder, answer.nocheck) == ("good", "CN=responder", False)


def test_an_rsa_authority(make_root: Any, ocsp_responder: Any, wall: Any) -> None:
    root = make_root("RSA Root", kind="rsa")
    client = root.client()
    responder = ocsp_responder(root)
    responder.good(client.cert)
    asked = Question.of(client.cert, root.cert)
    body = responder.answer(asked.der)
    assert asked.read(body, wall()).status == "good"
    signature = ocsp.load_der_ocsp_response(body).signature
    assert cause_of(asked, body.replace(signature, signature[::-1]), wall()) == (
        "ocsp-bad-signature"
    )


def test_an_ed25519_responder(pki: Any, forger: Forger, wall: Any) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signer = pki.root.issue("ed", key=key, san=[], usage=ExtendedKeyUsageOID.OCSP_SIGNING)
    made = forger.make(signer=signer, sent=[signer], digest="none")
    assert question(pki).read(made, wall()).status == "good"


def test_a_kind_of_key_that_is_not_known(pki: Any, forger: Forger, wall: Any) -> None:
    key = dsa.generate_private_key(2048)
    signer = pki.root.issue("dsa", key=key, san=[], usage=ExtendedKeyUsageOID.OCSP_SIGNING)
    try:
        made = forger.make(signer=signer, sent=[signer])
    except UnsupportedAlgorithm:
        pytest.skip("DSA is not built in")
    assert cause_of(question(pki), made, wall()) == "ocsp-bad-signature"


def test_a_certificate_of_another_kind_cannot_be_asked_about(pki: Any) -> None:
    with pytest.raises(BadAnswer) as caught:
        Question.of(pki.client_ec.cert, pki.root.cert, cast("Any", 5))
    assert caught.value.cause == "ocsp-garbage"


def test_who_may_not_sign(pki: Any, forger: Forger, wall: Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    signing = ExtendedKeyUsageOID.OCSP_SIGNING
    no_signature = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    strangers = [
        pki.root.issue("plain", san=[]),
        pki.root.client("another client"),
        pki.root.issue("any", san=[], usage=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
        pki.other_root.issue("other", san=[], usage=signing),
        pki.intermediate.issue("below", san=[], usage=signing),
        pki.root.issue("old", san=[], usage=signing, begin=now - 9 * day, end=now - day),
        pki.root.issue("young", san=[], usage=signing, begin=now + day),
        pki.root.issue("cipher only", san=[], usage=signing, extra=[no_signature]),
    ]
    for signer in strangers:
        made = forger.make(signer=signer, sent=[signer])
        assert cause_of(question(pki), made, wall()) == ("ocsp-bad-signature"), signer.cert.subject


def test_a_signer_that_sends_no_certificate(pki: Any, forger: Forger, wall: Any) -> None:
    made = forger.make(signer=pki.other_root)
    assert cause_of(question(pki), made, wall()) == "ocsp-bad-signature"


def test_the_name_of_the_issuer_with_another_key(
    pki: Any, forger: Forger, wall: Any, make_root: Any
) -> None:
    imposter = make_root("Test Root")
    made = forger.make(signer=imposter, sent=[imposter], by_name=True)
    assert cause_of(question(pki), made, wall()) == "ocsp-bad-signature"


def test_a_changed_answer(pki: Any, forger: Forger, wall: Any) -> None:
    good = forger.make(status=ocsp.OCSPCertStatus.GOOD)
    response = ocsp.load_der_ocsp_response(good)
    signature = bytearray(response.signature)
    signature[-1] ^= 1
    changed = good.replace(response.signature, bytes(signature))
    assert cause_of(question(pki), changed, wall()) == "ocsp-bad-signature"


def test_a_broken_hash(pki: Any, wall: Any, ocsp_responder: Any) -> None:
    responder = ocsp_responder(pki.root)
    responder.good(pki.client_ec.cert)
    responder.options = ("-nmin", "60", "-rmd", "sha1")
    asked = question(pki)
    with pytest.raises(BadAnswer, match="sha1") as caught:
        asked.read(responder.answer(asked.der), wall())
    assert caught.value.cause == "ocsp-bad-signature"


def test_an_answer_about_another_certificate(pki: Any, forger: Forger, wall: Any) -> None:
    for made in (
        forger.make(cert=pki.client_rsa.cert),
        # same serial, but of another authority
        forger.make(issuer=pki.other_root.cert),
    ):
        assert cause_of(question(pki), made, wall()) == ("ocsp-wrong-certificate")


@pytest.mark.parametrize("algorithm", [hashes.SHA1, hashes.SHA256, hashes.SHA384])
def test_the_responder_may_name_the_certificate_by_another_hash(
    pki: Any, forger: Forger, wall: Any, algorithm: Any
) -> None:
    assert question(pki).read(forger.make(algorithm=algorithm()), wall()).status == "good"


@pytest.mark.parametrize(
    ("begin", "end", "cause"),
    [
        (-60, HOUR, None),
        (240, HOUR, None),  # our clock is a little behind
        (360, HOUR, "ocsp-stale"),
        (-HOUR, -240, None),  # or before
        (-HOUR, -360, "ocsp-stale"),
        (-60, None, None),
        (-23 * HOUR, None, None),
        (-25 * HOUR, None, "ocsp-stale"),
    ],
)
def test_dates(
    pki: Any, forger: Forger, wall: Any, begin: float, end: float | None, cause: str | None
) -> None:
    made = forger.make(begin=begin, end=end)
    if cause is None:
        assert question(pki).read(made, wall()).status == "good"
    else:
        assert cause_of(question(pki), made, wall()) == cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (ocsp.OCSPResponseStatus.TRY_LATER, "ocsp-try-later"),
        (ocsp.OCSPResponseStatus.UNAUTHORIZED, "ocsp-unauthorized"),
        (ocsp.OCSPResponseStatus.INTERNAL_ERROR, "ocsp-try-later"),
        (ocsp.OCSPResponseStatus.MALFORMED_REQUEST, "ocsp-refused"),
        (ocsp.OCSPResponseStatus.SIG_REQUIRED, "ocsp-refused"),
    ],
)
def test_refusals(pki: Any, wall: Any, status: Any, cause: str) -> None:
    made = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert cause_of(question(pki), made, wall()) == cause


def test_an_unknown_critical_extension(pki: Any, forger: Forger, wall: Any) -> None:
    extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    made = forger.make(extra=extra)
    assert cause_of(question(pki), made, wall()) == "ocsp-garbage"


@given(
    changes=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 9999),
)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_hostile_bytes_only_ever_raise_bad_answer(
    pki: Any, forger: Forger, wall: Any, changes: list[tuple[int, int]], cut: int
) -> None:
    body = bytearray(forger.make(status=ocsp.OCSPCertStatus.REVOKED))
    for place, value in changes:
        body[place % len(body)] = value
    made = bytes(body[: None if cut % 2 else cut % len(body)])
    try:
        answer = question(pki).read(made, wall())
    except BadAnswer:
        return
    assert answer.status == "revoked"  # what is not signed changes nothing


@pytest.mark.parametrize(
    "body", [b"", b"<html>not found</html>", b"\x30\x80", b"\x30\x03\x0a\x01\x00", bytes(70000)]
)
def test_garbage(pki: Any, wall: Any, body: bytes) -> None:
    assert cause_of(question(pki), body, wall()) == "ocsp-garbage"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", "http://h/{}"),
        ("http://h/", "http://h/{}"),
        ("http://h:8/ocsp", "http://h:8/ocsp/{}"),
        ("https://h/ocsp/", "https://h/ocsp/{}"),
        ("https://h/ocsp//", "https://h/ocsp/{}"),
        ("http://h/a/b?ca=1", "http://h/a/b/{}?ca=1"),
        ("http://[::1]:8/a#x", "http://[::1]:8/a/{}"),
    ],
)
def test_the_address_of_a_get(url: str, expected: str) -> None:
    request = bytes(range(250, 256)) * 3 + b"?"
    made = get_url(url, request)
    text = made.removeprefix(expected.partition("{}")[0]).partition("?")[0]
    assert made == expected.format(text)
    assert not set(text) & set("+/=")
    assert base64.b64decode(unquote(text)) == request


def test_get_only_for_short_requests_that_a_cache_can_answer(pki: Any) -> None:
    short = question(pki)
    assert prefers_get("http://ocsp.example/", short)
    assert not prefers_get("http://ocsp.example/?key=1", short)
    assert not prefers_get("http://ocsp.example/", question(pki, b"n" * 32))
    room = 255 - len(get_url("http://h/", short.der))
    assert prefers_get("http://h/" + "a" * (room - 1), short)
    assert not prefers_get("http://h/" + "a" * room, short)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h/x", ""),
        ("https://[::1]:8/x", ""),
        ("ldap://h/x", "does not start"),
        ("/etc/passwd", "does not start"),
        ("http://", "no host"),
        ("http://h:99999/", "is no address"),
        ("http://[::1/", "is no address"),
        ("http://h/a b", "character"),
        ("http://h/\r\nHost: x", "character"),
        ("http://h\xe9/", "character"),
        ("http://user:pw@h/", "user name"),
    ],
)
def test_what_is_wrong_with_an_address(url: str, words: str) -> None:
    problem = url_problem(url)
    assert words in problem
    assert bool(problem) == bool(words)


def test_the_responder_a_certificate_names(pki: Any) -> None:
    def access(*places: tuple[Any, str]) -> x509.AuthorityInformationAccess:
        return x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
                for method, url in places
            ]
        )

    issuers = AuthorityInformationAccessOID.CA_ISSUERS
    asks = AuthorityInformationAccessOID.OCSP
    named = access((issuers, "http://i/"), (asks, "ldap://o/"), (asks, "http://o/"))
    assert responder_of(pki.root.client(extra=[named]).cert) == "http://o/"
    assert responder_of(pki.root.client(extra=[access((issuers, "http://i/"))]).cert) is None
    assert responder_of(pki.root.client().cert) is None


def test_reprs_hold_no_bytes(pki: Any, forger: Forger, wall: Any) -> None:
    answer = question(pki).read(forger.make(), wall())
    assert "\\x" not in repr(answer)
