"""Scalar values of the configuration file: durations, sizes, rates, addresses, lists, secrets."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Sequence
from pathlib import Path

import attrs

from mqttd.config.errors import InvalidValue

_DURATION_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "f": 1209600.0,
}
_SIZE_UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|[smhdwf])\s*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)
_RATE = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*(?:/\s*([0-9]*)\s*([a-z]+))?", re.IGNORECASE
)
_TRUE = frozenset({"true", "on"})
_FALSE = frozenset({"false", "off"})


def shown(value: object) -> str:
    """A value as an error message may quote it: its kind when it is no scalar, and never long."""
    if isinstance(value, dict):
        return "a section { ... }"
    if isinstance(value, list):
        return "a list [ ... ]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def is_infinity(value: object) -> bool:
    """Whether the value is the word ``infinity``."""
    return isinstance(value, str) and value.strip().lower() == "infinity"


def parse_boolean(value: object) -> bool:
    """``true``, ``false``, ``on`` or ``off``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise InvalidValue(f"expects true or false, not {shown(value)}", "write true or false")


def parse_integer(value: object) -> int:
    """A whole number; text of digits counts, since environment variables are text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,20}", value.strip()):
        return int(value)
    raise InvalidValue(f"expects a whole number, not {shown(value)}")


def parse_number(value: object) -> float:
    """A number that may have a fraction."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", value.strip()):
        return float(value)
    raise InvalidValue(f"expects a number, not {shown(value)}")


def parse_text(value: object) -> str:
    """Text; a bare number is taken as its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise InvalidValue(f"expects text, not {shown(value)}", "put the value in double quotes")


def parse_text_list(value: object) -> list[str]:
    """A list of texts, or one text with commas between the items; empty items are dropped."""
    if isinstance(value, list):
        items = [parse_text(item) for item in value]
    elif isinstance(value, str):
        items = value.split(",")
    else:
        raise InvalidValue(
            f"expects a list or text with commas, not {shown(value)}",
            'write ["a", "b"] or "a,b"',
        )
    return [item.strip() for item in items if item.strip()]


def parse_duration(value: object) -> float:
    """Seconds, from text such as ``15m``, ``1h30m``, ``1.5s`` or ``infinity`` (``math.inf``).

    A bare whole number counts milliseconds, as in EMQX's files.
    """
    cure = "write a number with ms, s, m, h, d, w or f, such as 15s or 1h30m"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value / 1000.0
    if isinstance(value, str):
        text = value.strip().lower()
        if text == "infinity":
            return math.inf
        if text.isdecimal() and text.isascii() and len(text) <= 18:
            return int(text) / 1000.0
        total, position = 0.0, 0
        while position < len(text):
            part = _DURATION_PART.match(text, position)
            if part is None:
                break
            total += float(part[1]) * _DURATION_UNITS[part[2]]
            position = part.end()
        if text and position == len(text):
            return total
    raise InvalidValue(f"expects a duration, not {shown(value)}", cure)


def parse_size(value: object) -> int:
    """Bytes, from a whole number or text such as ``4KB``, ``1MB``, ``1GB`` (1 KB is 1024)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is not None and match[2].lower() in _SIZE_UNITS:
            size = float(match[1]) * _SIZE_UNITS[match[2].lower()]
            if size.is_integer():
                return int(size)
    raise InvalidValue(
        f"expects a size, not {shown(value)}", "write bytes, or a number with KB, MB or GB"
    )


@attrs.frozen
class Rate:
    """``count`` events or bytes in every ``interval`` seconds."""

    count: float
    interval: float = 1.0

    @property
    def per_second(self) -> float:
        """The rate over one second."""
        return self.count / self.interval

    def __str__(self) -> str:
        return f"{self.count:g}/{format_duration(self.interval)}"


def parse_rate(value: object) -> Rate | None:
    """``100/s``, ``10MB/10s``, ``500`` (a second) or ``infinity`` (None: no limit)."""
    cure = "write a number and an interval, such as 100/s or 10MB/10s, or infinity"
    if is_infinity(value):
        return None
    match = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        match = _RATE.fullmatch(str(value).strip())
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise InvalidValue(f"expects a rate, not {shown(value)}", cure)
    interval = 1.0
    if match[4] is not None:
        unit = match[4].lower()
        if unit not in _DURATION_UNITS or unit in {"w", "f"}:
            raise InvalidValue(f"expects a rate, not {shown(value)}", cure)
        interval = float(match[3] or 1) * _DURATION_UNITS[unit]
    count = float(match[1]) * _SIZE_UNITS[match[2].lower()]
    if count <= 0 or interval <= 0:
        raise InvalidValue("a rate of zero would admit nobody", cure)
    return Rate(count, interval)


