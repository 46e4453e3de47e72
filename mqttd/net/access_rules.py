"""Decides from a peer's address whether it may connect: ``allow 10.0.0.0/8``, ``deny all``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

import attrs

_MAX_RULES = 10_000
"""Rules of one listener: the list is walked for every connection."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class _Rule(NamedTuple):
    """Matches a peer of IP ``version`` (0: any) whose masked address is ``network``."""

    allow: bool
    version: int
    mask: int
    network: int


@attrs.frozen
class AccessRules:
    """The rules of one listener, in their order.

    ``notices`` says what was accepted but reads differently from what it does.
    """

    _rules: tuple[_Rule, ...] = attrs.field(repr=False, alias="rules")
    notices: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        """Say whether a peer may connect. The first rule that matches decides.

        None matches: no (EMQX lets such a peer in, so that ``allow 10.0.0.0/8`` alone would
        restrict nothing). A host that is no IP address is nobody we can judge: no.
        """
        try:
            address = _normal(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            return False
        version, value = address.version, int(address)
        for allow, rule_version, mask, network in self._rules:
            if rule_version == 0 or (rule_version == version and value & mask == network):
                return allow
        return False


def parse_access_rules(rules: Iterable[str]) -> AccessRules:
    """Read rules such as ``allow 10.0.0.0/8`` or ``deny ::1, allow all`` (several by commas).

    Raises ValueError naming every bad rule.
    """
    parsed: list[_Rule] = []
    bad: list[str] = []
    notices: list[str] = []
    decided = ""
    for text in (part.strip() for entry in rules for part in entry.split(",")):
        try:
            rule, notice = _parse_rule(text)
        except ValueError as error:
            bad.append(f'"{text}" ({error})')
            continue
        if notice:
            notices.append(f'access rule "{text}": {notice}')
        if decided:
            notices.append(f'access rule "{text}" is never reached: "{decided}" stands before it')
        elif rule.version == 0:
            decided = text
        parsed.append(rule)
    if len(parsed) > _MAX_RULES:
        bad.append(f"{len(parsed)} rules, at most {_MAX_RULES} are accepted")
    if bad:
        raise ValueError("invalid access rule(s): " + "; ".join(bad))
    return AccessRules(tuple(parsed), tuple(notices))


def _parse_rule(text: str) -> tuple[_Rule, str]:
    """Return the rule and a notice or "". Raises ValueError saying what is wrong with it."""
    words = text.split()
    if not words:
        raise ValueError("nothing between two commas")
    if words[0] not in {"allow", "deny"}:
        raise ValueError("does not begin with allow or deny")
    if len(words) != 2:
        raise ValueError("is not allow or deny with one of: all, an address, a CIDR")
    allow = words[0] == "allow"
    if words[1] == "all":
        return _Rule(allow, 0, 0, 0), ""
    address_text, slash, prefix_text = words[1].partition("/")
    if "%" in address_text:
        raise ValueError("an address with a zone matches no peer")
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        raise ValueError("holds no IPv4 or IPv6 address") from None
    prefix: int = address.max_prefixlen
    if slash:
        # Digits only: netmasks ("/255.0.0.0") and wildcard masks ("/0.255.255.255") are easily
        # taken for each other.
        if not (prefix_text.isascii() and prefix_text.isdigit() and len(prefix_text) <= 3):
            raise ValueError("the prefix length is no number")
        prefix = int(prefix_text)
        if prefix > address.max_prefixlen:
            raise ValueError(f"the prefix length is over {address.max_prefixlen}")
    network = ipaddress.ip_network((address, prefix), strict=False)
    notice = ""
    if network.network_address != address:
        notice = f"host bits are set, it means {network}"
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) & 0xFFFFFFFF
        network = ipaddress.ip_network((mapped, network.prefixlen - 96))
    return (
        _Rule(allow, network.version, int(network.netmask), int(network.network_address)),
        notice,
    )


def _normal(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A dual-stack socket shows IPv4 peers as ``::ffff:a.b.c.d``: IPv4 rules must see them."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
