"""Whether a chain that was good once is good under what a listener trusts now."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mqttd.tls.trust_store import still_trusts

HOUR = datetime.timedelta(hours=1)


def chain(issued: Any) -> tuple[Any, ...]:
    return (issued.cert, *issued.issuers)


def test_the_same_authorities(pki: Any) -> None:
    server = pki.mutual()
    assert still_trusts(server, chain(pki.client_ec))
    assert still_trusts(server, chain(pki.intermediate.client("chained")))


def test_another_authority_beside_the_first(pki: Any, make_cert_pem: Any) -> None:
    both = pki.mutual(cacertfile=make_cert_pem(pki.other_root.cert, pki.root.cert))
    assert still_trusts(both, chain(pki.client_ec))
    assert still_trusts(both, chain(pki.stranger))


def test_an_authority_that_is_gone(pki: Any) -> None:
    server = pki.mutual()
    # It stands in the chain, and is not trusted for that.
    assert chain(pki.stranger)[-1] == pki.other_root.cert
    assert not still_trusts(server, chain(pki.stranger))


def test_an_authority_of_the_same_name_with_another_key(
    pki: Any, make_root: Any, make_cert_pem: Any
) -> None:
    other = make_root("Test Root")
    server = pki.mutual(cacertfile=make_cert_pem(other.cert))
    assert not still_trusts(server, chain(pki.client_ec))
    assert still_trusts(server, chain(other.client("new")))


def test_an_authority_issued_anew_with_the_same_key(
    pki: Any, make_root: Any, make_cert_pem: Any
) -> None:
    renewed = make_root("Test Root", key=pki.root.key)
    server = pki.mutual(cacertfile=make_cert_pem(renewed.cert))
    assert renewed.cert != pki.root.cert
    assert still_trusts(server, chain(pki.client_ec))


@pytest.mark.parametrize("partial", ["false", "true"])
def test_an_intermediate_as_authority(pki: Any, make_cert_pem: Any, partial: str) -> None:
    server = pki.mutual(cacertfile=make_cert_pem(pki.intermediate.cert), partial_chain=partial)
    known = still_trusts(server, chain(pki.intermediate.client("chained")))
    assert known is (partial == "true")
    assert not still_trusts(server, chain(pki.client_ec))


def test_what_has_expired(pki: Any) -> None:
    end = datetime.datetime.now(datetime.UTC) - HOUR
    assert not still_trusts(pki.mutual(), chain(pki.root.client("old", end=end)))


def test_a_server_that_asks_for_nothing_takes_nothing_back(pki: Any) -> None:
    assert still_trusts(pki.server_context(), chain(pki.stranger))
    assert still_trusts(pki.mutual(), ())
