"""``who`` of a rule: plain values made into conditions, with everything wrong found."""

from __future__ import annotations

import difflib
import ipaddress
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from mqttd.authz import who as conditions
from mqttd.authz.who import EVERYBODY, Network, Who
from mqttd.config.types import shown
from mqttd.placeholders import is_attribute_name

Complain = Callable[[str, str, str], None]
"""Told where below ``who``, what is wrong there, and the cure."""

_DEEPEST: Final = 20
_TEXT_FIELDS: Final = (
    "username",
    "clientid",
    "listener",
    "cert_common_name",
    "cert_subject",
    "cert_issuer",
    "psk_identity",
    "sni",
    "tls_version",
)
_FIELDS: Final = (
    *_TEXT_FIELDS,
    *sorted(conditions.NAME_FIELDS),
    "cert_fingerprint",
    "cert_serial",
    "ipaddr",
    "client_attrs",
    "and",
    "or",
    "not",
)
_OTHER_NAMES: Final = {
    "common_name": "cert_common_name",
    "cert_cn": "cert_common_name",
    "subject": "cert_subject",
    "issuer": "cert_issuer",
    "dns_name": "cert_san_dns",
    "san": "cert_san_dns",
    "fingerprint": "cert_fingerprint",
    "serial": "cert_serial",
    "client_attr": "client_attrs",
    "ipaddrs": "ipaddr",
    "user": "username",
    "client_id": "clientid",
    "topic": "topics",
}


def read_who(value: Any, complain: Complain) -> Who:
    """``all``, a section whose fields must all fit, or a list of such of which one must.

    What is wrong is told to ``complain``; what is returned then must not be used.
    """
    return _who(value, "", 0, complain)


def unknown(key: object, known: Sequence[str]) -> tuple[str, str]:
    """What to say of a key that nobody knows, and the cure."""
    near = [_OTHER_NAMES[str(key)]] if _OTHER_NAMES.get(str(key)) in known else []
    near = near or difflib.get_close_matches(str(key).lower(), known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"there is no {shown(key)} here", cure


def _who(value: Any, field: str, depth: int, complain: Complain) -> Who:
    if value is None or value == "all":
        return EVERYBODY
    if depth > _DEEPEST:
        complain(field, "is nested too deep", "")
    elif isinstance(value, list):
        return conditions.either(_several(value, field, depth, complain))
    elif not isinstance(value, Mapping):
        cure = 'write who = all, or who { username = "..." }'
        complain(field, f"expects all or a section, not {shown(value)}", cure)
    elif not value:
        complain(field, "is empty", "write who = all for everybody")
    else:
        reader = _Reader(complain, depth)
        return conditions.both(
            [reader.condition(key, given, f"{field}.{key}") for key, given in value.items()]
        )
    return EVERYBODY


def _several(value: Any, field: str, depth: int, complain: Complain) -> list[Who]:
    if not isinstance(value, list) or not value:
        complain(field, "expects a list of sections", "write [ { ... }, { ... } ]")
        return []
    return [_who(each, f"{field}[{n}]", depth + 1, complain) for n, each in enumerate(value)]


@attrs.frozen
class _Reader:
    complain: Complain
    depth: int

    def condition(self, key: str, given: Any, field: str) -> Who:
        """One field of a section."""
        if key == "and":
            return conditions.both(_several(given, field, self.depth, self.complain))
        if key == "or":
            return conditions.either(_several(given, field, self.depth, self.complain))
        if key == "not":
            return conditions.neither(_who(given, field, self.depth + 1, self.complain))
        if key == "client_attrs":
            return self._attributes(given, field)
        if key not in _FIELDS:
            self.complain(field, *unknown(key, _FIELDS))
            return EVERYBODY
        texts = self._texts(given, field)
        if key == "ipaddr":
            return conditions.address_condition(self._each(texts, field, network))
        if key in conditions.NAME_FIELDS:
            return conditions.names_condition(key, texts)
        if key == "cert_fingerprint":
            return conditions.fingerprint_condition(
                frozenset(self._each(texts, field, _fingerprint))
            )
        if key == "cert_serial":
            return conditions.serial_condition(frozenset(self._each(texts, field, _serial)))
        return conditions.text_condition(key, texts)

    def _attributes(self, given: Any, field: str) -> Who:
        if not isinstance(given, Mapping) or not given:
            self.complain(field, "expects a section", 'write client_attrs { NAME = "..." }')
            return EVERYBODY
        for name in given:
            if not is_attribute_name(name):
                self.complain(
                    f"{field}.{name}", "cannot name an attribute", "use letters, digits, _"
                )
        return conditions.both(
            [
                conditions.attribute_condition(name, self._texts(each, f"{field}.{name}"))
                for name, each in given.items()
            ]
        )

    def _texts(self, value: Any, field: str) -> list[str]:
        """One text or a list of them; whole numbers count as text."""
        items = value if isinstance(value, list) else [value]
        if not items:
            self.complain(field, "is an empty list", "remove it, or name somebody")
        texts = []
        for item in items:
            if isinstance(item, bool) or not isinstance(item, (str, int)) or item == "":
                self.complain(field, f"expects text, not {shown(item)}", "put it in double quotes")
            else:
                texts.append(str(item))
        return texts

    def _each(self, texts: list[str], field: str, read: Callable[[str], Any]) -> list[Any]:
        made = []
        for text in texts:
            try:
                made.append(read(text))
            except _Bad as bad:
                self.complain(field, bad.problem, bad.cure)
        return made


class _Bad(ValueError):  # noqa: N818 - says what is wrong
    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


def network(text: str) -> Network:
    """An address or a CIDR; IPv4 written as IPv6 is IPv4. Raises ValueError."""
    text = text.strip()
    address, slash, length = text.partition("/")
    bad = _Bad(f"{shown(text)} is no address and no CIDR", 'write it such as "10.0.0.0/8"')
    # Digits only: netmasks and wildcard masks are easily taken for each other.
    if "%" in address or (slash and not (length.isascii() and length.isdigit())):
        raise bad
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise bad from None
    if slash and str(found.network_address) != str(ipaddress.ip_address(address)):
        raise _Bad(f"{shown(text)} has host bits set", f'write "{found}"')
    if isinstance(found, ipaddress.IPv6Network):
        mapped = found.network_address.ipv4_mapped
        if mapped is not None and found.prefixlen >= 96:
            return ipaddress.IPv4Network((mapped, found.prefixlen - 96))
    return found


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").strip().lower()
    if len(plain) != 64 or not set(plain) <= set(string.hexdigits):
        cure = "write the 64 hexadecimal digits of the certificate's SHA-256"
        raise _Bad(f"{shown(text)} is no SHA-256 fingerprint", cure)
    return plain


def _serial(text: str) -> int:
    plain = text.replace(":", "").strip().lower().removeprefix("0x")
    if not plain or len(plain) > 64 or not set(plain) <= set(string.hexdigits):
        cure = 'write it as openssl x509 -serial does, such as "0A1B2C"'
        raise _Bad(f"{shown(text)} is no serial number in hexadecimal", cure)
    return int(plain, 16)
