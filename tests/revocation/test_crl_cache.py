"""Lists of distribution points: fetched from a real server that is right, down, slow or lying."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import ensureDeferred

from mqttd.interfaces import STATUS_GOOD

HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_miss_is_asked_for_and_then_known(
    crl_world: Any, crl_server: Any, crl_ca: Any, log_lines: Any, encoding: Encoding
) -> None:
    good = crl_ca.chain(crl_server.url())
    bad = crl_ca.chain(crl_server.url(), name="bad")
    crl_server.pages["/ca.crl"] = crl_ca.crl(bad[0], encoding=encoding)
    checker = crl_world.checker()
    assert checker.known(good) is None
    assert crl_world.check(checker, good) == STATUS_GOOD
    assert checker.known(good) == STATUS_GOOD
    status = checker.known(bad)
    assert (status.outcome, status.cause) == ("revoked", "revoked")
    assert "keyCompromise" in status.text
    assert crl_server.url() in status.text
    assert str(datetime.datetime.now(datetime.UTC).year) in status.text
    assert crl_server.asked == ["/ca.crl"]
    assert any("fetched" in line and crl_server.url() in line for line in log_lines)


def test_one_fetch_serves_all_who_wait(crl_world: Any, crl_server: Any, crl_ca: Any) -> None:
    chains = [crl_ca.chain(crl_server.url(), name=f"d{n}") for n in range(50)]
    crl_server.pages["/ca.crl"] = crl_ca.crl(chains[7][0])
    crl_server.open.clear()
    checker = crl_world.checker()
    waiting = [ensureDeferred(checker.check(chain)) for chain in chains]
    crl_world.loop.until(lambda: bool(crl_server.asked))
    assert checker.list()[0].waiting == 50
    crl_server.open.set()
    outcomes = [crl_world.loop.wait(each).outcome for each in waiting]
    assert outcomes == ["good"] * 7 + ["revoked"] + ["good"] * 42
    assert crl_server.asked == ["/ca.crl"]


def _redirects(handler: Any) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _other_list(ca: Any, other: Any) -> Any:
    return other.crl()


LIES: dict[str, tuple[Any, str]] = {
    "status": (lambda ca, other: (404, b"no"), "crl-unreachable"),
    "a page": (lambda ca, other: b"<html>please log in</html>", "crl-garbage"),
    "nothing": (lambda ca, other: b"", "crl-garbage"),
    "broken PEM": (lambda ca, other: b"-----BEGIN X509 CRL-----\n!!!", "crl-garbage"),
    "another issuer": (lambda ca, other: other.crl(), "crl-bad-issuer"),
    "forged": (
        lambda ca, other: ca.crl(key=other.authority.key),
        "crl-bad-signature",
    ),
    "expired": (lambda ca, other: ca.crl(update=NOW - 2 * HOUR), "crl-expired"),
    "too early": (lambda ca, other: ca.crl(update=NOW + 2 * HOUR), "crl-not-yet-valid"),
    "too large": (lambda ca, other: ca.crl(*range(1, 400)), "crl-too-large"),
    "redirects": (lambda ca, other: _redirects, "crl-unreachable"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_server_is_named_and_not_asked_at_once_again(
    crl_world: Any, crl_server: Any, crl_ca: Any, make_crl_ca: Any, log_lines: Any, lie: str
) -> None:
    page, cause = LIES[lie]
    crl_server.pages["/ca.crl"] = page(crl_ca, make_crl_ca())
    chain = crl_ca.chain(crl_server.url())
    checker = crl_world.checker(max_size=8000)
    status = crl_world.check(checker, chain)
    assert (status.outcome, status.cause, status.allow) == ("unknown", cause, False)
    assert crl_server.url() in status.text
    asked = len(crl_server.asked)
    # the next client is answered at once
    assert checker.known(chain) == status
    assert crl_world.check(checker, chain) == status
    assert len(crl_server.asked) == asked
    assert len([line for line in log_lines if "cannot be had" in line]) == 1


def test_a_server_that_is_down_and_comes_back(
    crl_world: Any, crl_server: Any, make_crl_server: Any, crl_ca: Any, log_lines: Any
) -> None:
    chain = crl_ca.chain(crl_server.url())
    crl_server.stop()
    checker = crl_world.checker(on_unavailable="allow")
    status = crl_world.check(checker, chain)
    assert (status.cause, status.allow) == ("crl-unreachable", True)
    back = make_crl_server(crl_server.port)
    back.pages["/ca.crl"] = crl_ca.crl()
    crl_world.clock.advance(5.0)
    crl_world.loop.until(lambda: checker.known(chain) == STATUS_GOOD)
    assert any("is there again" in line for line in log_lines)


def test_a_slow_server_is_a_timeout(crl_world: Any, crl_server: Any, crl_ca: Any) -> None:
    crl_server.open.clear()
    checker = crl_world.checker(http_timeout=0.2)
    status = crl_world.check(checker, crl_ca.chain(crl_server.url()))
    assert (status.outcome, status.cause) == ("unknown", "crl-timeout")


def test_addresses_are_tried_in_order_and_ldap_is_passed_over(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    chain = crl_ca.chain(
        "ldap://localhost/cn=x", crl_server.url("/missing"), crl_server.url("/there")
    )
    crl_server.pages["/there"] = crl_ca.crl(chain[0])
    checker = crl_world.checker()
    assert crl_world.check(checker, chain).outcome == "revoked"
    assert crl_server.asked == ["/missing", "/there"]
    assert checker.known(chain).outcome == "revoked"


def test_an_address_that_hangs_holds_up_only_the_first(
    crl_world: Any, crl_server: Any, make_crl_server: Any, crl_ca: Any
) -> None:
    there = make_crl_server()
    chain = crl_ca.chain(crl_server.url(), there.url())
    there.pages["/ca.crl"] = crl_ca.crl()
    crl_server.open.clear()
    checker = crl_world.checker(http_timeout=0.2)
    assert crl_world.check(checker, chain) == STATUS_GOOD
    crl_world.clock.advance(5.0)
    crl_world.loop.until(lambda: len(crl_server.asked) == 2)
    # while it is tried again
    assert checker.known(chain) == STATUS_GOOD


def test_a_cache_too_small_for_the_addresses_of_one_certificate(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    chain = crl_ca.chain(crl_server.url("/missing"), crl_server.url("/there"))
    crl_server.pages["/there"] = crl_ca.crl()
    checker = crl_world.checker(capacity=1, on_missing_distribution_point="allow")
    assert crl_world.check(checker, chain) == STATUS_GOOD
    crl_server.pages["/there"] = crl_ca.crl(chain[0])
    crl_world.loop.wait(checker.refresh())
    assert crl_world.check(checker, chain).outcome == "revoked"


def test_what_cannot_be_had_is_not_what_is_missing(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    """Who allows certificates without distribution point allows no others."""
    chain = crl_ca.chain(crl_server.url("/missing"), crl_server.url("/gone"))
    checker = crl_world.checker(on_missing_distribution_point="allow")
    for _ in range(3):
        status = crl_world.check(checker, chain)
        assert (status.cause, status.allow) == ("crl-unreachable", False)
        crl_world.clock.advance(4.0)
        known = checker.known(chain)
        assert known is None or known == status


@pytest.mark.parametrize("allow", ["deny", "allow"])
def test_no_distribution_point(crl_world: Any, crl_ca: Any, allow: str) -> None:
    checker = crl_world.checker(on_missing_distribution_point=allow)
    for chain in (crl_ca.chain(), crl_ca.chain("ldap://localhost/cn=x")):
        status = checker.known(chain)
        assert (status.cause, status.allow) == ("no-distribution-point", allow == "allow")


def test_a_revocation_appears_at_refresh(crl_world: Any, crl_server: Any, crl_ca: Any) -> None:
    chain = crl_ca.chain(crl_server.url())
    crl_server.pages["/ca.crl"] = crl_ca.crl()
    checker = crl_world.checker(refresh_interval=60.0)
    assert crl_world.check(checker, chain) == STATUS_GOOD
    crl_world.changes = 0
    crl_world.clock.advance(60.0)
    crl_world.loop.until(lambda: checker.list()[0].age == 0.0)
    assert crl_world.changes == 0  # as before
    crl_server.pages["/ca.crl"] = crl_ca.crl(chain[0])
    crl_world.clock.advance(60.0)
    crl_world.loop.until(lambda: crl_world.changes == 1)
    assert checker.known(chain).outcome == "revoked"


def test_an_older_list_cannot_undo_a_revocation(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    chain = crl_ca.chain(crl_server.url())
    crl_server.pages["/ca.crl"] = crl_ca.crl(chain[0])
    checker = crl_world.checker()
    assert crl_world.check(checker, chain).outcome == "revoked"
    crl_server.pages["/ca.crl"] = crl_ca.crl(update=NOW - HOUR / 2)
    status = crl_world.loop.wait(checker.refresh())[0]
    assert status.error.startswith("crl-older")
    assert checker.known(chain).outcome == "revoked"
    # one that ends later does no harm once ours has ended
    crl_server.pages["/ca.crl"] = crl_ca.crl(update=NOW - HOUR / 2, end=NOW + 9 * HOUR)
    crl_world.clock.advance(2 * 3600.0)
    crl_world.loop.until(lambda: checker.known(chain) == STATUS_GOOD)


def test_a_list_is_used_on_while_it_cannot_be_fetched_but_not_for_ever(
    crl_world: Any, crl_server: Any, crl_ca: Any, log_lines: Any
) -> None:
    chain = crl_ca.chain(crl_server.url())
    crl_server.pages["/ca.crl"] = crl_ca.crl()
    checker = crl_world.checker(failure_threshold=100.0, refresh_interval=1800.0)
    assert crl_world.check(checker, chain) == STATUS_GOOD
    crl_world.changes = 0
    crl_server.pages.clear()
    crl_world.clock.advance(1800.0)
    crl_world.loop.until(lambda: checker.list()[0].error != "")
    assert any("is used until" in line for line in log_lines)
    assert checker.known(chain) == STATUS_GOOD
    crl_world.clock.advance(1800.0 + 90)
    assert checker.known(chain) == STATUS_GOOD
    assert crl_world.changes == 0
    crl_world.clock.advance(20.0)
    assert crl_world.changes == 1
    assert any("no longer used" in line for line in log_lines)
    status = crl_world.check(checker, chain)
    assert (status.outcome, status.cause) == ("unknown", "crl-unreachable")


def test_the_list_that_was_not_used_for_longest_makes_room(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    chains = []
    for name in "abc":
        crl_server.pages[f"/{name}"] = crl_ca.crl()
        chains.append(crl_ca.chain(crl_server.url(f"/{name}")))
    checker = crl_world.checker(capacity=2, disk=True)
    crl_world.check(checker, chains[0])
    crl_world.check(checker, chains[1])
    assert checker.known(chains[0]) == STATUS_GOOD  # used again
    crl_world.check(checker, chains[2])
    assert checker.known(chains[1]) is None
    assert [each.source[-2:] for each in checker.list()] == ["/a", "/c"]
    folder = crl_world.folder / "data/crl"
    crl_world.loop.until(lambda: len(list(folder.glob("*.crl"))) == 2)


def test_two_authorities_of_one_address_are_kept_apart(
    crl_world: Any, crl_server: Any, crl_ca: Any, make_crl_ca: Any
) -> None:
    twin = make_crl_ca("CRL Root")
    crl_server.pages["/ca.crl"] = crl_ca.crl()
    checker = crl_world.checker()
    assert crl_world.check(checker, crl_ca.chain(crl_server.url())) == STATUS_GOOD
    status = crl_world.check(checker, twin.chain(crl_server.url()))
    assert status.outcome == "unknown"
    assert status.cause == "crl-bad-signature"


def test_the_chain_is_looked_up_when_asked_to(
    crl_world: Any, crl_server: Any, crl_ca: Any, make_crl_ca: Any
) -> None:
    from cryptography import x509

    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(crl_server.url("/root"))], None, None, None
    )
    middle = crl_ca.authority.issue("Middle", ca=True, extra=[x509.CRLDistributionPoints([point])])
    below = type(crl_ca)(middle)
    chain = below.chain(crl_server.url("/middle"))
    crl_server.pages["/middle"] = below.crl()
    crl_server.pages["/root"] = crl_ca.crl(middle.cert)
    assert crl_world.check(crl_world.checker(), chain) == STATUS_GOOD
    status = crl_world.check(crl_world.checker(check="chain"), chain)
    assert (status.outcome, status.cause) == ("revoked", "revoked")
    assert "CN=Middle" in status.text
