"""Pre-shared keys: every suite, both alerts, and nobody who gets past them by TLS 1.3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from OpenSSL import SSL

from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.tls import native
from mqttd.tls.channel import TLSChannel
from mqttd.tls.failure import TLSFailure
from mqttd.tls.listener_context import ListenerTLS, build_listener_tls, check_listener

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION
KEY = bytes(range(32))
PLAIN = [
    "PSK-AES256-GCM-SHA384",
    "PSK-AES128-GCM-SHA256",
    "PSK-AES256-CBC-SHA384",
    "PSK-AES256-CBC-SHA",
    "PSK-AES128-CBC-SHA256",
    "PSK-AES128-CBC-SHA",
]
WITH_RSA = [f"RSA-{name}" for name in PLAIN]
EPHEMERAL = ["ECDHE-PSK-AES128-CBC-SHA256", "DHE-PSK-AES256-GCM-SHA384", "DHE-PSK-AES128-CBC-SHA"]


class Keys:
    """A store in memory."""

    def __init__(self, **keys: bytes) -> None:
        self.keys = {name.encode(): key for name, key in keys.items()}

    def key_for(self, identity: bytes) -> bytes | None:
        return self.keys.get(identity)


def listener(
    pki: Pki,
    ciphers: list[str],
    versions: list[str] | None = None,
    *,
    keys: Keys | None = None,
    **psk: Any,
) -> ListenerTLS:
    options = pki.options(pki.rsa, ciphers=ciphers, versions=versions or ["tlsv1.2"])
    return build_listener_tls(
        options,
        psk=keys or Keys(dev1=KEY),
        psk_options=PskAuthenticationOptions(enable=True, **psk),
    )


def client(
    pki: Pki, identity: bytes = b"dev1", key: bytes = KEY, version: int = TLS12, **options: Any
) -> SSL.Context:
    options.setdefault("ciphers", b"ALL:@SECLEVEL=0" if version == TLS12 else b"")
    context = pki.client_context(version=version, **options)
    native.offer_psk(context, identity, key)
    return context


def run(pair: Joined) -> dict[str, TLSFailure]:
    """Carry bytes until both are silent; who failed how."""
    found: dict[str, TLSFailure] = {}
    pair.client.start()
    for _ in range(5):
        for name, one, other in (
            ("server", pair.server, pair.client),
            ("client", pair.client, pair.server),
        ):
            try:
                one.receive(other.outgoing())
            except TLSFailure as failure:
                found.setdefault(name, failure)
    return found


@pytest.mark.parametrize("suite", PLAIN + WITH_RSA + EPHEMERAL)
def test_every_suite_is_negotiated(pki: Pki, join: Join, suite: str) -> None:
    pair = join(client(pki), listener(pki, [suite]))
    assert run(pair) == {}
    assert pair.server.info().cipher == suite
    assert pair.server.psk_identity == b"dev1"
    assert pair.server.peer_certificate() is None


def test_the_alerts(pki: Pki, join: Join) -> None:
    tls = listener(pki, PLAIN)
    failed = run(join(client(pki, b"nobody"), tls))["server"]
    assert (failed.kind, failed.alert_number, failed.alert_sent) == ("psk-unknown", 115, True)
    pair = join(client(pki, key=bytes(32)), tls)
    failed = run(pair)["server"]
    assert (failed.kind, failed.alert_number, failed.alert_sent) == ("psk-wrong-key", 20, True)
    assert pair.server.psk_asked == b"dev1"
    assert pair.server.psk_identity is None


def test_identities_can_be_hidden(pki: Pki, join: Join) -> None:
    tls = listener(pki, PLAIN, hide_identities=True)
    failed = run(join(client(pki, b"nobody"), tls))["server"]
    assert (failed.kind, failed.alert_number) == ("psk-unknown", 20)
    assert run(join(client(pki), tls)) == {}


def test_long_identities_and_other_letters(pki: Pki, join: Join) -> None:
    keys = Keys()
    keys.keys["gerät".encode()] = KEY
    keys.keys[b"x" * 127] = KEY
    tls = listener(pki, PLAIN, keys=keys)
    for identity in ("gerät".encode(), b"x" * 127):
        pair = join(client(pki, identity), tls)
        assert run(pair) == {}
        assert pair.server.psk_identity == identity


@pytest.mark.parametrize("versions", [["tlsv1.3", "tlsv1.2"], ["tlsv1.3"]])
def test_tls13(pki: Pki, join: Join, versions: list[str]) -> None:
    tls = listener(pki, [], versions, tls13=True)
    pair = join(client(pki, version=TLS13), tls)
    assert run(pair) == {}
    assert pair.server.psk_identity == b"dev1"
    assert pair.server.info().version == "TLSv1.3"


def test_tls13_wrong_key_and_unknown_identity(pki: Pki, join: Join) -> None:
    tls = listener(pki, [], ["tlsv1.3"], tls13=True)
    pair = join(client(pki, key=bytes(32), version=TLS13), tls)
    failed = run(pair)["server"]
    assert (failed.kind, failed.alert_number) == ("psk-wrong-key", 51)
    # An unknown identity is no reason to refuse where certificates do as well.
    pair = join(client(pki, b"nobody", version=TLS13), tls)
    assert run(pair) == {}
    assert pair.server.handshake_complete
    assert pair.server.psk_identity is None


def _only_sha384(context: SSL.Context) -> SSL.Context:
    context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384")
    return context


def test_bypass_wrong_key_under_a_suite_the_key_does_not_fit(pki: Pki, join: Join) -> None:
    """OpenSSL looks the key up, passes it over for the suite, and trusts its certificate only."""
    tls = listener(pki, [], ["tlsv1.3"], tls13=True)
    pair = join(_only_sha384(client(pki, key=bytes(32), version=TLS13)), tls)
    run(pair)
    assert pair.server.psk_identity is None


def test_bypass_where_only_pre_shared_keys_are_wanted(pki: Pki, join: Join) -> None:
    tls = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"], tls13=True)
    assert tls.psk_only
    pair = join(client(pki, version=TLS13), tls)
    assert run(pair) == {}
    assert pair.server.psk_identity == b"dev1"
    for context in (
        _only_sha384(client(pki, key=bytes(32), version=TLS13)),
        client(pki, b"nobody", version=TLS13),
        pki.client_context(version=TLS13),
    ):
        pair = join(context, tls)
        pair.client.send(b"hello")
        failed = run(pair)["server"]
        assert pair.server.psk_identity is None
        assert failed.kind in ("psk-required", "no-shared-cipher")
        assert pair.to_server == b""
        assert pair.server.receive(pair.client.outgoing()) == b""


def test_bypass_by_tls13_while_it_is_off(pki: Pki, join: Join) -> None:
    tls = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"])
    for context in (pki.client_context(version=TLS13), client(pki, version=TLS13)):
        pair = join(context, tls)
        assert run(pair)["server"].kind == "psk-required"
        assert pair.server.psk_identity is None
    assert run(join(client(pki), tls)) == {}


def test_bypass_by_a_stale_identity(pki: Pki, join: Join) -> None:
    """Looked up for the first ClientHello, and gone when the handshake goes on without a key."""
    keys = Keys(dev1=KEY)
    tls = listener(pki, [], ["tlsv1.3"], keys=keys, tls13=True)
    context = client(pki, version=TLS13)
    pair = join(context, tls)
    pair.server.psk_asked = b"dev1"  # as if another identity had been asked for before
    keys.keys.clear()
    assert run(pair) == {}
    assert pair.server.handshake_complete
    assert pair.server.psk_identity is None


def test_a_store_that_breaks_refuses(pki: Pki, join: Join) -> None:
    class Broken(Keys):
        def key_for(self, identity: bytes) -> bytes | None:
            raise RuntimeError("the store is broken")

    for version in (TLS12, TLS13):
        tls = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"], keys=Broken(), tls13=True)
        pair = join(client(pki, version=version), tls)
        failed = run(pair)["server"]
        assert failed.kind == "internal"
        assert failed.cause == "an internal error: RuntimeError"
        assert not pair.server.handshake_complete


def test_without_pre_shared_keys_nothing_changes(pki: Pki, join: Join) -> None:
    tls = build_listener_tls(pki.options())
    pair = join(client(pki, version=TLS13), tls)
    assert run(pair) == {}
    assert (pair.server.psk_identity, pair.server.psk_asked) == (None, None)


def test_findings(pki: Pki) -> None:
    psk = PskAuthenticationOptions(enable=True)

    def found(ciphers: list[str], versions: list[str], **more: Any) -> list[str]:
        options = pki.options(more.pop("server", pki.rsa), ciphers=ciphers, versions=versions)
        findings = check_listener(options, "ssl", psk=more.get("psk", psk))
        return [f"{finding.path}: {finding.message}" for finding in findings]

    assert found(PLAIN, ["tlsv1.2"]) == []
    (slip,) = [line for line in found(PLAIN, ["tlsv1.3", "tlsv1.2"]) if "slip" in line]
    assert slip.startswith("ssl.versions: a client that speaks TLS 1.3 would slip past")
    on = PskAuthenticationOptions(enable=True, tls13=True)
    assert not [line for line in found(PLAIN, ["tlsv1.3", "tlsv1.2"], psk=on) if "slip" in line]
    (late,) = found([*WITH_RSA, *PLAIN], ["tlsv1.2"], server=pki.ec)
    assert "need an RSA key" in late
    assert "RSA-PSK-AES256-GCM-SHA384" in late
    (off,) = found(["PSK-AES128-CBC-SHA", "AES128-SHA"], ["tlsv1.2"], psk=None)
    assert "pre-shared keys are off" in off
    (gone,) = found(["RSA-PSK-RC4-SHA", *PLAIN], ["tlsv1.2"])
    assert gone.endswith("left out: RSA-PSK-RC4-SHA")


def test_a_channel_keeps_no_key(pki: Pki, join: Join) -> None:
    pair = join(client(pki), listener(pki, PLAIN))
    run(pair)
    values = [getattr(pair.server, name) for name in TLSChannel.__slots__]
    assert all(value != KEY for value in values)
    assert KEY.hex() not in repr(pair.server._listener)


def test_odd_keys_and_identities(pki: Pki, join: Join) -> None:
    keys = Keys(most=bytes(range(256)) * 2, over=bytes(513))
    keys.keys[b"x" * 250] = KEY
    keys.keys[b""] = KEY
    tls = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"], keys=keys, tls13=True)
    for version in (TLS12, TLS13):
        pair = join(client(pki, b"most", keys.keys[b"most"], version=version), tls)
        assert run(pair) == {}
        assert pair.server.psk_identity == b"most"
        failed = run(join(client(pki, b"over", bytes(32), version=version), tls))["server"]
        assert failed.kind in ("psk-unknown", "psk-required")
    for identity in (b"x" * 250, b"x" * 251):
        found = run(join(client(pki, identity), tls))
        kinds = [each.kind for name, each in found.items() if name == "server"]
        assert kinds == ([] if identity in keys.keys else ["psk-unknown"])


class Offer:
    """A TLS 1.3 client's own identity, of any bytes, and the binder that proves it."""

    def __init__(self, context: SSL.Context, identity: bytes, key: bytes, suite: bytes) -> None:
        ffi, lib = native._ffi, native._lib
        signature = "int(*)(SSL*, const EVP_MD*, const unsigned char**, size_t*, SSL_SESSION**)"
        self.identity = ffi.new("unsigned char[]", identity)

        def use(ssl: Any, _digest: Any, name: Any, size: Any, out: Any) -> int:
            session = lib.Cryptography_SSL_SESSION_new()
            assert lib.SSL_SESSION_set1_master_key(session, key, len(key))
            assert lib.SSL_SESSION_set_cipher(session, lib.SSL_CIPHER_find(ssl, suite))
            assert lib.SSL_SESSION_set_protocol_version(session, TLS13)
            name[0], size[0], out[0] = self.identity, len(identity), session
            return 1

        self.use = ffi.callback(signature, use, error=0)
        lib.SSL_CTX_set_psk_use_session_callback(context._context, self.use)


