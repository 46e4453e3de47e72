"""Listeners, clients and certificates as the objects of EMQX's API, with what it does not have."""

from __future__ import annotations

import datetime
import time
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mqttd.broker.connection import Connection
from mqttd.control.ports import Row
from mqttd.identity import PeerCertificate
from mqttd.net.listeners import Listener
from mqttd.revocation.crl_status import ListStatus
from mqttd.tls.peer import subject_of

DAY = 86400.0


def moment(seconds: float) -> str:
    """Epoch seconds as RFC 3339 text in UTC."""
    try:
        when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):  # a date beyond the year 9999
        return "unknown"
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def days_left(end: float, now: float | None = None) -> int:
    """Whole days until ``end``, in epoch seconds; negative once it is over."""
    return int((end - (time.time() if now is None else now)) // DAY)


def identity_text(identity: bytes) -> str:
    """A PSK identity; bytes that are no UTF-8 stand as ``\\xNN``."""
    return identity.decode("utf-8", "backslashreplace")


def certificate_row(certificate: x509.Certificate) -> Row:
    """Subject, issuer, serial, dates and fingerprint."""
    end = certificate.not_valid_after_utc.timestamp()
    return {
        "subject": subject_of(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": moment(certificate.not_valid_before_utc.timestamp()),
        "not_after": moment(end),
        "days_left": days_left(end),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def listener_row(listener: Listener) -> Row:
    """EMQX's object of a listener, and more."""
    factory = listener.factory
    options = factory.options
    kind, _, name = listener.id.partition(":")
    row: Row = {
        "id": listener.id,
        "type": kind,
        "name": name,
        "enable": True,
        "bind": str(options.bind),
        "address": listener.address,
        "running": listener.running,
        "proxy_protocol": options.proxy_protocol,
        "max_connections": "infinity"
        if options.max_connections is None
        else options.max_connections,
        "current_connections": len(factory.connections),
        "most_connections": factory.most_connections,
        "throttled": factory.throttled,
        "shutdown_count": dict(sorted(factory.shutdown_counts.items())),
    }
    row["status"] = {
        name: row[name] for name in ("running", "max_connections", "current_connections")
    }
    chain = own_chain(factory.tls_context)
    if chain:
        row["certificate"] = certificate_row(chain[0])
    return row


def own_chain(tls: Any) -> tuple[x509.Certificate, ...]:
    """The default certificate of a listener's TLS and its issuers; () without one."""
    if tls is None:
        return ()
    chain: tuple[x509.Certificate, ...] = getattr(tls, "default", tls).chain
    return chain


def client_row(connection: Connection) -> Row:
    """EMQX's object of a client, and how it proved who it is."""
    peer = connection.peer
    row: Row = {
        "clientid": connection.client_id,
        "username": connection.username,
        "listener": peer.listener,
        "ip_address": peer.peer[0],
        "port": peer.peer[1],
        "connected": True,
        "proto_name": "MQIsdp" if connection.level == 3 else "MQTT",
        "proto_ver": connection.level,
        "clean_start": connection.clean_start,
        "keepalive": connection.keep_alive,
        "expiry_interval": _finite(connection.session_expiry),
        "mountpoint": connection.mountpoint,
        "is_bridge": connection.bridge,
    }
    session = connection.session
    if session is not None:
        row["subscriptions_cnt"] = len(session.state.subscriptions)
        row["inflight_cnt"] = len(session.state.flight)
        row["awaiting_rel_cnt"] = len(session.state.inbound)
        row["mqueue_dropped"] = session.state.dropped
    if peer.tls_version is not None:
        row["tls"] = {"version": peer.tls_version, "cipher": peer.cipher, "sni": peer.sni}
    if peer.psk_identity is not None:
        row["psk_identity"] = identity_text(peer.psk_identity)
    if peer.certificate is not None:
        row["certificate"] = peer_certificate_row(peer.certificate)
    return row


def peer_certificate_row(certificate: PeerCertificate) -> Row:
    """A client's certificate, as :func:`certificate_row` has it."""
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial:x}",
        "not_before": moment(certificate.not_before),
        "not_after": moment(certificate.not_after),
        "days_left": days_left(certificate.not_after),
    }


def list_row(status: ListStatus) -> Row:
    """A revocation list, its times as text."""
    row: Row = attrs.asdict(status)
    for name in ("this_update", "next_update", "fetched", "error_at"):
        row[name] = None if row[name] is None else moment(row[name])
    return row


def _finite(seconds: float) -> float | str:
    return "infinity" if seconds == float("inf") else seconds
