"""One line for each refused connection: who, where, why, what to do; throttled and counted."""

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
from cryptography import x509
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.abuse.addresses import group_of
from mqttd.events import HandshakeRefused
from mqttd.explain.causes import Cause, cause_of, kind_of
from mqttd.explain.suites import SIGNALS, is_grease, suite_name
from mqttd.log.text import escape
from mqttd.net.event_hub import EventHub
from mqttd.tls.peer import peer_certificate

LINES: Final = 5
"""Lines a peer gets within :data:`WINDOW`; the rest is counted."""
LOCAL_LINES: Final = 100
"""The same for peers on this machine: who tries a client there wants to see each failure."""
WINDOW: Final = 60.0
"""Seconds from a peer's first line until it gets lines again."""
MOST_PEERS: Final = 10_000
"""Peers remembered; the one whose window began first is forgotten for a new one."""
MOST_LINES: Final = 200
"""Lines in one second for all peers: an attack from many addresses must not fill the disk."""
MOST_KINDS: Final = 1_000
"""Counters; kinds come from plugins too. More are counted as :data:`OTHER`."""
OTHER: Final = "other"
_SHOWN_SUITES: Final = 12
_MOST_SUITES: Final = 100
_LONGEST: Final = 300
_LOCAL: Final = frozenset({"127.0.0.1", "::/64"})
_VERSIONS: Final = {
    0x0304: "TLS 1.3",
    0x0303: "TLS 1.2",
    0x0302: "TLS 1.1",
    0x0301: "TLS 1.0",
    0x0300: "SSL 3.0",
}
_WITH_DATES: Final = frozenset({"certificate-expired", "certificate-not-yet-valid"})
_WITH_SUITES: Final = frozenset({"no-shared-cipher", "psk-required", "alert-handshake-failure"})


class Hello(Protocol):
    """What is known of a ClientHello: numbers as registered with IANA."""

    @property
    def sni(self) -> str | None:
        """The server name asked for."""

    @property
    def versions(self) -> Sequence[int]:
        """TLS versions offered."""

    @property
    def suites(self) -> Sequence[int]:
        """Cipher suites offered."""

    @property
    def alpn(self) -> Sequence[bytes]:
        """Application protocols offered."""


@attrs.define
class _Peer:
    until: float
    lines: int = 0
    more: Counter[str] = attrs.Factory(Counter)


