"""Limits by address and by identity, back-off and bans, as listeners and the broker ask."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mqttd.abuse.banned import parse_ban
from mqttd.abuse.guard import Visit
from mqttd.config.types import Rate
from mqttd.identity import Identity, PeerCertificate, Refused
from mqttd.packets.reason_codes import ReasonCode

BANNED, TOO_OFTEN, QUOTA = 0x8A, 0x9F, 0x97
WRONG = 0x86


def certificate(serial: int) -> PeerCertificate:
    return PeerCertificate(
        der=b"",
        pem="",
        common_name="dev",
        subject="CN=dev",
        issuer="CN=ca",
        serial=serial,
        not_before=0.0,
        not_after=0.0,
    )


def test_by_default_a_thousand_devices_behind_one_address_are_welcome(
    bench: Callable[..., Any],
) -> None:
    guard = bench()
    assert all(isinstance(guard.enter(tls=True), Visit) for _ in range(1000))
    assert all(guard.admit(guard.request("device", client_id=str(n))) == 0 for n in range(1000))


def test_connections_of_an_address(bench: Callable[..., Any]) -> None:
    guard = bench(per_address={"max_connections": 2})
    first, second = guard.enter(), guard.enter()
    assert guard.enter() == "address-connections"
    assert isinstance(guard.enter("192.0.2.8"), Visit)
    guard.guard.leave(first)
    guard.guard.leave(first)  # twice does no harm
    assert isinstance(guard.enter(), Visit)
    assert guard.enter() == "address-connections"
    assert isinstance(second, Visit)


def test_a_network_of_ipv6_is_one_address(bench: Callable[..., Any]) -> None:
    guard = bench(per_address={"max_connections": 1})
    assert isinstance(guard.enter("2001:db8:0:1::1"), Visit)
    assert guard.enter("2001:db8:0:1:ffff::9") == "address-connections"
    assert isinstance(guard.enter("2001:db8:0:2::1"), Visit)


def test_connections_in_a_time(bench: Callable[..., Any]) -> None:
    guard = bench(per_address={"conn_rate": Rate(2, 1.0), "conn_burst": Rate(1, 60.0)})
    results = [guard.enter() for _ in range(4)]
    assert results[3] == "address-rate"
    assert all(isinstance(each, Visit) for each in results[:3])
    guard.now += 0.5
    assert isinstance(guard.enter(), Visit)
    assert guard.enter() == "address-rate"


def test_handshakes_count_until_they_are_done(bench: Callable[..., Any]) -> None:
    guard = bench(per_address={"max_handshakes": 1})
    first = guard.enter(tls=True)
    assert guard.enter(tls=True) == "address-handshakes"
    assert isinstance(guard.enter(), Visit)
    guard.guard.handshake_done(first)
    second = guard.enter(tls=True)
    assert isinstance(second, Visit)
    guard.guard.leave(second)
    assert isinstance(guard.enter(tls=True), Visit)


def test_handshakes_in_a_time(bench: Callable[..., Any]) -> None:
    guard = bench(per_address={"handshake_rate": Rate(1, 10.0)})
    assert isinstance(guard.enter(tls=True), Visit)
    assert guard.enter(tls=True) == "handshake-rate"
    assert isinstance(guard.enter(), Visit)
    guard.now += 10
    assert isinstance(guard.enter(tls=True), Visit)


def test_exempt_addresses(bench: Callable[..., Any]) -> None:
    limits = {"max_connections": 1}
    guard = bench(per_address=limits, exempt=["192.0.2.0/24"])
    assert all(isinstance(guard.enter(), Visit) for _ in range(3))
    guard.configure(per_address=limits, exempt=[])
    assert isinstance(guard.enter(), Visit)
    assert guard.enter() == "address-connections"


def test_an_old_password_keeps_out_one_name_at_one_address(bench: Callable[..., Any]) -> None:
    guard = bench(failed_auth={"max_count": 3, "backoff": 5.0})
    assert [guard.fail() for _ in range(5)] == [WRONG, WRONG, WRONG, TOO_OFTEN, TOO_OFTEN]
    assert guard.admit(guard.request("other")) == 0
    assert guard.admit(guard.request("u", "192.0.2.8")) == 0
    assert isinstance(guard.enter(), Visit)
    guard.now += 5.1
    assert guard.fail() == WRONG  # asked again; and now the back-off is twice as long
    guard.now += 5.1
    assert guard.admit(guard.request()) == TOO_OFTEN
    guard.now += 5
    assert guard.admit(guard.request()) == 0
    assert [guard.fail() for _ in range(3)] == [WRONG] * 3
    assert guard.bans == []


def test_that_nobody_could_be_asked_is_no_failure(bench: Callable[..., Any]) -> None:
    guard = bench(failed_auth={"max_count": 1})
    down = Refused(ReasonCode.SERVER_UNAVAILABLE, "down")
    assert [guard.admit(guard.request(), down) for _ in range(5)] == [0x88] * 5


def test_an_address_that_goes_on_is_banned(bench: Callable[..., Any]) -> None:
    options = {"address_max_count": 5, "max_count": 100, "backoff": 2.0, "ban_after": 2}
    guard = bench(failed_auth=options)
    for number in range(5):
        assert isinstance(guard.enter("2001:db8::1"), Visit)
        assert guard.fail(f"name-{number}", "2001:db8::1") == WRONG
    assert guard.enter("2001:db8::ffff") == "auth-backoff"
    guard.now += 2.1
    assert isinstance(guard.enter("2001:db8::1"), Visit)
    guard.fail("again", "2001:db8::1")
    guard.now += 4.1
    guard.fail("again", "2001:db8::1")
    assert guard.enter("2001:db8::7") == "banned"
    (ban,) = guard.bans
    assert (ban.kind, ban.who, ban.by) == (
        "peerhost_net",
        "2001:db8::/64",
        "failed authentication",
    )
    guard.now += 3600
    assert isinstance(guard.enter("2001:db8::1"), Visit)


def test_bad_proofs_in_handshakes_count_for_the_address(bench: Callable[..., Any]) -> None:
    guard = bench(failed_auth={"address_max_count": 2})
    guard.guard.handshake_failed("192.0.2.7")
    assert isinstance(guard.enter(), Visit)
    guard.guard.handshake_failed("192.0.2.7")
    assert guard.enter() == "auth-backoff"


def test_who_is_banned_by_name_is_refused_before_anybody_is_asked(
    bench: Callable[..., Any],
) -> None:
    guard = bench()
    for kind, who in (("clientid", "pump"), ("username", "bob")):
        guard.guard.bans.add(parse_ban({"as": kind, "who": who}, 0.0), 0.0)
    assert guard.guard.before(guard.request(client_id="pump")).reason_code == BANNED
    assert guard.admit(guard.request("bob")) == BANNED
    assert guard.admit(guard.request("alice")) == 0
    assert guard.guard.refused == {"banned": 2}


def test_who_turns_out_to_be_banned(bench: Callable[..., Any]) -> None:
    guard = bench()
    guard.guard.bans.add(parse_ban({"as": "username", "who": "bob"}, 0.0), 0.0)
    assert guard.admit(guard.request(None), Identity(username="bob")) == BANNED


@pytest.mark.parametrize(
    ("identity", "different"),
    [
        ("username", {"name": "v"}),
        ("clientid", {"client_id": "d"}),
        ("certificate", {"certificate": certificate(2)}),
        ("psk_identity", {"psk_identity": b"other"}),
        ("auto", {"psk_identity": b"other"}),
    ],
)
def test_connections_of_an_identity(
    bench: Callable[..., Any], identity: str, different: dict[str, Any]
) -> None:
    guard = bench(per_identity={"identity": identity, "max_connections": 2})
    given: dict[str, Any] = {"certificate": certificate(1), "psk_identity": b"one"}
    names = [{"client_id": each} for each in "abc"] if identity != "clientid" else [{}] * 3
    requests = [guard.request(**{**given, **name}) for name in names]
    expected = [0, 0, QUOTA] if identity != "clientid" else [0, 0, 0]
    assert [guard.admit(each) for each in requests] == expected
    assert guard.admit(guard.request(**{**given, **different})) == 0
    guard.gone(requests[0])
    guard.guard.ended(requests[0].peer)  # once more does no harm
    if identity != "clientid":
        assert guard.admit(requests[2]) == 0


def test_who_takes_over_its_own_session_is_not_one_more(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"max_connections": 1})
    old, new = guard.request(), guard.request()
    assert [guard.admit(each) for each in (old, new)] == [0, 0]
    assert guard.admit(guard.request(client_id="d")) == QUOTA
    guard.gone(old)
    assert guard.admit(guard.request(client_id="d")) == QUOTA
    guard.gone(new)
    assert guard.admit(guard.request(client_id="d")) == 0
    assert guard.excess == []


def test_who_proves_itself_anew_is_counted_once(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"max_connections": 1, "conn_rate": Rate(1, 60.0)})
    request = guard.request()
    assert [guard.admit(request) for _ in range(3)] == [0, 0, 0]


def test_an_answer_for_a_client_that_is_gone_takes_no_place(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"max_connections": 1})
    gone = guard.request(client_id="gone")
    guard.guard.ended(gone.peer)
    assert isinstance(guard.guard.judged(gone, Identity()), Identity)
    assert guard.admit(guard.request()) == 0


def test_several_let_in_at_once_are_not_too_many_for_long(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"max_connections": 2})
    requests = [guard.request(client_id=each) for each in "abcd"]
    for each in requests:
        assert isinstance(guard.guard.judged(each, Identity()), Identity)
    for each in requests:
        guard.connected(each, Identity())
    assert [connection.client_id for connection in guard.excess] == ["c", "d"]


def test_clients_without_the_identity_are_not_limited(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"identity": "certificate", "max_connections": 1})
    assert [guard.admit(guard.request(client_id=each)) for each in "abc"] == [0, 0, 0]


def test_an_identity_in_a_time(bench: Callable[..., Any]) -> None:
    guard = bench(per_identity={"conn_rate": Rate(1, 60.0)})
    assert [guard.admit(guard.request()) for _ in range(2)] == [0, TOO_OFTEN]
    guard.now += 60
    assert guard.admit(guard.request()) == 0


def gone(guard: Any, ended: str = "lost", host: str = "192.0.2.7") -> None:
    connection = SimpleNamespace(
        ended=ended,
        peer=SimpleNamespace(peer=(host, 1)),
        session_key="tenant\0pump",
        client_id="pump",
    )
    guard.guard.disconnected(connection)


def test_flapping_is_off_unless_asked_for(bench: Callable[..., Any]) -> None:
    guard = bench()
    for _ in range(100):
        gone(guard)
    assert guard.bans == []


def test_a_client_that_flaps_is_banned_for_a_while(bench: Callable[..., Any]) -> None:
    guard = bench(flapping_detect={"enable": True, "max_count": 3, "ban_time": 60.0})
    for _ in range(3):
        gone(guard)
        gone(guard, "administrative_action")
        gone(guard, host="127.0.0.1")
    assert guard.bans == []
    gone(guard, "session_taken_over")
    assert [(ban.kind, ban.who, ban.by) for ban in guard.bans] == [
        ("clientid", "pump", "flapping detector")
    ]
    assert guard.admit(guard.request(client_id="pump")) == BANNED
    guard.now += 60
    assert guard.admit(guard.request(client_id="pump")) == 0


def test_a_name_too_long_for_the_list_is_no_error(bench: Callable[..., Any]) -> None:
    guard = bench(flapping_detect={"enable": True, "max_count": 1})
    connection = SimpleNamespace(
        ended="lost",
        peer=SimpleNamespace(peer=("192.0.2.7", 1)),
        session_key="x" * 60_000,
        client_id="x" * 60_000,
    )
    guard.guard.disconnected(connection)
    guard.guard.disconnected(connection)
    assert guard.bans == []


def test_other_limits_keep_what_was_counted(bench: Callable[..., Any]) -> None:
    guard = bench(failed_auth={"max_count": 1, "backoff": 50.0})
    guard.fail()
    visit = guard.enter()
    guard.configure(
        failed_auth={"max_count": 1, "backoff": 50.0}, per_address={"max_connections": 1}
    )
    assert guard.admit(guard.request()) == TOO_OFTEN
    assert guard.enter() == "address-connections"
    guard.guard.leave(visit)
    guard.configure(failed_auth={"enable": False})
    assert guard.admit(guard.request()) == 0


def test_tables_are_bounded(bench: Callable[..., Any]) -> None:
    guard = bench(
        max_tracked=100,
        per_address={"conn_rate": Rate(1, 1.0)},
        failed_auth={"address_max_count": 2},
        flapping_detect={"enable": True},
    )
    for number in range(1000):
        host = f"10.0.{number >> 8}.{number & 255}"
        guard.guard.leave(guard.enter(host))
        guard.fail("n" * 1000 + str(number), host)
        gone(guard, host=host)
    inner = guard.guard
    assert len(inner._rates._buckets) == 100
    assert len(inner._by_name.table) == 100
    assert len(inner._by_address.table) == 100
    assert len(inner._open) == 0
