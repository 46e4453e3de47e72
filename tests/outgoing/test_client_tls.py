"""TLS of outgoing connections: which servers are believed, what is sent, what findings say."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.types import Secret
from mqttd.outgoing.http import FetchError, HTTPClient
from mqttd.outgoing.tls import build_client_tls, check_client_tls, server_name

Ask = Callable[..., Any]
Texts = Callable[..., str]


@pytest.fixture
def trusting(pki: Any, make_cert_pem: Texts) -> Callable[..., ClientTLSOptions]:
    """The ``ssl`` section of a client that trusts our root."""

    def make(**options: Any) -> ClientTLSOptions:
        return ClientTLSOptions(cacertfile=make_cert_pem(pki.root.cert), **options)

    return make


@pytest.fixture
def ask(live_reactor: Any, settle: Callable[..., Any]) -> Ask:
    """Fetch with an ``ssl`` section; returns the text, or the FetchError."""

    def call(url: str, options: ClientTLSOptions) -> Any:
        client = HTTPClient(live_reactor, build_client_tls(options))
        try:
            return settle(client.fetch(url, timeout=5, max_size=1000)).body.decode()
        except FetchError as error:
            return error
        finally:
            settle(client.close())

    return call


def refusal(result: Any) -> str:
    assert isinstance(result, FetchError), result
    assert result.cause == "tls"
    return result.text


def dns(*names: str) -> list[Any]:
    return [x509.DNSName(name) for name in names]


def test_the_right_server(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.ec)
    assert ask(server.url(), trusting()) == "hello "
    assert server.root.names == [b"localhost"]


def test_the_wrong_name(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.root.issue("localhost", san=dns("other.test")))
    text = refusal(ask(server.url(), trusting()))
    assert "its certificate is for another name" in text
    assert server.root.asked == []


def test_the_common_name_does_not_count(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.root.issue("localhost", san=[]))
    assert "for another name" in refusal(ask(server.url(), trusting()))


def test_a_common_name_does_not_help_other_names(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask
) -> None:
    server = serve(pki.root.issue("localhost", san=[x509.RFC822Name("a@localhost")]))
    assert "for another name" in refusal(ask(server.url(), trusting()))


def test_a_server_that_is_not_trusted(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.other_root.issue())
    assert "not issued by a trusted authority" in refusal(ask(server.url(), trusting()))


def test_the_operating_system_does_not_know_our_root(serve: Ask, pki: Any, ask: Ask) -> None:
    assert "trusted" in refusal(ask(serve(pki.ec).url(), ClientTLSOptions()))


def test_the_operating_systems_authorities_count_without_a_file(
    serve: Ask,
    pki: Any,
    ask: Ask,
    make_cert_pem: Texts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = tmp_path / "ca.pem"
    system.write_text(make_cert_pem(pki.root.cert))
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    assert ask(serve(pki.ec).url(), ClientTLSOptions()) == "hello "
    # and not beside one
    other = ClientTLSOptions(cacertfile=make_cert_pem(pki.other_root.cert))
    refusal(ask(serve(pki.ec).url(), other))


def test_an_expired_certificate(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    cert = pki.ec.cert
    day = cert.not_valid_after_utc - cert.not_valid_before_utc
    old = pki.root.issue(
        begin=cert.not_valid_before_utc - 2 * day, end=cert.not_valid_before_utc - day
    )
    assert "has expired" in refusal(ask(serve(old).url(), trusting()))


def test_a_client_certificate_is_no_server_certificate(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask
) -> None:
    server = serve(pki.root.client(san=dns("localhost")))
    assert "not meant for a TLS server" in refusal(ask(server.url(), trusting()))


def test_an_intermediate_that_is_too_deep(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    assert ask(serve(pki.ec).url(), trusting(depth=1)) == "hello "
    assert refusal(ask(serve(pki.ec).url(), trusting(depth=0)))


def test_an_address_is_looked_for_as_one(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.ec)
    assert ask(server.url(host="127.0.0.1"), trusting()) == "hello "
    assert server.root.names == [None]  # addresses are not sent
    named = serve(pki.root.issue("127.0.0.1", san=dns("127.0.0.1", "localhost")))
    assert "another IP address" in refusal(ask(named.url(host="127.0.0.1"), trusting()))


def test_an_ipv6_address(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    loopback = [x509.IPAddress(ipaddress.ip_address("::1"))]
    server = serve(pki.root.issue(san=loopback), interface="::1")
    assert ask(server.url(host="[::1]"), trusting()) == "hello "
    other = serve(pki.ec, interface="::1")
    assert "another IP address" in refusal(ask(other.url(host="[::1]"), trusting()))


def test_wildcards_stand_for_one_whole_label(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask
) -> None:
    server = serve(pki.root.issue(san=dns("*.example.test")))
    for name, good in (("a.example.test", True), ("a.b.example.test", False)):
        result = ask(server.url(), trusting(server_name_indication=name))
        assert (result == "hello ") is good
    partial = serve(pki.root.issue(san=dns("a*.example.test")))
    refusal(ask(partial.url(), trusting(server_name_indication="ab.example.test")))


def test_another_name_is_sent_and_looked_for(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask
) -> None:
    server = serve(pki.root.issue(san=dns("inner.test")))
    named = trusting(server_name_indication="inner.test")
    assert ask(server.url(host="127.0.0.1"), named) == "hello "
    assert server.root.names == [b"inner.test"]
    refusal(ask(serve(pki.ec).url(), named))


def test_disable_sends_no_name_and_looks_for_none(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask
) -> None:
    off = trusting(server_name_indication="disable")
    server = serve(pki.root.issue(san=dns("other.test")))
    assert ask(server.url(), off) == "hello "
    assert server.root.names == [None]
    # the authority still counts
    refusal(ask(serve(pki.other_root.issue()).url(), off))


def test_verify_none_believes_anybody(serve: Ask, pki: Any, ask: Ask) -> None:
    server = serve(pki.other_root.issue(san=dns("other.test")))
    assert ask(server.url(), ClientTLSOptions(verify="verify_none")) == "hello "
    assert server.root.names == [b"localhost"]


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_a_client_certificate_is_shown(
    serve: Ask, pki: Any, ask: Ask, trusting: Ask, version: str
) -> None:
    server = serve(pki.ec, clients=pki.root.cert)
    pair = {"certfile": pki.client_ec.chain_pem, "keyfile": pki.client_ec.key_pem}
    assert ask(server.url(), trusting(versions=[version], **pair)) == "hello "
    text = refusal(ask(server.url(), trusting(versions=[version])))
    assert "it wants a client certificate" in text
    stranger = {"certfile": pki.stranger.chain_pem, "keyfile": pki.stranger.key_pem}
    text = refusal(ask(server.url(), trusting(versions=[version], **stranger)))
    assert "does not accept our client certificate" in text


def test_a_port_that_speaks_no_tls(serve_bytes: Ask, ask: Ask, trusting: Ask) -> None:
    port = serve_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    text = refusal(ask(f"https://localhost:{port}/", trusting()))
    assert "does not speak TLS there" in text


def test_versions_and_ciphers(pki: Any, trusting: Ask) -> None:
    def hello(**options: Any) -> SSL.Connection:
        return build_client_tls(trusting(**options)).creator("localhost").connection()

    older = hello(versions=["tlsv1.2"], ciphers=["ECDHE-RSA-AES128-GCM-SHA256"])
    assert [n for n in older.get_cipher_list() if not n.startswith("TLS_")] == [
        "ECDHE-RSA-AES128-GCM-SHA256"
    ]
    newer = hello(versions=["tlsv1.3"], ciphers=["TLS_AES_128_GCM_SHA256"])
    assert "TLS_AES_128_GCM_SHA256" in newer.get_cipher_list()
    assert "TLS_AES_256_GCM_SHA384" not in newer.get_cipher_list()


def test_no_session_is_resumed(serve: Ask, pki: Any, trusting: Ask) -> None:
    context = build_client_tls(trusting()).context
    assert context.set_session_cache_mode(SSL.SESS_CACHE_OFF) == SSL.SESS_CACHE_OFF


@pytest.mark.parametrize(
    ("host", "sent", "address"),
    [
        ("example.test", b"example.test", None),
        ("example.test.", b"example.test", None),
        ("b\u00fccher.test", b"xn--bcher-kva.test", None),
        ("127.0.0.1", b"", b"\x7f\0\0\x01"),
        ("[::1]", b"", b"\0" * 15 + b"\x01"),
    ],
)
def test_names_and_addresses(host: str, sent: bytes, address: bytes | None) -> None:
    name = server_name(host)
    assert (name.sent, name.address) == (sent, address)


@pytest.mark.parametrize("host", ["", ".", "a b", "a\0b", "a..b", "a" * 300])
def test_what_is_no_name(host: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it may come from the codec
        server_name(host)


def found(options: ClientTLSOptions, base_dir: Path | str = ".") -> list[tuple[str, str]]:
    return [(f.severity, f.path) for f in check_client_tls(options, "a.ssl", base_dir)]


def test_findings_about_files(pki: Any, make_cert_pem: Texts, tmp_path: Path) -> None:
    (tmp_path / "garbage.pem").write_text("garbage")
    (tmp_path / "empty.pem").write_text("")
    pair = {"certfile": pki.client_ec.chain_pem, "keyfile": pki.client_ec.key_pem}
    cases: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({}, []),
        (pair, []),
        ({"cacertfile": "missing.pem"}, [("error", "a.ssl.cacertfile")]),
        ({"cacertfile": "garbage.pem"}, [("error", "a.ssl.cacertfile")]),
        ({"cacertfile": pki.ec.key_pem}, [("error", "a.ssl.cacertfile")]),
        ({"cacerts": "none"}, [("error", "a.ssl.cacertfile")]),
        ({"cacerts": "none", "verify": "verify_none"}, [("warning", "a.ssl.verify")]),
        ({"certfile": pair["certfile"]}, [("error", "a.ssl.keyfile")]),
        ({"keyfile": pair["keyfile"]}, [("error", "a.ssl.certfile")]),
        ({**pair, "keyfile": "empty.pem"}, [("error", "a.ssl.keyfile")]),
        ({**pair, "certfile": pair["keyfile"]}, [("error", "a.ssl.certfile")]),
        ({**pair, "keyfile": pki.ec.key_pem}, [("error", "a.ssl.keyfile")]),
        (
            {"server_name_indication": "disable"},
            [("warning", "a.ssl.server_name_indication")],
        ),
        ({"server_name_indication": "a b"}, [("error", "a.ssl.server_name_indication")]),
        ({"versions": ["tlsv1.2", "tlsv1.1"]}, [("warning", "a.ssl.versions")]),
        ({"ciphers": ["PSK-AES128-CBC-SHA"]}, [("error", "a.ssl.ciphers")]),
        (
            {"ciphers": ["PSK-AES128-CBC-SHA", "ECDHE-RSA-AES128-GCM-SHA256"]},
            [("warning", "a.ssl.ciphers"), ("notice", "a.ssl.ciphers")],
        ),
        ({"ciphers": ["NONSENSE"]}, [("error", "a.ssl.ciphers"), ("warning", "a.ssl.ciphers")]),
    ]
    for options, expected in cases:
        assert found(ClientTLSOptions(**options), tmp_path) == expected, options


def test_a_key_that_openssl_takes_for_weak(pki: Any) -> None:
    weak = pki.root.client("weak", kind="rsa1024")
    options = ClientTLSOptions(certfile=weak.chain_pem, keyfile=weak.key_pem)
    assert found(options) == [("error", "a.ssl.certfile")]


def test_an_address_can_stand_for_the_name(serve: Ask, pki: Any, ask: Ask, trusting: Ask) -> None:
    server = serve(pki.ec)
    assert ask(server.url(), trusting(server_name_indication="127.0.0.1")) == "hello "
    assert server.root.names == [None]
    refusal(ask(server.url(), trusting(server_name_indication="127.0.0.2")))


def test_every_problem_in_one_run() -> None:
    bad = ClientTLSOptions(cacertfile="a.pem", certfile="b.pem", keyfile="c.pem")
    with pytest.raises(ConfigurationErrors) as caught:
        build_client_tls(bad)
    assert [finding.path for finding in caught.value.errors] == [
        "ssl.cacertfile",
        "ssl.keyfile",
        "ssl.certfile",
    ]


def test_an_encrypted_key(pki: Any, make_key_pem: Texts) -> None:
    pair = {
        "certfile": pki.client_ec.chain_pem,
        "keyfile": make_key_pem(pki.client_ec.key, "right"),
    }
    assert found(ClientTLSOptions(**pair, password=Secret("right"))) == []
    for password in (None, Secret("wrong")):
        options = ClientTLSOptions(**pair, password=password)
        assert found(options) == [("error", "a.ssl.password")]
        findings = check_client_tls(options)
        assert "wrong" not in str(findings).replace("wrong with", "")


def test_an_authority_that_is_gone(make_root: Ask, make_cert_pem: Texts, pki: Any) -> None:
    cert = pki.ec.cert
    day = cert.not_valid_after_utc - cert.not_valid_before_utc
    old = make_root(
        "Old", begin=cert.not_valid_before_utc - 2 * day, end=cert.not_valid_before_utc - day
    )
    options = ClientTLSOptions(cacertfile=make_cert_pem(old.cert))
    assert found(options) == [("warning", "a.ssl.cacertfile")]
