"""Certificates and keys as who a client is, alone and in a chain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from zope.interface import implementer

from mqttd.auth.admission import ListenerAdmission
from mqttd.auth.certificate import CertificateAuthenticator
from mqttd.auth.psk import PskAuthenticator
from mqttd.config.schema.authentication import CertificateOptions, PskAuthenticatorOptions
from mqttd.identity import ConnectRequest, Identity, PeerCertificate, Refused
from mqttd.interfaces import IAuthenticator
from mqttd.packets.connack import Connack
from mqttd.testing import MemoryBroker, connect_request, peer_certificate, peer_info

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def certificate() -> PeerCertificate:
    return peer_certificate(
        "dev7",
        organization="Works",
        dns=["a.example.com", "b.example.net"],
        uris=["urn:dev:7"],
        emails=["dev7@example.com"],
    )


def fingerprint(certificate: PeerCertificate, colons: str = "") -> str:
    text = hashlib.sha256(certificate.der).hexdigest()
    return colons.join(text[at : at + 2] for at in range(0, 64, 2)).upper()


RULES: list[tuple[dict[str, list[str]], bool]] = [
    ({}, True),
    ({"common_names": ["dev*"]}, True),
    ({"common_names": ["dev?", "x"]}, True),
    ({"common_names": ["dev"]}, False),
    ({"common_names": ["DEV7"]}, False),
    ({"subjects": ["CN=dev7,O=Works"]}, True),
    ({"subjects": ["*O=Work"]}, False),
    ({"dns_names": ["*.example.net"]}, True),
    ({"dns_names": ["*.example.org"]}, False),
    ({"uris": ["urn:dev:*"]}, True),
    ({"emails": ["*@example.com"]}, True),
    ({"emails": ["*@example.org"], "uris": ["urn:dev:7"]}, True),
    ({"fingerprints": ["0" * 64]}, False),
    ({"fingerprints": ["0" * 64], "common_names": ["dev7"]}, True),
]


@pytest.mark.parametrize(("rules", "good"), RULES)
def test_rules_on_certificates(
    certificate: PeerCertificate, rules: dict[str, list[str]], good: bool
) -> None:
    authenticator = CertificateAuthenticator(CertificateOptions(**rules))
    request = connect_request("ann", certificate=certificate)
    if good:
        assert authenticator.authenticate(request) == Identity(username="ann")
        return
    with pytest.raises(Refused) as caught:
        authenticator.authenticate(request)
    assert caught.value.reason_code == 0x87


@pytest.mark.parametrize("colons", ["", ":"])
def test_fingerprints(certificate: PeerCertificate, colons: str) -> None:
    options = CertificateOptions(fingerprints=[fingerprint(certificate, colons)])
    made = CertificateAuthenticator(options)
    assert made.authenticate(connect_request(certificate=certificate)) == Identity()


def test_names_that_are_absent_fit_nothing() -> None:
    bare = attrs.evolve(peer_certificate("x"), common_name="")
    for name in ("common_names", "dns_names", "uris", "emails"):
        options = CertificateOptions(**{name: ["*"]})
        with pytest.raises(Refused):
            CertificateAuthenticator(options).authenticate(connect_request(certificate=bare))


@pytest.mark.parametrize("bad", ["", "abc", "zz" * 32, "a" * 65])
def test_what_is_no_fingerprint(bad: str) -> None:
    with pytest.raises(ValueError, match="64 digits"):
        CertificateAuthenticator(CertificateOptions(fingerprints=[bad]))


@pytest.mark.parametrize(
    ("patterns", "identity", "good"),
    [
        (["*"], b"anything", True),
        (["sensor-*"], b"sensor-7", True),
        (["sensor-*"], b"other", False),
        (["*"], b"\xff\xfe", False),
        (["*"], b"", False),
        ([], b"sensor-7", False),
    ],
)
def test_identities_of_keys(patterns: list[str], identity: bytes, good: bool) -> None:
    made = PskAuthenticator(PskAuthenticatorOptions(identities=patterns))
    request = connect_request("ann", psk_identity=identity)
    if good:
        assert made.authenticate(request) == Identity(username="ann")
        return
    with pytest.raises(Refused):
        made.authenticate(request)


def test_who_proved_nothing_is_left_to_the_next(ask: Ask, certificate: PeerCertificate) -> None:
    last = PskAuthenticator(PskAuthenticatorOptions())
    both = (CertificateAuthenticator(CertificateOptions(common_names=["x"])), last)
    (refused,) = ask(*both, request=connect_request("ann"))
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x86
    with_key = connect_request("ann", psk_identity=b"k")
    assert ask(*both, request=with_key) == [Identity(username="ann")]
    (refused,) = ask(*both, request=connect_request("ann", certificate=certificate))
    assert isinstance(refused, Refused)


@implementer(IAuthenticator)
class Recording:
    """Lets everybody in, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ConnectRequest] = []

    def authenticate(self, request: ConnectRequest) -> Identity:
        self.asked.append(request)
        return Identity(username=request.username)


