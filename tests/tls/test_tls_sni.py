"""Certificates and demands by the server name a client asks for; stapling by certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.tls import SniOptions
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.listener_context import ListenerTLS, build_listener_tls

if TYPE_CHECKING:
    from tests.conftest import Authority, Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]

VERSIONS = pytest.mark.parametrize(
    "version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["tls1.2", "tls1.3"]
)


def for_host(pki: Pki, *hosts: str) -> Authority:
    return pki.intermediate.issue(hosts[0], san=[x509.DNSName(host) for host in hosts])


def named(server: Authority, **options: Any) -> SniOptions:
    return SniOptions(certfile=server.chain_pem, keyfile=server.key_pem, **options)


def handshake(pair: Joined) -> TLSFailure | None:
    pair.client.start()
    for _ in range(4):
        try:
            pair.server.receive(pair.client.outgoing())
        except TLSFailure as failure:
            return failure
        pair.client.receive(pair.server.outgoing())
    return None


def serial(pair: Joined) -> int:
    certificate = pair.client._connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.serial_number


@pytest.fixture(scope="module")
def hosts(pki: Pki) -> dict[str, Authority]:
    return {name: for_host(pki, name) for name in ("a.test", "*.b.test", "c.b.test")}


def test_select_by_name(pki: Pki, hosts: dict[str, Authority]) -> None:
    tls = build_listener_tls(
        pki.options(sni={name.upper(): named(server) for name, server in hosts.items()})
    )
    assert set(tls.names) == set(hosts)
    for asked, found in (
        ("a.test", "a.test"),
        ("A.Test", "a.test"),
        ("a.test.", "a.test"),
        ("x.b.test", "*.b.test"),
        ("c.b.test", "c.b.test"),
        ("b.test", None),
        ("x.y.b.test", None),
        ("", None),
        (None, None),
    ):
        assert tls.select(asked) is (tls.default if found is None else tls.names[found]), asked


@VERSIONS
def test_each_name_has_its_certificate(
    pki: Pki, join: Join, hosts: dict[str, Authority], version: int
) -> None:
    tls = build_listener_tls(
        pki.options(sni={name: named(server) for name, server in hosts.items()})
    )
    for host, server in (
        (b"a.test", hosts["a.test"]),
        (b"x.b.test", hosts["*.b.test"]),
        (b"c.b.test", hosts["c.b.test"]),
        (b"localhost", pki.ec),
    ):
        pair = join(pki.client_context(version=version), tls, host)
        assert handshake(pair) is None
        assert serial(pair) == server.cert.serial_number
        assert pair.server.info().sni == host.decode()


def test_without_a_name_the_default_is_used(pki: Pki, hosts: dict[str, Authority]) -> None:
    tls = build_listener_tls(pki.options(sni={"a.test": named(hosts["a.test"])}))
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    client, server = TLSChannel(context, server=False), TLSChannel(tls)
    client.start()
    server.receive(client.outgoing())
    client.receive(server.outgoing())
    certificate = client._connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    assert certificate.serial_number == pki.ec.cert.serial_number


@VERSIONS
def test_the_demand_for_a_certificate_follows_the_name(
    pki: Pki, join: Join, hosts: dict[str, Authority], make_cert_pem: Any, version: int
) -> None:
    """A client must not get in under a Context that demands what the first one does not."""
    ca = make_cert_pem(pki.root.cert)
    strict = named(hosts["a.test"], verify="verify_peer", cacertfile=ca)
    tls = build_listener_tls(pki.options(sni={"a.test": strict}))
    bare = pki.client_context(version=version)
    failure = handshake(join(bare, tls, b"a.test"))
    assert failure is not None
    assert failure.kind == "no-certificate"
    pair = join(pki.client_context(pki.client_ec, version=version), tls, b"a.test")
    assert handshake(pair) is None
    known = pair.server.peer_certificate()
    assert known is not None
    assert known.common_name == "dev-ec"
    assert [each.subject for each in pair.server.chain] == [
        pki.client_ec.cert.subject,
        pki.root.cert.subject,
    ]
    failure = handshake(join(pki.client_context(pki.stranger, version=version), tls, b"a.test"))
    assert failure is not None
    assert failure.alert == "unknown_ca"
    pair = join(pki.client_context(pki.client_ec, version=version), tls)
    assert handshake(pair) is None
    assert pair.server.peer_certificate() is None  # nobody asked for it


@VERSIONS
def test_a_name_can_demand_less(
    pki: Pki, join: Join, hosts: dict[str, Authority], make_cert_pem: Any, version: int
) -> None:
    options = pki.options(
        verify="verify_peer",
        cacertfile=make_cert_pem(pki.root.cert),
        sni={"a.test": named(hosts["a.test"], verify="verify_none")},
    )
    tls = build_listener_tls(options)
    bare = pki.client_context(version=version)
    assert handshake(join(bare, tls, b"a.test")) is None
    failure = handshake(join(bare, tls))
    assert failure is not None
    assert failure.kind == "no-certificate"


@VERSIONS
def test_what_a_name_demands_beside_a_certificate(
    pki: Pki, join: Join, hosts: dict[str, Authority], make_cert_pem: Any, version: int
) -> None:
    """Depth and the authorities named to clients hold also where the listener asks for nothing."""
    ca = make_cert_pem(pki.root.cert)
    tls = build_listener_tls(
        pki.options(sni={"a.test": named(hosts["a.test"], verify="verify_peer", cacertfile=ca)})
    )
    shallow = build_listener_tls(
        pki.options(
            depth=0,
            sni={"a.test": named(hosts["a.test"], verify="verify_peer", cacertfile=ca)},
        )
    )
    deep = pki.client_context(pki.intermediate.client("deep"), version=version)
    pair = join(deep, tls, b"a.test")
    assert handshake(pair) is None
    assert len(pair.server.chain) == 3
    names = pair.client._connection.get_client_ca_list(as_cryptography=True)
    assert names == [pki.root.cert.subject]
    failure = handshake(join(deep, shallow, b"a.test"))
    assert failure is not None
    assert "too long" in failure.cause


def test_every_problem_of_every_name_at_once(pki: Pki, hosts: dict[str, Authority]) -> None:
    wrong = SniOptions(certfile=hosts["a.test"].chain_pem, keyfile=pki.ec.key_pem)
    lost = SniOptions(certfile="none.pem", keyfile="none.key")
    with pytest.raises(ConfigurationErrors) as caught:
        build_listener_tls(pki.options(sni={"a.test": wrong, "b.test": lost}), path="ssl")
    paths = {finding.path for finding in caught.value.errors}
    assert {"ssl.sni.b.test.certfile", "ssl.sni.b.test.keyfile"} < paths
    assert any(path.startswith("ssl.sni.a.test.") for path in paths)


@VERSIONS
def test_the_staple_is_that_of_the_certificate(
    pki: Pki, join: Join, hosts: dict[str, Authority], version: int
) -> None:
    # OpenSSL looks at what it is given: it must be a response, if not a good one.
    later, never = (
        ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
        for status in (ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED)
    )
    responses = {
        pki.ec.cert.serial_number: later,
        hosts["a.test"].cert.serial_number: never,
    }

    def staple(certificate: x509.Certificate) -> bytes:
        return responses[certificate.serial_number]

    got: list[bytes] = []

    def take(_connection: object, response: bytes, _data: object) -> bool:
        got.append(response)
        return True

    tls = build_listener_tls(pki.options(sni={"a.test": named(hosts["a.test"])}), staple=staple)
    for host, server in ((b"localhost", pki.ec), (b"a.test", hosts["a.test"])):
        context = pki.client_context(version=version)
        context.set_ocsp_client_callback(take)
        pair = join(context, tls, host)
        pair.client._connection.request_ocsp()
        assert handshake(pair) is None
        assert got.pop() == responses[server.cert.serial_number]


def test_a_stapler_that_breaks_staples_nothing(pki: Pki, join: Join) -> None:
    def staple(_certificate: x509.Certificate) -> bytes:
        raise RuntimeError("broken")

    got: list[bytes] = []
    context = pki.client_context()

    def take(_connection: object, response: bytes, _data: object) -> bool:
        got.append(response)
        return True

    context.set_ocsp_client_callback(take)
    pair = join(context, build_listener_tls(pki.options(), staple=staple))
    pair.client._connection.request_ocsp()
    assert handshake(pair) is None
    assert got == [b""]


@VERSIONS
@pytest.mark.parametrize("partial", ["false", "true"])
def test_partial_chain(
    pki: Pki, join: Join, make_cert_pem: Any, partial: str, version: int
) -> None:
    options = pki.options(
        verify="verify_peer",
        cacertfile=make_cert_pem(pki.intermediate.cert),
        partial_chain=partial,
    )
    client = pki.client_context(pki.intermediate.client("deep"), version=version)
    failure = handshake(join(client, build_listener_tls(options)))
    assert (failure is None) == (partial == "true")


@VERSIONS
def test_key_usages_wanted(pki: Pki, join: Join, make_cert_pem: Any, version: int) -> None:
    def tls(wanted: str) -> ListenerTLS:
        return build_listener_tls(
            pki.options(
                verify="verify_peer",
                cacertfile=make_cert_pem(pki.root.cert),
                verify_peer_ext_key_usage=wanted,
            )
        )

    client = pki.client_context(pki.client_ec, version=version)
    assert handshake(join(client, tls("clientAuth"))) is None
    assert handshake(join(client, tls("OID:1.3.6.1.5.5.7.3.2"))) is None
    failure = handshake(join(client, tls("clientAuth,codeSigning")))
    assert failure is not None
    assert (failure.kind, failure.alert_number) == ("certificate-usage", 43)
    assert "it lacks the extended key usage codeSigning" in failure.cause
    without = pki.client_context(pki.root.issue("dev", san=[]), version=version)
    failure = handshake(join(without, tls("clientAuth")))
    assert failure is not None
    assert "it has no extended key usage" in failure.cause
    assert ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string == "1.3.6.1.5.5.7.3.2"


@pytest.mark.parametrize("text", ["sellBooks", "OID:x", ""])
def test_unknown_key_usages_are_errors(pki: Pki, text: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        build_listener_tls(pki.options(verify_peer_ext_key_usage=text))
    (finding,) = caught.value.errors
    assert finding.path == "ssl_options.verify_peer_ext_key_usage"
