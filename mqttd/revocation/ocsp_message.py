"""OCSP requests and answers as bytes (RFC 6960), without any I/O."""

from __future__ import annotations

import base64
import datetime
import hmac
import warnings
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from mqttd.tls.peer import MALFORMED, subject_of

GOOD: Final = "good"
REVOKED: Final = "revoked"
UNKNOWN: Final = "unknown"

NONCE_LENGTH: Final = 32
"""Bytes of a nonce: what RFC 9654 section 2.1 demands, and the most RFC 8954 allows."""

SKEW: Final = datetime.timedelta(minutes=5)
"""How far the responder's clock may differ from ours."""

AGE_WITHOUT_NEXT_UPDATE: Final = datetime.timedelta(days=1)
"""How long an answer without nextUpdate is used.

RFC 6960 section 4.2.2.1 gives it no end at all: without one, an answer recorded before the
revocation could be replayed for ever.
"""

_MOST_CERTIFICATES: Final = 10
"""Certificates of an answer that are looked at: each may cost a signature check."""
_MOST_ANSWERS: Final = 100
"""Single answers of one response that are looked at; we asked about one certificate."""
_LONGEST_GET: Final = 255
"""Characters of a GET address, all in all (RFC 5019 section 5)."""
_BROKEN_HASHES: Final = (hashes.MD5, hashes.SHA1)
"""Collisions of these can be made; a nonce lets an attacker choose part of what is signed."""

_REFUSALS: Final = {
    ocsp.OCSPResponseStatus.TRY_LATER: ("ocsp-try-later", "says to try later"),
    ocsp.OCSPResponseStatus.UNAUTHORIZED: (
        "ocsp-unauthorized",
        "says it does not answer for this certificate (unauthorized)",
    ),
    ocsp.OCSPResponseStatus.INTERNAL_ERROR: ("ocsp-try-later", "reports an internal error"),
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST: (
        "ocsp-refused",
        "says the request is malformed",
    ),
    ocsp.OCSPResponseStatus.SIG_REQUIRED: ("ocsp-refused", "demands signed requests"),
}


class BadAnswer(Exception):  # noqa: N818 - it holds a cause, not a stack
    """No answer, or none that can be used.

    ``cause`` is a stable word for logs and counters, ``text`` part of a sentence whose subject is
    the responder.
    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(f"{text} ({cause})")
        self.cause = cause
        self.text = text


@attrs.frozen
class Answer:
    """What a responder says of one certificate; signature, dates and certificate are checked."""

    status: str
    """``good``, ``revoked`` or ``unknown``."""
    this_update: datetime.datetime
    next_update: datetime.datetime | None
    der: bytes = attrs.field(repr=False)
    when: datetime.datetime | None = None
    """When the certificate was revoked."""
    reason: str = ""
    """Why (RFC 5280 section 5.3.1), when the responder says so."""
    responder: str = ""
    """The delegated responder's name; empty when the issuer itself signed."""
    nocheck: bool = False
    """The delegated responder's certificate is not to be checked for revocation (RFC 6960
    section 4.2.2.2.1)."""

    @property
    def expires(self) -> datetime.datetime:
        """When the answer ends by itself, by the responder's clock."""
        return self.next_update or self.this_update + AGE_WITHOUT_NEXT_UPDATE

    @property
    def text(self) -> str:
        """The status with what is known of a revocation."""
        if self.status != REVOKED or self.when is None:
            return self.status
        why = f" ({self.reason})" if self.reason else ""
        return f"revoked on {self.when:%Y-%m-%d %H:%M UTC}{why}"


@attrs.frozen
class Question:
    """One certificate, its issuer, and the request that asks for the certificate's status."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    nonce: bytes | None
    der: bytes = attrs.field(repr=False)

    @classmethod
    def of(
        cls, certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes | None = None
    ) -> Question:
        """Build the request, with a SHA-1 CertID: the only one that every responder knows.

        Raises BadAnswer for a certificate that OCSP cannot name.
        """
        builder = ocsp.OCSPRequestBuilder()
        try:
            builder = builder.add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
            if nonce is not None:
                builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
            return cls(certificate, issuer, nonce, builder.build().public_bytes(Encoding.DER))
        except (*MALFORMED, UnsupportedAlgorithm) as problem:
            raise BadAnswer(
                "ocsp-garbage", f"cannot be asked about this certificate ({problem})"
            ) from None

    def read(self, body: bytes, now: float) -> Answer:
        """The answer in the body of a response; ``now`` is epoch seconds.

        Raises BadAnswer for whatever is not a valid answer to this question.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd names are no reason to write to the log
                return _read(self, body, datetime.datetime.fromtimestamp(now, datetime.UTC))
        except BadAnswer:
            raise
        except Exception as problem:  # parts of an answer are parsed no sooner than looked at
            raise BadAnswer("ocsp-garbage", f"sent what is no OCSP answer ({problem})") from None


