"""Values shared by the broker and by plugins: who is asking, with what proof, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


@attrs.frozen
class PeerCertificate:
    """A client certificate whose chain and possession the TLS handshake has proved.

    Times are seconds since the epoch (UTC). ``common_name`` joins several CNs with a comma;
    ``subject`` and ``issuer`` are RFC 4514 text, most specific part first.
    """

    der: bytes = attrs.field(repr=False)
    pem: str = attrs.field(repr=False)
    common_name: str
    subject: str
    issuer: str
    serial: int
    not_before: float
    not_after: float
    san_dns: tuple[str, ...] = ()
    san_uri: tuple[str, ...] = ()
    san_email: tuple[str, ...] = ()


@attrs.frozen
class ProxyHeader:
    """What a PROXY protocol header said of the connection behind the proxy.

    ``source`` is None for v1 ``UNKNOWN`` and v2 ``LOCAL``: then the socket's own peer counts.
    """

    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None
    ssl_common_name: str | None = None
    ssl_version: str | None = None
    authority: str | None = None
    alpn: bytes | None = None


@attrs.frozen
class PeerInfo:
    """One accepted Network Connection before any MQTT byte: where from, how protected.

    ``peer`` is the real client (host, port): the PROXY header's source when one was trusted.
    """

    listener: str
    peer: tuple[str, int]
    certificate: PeerCertificate | None = None
    psk_identity: bytes | None = None
    tls_version: str | None = None
    cipher: str | None = None
    sni: str | None = None
    proxy: ProxyHeader | None = None


@attrs.frozen
class ConnectRequest:
    """A CONNECT packet and the connection it came on, as authenticators see it.

    ``client_id`` is empty when the client asked the broker to assign one. ``username`` already
    has ``peer_cert_as_username`` applied. ``level`` is 3 (MQTT 3.1), 4 (3.1.1) or 5.
    ``attributes`` are what is known of the client before anybody is asked.
    """

    client_id: str
    username: str | None
    password: bytes | None = attrs.field(repr=False)
    level: int
    clean_start: bool
    keep_alive: int
    peer: PeerInfo
    user_properties: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, str] = NO_ATTRIBUTES


@attrs.frozen
class AccessRule:
    """One rule about topics that an authenticator gives with an identity.

    ``allow`` says what follows where it fits. ``action`` is ``publish``, ``subscribe`` or ``all``.
    ``topics`` are Topic Filters; they may hold placeholders such as ``${username}``, and a topic
    written ``eq TOPIC`` is compared as it stands. ``qos`` and ``retain`` None: any.
    """

    allow: bool
    action: str
    topics: tuple[str, ...]
    qos: frozenset[int] | None = None
    retain: bool | None = None


@attrs.frozen
class Identity:
    """Who was admitted.

    ``username`` and ``client_id`` override those the client came with, ``attributes`` are added
    to what is known of it (``${client_attrs.NAME}``). ``expires_at``, in seconds since the epoch,
    ends the connection then. A superuser may do everything; ``rules`` come before every source of
    rules that is configured. ``authenticator`` is for the records: the broker sets it to the name
    of who answered.
    """

    username: str | None = None
    client_id: str | None = None
    is_superuser: bool = False
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    expires_at: float | None = None
    rules: tuple[AccessRule, ...] = ()
    authenticator: str = attrs.field(default="", eq=False)


@attrs.frozen
class Authenticated:
    """A successful end of an enhanced authentication. ``data`` goes to the client with it."""

    identity: Identity
    data: bytes | None = attrs.field(default=None, repr=False)


PUBLISH = "publish"
SUBSCRIBE = "subscribe"


@attrs.frozen
class AccessRequest:
    """What an admitted client wants to do with one topic, as authorizers see it.

    ``action`` is ``publish`` or ``subscribe``. ``topic`` is the Topic Name, or the Topic Filter
    without ``$share/GROUP/``, in the client's own words: a mountpoint is not part of it. ``qos``
    is the one asked for. ``retain`` only concerns publishing; ``is_will`` says that it is the Will
    of a client that connects; ``group`` names the shared subscription. ``username`` and
    ``client_id`` are the settled ones.
    """

    action: str
    topic: str
    qos: int
    retain: bool
    username: str | None
    client_id: str
    identity: Identity
    peer: PeerInfo
    is_will: bool = False
    group: str | None = None


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Raised by an authenticator to refuse. ``reason_code`` is an MQTT 5 CONNACK reason code."""

    def __init__(self, reason_code: int, reason: str = "") -> None:
        super().__init__(reason_code, reason)
        self.reason_code = reason_code
        self.reason = reason