@pytest.mark.parametrize(
    ("options", "proof", "username", "client_id"),
    [
        ({"peer_cert_as_username": "cn"}, "certificate", "dev7", "c"),
        ({"peer_cert_as_clientid": "san_uri"}, "certificate", "claimed", "urn:dev:7"),
        ({"psk_identity_as_username": True}, "key", "sensor", "c"),
        (
            {"peer_cert_as_username": "cn", "psk_identity_as_username": True},
            "key",
            "sensor",
            "c",
        ),
    ],
)
def test_proven_names_are_what_authenticators_see(
    certificate: PeerCertificate,
    options: dict[str, Any],
    proof: str,
    username: str,
    client_id: str,
) -> None:
    chain = Recording()
    broker = MemoryBroker(authenticators=[chain], **options)
    peer = (
        peer_info(certificate=certificate)
        if proof == "certificate"
        else peer_info(psk_identity=b"sensor")
    )
    client = broker.client(peer=peer)
    assert client.connect(client_id="c", username="claimed").reason_code == 0
    (request,) = chain.asked
    assert (request.username, request.client_id) == (username, client_id)
    # Asked for and absent: the chain is not even asked, whatever the client says it is.
    for level, code in ((4, 5), (5, 0x87)):
        other = broker.client(level)
        answer = other.connect(client_id="c", username=username, password=b"x")
        assert (answer.reason_code, other.closed) == (code, True)
    assert len(chain.asked) == 1


def test_the_client_identifier_is_the_proven_user_name() -> None:
    """Else one could take over the session of another by naming him before the proof."""

    @implementer(IAuthenticator)
    class Renames:
        def authenticate(self, request: ConnectRequest) -> Identity:
            return Identity(username="proven")

    broker = MemoryBroker(authenticators=[Renames()], use_username_as_clientid=True)
    client = broker.client()
    assert client.connect(client_id="x", username="victim").reason_code == 0
    assert client.connection.client_id == client.connection.session_key == "proven"


def test_a_listener_that_is_not_known_lets_nobody_in() -> None:
    answers: list[Any] = []
    ListenerAdmission().admit(connect_request("ann"), answers.append)
    (refused,) = answers
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x88


def test_the_answer_reaches_the_client_in_its_version() -> None:
    @implementer(IAuthenticator)
    class Refuses:
        def authenticate(self, request: ConnectRequest) -> None:
            raise Refused(0x8A, "banned here")

    broker = MemoryBroker(authenticators=[Refuses()])
    answer: Connack = broker.client(5).connect(username="ann")
    assert answer.reason_code == 0x8A
    assert answer.properties is not None
    assert answer.properties.reason_string == "banned here"
    for level in (3, 4):
        assert broker.client(level).connect(username="ann").reason_code == 5