def responder_of(certificate: x509.Certificate) -> str | None:
    """The first http or https address of a responder that the certificate names (AIA)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
        for place in access.value:
            if place.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
                place.access_location, x509.UniformResourceIdentifier
            ):
                url = place.access_location.value
                if not url_problem(url):
                    return url
    except (x509.ExtensionNotFound, *MALFORMED):
        pass
    return None


def url_problem(url: str) -> str:
    """What is wrong with a responder's address; empty when nothing is."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return "holds a character that no address has"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as problem:
        return f"is no address ({problem})"
    if parts.scheme not in ("http", "https"):
        return "does not start with http:// or https://"
    if not parts.hostname:
        return "names no host"
    if "@" in parts.netloc:
        return "holds a user name, which responders do not ask for"
    return ""


def get_url(responder_url: str, request: bytes) -> str:
    """The address of a GET (RFC 6960 appendix A.1): the request appended to the path.

    Exactly one slash stands between. A query stays where it is: appended to it, the request would
    change the value of its last parameter.
    """
    parts = urlsplit(responder_url)
    text = quote(base64.b64encode(request).decode("ascii"), safe="")
    path = f"{parts.path.rstrip('/')}/{text}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def prefers_get(responder_url: str, question: Question) -> bool:
    """Whether to try GET first: caches on the way can answer it.

    Not for long requests (RFC 5019 section 5), nor with a nonce, which no cache can answer, nor
    where the address has a query, of which RFC 6960 does not say how to join it.
    """
    if question.nonce is not None or urlsplit(responder_url).query:
        return False
    return len(get_url(responder_url, question.der)) <= _LONGEST_GET


def _read(question: Question, body: bytes, now: datetime.datetime) -> Answer:
    response = ocsp.load_der_ocsp_response(body)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise BadAnswer(*_REFUSALS[response.response_status])
    signer = _signer(response, question.issuer)
    responder, nocheck = "", False
    if signer is not question.issuer:
        # First: a key of a stranger's choice is not computed with.
        nocheck = _check_delegation(signer, question.issuer, now)
        responder = subject_of(signer)
    _check_signature(response, signer)
    _check_extensions(response)
    _check_nonce(response, question.nonce)
    single = _single(response, question)
    _check_dates(single, now)
    status = {
        ocsp.OCSPCertStatus.GOOD: GOOD,
        ocsp.OCSPCertStatus.REVOKED: REVOKED,
        ocsp.OCSPCertStatus.UNKNOWN: UNKNOWN,
    }[single.certificate_status]
    reason = single.revocation_reason
    return Answer(
        status=status,
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        der=bytes(body),
        when=single.revocation_time_utc,
        reason="" if reason is None else reason.value,
        responder=responder,
        nocheck=nocheck,
    )


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate:
    """The issuer, or the certificate of the answer that its responder id names."""
    name, key_hash = response.responder_name, response.responder_key_hash
    if _is(issuer, name, key_hash):
        return issuer
    for certificate in response.certificates[:_MOST_CERTIFICATES]:
        if _is(certificate, name, key_hash):
            return certificate
    raise BadAnswer(
        "ocsp-bad-signature",
        "signed with a key that is not the issuer's, and sent no certificate for it",
    )


def _is(certificate: x509.Certificate, name: x509.Name | None, key_hash: bytes | None) -> bool:
    if name is not None:
        return certificate.subject == name
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest == key_hash


def _check_signature(response: ocsp.OCSPResponse, signer: x509.Certificate) -> None:
    key = signer.public_key()
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        algorithm = response.signature_hash_algorithm
        if isinstance(algorithm, _BROKEN_HASHES):
            raise BadAnswer("ocsp-bad-signature", f"signed with {algorithm.name}, which is broken")
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            raise UnsupportedAlgorithm("")
    except InvalidSignature:
        raise BadAnswer("ocsp-bad-signature", "sent an answer with a wrong signature") from None
    except UnsupportedAlgorithm:
        raise BadAnswer("ocsp-bad-signature", "signed with an unsupported algorithm") from None


