"""Limits for each identity: how many clients it may have, and how often one may come."""

from __future__ import annotations

from typing import Final

from mqttd.abuse.addresses import short_key
from mqttd.abuse.counts import Clients, Rates
from mqttd.config.schema.abuse import PerIdentityOptions
from mqttd.identity import PeerInfo

TOO_MANY: Final = "identity-connections"
TOO_OFTEN: Final = "identity-rate"


class IdentityLimits:
    """Counts the clients that are in, by what the options say they are told apart by."""

    def __init__(self, options: PerIdentityOptions, most: int) -> None:
        self.limited = options.max_connections is not None or options.conn_rate is not None
        self._by = options.identity
        self._most = options.max_connections
        self._counts = Clients()
        self._rates = Rates(options.conn_rate, options.conn_burst, most)
        self._clients: dict[int, tuple[str, str]] = {}

    def objection(
        self, peer: PeerInfo, username: str | None, client_id: str, now: float
    ) -> str | None:
        """Why a client may not come in now, as a word."""
        key = self._key(peer, username, client_id)
        if not key or id(peer) in self._clients:
            return None  # the second: it proves anew who it is
        if self._most is not None and self._counts.others(key, client_id) >= self._most:
            return TOO_MANY
        return None if self._rates.take(short_key(key), now) else TOO_OFTEN

    def add(self, peer: PeerInfo, username: str | None, client_id: str) -> bool:
        """A client is in. False when it is one too many: several may have been asked about at
        once, before any of them was in."""
        key = self._key(peer, username, client_id)
        self._clients[id(peer)] = key, client_id
        if not key:
            return True
        self._counts.add(key, client_id)
        return self._most is None or self._counts.of(key) <= self._most

    def remove(self, peer: PeerInfo) -> None:
        """A client is gone; one that was never in does no harm."""
        key, client_id = self._clients.pop(id(peer), ("", ""))
        if key:
            self._counts.remove(key, client_id)

    def _key(self, peer: PeerInfo, username: str | None, client_id: str) -> str:
        """What a client is counted under; empty: it is not."""
        certificate = peer.certificate
        psk = "" if peer.psk_identity is None else f"psk\0{peer.psk_identity.hex()}"
        proof = "" if certificate is None else f"crt\0{certificate.issuer}\0{certificate.serial}"
        user = "" if username is None else f"usr\0{username}"
        client = f"cli\0{client_id}" if client_id else ""
        match self._by:
            case "username":
                return user
            case "clientid":
                return client
            case "certificate":
                return proof
            case "psk_identity":
                return psk
        return psk or proof or user or client
