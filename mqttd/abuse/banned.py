"""The list of who may not come in: by name, by address, by network; each until a time."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeGuard

import attrs

from mqttd.abuse.addresses import Network, Networks, parse_address, parse_network
from mqttd.config.patterns import fits

KINDS: Final = (
    "clientid",
    "username",
    "peerhost",
    "peerhost_net",
    "clientid_pattern",
    "username_pattern",
)
"""What an entry is about, as EMQX calls it; patterns with ``*`` and ``?`` in place of its regular
expressions."""

LONGEST: Final = 1024
"""Characters of who is banned, by whom and why."""
MOST_BYTES: Final = 32 << 20
"""Of all entries together, as text: what is kept in memory and in the file has a bound."""
MOST_PATTERNS: Final = 1_000
"""Each CONNECT is compared with every pattern."""
OPERATOR: Final = "mqttd ctl"
FLAPPING: Final = "flapping detector"
FAILURES: Final = "failed authentication"
AUTOMATIC: Final = frozenset({FLAPPING, FAILURES})
"""Who bans without being told to; their entries give way when the list is full."""

_FOREVER = ("infinity", "undefined")


@attrs.frozen
class Ban:
    """One entry: ``kind`` and ``who``, ``by`` whom and why, ``at`` when and ``until`` when, in
    seconds since the epoch (``math.inf``: for good)."""

    kind: str
    who: str
    by: str
    reason: str
    at: float
    until: float = math.inf

    @property
    def key(self) -> tuple[str, str]:
        """There is one entry for each."""
        return self.kind, self.who

    @property
    def size(self) -> int:
        """Bytes of its texts."""
        return len(f"{self.who}{self.by}{self.reason}".encode())

    def row(self) -> dict[str, Any]:
        """As EMQX's API has it."""
        until = "infinity" if self.until == math.inf else _moment(self.until)
        return {
            "as": self.kind,
            "who": self.who,
            "by": self.by,
            "reason": self.reason,
            "at": _moment(self.at),
            "until": until,
        }

    @property
    def by_address(self) -> bool:
        """Whether it is about an address, and not about a name."""
        return self.kind in ("peerhost", "peerhost_net")

    def concerns(self, client_id: str, username: str | None) -> bool:
        """Whether it is about a client's names."""
        match self.kind:
            case "clientid":
                return client_id == self.who
            case "username":
                return username == self.who
            case "clientid_pattern":
                return fits(self.who, client_id)
            case "username_pattern":
                return username is not None and fits(self.who, username)
        return False


def parse_ban(row: Mapping[str, Any], now: float) -> Ban:
    """An entry in EMQX's shape: ``{as, who, by, reason, at, until}``; the last four need not be
    there. ``until`` is RFC 3339 text, seconds since the epoch, or ``infinity``. Raises ValueError.
    """
    kind, who = row.get("as"), row.get("who")
    if kind in ("clientid_re", "username_re"):
        what = str(kind).removesuffix("_re")
        raise ValueError(f"there are no regular expressions; use {what}_pattern with * and ?")
    if kind not in KINDS:
        raise ValueError(f"as must be one of {', '.join(KINDS)}")
    if not _is_text(who) or not who:
        raise ValueError(f"who must be text of 1 to {LONGEST} characters")
    at = _seconds(row.get("at", now), "at")
    until = _seconds(row.get("until", math.inf), "until")
    if at == math.inf:
        raise ValueError("at must be a time")
    return Ban(kind, _settled(kind, who), _text(row, "by"), _text(row, "reason"), at, until)


