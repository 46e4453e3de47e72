"""Peers told apart by address, IPv6 by its first 64 bits; and tables that cannot grow forever."""

from __future__ import annotations

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Value = TypeVar("_Value")

_LONGEST_KEY = 256
_V6_PREFIX = 64
"""Whoever has one address of such a network has them all."""


def parse_address(host: str) -> Address | None:
    """A peer's address without a zone; IPv4 behind ``::ffff:`` is IPv4. None: it is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def group_of(host: str) -> str:
    """What stands for all peers counted as one: an IPv4 address, or ``2001:db8:1:2::/64``.

    A host that is no address stands for itself.
    """
    if ":" not in host:
        return host
    address = parse_address(host)
    if not isinstance(address, ipaddress.IPv6Address):
        return host if address is None else str(address)
    shift = 128 - _V6_PREFIX
    return str(ipaddress.IPv6Network((int(address) >> shift << shift, _V6_PREFIX)))


def short_key(key: str) -> str:
    """A key of bounded size: a name can have 64 KiB."""
    if len(key) <= _LONGEST_KEY:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def parse_network(text: str) -> Network:
    """``10.0.0.0/8``, ``2001:db8::/32`` or one address. Raises ValueError that says why not."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((int(mapped), network.prefixlen - 96))
    return network


class Networks:
    """A set of networks; asking costs one look-up for each length of prefix that is in use."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._lengths: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for network in networks:
            self.add(network)

    def add(self, network: Network) -> None:
        """Put one in."""
        shift = network.max_prefixlen - network.prefixlen
        values = self._lengths[network.version].setdefault(shift, set())
        values.add(int(network.network_address) >> shift)

    def remove(self, network: Network) -> None:
        """Take one out; no matter if it is not in."""
        lengths = self._lengths[network.version]
        shift = network.max_prefixlen - network.prefixlen
        values = lengths.get(shift)
        if values is not None:
            values.discard(int(network.network_address) >> shift)
            if not values:
                del lengths[shift]

    def find(self, address: Address) -> Network | None:
        """The smallest network that holds the address, or None."""
        value = int(address)
        lengths = self._lengths[address.version]
        for shift in sorted(lengths):
            if value >> shift in lengths[shift]:
                kind = ipaddress.IPv4Network if address.version == 4 else ipaddress.IPv6Network
                return kind((value >> shift << shift, address.max_prefixlen - shift))
        return None

    def holds(self, host: str) -> bool:
        """Whether a peer's address is in one of them."""
        address = parse_address(host)
        return address is not None and self.find(address) is not None


class BoundedTable(Generic[_Value]):
    """A mapping of at most ``most`` keys: a further one takes the place of the one that was used
    longest ago. ``evicted`` counts those that had to go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self._values: OrderedDict[str, _Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> _Value | None:
        """What is known of a key, which counts as used now."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def peek(self, key: str) -> _Value | None:
        """What is known of a key, which does not count as used."""
        return self._values.get(key)

    def put(self, key: str, value: _Value) -> None:
        """Remember."""
        if key not in self._values and len(self._values) >= self.most:
            self._values.popitem(last=False)
            self.evicted += 1
        self._values[key] = value
        self._values.move_to_end(key)

    def remove(self, key: str) -> None:
        """Forget; no matter if it is not there."""
        self._values.pop(key, None)

    def resize(self, most: int) -> None:
        """Another maximum; what is beyond it goes, oldest first."""
        self.most = most
        while len(self._values) > most:
            self._values.popitem(last=False)
            self.evicted += 1

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
