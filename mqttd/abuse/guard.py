"""Decides who may try: counts, rates, back-off and bans, by address and by identity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import Logger

from mqttd.abuse.addresses import Networks, group_of, parse_network, short_key
from mqttd.abuse.banned import FAILURES, FLAPPING, Ban, BanList, parse_ban
from mqttd.abuse.counts import Counts, Rates
from mqttd.abuse.failures import FailurePolicy, Failures, Step
from mqttd.abuse.flapping import Flapping
from mqttd.abuse.identities import TOO_MANY, TOO_OFTEN, IdentityLimits
from mqttd.broker.state import State
from mqttd.config.schema.abuse import AbuseOptions, FailedAuthOptions, FlappingOptions
from mqttd.identity import ConnectRequest, Identity, PeerInfo, Refused
from mqttd.log.text import clip, escape
from mqttd.log.tokens import without_token
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_FAILED: Final = frozenset((ReasonCode.BAD_USER_NAME_OR_PASSWORD, ReasonCode.NOT_AUTHORIZED))
"""Answers of authenticators that count as failures; that nobody could be asked does not."""
_OUR_DOING: Final = frozenset(("server_shutting_down", "administrative_action"))
"""Ends that say nothing about the client."""

TOO_MANY_TEXT: Final = "this identity has too many connections"
BANNED: Final = "banned"
BACK_OFF: Final = "auth-backoff"
CONNECTIONS: Final = "address-connections"
RATE: Final = "address-rate"
HANDSHAKES: Final = "address-handshakes"
HANDSHAKE_RATE: Final = "handshake-rate"


@attrs.frozen
class Objection:
    """A peer is not wanted: ``kind`` as in the cause table, ``text`` what more is to be said."""

    kind: str
    text: str = ""


@attrs.define(eq=False)
class Visit:
    """One connection as its address is charged with it; ``key`` empty: it is exempt."""

    key: str = ""
    handshaking: bool = False


class Guard:
    """What all listeners ask before they do any work for a peer, and the broker before it asks
    who a client is.

    ``now`` gives seconds that do not go back, ``wall`` seconds since the epoch. ``banned`` is
    called with each entry the guard adds by itself. ``refused`` counts what was refused at
    CONNECT, by kind; what is refused earlier the listeners count.
    """

    _log = Logger()

    def __init__(
        self,
        options: AbuseOptions,
        flapping: FlappingOptions,
        bans: BanList,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        banned: Callable[[Ban], object] = lambda _ban: None,
        excess: Callable[[Connection], object] = lambda _connection: None,
    ) -> None:
        self.bans = bans
        self.refused: Counter[str] = Counter()
        self.on_ban = banned
        self.on_excess = excess
        self._now = now
        self._wall = wall
        self._open = Counts()
        self._handshakes = Counts()
        self._by_name: Failures | None = None
        self._by_address: Failures | None = None
        self._options: AbuseOptions | None = None
        self._flapping_options: FlappingOptions | None = None
        self.configure(options, flapping)

    def configure(
        self,
        options: AbuseOptions,
        flapping: FlappingOptions,
        connections: Iterable[Connection] = (),
    ) -> None:
        """From now on; ``connections`` are those there are. What was counted is kept, except by
        limits that are different now."""
        former = self._options
        most = options.max_tracked
        self.bans.most = options.max_banned
        if former is not None and former == options and self._flapping_options == flapping:
            return
        address, identity, failed = options.per_address, options.per_identity, options.failed_auth
        if former is None or former.max_tracked != most or former.per_address != address:
            self._rates = Rates(address.conn_rate, address.conn_burst, most)
            self._handshake_rates = Rates(address.handshake_rate, address.handshake_burst, most)
        if former is None or former.max_tracked != most or former.failed_auth != failed:
            self._by_name, self._by_address = _failures(failed, most)
        if former is None or former.max_tracked != most or self._flapping_options != flapping:
            self._flapping = None
            if flapping.enable:
                self._flapping = Flapping(flapping.window_time, flapping.max_count, most)
        self._exempt = Networks(map(parse_network, options.exempt))
        self._options, self._flapping_options = options, flapping
        self._address, self._failed = address, failed
        self._ban_time = flapping.ban_time
        if former is None or former.max_tracked != most or former.per_identity != identity:
            self._identities = IdentityLimits(identity, most)
            for connection in connections:
                if connection.state is State.CONNECTED:
                    self._keep(connection)

    # --- addresses, before any work ----------------------------------------------------------

    def enter(self, host: str, *, tls: bool) -> Visit | Objection:
        """A peer connects; ``tls``: there will be a handshake. To be ended with :meth:`leave`."""
        ban = self.bans.by_address(host, self._wall())
        if ban is not None:
            return Objection(BANNED, _about(ban))
        if self._exempt.holds(host):
            return Visit()
        key, now, limits = group_of(host), self._now(), self._address
        waits = 0.0 if self._by_address is None else self._by_address.waits(key, now)
        if waits:
            return Objection(BACK_OFF, f"for {waits:.0f} s more")
        most = limits.max_connections
        if most is not None and self._open.of(key) >= most:
            return Objection(CONNECTIONS, f"{most}")
        most = limits.max_handshakes
        if tls and most is not None and self._handshakes.of(key) >= most:
            return Objection(HANDSHAKES, f"{most}")
        if tls and not self._handshake_rates.take(key, now):
            return Objection(HANDSHAKE_RATE)
        if not self._rates.take(key, now):
            return Objection(RATE)
        self._open.add(key)
        if tls:
            self._handshakes.add(key)
        return Visit(key, tls)

    def handshake_done(self, visit: Visit) -> None:
        """TLS of the connection is there, or is no longer wanted."""
        if visit.handshaking:
            visit.handshaking = False
            self._handshakes.remove(visit.key)

    def leave(self, visit: Visit) -> None:
        """The connection is gone."""
        self.handshake_done(visit)
        if visit.key:
            self._open.remove(visit.key)
            visit.key = ""

    # --- names, at CONNECT -------------------------------------------------------------------

    def before(self, request: ConnectRequest) -> Refused | None:
        """Whether a client is refused before anybody is asked about it."""
        ban = self.bans.by_name(request.client_id, request.username, self._wall())
        if ban is not None:
            return self._refuse(BANNED, ReasonCode.BANNED, "banned")
        if self._by_name is None:
            return None
        waits = self._by_name.waits(_name_key(request), self._now())
        if waits:
            text = "too many failed authentications; try again later"
            return self._refuse(BACK_OFF, ReasonCode.CONNECTION_RATE_EXCEEDED, text)
        return None

    def judged(self, request: ConnectRequest, answer: Identity | Refused) -> Identity | Refused:
        """The authenticators have answered: the answer that counts."""
        if isinstance(answer, Refused):
            if answer.reason_code in _FAILED:
                self._count_failure(request)
            return answer
        if self._by_name is not None:
            self._by_name.succeeded(_name_key(request))
        username = request.username if answer.username is None else answer.username
        client_id = request.client_id if answer.client_id is None else answer.client_id
        if answer.username is not None or answer.client_id is not None:
            ban = self.bans.by_name(client_id, username, self._wall())
            if ban is not None:
                return self._refuse(BANNED, ReasonCode.BANNED, "banned")
        return self._within_limits(request.peer, username, client_id) or answer

    def _within_limits(
        self, peer: PeerInfo, username: str | None, client_id: str
    ) -> Refused | None:
        if not self._identities.limited or self._exempt.holds(peer.peer[0]):
            return None
        kind = self._identities.objection(peer, username, client_id, self._now())
        if kind == TOO_MANY:
            return self._refuse(kind, ReasonCode.QUOTA_EXCEEDED, TOO_MANY_TEXT)
        if kind == TOO_OFTEN:
            text = "this identity connects too often"
            return self._refuse(kind, ReasonCode.CONNECTION_RATE_EXCEEDED, text)
        return None

    def connected(self, connection: Connection) -> None:
        """A client is in. Several of one identity may have been let in at once: ``on_excess`` is
        called with each that is too many."""
        if not self._keep(connection):
            self.refused[TOO_MANY] += 1
            self.on_excess(connection)

    def _keep(self, connection: Connection) -> bool:
        peer = connection.peer
        if not self._identities.limited or self._exempt.holds(peer.peer[0]):
            return True
        return self._identities.add(peer, connection.username, connection.client_id)

    def ended(self, peer: PeerInfo) -> None:
        """A client is gone; one that was never in does no harm."""
        self._identities.remove(peer)

    # --- who behaves badly -------------------------------------------------------------------

    def disconnected(self, connection: Connection) -> None:
        """An admitted client is gone."""
        flapping = self._flapping
        if flapping is None or connection.ended in _OUR_DOING:
            return
        if self._exempt.holds(connection.peer.peer[0]):
            return
        if flapping.disconnected(short_key(connection.session_key), self._now()):
            self._ban(
                "clientid",
                connection.client_id,
                FLAPPING,
                f"more than {flapping.max_count} connections within {flapping.window:g} s",
                self._ban_time,
            )

    def _count_failure(self, request: ConnectRequest) -> None:
        host = request.peer.peer[0]
        if self._by_name is None or self._exempt.holds(host):
            return
        now, key = self._now(), _name_key(request)
        if self._by_name.failed(key, now) is Step.BACK_OFF:
            self._log.info(
                "{name} [{peer}] failed to authenticate {count} times or more within {window:g} s:"
                " refused for {seconds:.0f} s",
                event="auth_backoff",
                name=clip(escape(without_token(_name(request)))) or "a client without a name",
                peer=host,
                count=self._failed.max_count,
                window=self._failed.window_time,
                seconds=self._by_name.waits(key, now),
            )
        self._count_address(host, now)

    def handshake_failed(self, host: str) -> None:
        """A peer proved in its TLS handshake that it is not who it should be."""
        if not self._exempt.holds(host):
            self._count_address(host, self._now())

    def _count_address(self, host: str, now: float) -> None:
        if self._by_address is None:
            return
        group = group_of(host)
        step = self._by_address.failed(group, now)
        if step is Step.BACK_OFF:
            self._log.info(
                "{count} failed authentications or more from {peer} within {window:g} s: the "
                "address is refused for {seconds:.0f} s",
                event="auth_backoff",
                peer=group,
                count=self._failed.address_max_count,
                window=self._failed.window_time,
                seconds=self._by_address.waits(group, now),
            )
        elif step is Step.BAN:
            kind = "peerhost_net" if "/" in group else "peerhost"
            self._ban(
                kind,
                group,
                FAILURES,
                f"failed again after {self._failed.ban_after} back-offs",
                self._failed.ban_time,
            )

    def _ban(self, kind: str, who: str, by: str, reason: str, seconds: float) -> None:
        now = self._wall()
        until = now + seconds if seconds != math.inf else math.inf
        row = {"as": kind, "who": who, "by": by, "reason": reason, "at": now, "until": until}
        try:
            ban = parse_ban(row, now)
            self.bans.add(ban, now)
        except ValueError as problem:
            self._log.warn(
                "{who} should be banned ({reason}) and is not: {problem}",
                event="ban_failed",
                who=clip(escape(who)),
                reason=reason,
                problem=str(problem),
            )
        else:
            self.on_ban(ban)

    def _refuse(self, kind: str, code: ReasonCode, text: str) -> Refused:
        self.refused[kind] += 1
        return Refused(code, text)


def _failures(
    options: FailedAuthOptions, most: int
) -> tuple[Failures, Failures | None] | tuple[None, None]:
    if not options.enable:
        return None, None

    def policy(count: int, ban_after: int | None) -> FailurePolicy:
        window, backoff = options.window_time, options.backoff
        return FailurePolicy(count, window, backoff, options.max_backoff, ban_after)

    by_address = None
    if options.address_max_count is not None:
        by_address = Failures(policy(options.address_max_count, options.ban_after), most)
    return Failures(policy(options.max_count, None), most), by_address


def _name(request: ConnectRequest) -> str:
    return request.client_id if request.username is None else request.username


def _name_key(request: ConnectRequest) -> str:
    """One name from one address."""
    return short_key(f"{group_of(request.peer.peer[0])}\0{_name(request)}")


def _about(ban: Ban) -> str:
    return f"by {clip(escape(ban.by)) or 'somebody'}: {clip(escape(ban.reason)) or ban.kind}"
