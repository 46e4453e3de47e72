"""Which peers the access rules of a listener let in."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.config.access_rules import parse_access_rules as parse_option
from mqttd.config.errors import InvalidValue
from mqttd.net.access_rules import parse_access_rules


@pytest.mark.parametrize(
    ("rules", "host", "allowed"),
    [
        (["allow all"], "192.0.2.1", True),
        (["Allow ALL"], "192.0.2.1", True),
        (["allow all"], "2001:db8::1", True),
        (["deny all"], "192.0.2.1", False),
        ([], "192.0.2.1", False),
        (["allow 10.0.0.0/8"], "10.255.255.255", True),
        (["allow 10.0.0.0/8"], "11.0.0.0", False),  # none matches: deny
        (["allow 10.0.0.0/8"], "::a00:1", False),
        (["deny 10.0.0.1", "allow 10.0.0.0/8"], "10.0.0.1", False),  # the first match decides
        (["deny 10.0.0.1", "allow 10.0.0.0/8"], "10.0.0.2", True),
        (["allow 10.0.0.0/8", "deny 10.0.0.1"], "10.0.0.1", True),
        (["deny 10.0.0.1, allow 10.0.0.0/8 ,deny all"], "10.0.0.2", True),
        (["deny 10.0.0.1,allow all"], "10.0.0.1", False),
        (["  allow \t 10.0.0.1  "], "10.0.0.1", True),
        (["allow 0.0.0.0/0"], "255.255.255.255", True),
        (["allow 0.0.0.0/0"], "::1", False),
        (["allow ::/0"], "::1", True),
        (["allow ::/0"], "10.0.0.1", False),
        (["allow ::/0"], "::ffff:10.0.0.1", False),
        (["allow 2001:db8::/32"], "2001:db8:ffff::1", True),
        (["allow 2001:db8::/32"], "2001:db9::1", False),
        (["allow 2001:DB8:0:0::1"], "2001:db8::1", True),
        (["allow 10.0.0.0/8"], "::ffff:10.0.0.1", True),  # a dual-stack socket's IPv4 peer
        (["allow 10.0.0.0/8"], "::ffff:a00:1", True),
        (["deny 10.0.0.1", "allow all"], "::ffff:10.0.0.1", False),
        (["allow ::ffff:10.0.0.0/104"], "10.1.2.3", True),
        (["allow ::ffff:10.0.0.1"], "::ffff:10.0.0.1", True),
        (["allow ::ffff:10.0.0.1"], "10.0.0.2", False),
        (["allow fe80::/10"], "fe80::1%eth0", True),
        (["allow all"], "", False),
        (["allow all"], "/run/client.sock", False),
        (["allow all"], "localhost", False),
        (["allow 10.1.2.3/8"], "10.200.0.1", True),  # host bits are masked
    ],
)
def test_decision(rules: list[str], host: str, allowed: bool) -> None:
    assert parse_access_rules(rules).allows(host) is allowed


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "allow",
        "all",
        "permit all",
        "allow all all",
        "allow 10.0.0.0/8 10.0.0.1",
        "allow 10.0.0.0/33",
        "allow ::/129",
        "allow 10.0.0.0/",
        "allow 10.0.0.0/-1",
        "allow 10.0.0.0/+8",
        "allow 10.0.0.0/0255",
        "allow 10.0.0.0/255.0.0.0",
        "allow 10.0.0.0/0.255.255.255",
        "allow 10.0.0/8",
        "allow 10.0.0.256",
        "allow 010.0.0.1",
        "allow example.com",
        "allow fe80::1%eth0",
        "allow 10.0.0.1,",
        "allow 10.0.0.1;deny all",
    ],
)
def test_bad_rules_are_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="invalid access rule"):
        parse_access_rules([rule])


def test_all_bad_rules_are_named() -> None:
    with pytest.raises(ValueError, match="invalid") as caught:
        parse_access_rules(["allow 10.0.0.1, alow all", "deny 1.2.3.4/40", "deny all"])
    assert str(caught.value) == (
        'invalid access rule: "alow all" does not begin with allow or deny;'
        ' "deny 1.2.3.4/40" has a prefix length over 32'
    )


def test_notices() -> None:
    assert parse_access_rules(["allow 10.0.0.0/8", "deny all"]).notices == ()
    assert parse_access_rules(["allow 10.0.0.1/8, deny all", "allow ::1"]).notices == (
        'access rule "allow 10.0.0.1/8": host bits are set, it means 10.0.0.0/8',
        'access rule "allow ::1" is never reached: "deny all" stands before it',
    )


@given(
    st.lists(st.tuples(st.booleans(), st.ip_addresses(v=4), st.integers(0, 32)), max_size=5),
    st.ip_addresses(v=4),
)
def test_decision_beside_ipaddress(
    rules: list[tuple[bool, ipaddress.IPv4Address, int]], peer: ipaddress.IPv4Address
) -> None:
    texts = [
        f"{'allow' if allow else 'deny'} {address}/{prefix}" for allow, address, prefix in rules
    ]
    expected = next(
        (
            allow
            for allow, address, prefix in rules
            if peer in ipaddress.ip_network((address, prefix), strict=False)
        ),
        False,
    )
    parsed = parse_access_rules(texts)
    assert parsed.allows(str(peer)) is expected
    assert parsed.allows(f"::ffff:{peer}") is expected


def test_the_configuration_bounds_the_number_of_rules() -> None:
    assert len(parse_option(["deny 10.0.0.1"] * 10_000)) == 10_000
    with pytest.raises(InvalidValue, match="more than 10000"):
        parse_option("deny 10.0.0.1," * 10_000 + "allow all")
