"""Which peers count as one, and tables that stay bounded."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.abuse.addresses import BoundedTable, Networks, group_of, parse_network


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no address", "no address"),
        ("no:address", "no:address"),
    ],
)
def test_who_counts_as_one(host: str, group: str) -> None:
    assert group_of(host) == group


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_of_64_bits_is_one_peer(address: ipaddress.IPv6Address, other: int) -> None:
    neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | other)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert group_of(str(address)) == group_of(str(neighbour))


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_networks_are_those_of_the_standard_library(
    parts: list[tuple[int, int]], value: int
) -> None:
    known = [ipaddress.IPv4Network((number >> (32 - n) << (32 - n), n)) for number, n in parts]
    networks = Networks(known)
    address = ipaddress.IPv4Address(value)
    holding = [each for each in known if address in each]
    found = networks.find(address)
    assert found == max(holding, key=lambda each: each.prefixlen, default=None)
    for each in known:
        networks.remove(each)
    assert networks.find(address) is None


def test_mapped_networks_are_ipv4() -> None:
    assert str(parse_network("::ffff:192.0.2.0/120")) == "192.0.2.0/24"
    assert Networks([parse_network("192.0.2.0/24")]).holds("::ffff:192.0.2.9")
    assert not Networks([parse_network("192.0.2.0/24")]).holds("what")


def test_the_one_used_longest_ago_makes_room() -> None:
    table: BoundedTable[int] = BoundedTable(2)
    table.put("a", 1)
    table.put("b", 2)
    assert table.get("a") == 1
    table.put("c", 3)
    assert (table.get("a"), table.get("b"), table.get("c")) == (1, None, 3)
    assert (len(table), table.evicted) == (2, 1)
    table.resize(1)
    assert table.get("c") == 3
    assert len(table) == 1