class Refusals:
    """Where every connection that ends before MQTT begins is reported, once.

    ``clock`` gives the time and one timer. Peers are told apart by address, of IPv6 by the first
    64 bits: whoever has one such address has them all.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, hub: EventHub | None = None) -> None:
        self.hub = hub
        """Told of each refusal, not only of those that are written."""
        self._clock = clock
        self._peers: OrderedDict[str, _Peer] = OrderedDict()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._timer: IDelayedCall | None = None
        self._second = -1
        self._in_second = 0
        self._flood = 0

    def refused(
        self,
        *,
        listener: str,
        peer: tuple[str, int],
        kind: str,
        text: str = "",
        sni: str | None = None,
        hello: Hello | None = None,
        certificate: x509.Certificate | None = None,
        psk_identity: bytes | None = None,
        alert: str | None = None,
        alert_sent: bool = False,
        verify_error: int | None = None,
    ) -> str:
        """Count a refused connection, and write its line unless its peer had enough of them.

        ``kind`` is that of a :class:`~mqttd.explain.cause.Cause`, ``text`` what is known beyond
        it. ``certificate`` is the one that was refused, ``alert`` the name of the fatal alert,
        ``alert_sent`` whether it was ours, ``verify_error`` OpenSSL's ``X509_V_ERR_*``.
        Returns the kind it is counted as, the most exact. Never raises for anything the peer sent.
        """
        kind = kind_of(kind, alert=None if alert_sent else alert, verify_error=verify_error)
        self._count(listener, kind)
        host = peer[0]
        if self.hub is not None and HandshakeRefused.name in self.hub.wanted:
            known = _fields(cause_of(kind), sni, hello, certificate, psk_identity)
            self.hub.emit(
                HandshakeRefused(
                    time=self.hub.now(),
                    listener=listener,
                    peer=peer,
                    kind=kind,
                    reason=_words(cause_of(kind), text),
                    sni=known.get("sni"),
                    certificate=known.get("subject"),
                    serial=known.get("serial"),
                    psk_identity=known.get("psk_identity"),
                )
            )
        if not self._may_write(group_of(host), kind):
            return kind
        cause = cause_of(kind)
        fields = _fields(cause, sni, hello, certificate, psk_identity)
        if alert is not None:
            fields["alert"] = alert
            fields["alert_sent"] = alert_sent
        self._log.info(
            "{what} refused on {listener} from {peer}: {cause}{facts}. Cure: {cure} [{kind}]",
            event="tls_refused" if cause.tls else "connection_refused",
            what="TLS handshake" if cause.tls else "connection",
            listener=listener,
            peer=f"{host}:{peer[1]}",
            kind=kind,
            cause=_words(cause, text),
            facts=_facts(kind, fields),
            cure=cause.cure,
            **fields,
        )
        return kind

    def may_write(self, host: str, kind: str) -> bool:
        """Whether a line about a peer may be written by somebody else; one that may not is counted
        as ``kind`` in the line about those held back."""
        return self._may_write(group_of(host), kind)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many connections were refused since the start, by listener and kind."""
        return dict(self._counts)

    def flush(self) -> None:
        """Write what was held back, and forget all peers; for the end of the broker."""
        while self._peers:
            self._forget()
        self._end_flood()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _count(self, listener: str, kind: str) -> None:
        key = (listener, kind)
        if key not in self._counts and len(self._counts) >= MOST_KINDS:
            key = (listener, OTHER)
        self._counts[key] += 1

    def _may_write(self, group: str, kind: str) -> bool:
        now = self._clock.seconds()
        self._forget_old(now)
        known = self._peers.get(group)
        if known is None:
            if len(self._peers) >= MOST_PEERS:
                self._forget()
            known = self._peers[group] = _Peer(now + WINDOW)
            self._set_timer(now)
        if known.lines >= (LOCAL_LINES if group in _LOCAL else LINES):
            known.more[kind] += 1
            return False
        known.lines += 1
        return self._room(now)

    def _room(self, now: float) -> bool:
        """Whether this second has a line left for anybody."""
        if int(now) != self._second:
            self._end_flood()
            self._second = int(now)
            self._in_second = 0
        self._in_second += 1
        if self._in_second > MOST_LINES:
            self._flood += 1
            return False
        return True

    def _end_flood(self) -> None:
        if self._flood:
            self._log.info(
                "{count} more refused within a second, from many addresses",
                event="refusals_throttled",
                count=self._flood,
            )
            self._flood = 0

    def _set_timer(self, now: float) -> None:
        if self._timer is None and self._peers:
            first = next(iter(self._peers.values()))
            self._timer = self._clock.callLater(max(0.0, first.until - now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        self._forget_old(now)
        self._end_flood()
        self._set_timer(now)

    def _forget_old(self, now: float) -> None:
        # Every window is as long as the next: they end in the order they began in.
        while self._peers and next(iter(self._peers.values())).until <= now:
            self._forget()

    def _forget(self) -> None:
        group, known = self._peers.popitem(last=False)
        count = known.more.total()
        if count:
            kinds = ", ".join(f"{kind} {number}" for kind, number in known.more.most_common())
            self._log.info(
                "{count} more refused from {peer} within {seconds} s: {kinds}",
                event="refusals_throttled",
                peer=group,
                count=count,
                seconds=int(WINDOW),
                kinds=kinds,
            )


def _words(cause: Cause, text: str) -> str:
    return f"{cause.words}: {_short(text)}" if cause.detail and text else cause.words


def _fields(
    cause: Cause,
    sni: str | None,
    hello: Hello | None,
    certificate: x509.Certificate | None,
    psk_identity: bytes | None,
) -> dict[str, Any]:
    """The facts as fields of the event; what is not known is left out."""
    fields: dict[str, Any] = {}
    if hello is not None:
        sni = hello.sni if sni is None else sni
        suites = [each for each in hello.suites if each not in SIGNALS and not is_grease(each)]
        fields["offered_versions"] = ", ".join(
            _version(each) for each in hello.versions[:8] if not is_grease(each)
        )
        fields["offered_suites"] = ", ".join(map(suite_name, suites[:_MOST_SUITES]))
        fields["suites"] = len(suites)
        if hello.alpn:
            names = b", ".join(hello.alpn[:_SHOWN_SUITES]).decode("ascii", "backslashreplace")
            fields["offered_alpn"] = _short(names)
    if sni is not None:
        fields["sni"] = _short(sni)
    if certificate is not None:
        read = peer_certificate(certificate)
        fields["subject"] = _short(read.subject)
        fields["serial"] = f"{read.serial:x}"
        fields["issuer"] = _short(read.issuer)
        if cause.kind in _WITH_DATES:
            fields["not_before"] = _date(read.not_before)
            fields["not_after"] = _date(read.not_after)
    if psk_identity is not None:
        fields["psk_identity"] = _short(psk_identity.decode("utf-8", "backslashreplace"))
    return fields


def _facts(kind: str, fields: dict[str, Any]) -> str:
    """The facts in words, after the cause."""
    facts = []
    if "alert" in fields:
        facts.append(f"{'sent' if fields['alert_sent'] else 'received'} alert {fields['alert']}")
    if "subject" in fields:
        dates = (
            f", valid {fields['not_before']} to {fields['not_after']} UTC"
            if "not_before" in fields
            else ""
        )
        facts.append(
            f"certificate {fields['subject'] or 'without a subject'}, serial {fields['serial']}, "
            f"issuer {fields['issuer'] or 'without a name'}{dates}"
        )
    if "psk_identity" in fields:
        facts.append(f"PSK identity '{fields['psk_identity']}'")
    if "sni" in fields:
        facts.append(f"SNI {fields['sni']}")
    if "suites" in fields:
        noun = "suite" if fields["suites"] == 1 else "suites"
        offered = f"offered {fields['offered_versions']} and {fields['suites']} {noun}"
        if kind in _WITH_SUITES:
            suites = fields["offered_suites"].split(", ")
            more = ", ..." if fields["suites"] > _SHOWN_SUITES else ""
            offered += f" ({', '.join(suites[:_SHOWN_SUITES])}{more})"
        facts.append(offered)
    if kind == "alpn" and "offered_alpn" in fields:
        facts.append(f"offered {fields['offered_alpn']}")
    return "".join(f"; {fact}" for fact in facts)


def _date(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _version(number: int) -> str:
    return _VERSIONS.get(number, f"0x{number:04x}")


def _short(text: str) -> str:
    text = escape(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
