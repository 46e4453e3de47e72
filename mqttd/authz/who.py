"""Whom a rule is about: conditions on the client, combined with and, or and not."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import attrs

from mqttd.config.patterns import fits
from mqttd.identity import AccessRequest, PeerCertificate
from mqttd.placeholders import CLIENT

Condition = Callable[[AccessRequest], bool]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _everybody(_: AccessRequest) -> bool:
    return True


@attrs.frozen
class Who:
    """Whom a rule is about. ``text`` says it for people; empty: everybody.

    ``usernames`` is set when only clients with one of these names can fit, and ``client_ids``
    likewise: rules are found by them.
    """

    fits: Condition = _everybody
    text: str = ""
    usernames: frozenset[str] | None = None
    client_ids: frozenset[str] | None = None


EVERYBODY: Final = Who()


def _exact(patterns: Iterable[str]) -> frozenset[str] | None:
    names = frozenset(patterns)
    return None if any("*" in name or "?" in name for name in names) else names


def text_condition(name: str, patterns: list[str]) -> Who:
    """A placeholder's value against patterns with ``*`` and ``?``; an absent one never fits."""
    read = CLIENT[name]
    names = _exact(patterns)
    shown = f"{name} {_listed(patterns)}"
    if names is not None:
        exact = names
        return Who(
            lambda request: read(request) in exact,
            shown,
            usernames=exact if name == "username" else None,
            client_ids=exact if name == "clientid" else None,
        )

    def condition(request: AccessRequest) -> bool:
        value = read(request)
        return bool(value) and any(fits(pattern, value or "") for pattern in patterns)

    return Who(condition, shown)


def attribute_condition(name: str, patterns: list[str]) -> Who:
    """An attribute that the authenticator gave with the identity."""

    def condition(request: AccessRequest) -> bool:
        value = request.identity.attributes.get(name)
        return bool(value) and any(fits(pattern, value or "") for pattern in patterns)

    return Who(condition, f"client_attrs.{name} {_listed(patterns)}")


_NAMES: Final[dict[str, Callable[[PeerCertificate], tuple[str, ...]]]] = {
    "cert_san_dns": lambda certificate: certificate.san_dns,
    "cert_san_uri": lambda certificate: certificate.san_uri,
    "cert_san_email": lambda certificate: certificate.san_email,
}
NAME_FIELDS: Final = frozenset(_NAMES)


def names_condition(name: str, patterns: list[str]) -> Who:
    """One of the certificate's alternative names; those of DNS in any case."""
    read = _NAMES[name]
    any_case = name == "cert_san_dns"
    wanted = [pattern.lower() for pattern in patterns] if any_case else patterns

    def condition(request: AccessRequest) -> bool:
        certificate = request.peer.certificate
        names = () if certificate is None else read(certificate)
        return any(
            fits(pattern, name.lower() if any_case else name)
            for name in names
            for pattern in wanted
        )

    return Who(condition, f"{name} {_listed(patterns)}")


def fingerprint_condition(fingerprints: frozenset[str]) -> Who:
    """The SHA-256 of the client certificate, in lower-case hexadecimal without colons."""

    def condition(request: AccessRequest) -> bool:
        certificate = request.peer.certificate
        return (
            certificate is not None and hashlib.sha256(certificate.der).hexdigest() in fingerprints
        )

    return Who(condition, f"cert_fingerprint {_listed(sorted(fingerprints))}")


def serial_condition(serials: frozenset[int]) -> Who:
    """The serial number of the client certificate."""

    def condition(request: AccessRequest) -> bool:
        certificate = request.peer.certificate
        # 0 stands for a serial number that cannot be read
        return certificate is not None and 0 != certificate.serial in serials

    return Who(condition, f"cert_serial {_listed(f'{each:x}' for each in sorted(serials))}")


def address_condition(networks: list[Network]) -> Who:
    """Where the client comes from; with a trusted PROXY header, the address it says."""

    def condition(request: AccessRequest) -> bool:
        address = address_of(request.peer.peer[0])
        return address is not None and any(
            address in network for network in networks if network.version == address.version
        )

    return Who(condition, f"ipaddr {_listed(str(network) for network in networks)}")


@lru_cache(maxsize=4096)
def address_of(host: str) -> Address | None:
    """The address in a text; an IPv4 address written as IPv6 is the IPv4 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def both(parts: list[Who]) -> Who:
    """All of them must fit."""
    if len(parts) == 1:
        return parts[0]
    conditions = tuple(part.fits for part in parts)
    named = [part.usernames for part in parts if part.usernames is not None]
    clients = [part.client_ids for part in parts if part.client_ids is not None]
    return Who(
        lambda request: all(condition(request) for condition in conditions),
        " and ".join(_bracketed(part.text) for part in parts),
        usernames=named[0] if named else None,
        client_ids=clients[0] if clients else None,
    )


def either(parts: list[Who]) -> Who:
    """One of them must fit; of none, none does."""
    if len(parts) == 1:
        return parts[0]
    conditions = tuple(part.fits for part in parts)
    return Who(
        lambda request: any(condition(request) for condition in conditions),
        " or ".join(_bracketed(part.text) for part in parts) or "nobody",
    )


def neither(part: Who) -> Who:
    """It must not fit."""
    condition = part.fits
    return Who(lambda request: not condition(request), f"not {_bracketed(part.text)}")


def _bracketed(text: str) -> str:
    return f"({text})" if " and " in text or " or " in text else text or "all"


def _listed(texts: Iterable[str]) -> str:
    """A few of the values, for people."""
    items = list(texts)
    shown = "|".join(items[:3])
    return shown + (f"|...{len(items) - 3} more" if len(items) > 3 else "")
