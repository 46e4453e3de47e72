"""Requests as plugins get them, with a plain value for everything a test does not care about."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.task import Clock

from mqttd.identity import (
    PUBLISH,
    AccessRequest,
    ConnectRequest,
    Identity,
    PeerCertificate,
    PeerInfo,
)
from mqttd.interfaces import PluginContext
from mqttd.tls.peer import peer_certificate as values_of

_DAY = datetime.timedelta(days=1)

SOMEBODY = PeerInfo(listener="memory:default", peer=("192.0.2.1", 1024))
"""A client without a certificate, at an address for documentation."""


def peer_info(
    *,
    listener: str = "memory:default",
    address: tuple[str, int] = ("192.0.2.1", 1024),
    certificate: PeerCertificate | None = None,
    psk_identity: bytes | None = None,
    tls_version: str | None = None,
    sni: str | None = None,
) -> PeerInfo:
    """Where a client comes from, and what it proved before any MQTT byte.

    With a certificate or the identity of a pre-shared key, ``tls_version`` is ``TLSv1.3`` unless
    it is given.
    """
    if tls_version is None and (certificate is not None or psk_identity is not None):
        tls_version = "TLSv1.3"
    return PeerInfo(
        listener=listener,
        peer=address,
        certificate=certificate,
        psk_identity=psk_identity,
        tls_version=tls_version,
        sni=sni,
    )


def connect_request(
    username: str | None = None,
    password: str | bytes | None = None,
    *,
    client_id: str = "client",
    level: int = 5,
    clean_start: bool = True,
    keep_alive: int = 60,
    peer: PeerInfo = SOMEBODY,
    certificate: PeerCertificate | None = None,
    psk_identity: bytes | None = None,
    user_properties: Sequence[tuple[str, str]] = (),
    attributes: Mapping[str, str] | None = None,
) -> ConnectRequest:
    """A CONNECT as authenticators see it; ``level`` is 3, 4 or 5.

    ``certificate`` and ``psk_identity`` are short for a ``peer`` that has them.
    """
    if certificate is not None or psk_identity is not None:
        if peer is not SOMEBODY:
            raise TypeError("give the certificate and psk_identity to peer_info(...)")
        peer = peer_info(certificate=certificate, psk_identity=psk_identity)
    return ConnectRequest(
        client_id=client_id,
        username=username,
        password=password.encode() if isinstance(password, str) else password,
        level=level,
        clean_start=clean_start,
        keep_alive=keep_alive,
        peer=peer,
        user_properties=tuple(user_properties),
        attributes=dict(attributes or {}),
    )


def access_request(
    action: str = PUBLISH,
    topic: str = "topic",
    *,
    qos: int = 0,
    retain: bool = False,
    username: str | None = None,
    client_id: str = "client",
    identity: Identity | None = None,
    peer: PeerInfo = SOMEBODY,
    is_will: bool = False,
    group: str | None = None,
) -> AccessRequest:
    """What an admitted client wants to do with a topic, as authorizers see it.

    ``action`` is ``publish`` or ``subscribe``. The identity is one of the same user, unless given.
    """
    return AccessRequest(
        action=action,
        topic=topic,
        qos=qos,
        retain=retain,
        username=username,
        client_id=client_id,
        identity=Identity(username=username) if identity is None else identity,
        peer=peer,
        is_will=is_will,
        group=group,
    )


def certificate_chain(
    common_name: str = "device",
    *,
    authority: str = "Test Authority",
    organization: str | None = None,
    serial: int | None = None,
    dns: Sequence[str] = (),
    uris: Sequence[str] = (),
    emails: Sequence[str] = (),
    begin: datetime.datetime | None = None,
    days: int = 90,
) -> tuple[x509.Certificate, ...]:
    """A client certificate and its issuer, just signed with new keys that are thrown away.

    Revocation checkers get such chains. ``begin`` is yesterday unless given; from then it is good
    for ``days``.
    """
    begin = begin or datetime.datetime.now(datetime.UTC).replace(microsecond=0) - _DAY
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name(authority, None)
    leaf_key, leaf_name = ec.generate_private_key(ec.SECP256R1()), _name(common_name, organization)
    issuer = (
        _certificate(ca_name, ca_name, ca_key.public_key(), begin, days + 1, None)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    builder = (
        _certificate(leaf_name, ca_name, leaf_key.public_key(), begin, days, serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
    names += [x509.UniformResourceIdentifier(each) for each in uris]
    names += [x509.RFC822Name(each) for each in emails]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca_key, hashes.SHA256()), issuer


def peer_certificate(
    common_name: str = "device",
    *,
    authority: str = "Test Authority",
    organization: str | None = None,
    serial: int | None = None,
    dns: Sequence[str] = (),
    uris: Sequence[str] = (),
    emails: Sequence[str] = (),
) -> PeerCertificate:
    """What a request holds of a client certificate: a real one of :func:`certificate_chain`."""
    chain = certificate_chain(
        common_name,
        authority=authority,
        organization=organization,
        serial=serial,
        dns=dns,
        uris=uris,
        emails=emails,
    )
    return values_of(chain[0])


def plugin_context(folder: Path, reactor: Any = None) -> PluginContext:
    """A context for ``make`` of a plugin: all files in ``folder``; time stands still unless a
    ``reactor`` is given."""
    return PluginContext(Clock() if reactor is None else reactor, folder, folder)


def _name(common_name: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime.datetime,
    days: int,
    serial: int | None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(begin)
        .not_valid_after(begin + days * _DAY)
    )