@pytest.mark.parametrize("identity", [b"dev1\0more", b"\xff\xfe", b"x" * 1024])
def test_tls13_identities_are_read_whole(pki: Pki, join: Join, identity: bytes) -> None:
    keys = Keys(dev1=KEY)
    tls = listener(pki, [], ["tlsv1.3"], keys=keys, tls13=True)
    for known in (False, True):
        if known:
            keys.keys[identity] = KEY
        context = pki.client_context(version=TLS13)
        offer = Offer(context, identity, KEY, b"\x13\x01")
        pair = join(context, tls)
        assert run(pair) == {}
        assert pair.server.psk_identity == (identity if known else None)
        # What is no text is taken for a ticket, of which the log is to say nothing.
        text = identity.isascii() and b"\0" not in identity
        assert pair.server.psk_asked == (identity if known or text else None)
        del offer


def test_tickets_of_any_length_are_no_identities(pki: Pki, join: Join) -> None:
    class Unasked(Keys):
        def key_for(self, identity: bytes) -> bytes | None:
            raise AssertionError("asked")

    context = pki.client_context(version=TLS13)
    offer = Offer(context, b"x" * 1025, KEY, b"\x13\x01")
    pair = join(context, listener(pki, [], ["tlsv1.3"], keys=Unasked(), tls13=True))
    assert run(pair) == {}
    assert (pair.server.psk_asked, pair.server.psk_identity) == (None, None)
    del offer


