"""The grammar of ``access_rules``: ``allow`` or ``deny``, then ``all``, an address or a CIDR."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import attrs

from mqttd.config.errors import InvalidValue
from mqttd.config.types import parse_text_list, shown

MAX_RULES = 10_000
"""Rules of one listener: the list is walked for every connection."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@attrs.frozen
class AccessRule:
    """One rule. ``network`` is None for ``all``; host bits of a CIDR are masked.

    An IPv4 network written as IPv6 (``::ffff:10.0.0.0/104``) has become the IPv4 one.
    ``notice`` says what was accepted but reads differently from what it does, or is empty.
    """

    text: str
    allow: bool
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    notice: str = ""


def parse_access_rules(value: object) -> list[str]:
    """Rules, each as two words in lower case. One text may hold several with commas between."""
    rules, bad = [], []
    for text in split_rules(parse_text_list(value)):
        try:
            rules.append(parse_rule(text).text)
        except ValueError as error:
            bad.append(f"{shown(text)} {error}")
    if len(rules) > MAX_RULES:
        bad.append(f"{len(rules)} are more than {MAX_RULES}")
    if bad:
        raise InvalidValue(
            f"invalid rule: {'; '.join(bad)}",
            'write "allow all", "deny 10.0.0.1" or "allow 192.168.0.0/16"',
        )
    return rules


def split_rules(texts: Iterable[str]) -> list[str]:
    """Return the single rules of texts that may hold several."""
    return [part.strip() for text in texts for part in text.split(",")]


def parse_rule(text: str) -> AccessRule:
    """Read one rule. Raises ValueError saying what is wrong with it."""
    words = text.lower().split()
    if not words:
        raise ValueError("is empty")
    if words[0] not in {"allow", "deny"}:
        raise ValueError("does not begin with allow or deny")
    if len(words) != 2:
        raise ValueError("is not allow or deny with one of: all, an address, a CIDR")
    allow, plain = words[0] == "allow", " ".join(words)
    if words[1] == "all":
        return AccessRule(plain, allow, None)
    address_text, slash, prefix_text = words[1].partition("/")
    if "%" in address_text:
        raise ValueError("has a zone, which matches no peer")
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        raise ValueError("holds no IPv4 or IPv6 address") from None
    prefix: int = address.max_prefixlen
    if slash:
        # Digits only: netmasks ("/255.0.0.0") and wildcard masks ("/0.255.255.255") are easily
        # taken for each other.
        if not (prefix_text.isascii() and prefix_text.isdigit() and len(prefix_text) <= 3):
            raise ValueError("has a prefix length that is no number")
        prefix = int(prefix_text)
        if prefix > address.max_prefixlen:
            raise ValueError(f"has a prefix length over {address.max_prefixlen}")
    network = ipaddress.ip_network((address, prefix), strict=False)
    notice = ""
    if network.network_address != address:
        notice = f"host bits are set, it means {network}"
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) & 0xFFFFFFFF
        network = ipaddress.ip_network((mapped, network.prefixlen - 96))
    return AccessRule(plain, allow, network, notice)
