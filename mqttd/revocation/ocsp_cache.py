"""What OCSP responders said of client certificates: how long it holds, when to ask again."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.interfaces import GOOD, REVOKED, STATUS_GOOD, UNKNOWN, RevocationStatus
from mqttd.revocation.backoff import Backoff
from mqttd.revocation.ocsp_message import SKEW, Answer

CAPACITY: Final = 50_000
"""Certificates whose status is remembered, for one listener."""

_MOST_ISSUERS: Final = 1_000
_ASK_AGAIN: Final = 0.75
"""The part of an answer's life after which it is asked for again."""
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 30.0
"""Seconds a failure is remembered: a client that comes back at once must not make us ask at once,
but a responder that is back is to be noticed soon."""


@attrs.define(eq=False)
class Entry:
    """What is known of one certificate; times are epoch seconds."""

    der: bytes = attrs.field(repr=False)
    issuer: x509.Certificate | None = attrs.field(repr=False)
    status: RevocationStatus
    until: float
    """End of its use. A revocation holds on: only a newer answer ends it."""
    used: float
    this_update: float = 0.0
    due: float = 0.0
    """When to ask again in the background; 0: never."""
    backoff: Backoff = attrs.field(factory=lambda: Backoff(_FIRST_WAIT, _LONGEST_WAIT))

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate, read anew: kept as an object it takes thrice the memory."""
        return x509.load_der_x509_certificate(self.der)

    def status_at(self, now: float) -> RevocationStatus | None:
        """The status, or None when it has ended and must be asked for anew."""
        return self.status if now < self.until else None


class OcspCache:
    """At most ``capacity`` certificates; the one not used for longest goes first.

    ``longest`` is the most seconds an answer is used.
    """

    def __init__(self, longest: float, capacity: int = CAPACITY) -> None:
        self._longest = longest
        self._capacity = capacity
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._plan: list[tuple[float, bytes]] = []
        self._issuers: dict[bytes, x509.Certificate] = {}
        self._figures = dict.fromkeys((GOOD, REVOKED, UNKNOWN), 0)

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, key: bytes, now: float) -> RevocationStatus | None:
        """The status of a certificate that is used now; None when it must be asked for."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.used = now
        self._entries.move_to_end(key)
        return entry.status_at(now)

    def answered(
        self,
        key: bytes,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        answer: Answer,
        text: str,
        now: float,
    ) -> RevocationStatus:
        """Remember an answer that is good or revoked; the status that holds now.

        ``text`` says of a revocation when and why.
        """
        old = self._entries.get(key)
        begin = answer.this_update.timestamp()
        until = min(now + self._longest, (answer.expires + SKEW).timestamp())
        if old is not None and old.status.outcome == REVOKED and begin < old.this_update:
            # An old answer played back must not undo a revocation.
            return self._again(key, old, now)
        status = STATUS_GOOD
        if answer.status == REVOKED:
            status = RevocationStatus(REVOKED, "revoked", text)
        used = now if old is None else old.used
        entry = self._entry(certificate, issuer, status, until, used)
        entry.this_update = begin
        self._put(key, entry)
        if self._longest > 0:
            self._ask_at(key, entry, now + max((until - now) * _ASK_AGAIN, _FIRST_WAIT))
        return status

    def failed(
        self,
        key: bytes,
        certificate: x509.Certificate,
        issuer: x509.Certificate | None,
        status: RevocationStatus,
        now: float,
    ) -> RevocationStatus:
        """Remember for a while that no answer was to be had; the status that holds now."""
        old = self._entries.get(key)
        if old is not None and (old.status.outcome == REVOKED or now < old.until):
            return self._again(key, old, now)
        used = now if old is None else old.used
        entry = self._entry(certificate, issuer, status, 0.0, used)
        if old is not None:
            entry.backoff = old.backoff
        self._put(key, entry)
        return self._again(key, entry, now)

    def due(self, now: float, most: int, since: float) -> Iterator[tuple[bytes, Entry]]:
        """Up to ``most`` certificates, used since a moment, that are to be asked about again."""
        while self._plan and most > 0 and self._plan[0][0] <= now:
            moment, key = heapq.heappop(self._plan)
            entry = self._entries.get(key)
            if entry is None or entry.due != moment:
                continue  # dropped, or planned anew
            entry.due = 0.0
            if entry.used >= since:
                most -= 1
                yield key, entry

    def figures(self) -> dict[str, int]:
        """How many certificates there are of each status."""
        return dict(self._figures)

    def _again(self, key: bytes, entry: Entry, now: float) -> RevocationStatus:
        """Keep an entry as it is, for as long as the next try is to wait."""
        again = now + entry.backoff.failed()
        if entry.status.outcome != GOOD:
            entry.until = max(entry.until, again)
        self._ask_at(key, entry, again)
        return entry.status

    def _entry(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate | None,
        status: RevocationStatus,
        until: float,
        used: float,
    ) -> Entry:
        """An entry that has its issuer in common with the others of that issuer."""
        if issuer is not None:
            if len(self._issuers) >= _MOST_ISSUERS:
                self._issuers.clear()
            issuer = self._issuers.setdefault(issuer.fingerprint(hashes.SHA256()), issuer)
        return Entry(certificate.public_bytes(Encoding.DER), issuer, status, until, used)

    def _put(self, key: bytes, entry: Entry) -> None:
        old = self._entries.pop(key, None)
        self._entries[key] = entry
        self._figures[entry.status.outcome] += 1
        if len(self._entries) > self._capacity:
            _, old = self._entries.popitem(last=False)
        if old is not None:
            self._figures[old.status.outcome] -= 1

    def _ask_at(self, key: bytes, entry: Entry, moment: float) -> None:
        entry.due = moment
        heapq.heappush(self._plan, (moment, key))
        if len(self._plan) > 2 * len(self._entries) + 100:  # mostly of entries planned anew
            self._plan = [(each.due, name) for name, each in self._entries.items() if each.due]
            heapq.heapify(self._plan)
