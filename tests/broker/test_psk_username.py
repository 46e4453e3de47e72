"""``psk_identity_as_username``: the name is the proven identity, or nobody comes in."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from mqttd.identity import ConnectRequest, Identity, PeerCertificate, PeerInfo, Refused
from mqttd.testing import MemoryBroker

PEER = PeerInfo(listener="ssl:default", peer=("192.0.2.1", 5))
CERTIFICATE = PeerCertificate(
    der=b"\x30\x00",
    pem="",
    common_name="by-certificate",
    subject="CN=by-certificate",
    issuer="CN=CA",
    serial=7,
    not_before=0,
    not_after=1,
)


class Seen:
    """Admits everybody and remembers whom."""

    def __init__(self) -> None:
        self.requests: list[ConnectRequest] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.requests.append(request)
        done(Identity(username=request.username))


@pytest.mark.parametrize("level", [3, 4, 5])
def test_the_name_in_connect_does_not_count(level: int) -> None:
    seen = Seen()
    broker = MemoryBroker(admission=seen, psk_identity_as_username=True)
    client = broker.client(level, peer=attrs.evolve(PEER, psk_identity="pump-ä".encode()))
    assert client.connect(client_id="c", username="root").reason_code == 0
    (request,) = seen.requests
    assert request.username == "pump-ä"
    assert request.peer.psk_identity == "pump-ä".encode()


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("identity", [None, b"", b"\xff\xfe", b"a\0b"])
def test_without_a_proven_name_nobody_comes_in(level: int, identity: bytes | None) -> None:
    seen = Seen()
    broker = MemoryBroker(admission=seen, psk_identity_as_username=True)
    client = broker.client(level, peer=attrs.evolve(PEER, psk_identity=identity))
    connack = client.connect(client_id="c", username="root")
    assert connack.reason_code == (0x87 if level == 5 else 5)
    assert client.closed
    assert not seen.requests


def test_without_the_option_connect_names_the_client() -> None:
    seen = Seen()
    broker = MemoryBroker(admission=seen)
    client = broker.client(5, peer=attrs.evolve(PEER, psk_identity=b"pump"))
    client.connect(client_id="c", username="root")
    assert seen.requests[0].username == "root"


@pytest.mark.parametrize(
    ("identity", "certificate", "name"),
    [(b"pump", None, "pump"), (None, CERTIFICATE, "by-certificate"), (None, None, None)],
)
def test_with_both_options_what_was_proven_counts(
    identity: bytes | None, certificate: PeerCertificate | None, name: str | None
) -> None:
    seen = Seen()
    broker = MemoryBroker(
        admission=seen, psk_identity_as_username=True, peer_cert_as_username="cn"
    )
    peer = attrs.evolve(PEER, psk_identity=identity, certificate=certificate)
    connack = broker.client(5, peer=peer).connect(client_id="c", username="root")
    assert connack.reason_code == (0x87 if name is None else 0)
    assert [request.username for request in seen.requests] == ([] if name is None else [name])
