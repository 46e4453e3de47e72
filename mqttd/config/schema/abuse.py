"""Limits on who uses up the broker: ``abuse`` and EMQX's ``flapping_detect``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import ipaddress

import attrs

from mqttd.config.errors import InvalidValue
from mqttd.config.option import (
    BOOLEAN,
    RATE,
    Kind,
    choice,
    duration,
    integer,
    option,
    section,
)
from mqttd.config.types import Rate, parse_text_list, shown

LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Peers on this machine, among them tunnels and load balancers beside the broker."""


def _networks(value: object) -> list[str]:
    texts = parse_text_list(value)
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise InvalidValue(
                f"{shown(text)} is no address and no network", "write one such as 192.0.2.0/24"
            ) from None
    return texts


def _show(value: list[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in value) + "]"


@attrs.frozen(kw_only=True)
class PerAddressOptions:
    """Limits for each address; one IPv6 network of 64 bits counts as one address. All the clients
    behind one NAT are one address too: nothing here is limited unless you say so."""

    max_connections: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        "Most connections at a time; one more is closed at once.",
        shown_default="infinity",
    )
    conn_rate: Rate | None = option(
        RATE,
        None,
        "New connections in a time, such as ``10/s``; those above it are closed at once.",
        shown_default="infinity",
    )
    conn_burst: Rate | None = option(
        RATE,
        None,
        "Connections on top of ``conn_rate``, such as ``1000/1h``.",
    )
    max_handshakes: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        """Most connections at a time whose TLS handshake is not done; one more is closed before
        any work for TLS.""",
        shown_default="infinity",
    )
    handshake_rate: Rate | None = option(
        RATE,
        None,
        """New connections to ssl and wss listeners in a time, such as ``5/s``; those above it are
        closed before any work for TLS.""",
        shown_default="infinity",
    )
    handshake_burst: Rate | None = option(
        RATE, None, "Handshakes on top of ``handshake_rate``, such as ``1000/1h``."
    )


@attrs.frozen(kw_only=True)
class PerIdentityOptions:
    """Limits for each identity, once it is proven: nobody can use up the share of another by
    giving a wrong password."""

    identity: str = option(
        choice("auto", "username", "clientid", "certificate", "psk_identity"),
        "auto",
        """What clients are told apart by. ``auto``: the proven PSK identity, else the certificate,
        else the username, else the Client Identifier. Clients without what is named here are not
        limited.""",
    )
    max_connections: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        "Most clients at a time; one more is refused with 0x97, Quota exceeded.",
        shown_default="infinity",
    )
    conn_rate: Rate | None = option(
        RATE,
        None,
        """Clients that come in in a time, such as ``5/m``; those above it are refused with 0x9F,
        Connection rate exceeded.""",
        shown_default="infinity",
    )
    conn_burst: Rate | None = option(RATE, None, "Clients on top of ``conn_rate``.")


@attrs.frozen(kw_only=True)
class FailedAuthOptions:
    """Who fails to authenticate again and again is refused unasked for longer and longer. Counted
    for each name from each address: one device with an old password keeps none of its neighbours
    out, and nobody keeps out a client that connects from somewhere else."""

    enable: bool = option(BOOLEAN, True, "Count failed authentications.")
    window_time: float = option(
        duration(1.0),
        300.0,
        "Time in which they count; after as long without one, none does.",
    )
    max_count: int = option(
        integer(1), 10, "Failures of one name from one address that begin a back-off."
    )
    address_max_count: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        """Failures of one address, whatever the names, that begin a back-off for it: set it where
        no NAT or proxy hides many clients behind one address.""",
        shown_default="infinity",
    )
    backoff: float = option(
        duration(0.1), 5.0, "The first back-off; each further failure doubles it."
    )
    max_backoff: float = option(duration(1.0), 600.0, "The longest back-off.")
    ban_after: int | None = option(
        integer(0, unlimited=("infinity",)),
        5,
        """Back-offs of an address in a row; the next failure bans it, as ``mqttd ctl banned list``
        shows. Names are never banned by this.""",
    )
    ban_time: float = option(duration(1.0, infinity=True), 3600.0, "How long that ban lasts.")


@attrs.frozen(kw_only=True)
class AbuseOptions:
    """What keeps clients from using up the broker: ``abuse``."""

    exempt: list[str] = option(
        Kind("list of addresses and networks", _networks, _show),
        list(LOOPBACK),
        """Addresses to which nothing of this section applies, nor ``flapping_detect``. The list of
        bans applies to them as well.""",
    )
    max_tracked: int = option(
        integer(100, 10_000_000),
        50_000,
        """Most addresses and names remembered by each limit; the one seen longest ago is forgotten
        for a new one.""",
    )
    max_banned: int = option(integer(1, 100_000), 10_000, "Most entries of the list of bans.")
    per_address: PerAddressOptions = section(PerAddressOptions, "Limits for each address.")
    per_identity: PerIdentityOptions = section(PerIdentityOptions, "Limits for each identity.")
    failed_auth: FailedAuthOptions = section(FailedAuthOptions, "Failed authentications.")


@attrs.frozen(kw_only=True)
class FlappingOptions:
    """Clients whose connections end again and again are banned for a while: ``flapping_detect``.
    What ends because the broker or its operator ends it does not count."""

    enable: bool = option(BOOLEAN, False, "Look for such clients.")
    window_time: float = option(duration(1.0), 60.0, "Time in which connections are counted.")
    max_count: int = option(
        integer(1), 15, "Ends of connections of one client within it that are still all right."
    )
    ban_time: float = option(
        duration(1.0, infinity=True), 300.0, "How long the Client Identifier is banned."
    )