def _check_delegation(
    signer: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime
) -> bool:
    """RFC 6960 section 4.2.2.2: who but the issuer may sign. Whether nocheck is set."""
    who = f"the responder's certificate ({subject_of(signer)})"
    try:
        signer.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        raise BadAnswer(
            "ocsp-bad-signature", f"signed with a key the issuer did not vouch for: {who}"
        ) from None
    extensions = {each.oid: each.value for each in signer.extensions}
    usage = extensions.get(x509.ExtendedKeyUsage.oid)
    # anyExtendedKeyUsage does not do: delegation must be said in so many words.
    if (
        not isinstance(usage, x509.ExtendedKeyUsage)
        or ExtendedKeyUsageOID.OCSP_SIGNING not in usage
    ):
        raise BadAnswer("ocsp-bad-signature", f"{who} is not for OCSP answers (OCSPSigning)")
    key_usage = extensions.get(x509.KeyUsage.oid)
    if isinstance(key_usage, x509.KeyUsage) and not key_usage.digital_signature:
        raise BadAnswer("ocsp-bad-signature", f"{who} is not for signatures (keyUsage)")
    if not signer.not_valid_before_utc - SKEW <= now <= signer.not_valid_after_utc:
        raise BadAnswer("ocsp-bad-signature", f"{who} is expired or not yet valid")
    return x509.OCSPNoCheck.oid in extensions


def _check_extensions(response: ocsp.OCSPResponse) -> None:
    for extension in response.extensions:
        if extension.critical and extension.oid != x509.OCSPNonce.oid:
            number = extension.oid.dotted_string
            raise BadAnswer("ocsp-garbage", f"sent an unknown critical extension, {number}")


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes | None) -> None:
    if nonce is None:
        return
    for extension in response.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            if hmac.compare_digest(extension.value.nonce, nonce):
                return
            raise BadAnswer("ocsp-bad-nonce", "sent an answer with another nonce: an old one")
    raise BadAnswer("ocsp-bad-nonce", "sent an answer without our nonce: it may be an old one")


def _single(response: ocsp.OCSPResponse, question: Question) -> ocsp.OCSPSingleResponse:
    """The newest single answer about our certificate."""
    found: ocsp.OCSPSingleResponse | None = None
    for each in _first(response.responses, _MOST_ANSWERS):
        newer = found is None or each.this_update_utc > found.this_update_utc
        if newer and _answers(each, question):
            found = each
    if found is None:
        raise BadAnswer("ocsp-wrong-certificate", "sent an answer about another certificate")
    return found


def _first(
    answers: Iterable[ocsp.OCSPSingleResponse], most: int
) -> Iterable[ocsp.OCSPSingleResponse]:
    return (each for each, _ in zip(answers, range(most), strict=False))


def _answers(single: ocsp.OCSPSingleResponse, question: Question) -> bool:
    """Whether the CertID is the one of our certificate, by whichever hash the responder took."""
    if single.serial_number != question.certificate.serial_number:
        return False
    ours = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(question.certificate, question.issuer, single.hash_algorithm)
        .build()
    )
    return (ours.issuer_name_hash, ours.issuer_key_hash) == (
        single.issuer_name_hash,
        single.issuer_key_hash,
    )


def _check_dates(single: ocsp.OCSPSingleResponse, now: datetime.datetime) -> None:
    """RFC 6960 section 4.2.2.1, and RFC 5019 section 4 for clocks that differ."""
    begin, end = single.this_update_utc, single.next_update_utc
    if begin > now + SKEW:
        raise BadAnswer(
            "ocsp-stale", f"sent an answer from the future, {_date(begin)}; is our clock right?"
        )
    if end is not None and end < begin:
        raise BadAnswer("ocsp-garbage", "sent an answer that ends before it begins")
    if end is not None and end + SKEW < now:
        raise BadAnswer("ocsp-stale", f"sent an old answer, which ended on {_date(end)}")
    if end is None and begin + AGE_WITHOUT_NEXT_UPDATE + SKEW < now:
        raise BadAnswer("ocsp-stale", f"sent an old answer without an end, of {_date(begin)}")


def _date(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
