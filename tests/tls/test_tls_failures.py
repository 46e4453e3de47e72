"""Failed handshakes: cause in words, exact alerts, and peers that do not speak TLS at all."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from mqttd.tls import native
from mqttd.tls.channel import TLSChannel
from mqttd.tls.context import ALPN_HTTP, build_server_context
from mqttd.tls.failure import TLSFailure, alert_name, alert_of, foreign_protocol
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.verdict import INVALID_PURPOSE, REJECTED, REVOKED, Verdict

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls1.2", "tls1.3"])
DAY = datetime.timedelta(days=1)


class Silent:
    """A judge that is asked within the handshake only."""

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        raise AssertionError("asked for more")


def failures(pair: Joined) -> dict[str, TLSFailure]:
    """Run to the end and return who failed how."""
    found: dict[str, TLSFailure] = {}
    pair.client.start()
    for _ in range(4):
        try:
            pair.server.receive(pair.client.outgoing())
        except TLSFailure as failure:
            found["server"] = failure
        try:
            pair.client.receive(pair.server.outgoing())
        except TLSFailure as failure:
            found["client"] = failure
    return found


def check(pair: Joined, kind: str, words: str, alert: int, version: int = TLS13) -> None:
    """The server refuses with this alert, and the client receives it."""
    found = failures(pair)
    server, client = found["server"], found["client"]
    assert server.kind == kind
    assert words in server.cause
    assert (server.alert_number, server.alert_sent) == (alert, True)
    assert (client.alert_number, client.alert_sent) == (alert, False)
    assert client.kind == "alert"
    assert not pair.server.handshake_complete
    assert pair.server.peer_certificate() is None
    # TLS 1.3 by design: the client is done before the server reads its certificate.
    assert pair.client.handshake_complete is (version == TLS13 and "certificate" in kind)


@VERSIONS
def test_client_certificate_of_another_authority(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(pki.stranger, version=version), pki.mutual())
    check(pair, "bad-certificate", "subject CN=stranger", 48, version)


@VERSIONS
def test_no_client_certificate(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.mutual())
    alert = 40 if version == TLS12 else 116
    check(pair, "no-certificate", "sent no certificate", alert, version)


@VERSIONS
def test_no_client_certificate_where_none_is_demanded(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.mutual(fail_if_no_peer_cert=False))
    assert failures(pair) == {}
    assert pair.server.peer_certificate() is None
    pair = join(
        pki.client_context(pki.stranger, version=version), pki.mutual(fail_if_no_peer_cert=False)
    )
    check(pair, "bad-certificate", "stranger", 48, version)


@VERSIONS
def test_expired_client_certificate(pki: Pki, join: Join, version: int) -> None:
    end = datetime.datetime.now(datetime.UTC) - DAY
    late = pki.root.client("late", begin=end - DAY, end=end)
    pair = join(pki.client_context(late, version=version), pki.mutual())
    check(pair, "bad-certificate", "expired (subject CN=late)", 45, version)


@VERSIONS
def test_server_certificate_used_by_a_client(pki: Pki, join: Join, version: int) -> None:
    wrong = pki.root.issue("server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    pair = join(pki.client_context(wrong, version=version), pki.mutual())
    check(pair, "bad-certificate", "purpose", 43, version)


@VERSIONS
def test_depth_bounds_the_chain(pki: Pki, join: Join, version: int) -> None:
    client = pki.client_context(pki.intermediate.client("deep"), version=version)
    assert failures(join(client, pki.mutual(depth=1))) == {}
    check(join(client, pki.mutual(depth=0)), "bad-certificate", "too long", 48, version)


@VERSIONS
@pytest.mark.parametrize(("error", "alert"), [(23, 44), (28, 42), (12, 45)])
def test_verdict_on_a_verified_certificate(
    pki: Pki, join: Join, version: int, error: int, alert: int
) -> None:
    asked: list[str] = []

    class Judging(Silent):
        def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
            asked.extend(each.subject.rfc4514_string() for each in chain)
            return Verdict(error, "certificate-listed", "it is on a list")

    context = ListenerTLS(default=pki.mutual(), judge=Judging())
    pair = join(pki.client_context(pki.client_ec, version=version), context)
    check(pair, "certificate-listed", "it is on a list", alert, version)
    assert asked == ["CN=dev-ec", "CN=Test Root"]
    assert pair.server.verdict == Verdict(error, "certificate-listed", "it is on a list")


def test_the_alert_for_each_verdict(pki: Pki, join: Join) -> None:
    """What the gate sends by itself is what OpenSSL sends for the same verdict."""

    class Judging(Silent):
        error = 0

        def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
            return Verdict(self.error)

    judge = Judging()
    context = ListenerTLS(default=pki.mutual(), judge=judge)
    sent: dict[int, int | None] = {}
    client = pki.client_context(pki.client_ec, version=TLS12)
    for judge.error in range(1, 95):
        sent[judge.error] = failures(join(client, context))["server"].alert_number
    assert sent == {error: alert_of(error) for error in sent}
    assert [sent[each] for each in (REVOKED, INVALID_PURPOSE, REJECTED)] == [44, 43, 42]


@VERSIONS
def test_a_judge_that_breaks_refuses(pki: Pki, join: Join, version: int) -> None:
    class Broken(Silent):
        def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
            raise RuntimeError("secret detail")

    context = ListenerTLS(default=pki.mutual(), judge=Broken())
    pair = join(pki.client_context(pki.client_ec, version=version), context)
    found = failures(pair)
    assert found["server"].cause == "an internal error: RuntimeError"
    assert found["server"].alert_sent
    assert not pair.server.handshake_complete


def test_a_judge_is_not_asked_about_unverified_certificates(pki: Pki, join: Join) -> None:
    class Unasked(Silent):
        def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
            raise AssertionError("asked")

    context = ListenerTLS(default=pki.mutual(), judge=Unasked())
    assert failures(join(pki.client_context(pki.stranger), context))["server"].alert_number == 48


@VERSIONS
def test_client_does_not_trust_the_server(pki: Pki, join: Join, version: int) -> None:
    client = pki.client_context(version=version, trust=pki.other_root.cert)
    found = failures(join(client, pki.server_context()))
    assert found["client"].kind == "bad-certificate"
    assert (found["client"].alert_number, found["client"].alert_sent) == (48, True)
    assert (found["server"].alert_number, found["server"].alert_sent) == (48, False)
    assert "does not trust the authority that issued our certificate" in found["server"].cause
    assert str(found["server"]).endswith("(received alert 48 unknown_ca)")


@VERSIONS
@pytest.mark.parametrize("host", [b"evil.test", b"192.0.2.1"])
def test_client_checks_the_name(pki: Pki, join: Join, version: int, host: bytes) -> None:
    found = failures(join(pki.client_context(version=version), pki.server_context(), host))
    assert "mismatch" in found["client"].cause
    assert found["server"].alert_number == 42


def test_client_does_not_take_the_common_name_for_the_server_name(pki: Pki, join: Join) -> None:
    server = pki.intermediate.issue("localhost", san=[])
    found = failures(join(pki.client_context(), pki.server_context(server)))
    assert "hostname mismatch" in found["client"].cause


@pytest.mark.parametrize(("client", "server"), [(TLS12, "tlsv1.3"), (TLS13, "tlsv1.2")])
def test_version_mismatch(pki: Pki, join: Join, client: int, server: str) -> None:
    context = pki.server_context(versions=[server])
    check(join(pki.client_context(version=client), context), "version", "no TLS version", 70)


def test_legacy_version_is_refused_unless_listed(pki: Pki, join: Join) -> None:
    client = pki.client_context(version=SSL.TLS1_1_VERSION, ciphers=b"DEFAULT:@SECLEVEL=0")
    check(join(client, pki.server_context()), "version", "no TLS version", 70)


def test_sha1_signatures_are_refused_even_with_legacy_versions(pki: Pki, join: Join) -> None:
    context = pki.server_context(versions=["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"])
    client = pki.client_context(version=TLS12, ciphers=b"DEFAULT:@SECLEVEL=0")
    algorithms = b"ECDSA+SHA1:RSA+SHA1"
    assert native._lib.SSL_CTX_set1_sigalgs_list(client._context, algorithms) == 1
    check(join(client, context), "no-shared-cipher", "no signature algorithm in common", 40)


def test_no_shared_cipher(pki: Pki, join: Join) -> None:
    client = pki.client_context(version=TLS12, ciphers=b"ECDHE-RSA-AES128-GCM-SHA256")
    check(join(client, pki.server_context()), "no-shared-cipher", "share no cipher suite", 40)


@VERSIONS
def test_alpn_mismatch_is_alert_120(pki: Pki, join: Join, version: int) -> None:
    client = pki.client_context(version=version, alpn=[b"h2", b"http/1.1"])
    check(join(client, pki.server_context()), "alpn", "no application protocol", 120, TLS12)


@VERSIONS
def test_alpn_is_chosen_among_others(pki: Pki, join: Join, version: int) -> None:
    pair = join(
        pki.client_context(version=version, alpn=[b"h2", b"mqtt", b"x"]), pki.server_context()
    )
    assert failures(pair) == {}
    info = pair.server.info()
    assert info.alpn == b"mqtt"


def test_alpn_of_wss_listeners(pki: Pki, join: Join) -> None:
    context = build_server_context(pki.options(), alpn=ALPN_HTTP)
    pair = join(pki.client_context(alpn=[b"http/1.1"]), context)
    assert failures(pair) == {}
    info = pair.client.info()
    assert info.alpn == b"http/1.1"
    assert "server" in failures(join(pki.client_context(alpn=[b"mqtt"]), context))


CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"
FOREIGN = [
    (CONNECT, "plain-mqtt"),
    (b"\x10\x8f\x01\x00\x04MQTT\x05" + bytes(140), "plain-mqtt"),
    (b"\x10\x12\x00\x06MQIsdp\x03\x00\x00\x00\x00\x04abcd", "plain-mqtt"),
    (b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", "plain-http"),
    (b"OPTIONS * HTTP/1.1\r\n\r\n", "plain-http"),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "proxy-header"),
    (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), "proxy-header"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "not-tls"),
    (bytes(64), "not-tls"),
    (b"\xff" * 64, "not-tls"),
    (b"\x80\x2e\x01\x03\x01" + bytes(60), "version"),
    (b"\x15\x03\x01\x00\x02\x02\x28", "alert"),
    (b"\x17\x03\x03\x00\x10" + bytes(16), "not-tls"),
]


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize(("data", "kind"), FOREIGN)
def test_peer_that_does_not_speak_tls(pki: Pki, data: bytes, kind: str, chunk: int) -> None:
    server = TLSChannel(pki.server_context())
    caught: list[TLSFailure] = []
    for at in range(0, len(data), chunk):
        try:
            assert server.receive(data[at : at + chunk]) == b""
        except TLSFailure as failure:
            caught.append(failure)
    assert [failure.kind for failure in caught] == [kind]
    assert not caught[0].plaintext
    assert caught[0].cause.startswith("the peer ")


def test_foreign_protocol_does_not_judge_tls() -> None:
    for beginning in (b"", b"\x16", b"\x16\x03", b"\x16\x03\x01\x02\x00\x01"):
        assert foreign_protocol(beginning) is None


def _hello(pki: Pki) -> bytes:
    client = TLSChannel(pki.client_context(), server=False)
    client.start()
    return client.outgoing()


@pytest.mark.parametrize(
    "garble",
    [
        lambda hello: hello[:5] + b"\x02" + hello[6:],  # a ServerHello
        lambda hello: hello[:3] + b"\x40\x10" + bytes(17_000),  # a record that is too long
        lambda hello: b"\x16\x03\x01\x00\x00" * 40,  # empty records
        lambda hello: b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",  # an empty ClientHello
        lambda hello: hello[:9] + b"\xff" * (len(hello) - 9),
        lambda hello: hello + b"\x14\x03\x03\x00\x01\x01" + b"\x17\x03\x03\x00\x20" + bytes(32),
        lambda hello: hello + hello,
    ],
)
def test_garbled_handshake_fails_in_order(pki: Pki, garble: Callable[[bytes], bytes]) -> None:
    server = TLSChannel(pki.server_context())
    with pytest.raises(TLSFailure) as caught:
        server.receive(garble(_hello(pki)))
    assert caught.value.alert_sent
    assert caught.value.reasons
    assert server.outgoing()[0] in {21, 22, 23}
    assert server.receive(b"more") == b""


def test_garbage_at_every_place_never_raises_otherwise(pki: Pki) -> None:
    context = pki.server_context()
    hello = _hello(pki)
    for at in range(len(hello)):
        broken = bytearray(hello)
        broken[at] ^= 0xFF
        server = TLSChannel(context)
        with contextlib.suppress(TLSFailure):
            assert server.receive(broken) == b""
        server.outgoing()


def test_certificate_that_only_openssl_can_read_is_refused(
    pki: Pki, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr("OpenSSL.crypto.X509.to_cryptography", unreadable)
    pair = join(pki.client_context(pki.client_ec), pki.mutual())
    check(pair, "bad-certificate", "refused", 42)


def test_text_of_a_failure() -> None:
    failure = TLSFailure("x", "because", alert_number=40, alert_sent=True)
    assert str(failure) == "because (sent alert 40 handshake_failure)"
    assert str(TLSFailure("x", "because")) == "because"
    assert alert_name(255) == "alert_255"
