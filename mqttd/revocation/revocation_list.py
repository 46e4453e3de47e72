"""Certificate revocation lists (RFC 5280 section 5): bytes in, a proven list or a reason out.

Reading a long list takes a good part of a second: it belongs into a thread. Nothing here holds
the interpreter's lock for long: where the library would (it writes the whole list anew to check
its signature, and decodes PEM by itself), the work is done in other steps.
"""

from __future__ import annotations

import binascii
import datetime
import functools
import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mqttd.log.text import clip, escape

SKEW: Final = 300.0
"""Seconds a list may come from the future: clocks of a CA and of a broker differ a little."""

REASONS: Final = tuple(reason.value for reason in x509.ReasonFlags)
_UNSPECIFIED = REASONS.index(x509.ReasonFlags.unspecified.value)
_REASON_BITS = 4
_PORTION = 100
"""Entries read at a time: a third of a millisecond."""

_BEGIN = b"-----BEGIN X509 CRL-----"
_END = b"-----END X509 CRL-----"
_MOST_IN_FILE = 1000
_PIECE = 1 << 18
"""Bytes of PEM decoded at a time: half a millisecond."""
_UNDERSTOOD = (
    x509.IssuingDistributionPoint,
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
)
_WEAK_HASHES = (hashes.MD5,)


class BadList(Exception):  # noqa: N818 - says what is bad
    """A list cannot be used: ``cause`` is a stable word, ``text`` part of a sentence."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause
        self.text = text


@attrs.frozen
class IssuerKey:
    """Which authority: its name, DER, and the SHA-256 of its public key.

    The name alone would let one authority's list speak for another that took the same name.
    """

    name: bytes
    key: bytes


@attrs.frozen
class Entry:
    """One revocation: when, in seconds since 1970, and the reason in RFC 5280's word."""

    when: float
    reason: str


@attrs.frozen(eq=False)
class RevocationList:
    """A list whose signature is proven to be its issuer's. Times are seconds since 1970.

    ``holders`` is what it speaks of: ``any``, ``user`` or ``ca`` certificates; ``urls`` the
    distribution points it belongs to, None for all of them.
    """

    issuer: IssuerKey
    issuer_name: str
    this_update: float
    next_update: float | None
    number: int | None
    holders: str
    urls: frozenset[str] | None
    # serial -> seconds << 4 | reason: one number each, so that 100,000 entries weigh little and
    # the garbage collector has nothing to look through
    entries: Mapping[int, int] = attrs.field(repr=False)

    def find(self, serial: int) -> Entry | None:
        """The revocation of a certificate by its serial number."""
        found = self.entries.get(serial)
        if found is None:
            return None
        return Entry(float(found >> _REASON_BITS), REASONS[found & (1 << _REASON_BITS) - 1])

    def check_dates(self, now: float, grace: float = 0.0) -> None:
        """Raise BadList before thisUpdate, or more than ``grace`` seconds after nextUpdate."""
        if now < self.this_update - SKEW:
            raise BadList("crl-not-yet-valid", f"it is valid from {date(self.this_update)} only")
        if self.next_update is not None and now > self.next_update + grace:
            raise BadList("crl-expired", f"its nextUpdate was {date(self.next_update)}")

    def check_scope(self, urls: Sequence[str], *, ca: bool) -> None:
        """Raise BadList unless it speaks of a certificate with these distribution points.

        RFC 5280 section 6.3.3 (b) (2).
        """
        if self.holders == "user" and ca:
            raise BadList("crl-bad-scope", "it covers user certificates only, not those of CAs")
        if self.holders == "ca" and not ca:
            raise BadList("crl-bad-scope", "it covers certificates of CAs only")
        if self.urls is not None and self.urls.isdisjoint(urls):
            listed = escape(clip(", ".join(sorted(self.urls))))
            raise BadList("crl-bad-scope", f"it belongs to another distribution point: {listed}")


@attrs.frozen(eq=False)
class UnprovenList:
    """A list that was read; who signed it is not known yet. ``issuer`` is a name, DER.

    ``crl`` and ``signed`` are None once they are not needed any more.
    """

    issuer: bytes
    issuer_name: str
    this_update: float
    next_update: float | None
    number: int | None
    holders: str
    urls: frozenset[str] | None
    authority_key: bytes | None
    crl: x509.CertificateRevocationList | None = attrs.field(repr=False)
    signed: bytes = attrs.field(repr=False)

    def without_content(self) -> UnprovenList:
        """The same without what takes memory, for when its entries stand elsewhere."""
        return attrs.evolve(self, crl=None, signed=b"")