class BanList:
    """Every entry in force, at most ``most``. Times are seconds since the epoch."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._bans: dict[tuple[str, str], Ban] = {}
        self._networks = Networks()
        self._patterns: dict[tuple[str, str], Ban] = {}
        self._next_end = math.inf
        self._size = 0

    def __len__(self) -> int:
        return len(self._bans)

    def rows(self, now: float) -> list[Ban]:
        """Those that hold, oldest first."""
        self.expire(now)
        return list(self._bans.values())

    def add(self, ban: Ban, now: float) -> None:
        """Put one in, in place of a former one about the same. Raises ValueError when the list is
        full; automatic entries make room for others, the one that ends first at first."""
        self.expire(now)
        pattern = ban.kind.endswith("_pattern")
        if pattern and ban.key not in self._bans and len(self._patterns) >= MOST_PATTERNS:
            raise ValueError(f"there are {MOST_PATTERNS} patterns already")
        if ban.key not in self._bans and len(self._bans) >= self.most:
            self._make_room()
        if self._size + ban.size > MOST_BYTES:
            raise ValueError(f"the list is full: its text has {MOST_BYTES >> 20} MiB")
        self.remove(ban.kind, ban.who)
        self._bans[ban.key] = ban
        self._size += ban.size
        self._next_end = min(self._next_end, ban.until)
        if pattern:
            self._patterns[ban.key] = ban
        elif ban.kind == "peerhost_net":
            self._networks.add(parse_network(ban.who))

    def remove(self, kind: str, who: str) -> bool:
        """Take one out; says whether it was there."""
        try:
            key = kind, _settled(kind, who)
        except ValueError:
            return False
        ban = self._bans.pop(key, None)
        if ban is None:
            return False
        self._size -= ban.size
        self._patterns.pop(key, None)
        if kind == "peerhost_net":
            self._networks.remove(parse_network(ban.who))
        return True

    def clear(self) -> int:
        """Take all out; returns how many there were."""
        count = len(self._bans)
        self._bans.clear()
        self._patterns.clear()
        self._size = 0
        self._networks = Networks()
        self._next_end = math.inf
        return count

    def expire(self, now: float) -> bool:
        """Drop what is over; says whether anything was."""
        if now < self._next_end:
            return False
        over = [key for key, ban in self._bans.items() if ban.until <= now]
        for key in over:
            self.remove(*key)
        self._next_end = min((ban.until for ban in self._bans.values()), default=math.inf)
        return bool(over)

    def by_address(self, host: str, now: float) -> Ban | None:
        """The entry that keeps a peer's address out."""
        if not self._bans:
            return None
        self.expire(now)
        address = parse_address(host)
        if address is None:
            return None
        ban = self._bans.get(("peerhost", str(address)))
        if ban is None:
            network = self._networks.find(address)
            if network is not None:
                ban = self._bans.get(("peerhost_net", str(network)))
        return ban

    def by_name(self, client_id: str, username: str | None, now: float) -> Ban | None:
        """The entry that keeps a client out by what it is called."""
        if not self._bans:
            return None
        self.expire(now)
        ban = self._bans.get(("clientid", client_id))
        if ban is None and username is not None:
            ban = self._bans.get(("username", username))
        if ban is None and self._patterns:
            for each in self._patterns.values():
                if each.concerns(client_id, username):
                    return each
        return ban

    def _make_room(self) -> None:
        automatic = [ban for ban in self._bans.values() if ban.by in AUTOMATIC]
        if not automatic:
            raise ValueError(f"the list is full: it has {self.most} entries")
        self.remove(*min(automatic, key=lambda ban: ban.until).key)


def from_rows(rows: Iterable[object], now: float) -> list[Ban]:
    """Entries as a file keeps them; those that are over are left out. Raises ValueError."""
    bans = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ValueError(f"entry {number} is no object")
        try:
            ban = parse_ban(row, now)
        except ValueError as problem:
            raise ValueError(f"entry {number}: {problem}") from None
        if ban.until > now:
            bans.append(ban)
    return bans


def _settled(kind: str, who: str) -> str:
    """One spelling for each address and network. Raises ValueError."""
    if kind == "peerhost":
        address = parse_address(who.strip())
        if address is None:
            raise ValueError("who must be an IP address")
        return str(address)
    if kind == "peerhost_net":
        try:
            network: Network = parse_network(who)
        except ValueError:
            raise ValueError("who must be a network such as 192.0.2.0/24") from None
        return str(network)
    return who


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not _is_text(value):
        raise ValueError(f"{name} must be text of {LONGEST} characters at most")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """Text that is short, and can be written into a file."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return False
    return not any("\ud800" <= mark <= "\udfff" for mark in value)


def _seconds(value: object, name: str) -> float:
    if isinstance(value, str):
        if value in _FOREVER:
            return math.inf
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name} must be a time such as 2030-01-31T12:00:00Z") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise ValueError(f"{name} must be a time such as 2030-01-31T12:00:00Z")


def _moment(seconds: float) -> str:
    try:
        when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "9999-12-31T23:59:59Z"
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