def test_bypass_by_two_identities(pki: Pki, join: Join) -> None:
    """OpenSSL offers a ticket first, then its key: only the one that was used counts."""
    keys = Keys(dev1=KEY, dev2=bytes(32))
    asked: list[bytes] = []

    class Watched(Keys):
        def key_for(self, identity: bytes) -> bytes | None:
            asked.append(identity)
            return keys.key_for(identity)

    tls = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"], keys=Watched(), tls13=True)
    context = client(pki, b"dev2", bytes(32), version=TLS13)
    first = join(context, tls)
    assert run(first) == {}
    assert first.server.psk_identity == b"dev2"
    session = first.client._connection.get_session()
    assert session is not None
    for key in (KEY, bytes(32)):
        asked.clear()
        native.offer_psk(context, b"dev1", key)
        pair = join(context, tls)
        pair.client._connection.set_session(session)
        failed = run(pair).get("server")
        # The ticket of dev2, which nobody kept, and then the key of this client.
        assert len(asked) == 2
        assert asked[1] == b"dev1"
        assert pair.server.psk_identity == (b"dev1" if key == KEY else None)
        assert (failed and failed.kind) == (None if key == KEY else "psk-wrong-key")


def test_hidden_identities_refuse_nobody_with_a_ticket_or_certificate(
    pki: Pki, join: Join
) -> None:
    both = listener(pki, [], ["tlsv1.3"], tls13=True, hide_identities=True)
    only = listener(pki, PLAIN, ["tlsv1.3", "tlsv1.2"], tls13=True, hide_identities=True)
    pair = join(client(pki, b"nobody", version=TLS13), both)
    assert run(pair) == {}  # goes on with the certificate
    assert pair.server.psk_identity is None
    unknown = run(join(client(pki, b"nobody", version=TLS13), only))["server"]
    wrong = run(join(client(pki, key=bytes(32), version=TLS13), only))["server"]
    assert (unknown.kind, wrong.kind) == ("psk-unknown", "psk-wrong-key")
    assert unknown.alert_number == wrong.alert_number == 51
    for tls in (both, only):
        context = client(pki, version=TLS13)
        first = join(context, tls)
        assert run(first) == {}
        again = join(context, tls)
        session = first.client._connection.get_session()
        assert session is not None
        again.client._connection.set_session(session)
        assert run(again) == {}
        assert again.server.psk_identity == b"dev1"


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_other_failures_are_not_blamed_on_the_key(
    pki: Pki, join: Join, make_cert_pem: Callable[..., str], version: int
) -> None:
    options = pki.options(
        pki.rsa,
        ciphers=["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
        verify="verify_peer",
        cacertfile=make_cert_pem(pki.root.cert),
    )
    psk = PskAuthenticationOptions(enable=True, tls13=True)
    tls = build_listener_tls(options, psk=Keys(dev1=KEY), psk_options=psk)
    failed = run(join(client(pki, b"nobody", version=version), tls))["server"]
    assert failed.kind == "no-certificate"


def test_only_pre_shared_keys_stays_so_for_every_version(pki: Pki, join: Join) -> None:
    tls = listener(pki, PLAIN, ["tlsv1.3"], tls13=True)
    assert tls.psk_only
    assert run(join(pki.client_context(version=TLS13), tls))["server"].kind == "psk-required"
    assert run(join(client(pki, version=TLS13), tls)) == {}
    tls = listener(pki, ["TLS_AES_256_GCM_SHA384", *PLAIN], ["tlsv1.3", "tlsv1.2"], tls13=True)
    pair = join(client(pki, version=TLS13), tls)
    assert run(pair) == {}
    assert pair.server.psk_identity == b"dev1"


def test_rsa_psk_where_certificates_are_demanded(
    pki: Pki, make_cert_pem: Callable[..., str]
) -> None:
    psk = PskAuthenticationOptions(enable=True)
    for suites, severity in ((WITH_RSA, "error"), ([*WITH_RSA, *PLAIN], "warning")):
        options = pki.options(
            pki.rsa,
            ciphers=suites,
            versions=["tlsv1.2"],
            verify="verify_peer",
            cacertfile=make_cert_pem(pki.root.cert),
        )
        (finding,) = check_listener(options, "ssl", psk=psk)
        assert (finding.severity, finding.path) == (severity, "ssl.fail_if_no_peer_cert")
