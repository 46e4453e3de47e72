"""Pre-shared keys: every suite, both alerts, and nobody who gets past them by TLS 1.3."""

from __future__ import annotations

import contextlib
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


def test_the_key_length_and_odd_identities(pki: Pki, join: Join) -> None:
    keys = Keys(dev1=bytes(512), long=KEY)
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

    pair = join(client(pki), listener(pki, PLAIN, keys=Broken()))
    with contextlib.suppress(RuntimeError):
        assert "server" in run(pair)
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