def read_list(
    data: bytes, issuer: x509.Certificate, *, now: float, max_size: int, grace: float = 0.0
) -> RevocationList:
    """A list from its bytes, PEM or DER, with signature and dates proven. Raises BadList only.

    Its scope remains to be compared with each certificate: see :meth:`RevocationList.check_scope`.
    """
    unproven = parse_list(data, max_size=max_size)
    proven = prove_list(unproven, issuer)
    proven.check_dates(now, grace)
    return proven


def split_lists(data: bytes) -> list[bytes]:
    """The lists, DER, of a file: one DER list, or any number of PEM ones. Raises BadList."""
    if _BEGIN not in data:
        return [data]
    blocks = data.split(_BEGIN)[1:]
    if len(blocks) > _MOST_IN_FILE:
        raise BadList("crl-garbage", f"it holds more than {_MOST_IN_FILE} lists")
    return [_from_base64(block) for block in blocks]


def parse_list(data: bytes, *, max_size: int) -> UnprovenList:
    """Read one list, PEM or DER. Raises BadList for what can be seen without its issuer."""
    if len(data) > max_size:
        raise BadList("crl-too-large", f"it has more than {max_size} bytes")
    der = split_lists(data)
    if len(der) != 1:
        raise BadList("crl-garbage", f"it holds {len(der)} lists instead of one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parse(der[0])
    except BadList:
        raise
    except Exception as problem:
        # whatever the library thinks of hostile bytes: ValueError, TypeError, its own kinds
        page = data.lstrip()[:1] == b"<"
        text = "it is a web page, no CRL" if page else f"it is no CRL: {_words(problem)}"
        raise BadList("crl-garbage", text) from None


def prove_list(unproven: UnprovenList, issuer: x509.Certificate) -> RevocationList:
    """Check that the issuer signed the list, and read its entries. Raises BadList."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entries = _prove(unproven, issuer)
    except BadList:
        raise
    except Exception as problem:
        raise BadList("crl-garbage", f"it is no proper CRL: {_words(problem)}") from None
    return RevocationList(
        issuer_key(issuer),
        unproven.issuer_name,
        unproven.this_update,
        unproven.next_update,
        unproven.number,
        unproven.holders,
        unproven.urls,
        entries,
    )


@functools.lru_cache(maxsize=256)
def issuer_key(issuer: x509.Certificate) -> IssuerKey:
    """Which authority a certificate is of."""
    public = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return IssuerKey(issuer.subject.public_bytes(), hashlib.sha256(public).digest())


def has_new_entries(new: RevocationList, old: RevocationList | None) -> bool:
    """Whether the new list revokes what the old one did not."""
    # a loop, not a comparison of sets: that would hold the interpreter's lock for long
    known: Mapping[int, int] = old.entries if old is not None else {}
    return any(serial not in known for serial in new.entries)


def is_older(new: RevocationList, old: RevocationList) -> bool:
    """Whether the new list was made before the old one."""
    if new.this_update == old.this_update and new.number is not None and old.number is not None:
        return new.number < old.number
    return new.this_update < old.this_update


def date(seconds: float) -> str:
    """A moment as ``2026-11-21 09:00:00Z``."""
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return "an impossible date"
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _parse(der: bytes) -> UnprovenList:
    crl = x509.load_der_x509_crl(der)
    number, authority_key, point = None, None, None
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise BadList("crl-delta", "it is a delta CRL, which is not supported")
        if extension.critical and not isinstance(value, _UNDERSTOOD):
            raise BadList(
                "crl-unknown-extension",
                f"it has the critical extension {extension.oid.dotted_string}, not known here",
            )
        if isinstance(value, x509.IssuingDistributionPoint):
            point = value
        elif isinstance(value, x509.CRLNumber):
            number = value.crl_number
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            authority_key = value.key_identifier
    holders, urls = _scope(point)
    return UnprovenList(
        crl.issuer.public_bytes(),
        escape(clip(crl.issuer.rfc4514_string())),
        crl.last_update_utc.timestamp(),
        None if crl.next_update_utc is None else crl.next_update_utc.timestamp(),
        number,
        holders,
        urls,
        authority_key,
        crl,
        _signed_part(der),
    )


def _scope(point: x509.IssuingDistributionPoint | None) -> tuple[str, frozenset[str] | None]:
    """What an Issuing Distribution Point leaves of the scope (RFC 5280 section 5.2.5)."""
    if point is None:
        return "any", None
    if point.indirect_crl:
        raise BadList("crl-bad-scope", "it is an indirect CRL, which is not supported")
    if point.only_some_reasons:
        raise BadList("crl-bad-scope", "it covers only some reasons of revocation")
    if point.only_contains_attribute_certs:
        raise BadList("crl-bad-scope", "it covers attribute certificates only")
    if point.relative_name is not None:
        raise BadList("crl-bad-scope", "its distribution point has a relative name")
    holders = "any"
    if point.only_contains_user_certs:
        holders = "user"
    elif point.only_contains_ca_certs:
        holders = "ca"
    if point.full_name is None:
        return holders, None
    return holders, frozenset(
        str(name.value)
        for name in point.full_name
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _prove(unproven: UnprovenList, issuer: x509.Certificate) -> dict[int, int]:
    """The entries, after all that makes them the issuer's."""
    crl = unproven.crl
    if crl is None:
        raise BadList("crl-bad-issuer", "it is the list of another authority of that name")
    if unproven.issuer != issuer.subject.public_bytes():
        raise BadList("crl-bad-issuer", f"it is the list of {unproven.issuer_name}")
    identifier = _extension(issuer, x509.SubjectKeyIdentifier)
    if (
        identifier is not None
        and unproven.authority_key is not None
        and identifier.digest != unproven.authority_key
    ):
        raise BadList("crl-bad-issuer", "it was signed by another key of that name")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        raise BadList("crl-bad-issuer", "its issuer's certificate has no key usage cRLSign")
    try:
        _verifier(crl, issuer.public_key())(crl.signature, unproven.signed)
    except InvalidSignature:
        raise BadList("crl-bad-signature", "its signature is not its issuer's") from None
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise BadList("crl-bad-signature", "its signature does not fit its issuer's key") from None
    return _entries(crl)


def _verifier(crl: x509.CertificateRevocationList, key: Any) -> Callable[[bytes, bytes], object]:
    parameters = crl.signature_algorithm_parameters
    algorithm = crl.signature_hash_algorithm
    if isinstance(algorithm, _WEAK_HASHES):
        raise BadList("crl-bad-signature", f"it is signed with {algorithm.name}, which is broken")
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return key.verify
    if isinstance(key, rsa.RSAPublicKey):
        return lambda signature, data: key.verify(signature, data, parameters, algorithm)  # type: ignore[arg-type]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return lambda signature, data: key.verify(signature, data, parameters)  # type: ignore[arg-type]
    if isinstance(key, dsa.DSAPublicKey):
        return lambda signature, data: key.verify(signature, data, algorithm)  # type: ignore[arg-type]
    raise BadList("crl-bad-signature", "its issuer has a kind of key that is not supported")


def _entries(crl: x509.CertificateRevocationList) -> dict[int, int]:
    entries: dict[int, int] = {}
    for number, each in enumerate(crl):
        if number % _PORTION == 0:
            # let the reactor have the interpreter now: it would wait 5 ms at each of its calls
            time.sleep(0)
        reason = _UNSPECIFIED
        for extension in each.extensions:
            value = extension.value
            if isinstance(value, x509.CRLReason):
                reason = REASONS.index(value.reason.value)
            elif isinstance(value, x509.CertificateIssuer):
                raise BadList("crl-bad-scope", "it is an indirect CRL, which is not supported")
            elif extension.critical:
                # RFC 5280 section 5.3: such a list must not be used
                raise BadList(
                    "crl-unknown-extension",
                    f"an entry has the critical extension {extension.oid.dotted_string}",
                )
        when = int(each.revocation_date_utc.timestamp())
        entries[each.serial_number] = when << _REASON_BITS | reason
    return entries


def _extension(issuer: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return issuer.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _signed_part(der: bytes) -> bytes:
    """The bytes of the tbsCertList, as they were signed; the library parsed them before."""
    start, _ = _header(der, 0)
    content, length = _header(der, start)
    return der[start : content + length]


def _header(der: bytes, at: int) -> tuple[int, int]:
    """Of the DER element there: where its content starts, and how long that is."""
    first = der[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    return at + 2 + count, int.from_bytes(der[at + 2 : at + 2 + count], "big")


def _from_base64(block: bytes) -> bytes:
    text, end, _ = block.partition(_END)
    if not end:
        raise BadList("crl-garbage", "its PEM text has no end")
    parts, rest = [], b""
    try:
        for at in range(0, len(text), _PIECE):
            piece = rest + text[at : at + _PIECE].translate(None, b" \t\r\n")
            whole = len(piece) - len(piece) % 4
            # lenient and quick: what damage changes, the parser or the signature will find
            parts.append(binascii.a2b_base64(piece[:whole]))
            rest = piece[whole:]
        parts.append(binascii.a2b_base64(rest))
    except binascii.Error:
        raise BadList("crl-garbage", "its PEM text is damaged") from None
    return b"".join(parts)


def _words(problem: Exception) -> str:
    return escape(clip(str(problem) or type(problem).__name__))
