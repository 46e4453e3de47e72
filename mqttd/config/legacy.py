"""The flat lines of EMQ X 4 (``listener.ssl.external = 8883``, ``psk.file.path``) as sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import attrs

from mqttd.config.errors import Finding
from mqttd.config.schema.listeners import LISTENER_TYPES

_LINE = re.compile(
    r"[ \t]*(?:listener\.([A-Za-z0-9_.-]+)|(psk\.file\.[a-z]+))[ \t]*=[ \t]*(.*?)[ \t]*\r?"
)
_COMMENT = re.compile(r"\s+##?\s.*$")

_COMMON = {
    "acceptors": "acceptors",
    "max_connections": "max_connections",
    "max_conn_rate": "max_conn_rate",
    "mountpoint": "mountpoint",
    "zone": "zone",
    "proxy_protocol": "proxy_protocol",
    "proxy_protocol_timeout": "proxy_protocol_timeout",
    "peer_cert_as_username": "peer_cert_as_username",
    "peer_cert_as_clientid": "peer_cert_as_clientid",
} | {
    key: f"tcp_options.{key}"
    for key in (
        "active_n",
        "backlog",
        "send_timeout",
        "send_timeout_close",
        "recbuf",
        "sndbuf",
        "buffer",
        "high_watermark",
        "nodelay",
        "reuseaddr",
    )
}
_TLS = {
    key: f"ssl_options.{key}"
    for key in (
        "keyfile",
        "certfile",
        "cacertfile",
        "verify",
        "fail_if_no_peer_cert",
        "depth",
        "ciphers",
        "dhfile",
        "handshake_timeout",
        "honor_cipher_order",
        "secure_renegotiate",
        "reuse_sessions",
        "hibernate_after",
        "enable_crl_check",
    )
} | {
    "tls_versions": "ssl_options.versions",
    "key_password": "ssl_options.password",
    "psk_ciphers": "ssl_options.ciphers",
    "enable_ocsp_stapling": "ssl_options.ocsp.enable_ocsp_stapling",
    "ocsp_responder_url": "ssl_options.ocsp.responder_url",
    "ocsp_issuer_pem": "ssl_options.ocsp.issuer_pem",
    "ocsp_refresh_interval": "ssl_options.ocsp.refresh_interval",
    "ocsp_refresh_http_timeout": "ssl_options.ocsp.refresh_http_timeout",
}
_WEBSOCKET = {
    key: f"websocket.{key}"
    for key in (
        "mqtt_path",
        "mqtt_piggyback",
        "compress",
        "idle_timeout",
        "max_frame_size",
        "fail_if_no_subprotocol",
        "supported_subprotocols",
        "proxy_address_header",
        "proxy_port_header",
        "check_origin_enable",
        "allow_origin_absence",
        "check_origins",
    )
}
_PSK = {
    "psk.file.path": ("psk_authentication", "init_file"),
    "psk.file.delimiter": ("psk_authentication", "separator"),
}
_KEYS = {
    "tcp": _COMMON,
    "ssl": _COMMON | _TLS,
    "ws": _COMMON | _WEBSOCKET,
    "wss": _COMMON | _TLS | _WEBSOCKET,
}


@attrs.frozen
class LegacyLine:
    """One line ``listener.KEY = VALUE``, or ``KEY = VALUE`` with a key that begins with
    ``psk.file``; ``origin`` is its file and line."""

    key: str
    value: str = attrs.field(repr=False)
    origin: str


def take_legacy_lines(text: str, name: str) -> tuple[str, list[LegacyLine]]:
    """The text with its flat lines made blank, and those lines.

    They are taken out before HOCON is read, which knows no key that has both a value and keys
    below it.
    """
    if "listener." not in text and "psk.file." not in text:
        return text, []
    lines, legacy = text.split("\n"), []
    for index, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is not None:
            value = _COMMENT.sub("", match[3])
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1]
            legacy.append(LegacyLine(match[1] or match[2], value, f"{name}:{index + 1}"))
            lines[index] = ""
    return "\n".join(lines), legacy


def convert(
    lines: Sequence[LegacyLine], values: dict[str, Any], origins: dict[str, str]
) -> list[Finding]:
    """Put the lines into ``values`` as sections, and say where each went.

    A line that has no meaning here, or names an option the file also has in its new form, is an
    error.
    """
    findings: list[Finding] = []
    moved: dict[str, list[str]] = {}
    rules: dict[str, dict[int, str]] = {}
    of_keys = [line for line in lines if line.key.startswith("psk.file.")]
    findings += _convert_psk(of_keys, values, origins)
    for line in lines:
        if line in of_keys:
            continue
        old = f"listener.{line.key}"
        kind, _, rest = line.key.partition(".")
        name, _, key = rest.partition(".")
        if kind not in LISTENER_TYPES or not name:
            message = f"there are no {kind!r} listeners" if name else "names no listener"
            cure = f"listener types are {', '.join(LISTENER_TYPES)}"
            findings.append(Finding("error", old, message, cure, line.origin))
            continue
        section = f"listeners.{kind}.{name}"
        number = key.removeprefix("access.")
        if key.startswith("access.") and number.isdecimal() and len(number) < 10:
            rules.setdefault(section, {})[int(number)] = line.value
            new: str | None = "access_rules"
        else:
            new = "bind" if not key else _KEYS[kind].get(key)
        if new is None:
            message = f"has no meaning on {kind} listeners"
            cure = "remove it, or see the options of the new form"
            findings.append(Finding("error", old, message, cure, line.origin))
            continue
        value: Any = line.value
        if new == "mountpoint":
            value = value.replace("%u", "${username}").replace("%c", "${clientid}")
        elif new == "access_rules":
            value = [rule for _, rule in sorted(rules[section].items())]
        again = new == "access_rules" and new in moved.get(section, ())
        if not _put(values, (*section.split(".", 2), *new.split(".")), value, replace=again):
            message = f"is given twice: {section}.{new} has a value too"
            findings.append(Finding("error", old, message, "keep one of the two", line.origin))
            continue
        origins[f"{section}.{new}"] = f"{line.origin}, {old}"
        if not again:
            moved.setdefault(section, []).append(new)
    for section, keys in moved.items():
        kind = section.split(".")[1]
        findings.append(
            Finding(
                "notice",
                section,
                f"written in the form of EMQ X 4 (listener.{kind}....), read as this section",
                f"write {section} {{ {', '.join(f'{key} = ...' for key in keys)} }}",
                origins[f"{section}.{keys[0]}"].partition(",")[0],
            )
        )
    return findings


def _convert_psk(
    lines: Sequence[LegacyLine], values: dict[str, Any], origins: dict[str, str]
) -> list[Finding]:
    """The lines of EMQ X 4's plugin for pre-shared keys; they imply that it is in use."""
    findings: list[Finding] = []
    for line in lines:
        path = _PSK.get(line.key)
        if path is None:
            cure = f"write {' or '.join(_PSK)}"
            findings.append(Finding("error", line.key, "has no meaning", cure, line.origin))
        elif not _put(values, path, line.value, replace=False):
            message = f"is given twice: {'.'.join(path)} has a value too"
            findings.append(
                Finding("error", line.key, message, "keep one of the two", line.origin)
            )
        else:
            origins[".".join(path)] = f"{line.origin}, {line.key}"
            _put(values, ("psk_authentication", "enable"), True, replace=False)
    if lines and not findings:
        message = "written in the form of EMQ X 4 (psk.file....), read as this section"
        cure = "write psk_authentication { enable = true, init_file = ..., separator = ... }"
        findings.append(Finding("notice", "psk_authentication", message, cure, lines[0].origin))
    return findings


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any, *, replace: bool) -> bool:
    """Set the value at the path; False when something else stands there."""
    node: Any = values
    for word in path[:-1]:
        node = node.setdefault(word, {})
        if not isinstance(node, dict):
            return False
    if path[-1] in node and not replace:
        return False
    node[path[-1]] = value
    return True