@attrs.frozen
class Bind:
    """Where a listener listens: a literal IP address and a port (0: the system picks one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(value: object) -> Bind:
    """``8883``, ``:8883``, ``127.0.0.1:8883``, ``[::1]:8883`` or ``::1:8883``.

    A port alone is every IPv4 address.

    Host names are refused: what a name stands for may change between two starts.
    """
    cure = 'write a port, or an IP address and a port such as "127.0.0.1:8883" or "[::1]:8883"'
    if isinstance(value, int) and not isinstance(value, bool):
        return Bind("0.0.0.0", _port(str(value), cure))  # noqa: S104 - EMQX's meaning of a bare port
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(f"expects an address and a port, not {shown(value)}", cure)
    host, _, port_text = value.strip().rpartition(":")
    port = _port(port_text, cure)
    if not host:
        return Bind("0.0.0.0", port)  # noqa: S104
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise InvalidValue(
            f"{shown(host)} is no IP address; host names are not accepted, because what a name "
            "stands for may change between two starts",
            cure,
        ) from None
    return Bind(str(address), port)


def _port(text: str, cure: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidValue(f"{shown(text)} is no port number", cure)
    if len(text) > 5 or int(text) > 65535:
        raise InvalidValue(f"port {shown(text)} is too large: the highest is 65535", cure)
    return int(text)


@attrs.frozen
class Keepalive:
    """TCP keep-alive: seconds idle, seconds between probes, probes before giving up."""

    idle: int
    interval: int
    probes: int

    def __str__(self) -> str:
        return f"{self.idle},{self.interval},{self.probes}"


def parse_keepalive(value: object) -> Keepalive | None:
    """``none`` (None), or ``Idle,Interval,Probes`` within 1..72000, 1..750 and 1..90."""
    cure = 'write none, or "Idle,Interval,Probes" such as "240,30,5"'
    if isinstance(value, str) and value.strip().lower() == "none":
        return None
    parts = value.split(",") if isinstance(value, str) else []
    if len(parts) != 3 or not all(p.strip().isascii() and p.strip().isdecimal() for p in parts):
        raise InvalidValue(f"expects three numbers, not {shown(value)}", cure)
    numbers = []
    for part, high, name in zip(
        parts, (72000, 750, 90), ("Idle", "Interval", "Probes"), strict=True
    ):
        number = int(part) if len(part.strip()) <= 9 else high + 1
        if not 1 <= number <= high:
            raise InvalidValue(f"{name} must be within 1..{high}, not {shown(part.strip())}", cure)
        numbers.append(number)
    return Keepalive(*numbers)


class Secret:
    """A value never shown: ``repr`` and ``str`` hide it, ``reveal()`` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(******)"


def parse_secret(value: object, base_dir: Path) -> Secret:
    """The text itself, or what the file of ``file://PATH`` holds, less its last line end.

    Errors name the file and never the value.
    """
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise InvalidValue("expects text or file://PATH", "put the value in double quotes")
    text = str(value)
    if not text.startswith("file://"):
        return Secret(text)
    path = base_dir / text.removeprefix("file://")
    cure = "make the file readable for the user who runs the broker"
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidValue(f"the file {path} is not UTF-8 text") from None
    except OSError as problem:
        raise InvalidValue(f"cannot read {path}: {problem.strerror}", cure) from None
    content = content.removesuffix("\n").removesuffix("\r")
    if not content:
        raise InvalidValue(f"the file {path} is empty", "write the secret into it")
    return Secret(content)


def format_duration(seconds: float) -> str:
    """A duration as the file writes it: ``15s``, ``2h``, ``infinity``."""
    if seconds == math.inf:
        return "infinity"
    for unit in ("d", "h", "m", "s"):
        if seconds >= _DURATION_UNITS[unit] and (seconds / _DURATION_UNITS[unit]).is_integer():
            return f"{int(seconds / _DURATION_UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms" if seconds else "0s"


def format_size(size: int) -> str:
    """A size as the file writes it: ``4KB``, ``1MB``, or bare bytes."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit.upper()}"
    return str(size)


def nearest_text(items: Sequence[str]) -> str:
    """The items as a sentence part: ``a, b or c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"
