"""Decides from a peer's address whether it may connect: ``allow 10.0.0.0/8``, ``deny all``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

import attrs

from mqttd.config.access_rules import AccessRule, parse_rule, split_rules


class _Match(NamedTuple):
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

    _rules: tuple[_Match, ...] = attrs.field(repr=False, alias="rules")
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


def parse_access_rules(texts: Iterable[str]) -> AccessRules:
    """Read rules such as ``allow 10.0.0.0/8`` or ``deny ::1, allow all`` (several by commas).

    Raises ValueError naming every bad rule.
    """
    matches: list[_Match] = []
    bad: list[str] = []
    notices: list[str] = []
    decided = ""
    for text in split_rules(texts):
        try:
            rule = parse_rule(text)
        except ValueError as error:
            bad.append(f'"{text}" {error}')
            continue
        if rule.notice:
            notices.append(f'access rule "{text}": {rule.notice}')
        if decided:
            notices.append(f'access rule "{text}" is never reached: "{decided}" stands before it')
        elif rule.network is None:
            decided = text
        matches.append(_match(rule))
    if bad:
        raise ValueError("invalid access rule: " + "; ".join(bad))
    return AccessRules(tuple(matches), tuple(notices))


def _match(rule: AccessRule) -> _Match:
    network = rule.network
    if network is None:
        return _Match(rule.allow, 0, 0, 0)
    address = int(network.network_address)
    return _Match(rule.allow, network.version, int(network.netmask), address)


def _normal(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A dual-stack socket shows IPv4 peers as ``::ffff:a.b.c.d``: IPv4 rules must see them."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
