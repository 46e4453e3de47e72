"""Answers of the broker as text for a terminal: tables, and nothing that moves its cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]

_MINUTE = 60
_HOUR = 3600
_DAY = 86400


def plain(value: object) -> str:
    """Text with every character that is not printed escaped: names come from clients."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii")
        for mark in str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, under a head."""
    cells = [[name.upper() for name in head], *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def listing(row: Row, indent: str = "") -> str:
    """An object as a line for each name; objects within are indented."""
    width = max((len(name) for name in row), default=0)
    lines = []
    for name, value in row.items():
        if isinstance(value, dict):
            inner = listing(value, indent + "  ")
            lines.append(f"{indent}{plain(name)}:" + (f"\n{inner}" if inner else " -"))
        elif isinstance(value, list):
            words = ", ".join(plain(each) for each in value)
            lines.append(f"{indent}{plain(name).ljust(width)}  {words or '-'}")
        else:
            lines.append(f"{indent}{plain(name).ljust(width)}  {plain(value)}")
    return "\n".join(lines)


def status_text(status: Row) -> str:
    """``mqttd ctl status``."""
    running, stopped = status["listeners"]["running"], status["listeners"]["stopped"]
    counters = status["counters"]
    lines = [
        f"mqttd {plain(status['version'])} is running: process {status['pid']}, "
        f"for {span(status['uptime'])}, with {plain(status['config'])}",
        f"listeners      {running} running" + (f", {stopped} stopped" if stopped else ""),
        f"clients        {status['clients']} now, {status['most_clients']} at most",
        f"sessions       {status['sessions']}",
        f"subscriptions  {status['subscriptions']}",
        f"retained       {status['retained']}",
        f"messages       {counters['publish_received']} received, "
        f"{counters['publish_sent']} sent, {counters['publish_dropped']} dropped",
    ]
    if status.get("banned"):
        lines.append(f"banned         {status['banned']}")
    if status.get("refused_clients"):
        words = (f"{plain(kind)} {count}" for kind, count in status["refused_clients"].items())
        lines.append(f"refused        {', '.join(words)}")
    if status["refusals"]:
        rows = ([each["listener"], each["cause"], each["count"]] for each in status["refusals"])
        lines += ["", "Refused connections:", table(("listener", "cause", "count"), rows)]
    return "\n".join(lines)


def listeners_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl listeners``."""
    head = ("id", "address", "running", "current", "most", "max", "certificate", "days", "ended")
    return table(
        head,
        (
            [
                row["id"],
                row["address"],
                row["running"],
                row["current_connections"],
                row["most_connections"],
                row["max_connections"],
                row.get("certificate", {}).get("subject"),
                row.get("certificate", {}).get("days_left"),
                ", ".join(f"{word} {count}" for word, count in row["shutdown_count"].items()),
            ]
            for row in rows
        ),
    )


def clients_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl clients list``."""
    if not rows:
        return "No clients."
    head = ("client", "username", "listener", "address", "protocol", "proven by", "days")
    return table(head, (_client(row) for row in rows))


def _client(row: Row) -> Sequence[object]:
    certificate = row.get("certificate", {})
    proof = certificate.get("subject")
    if "psk_identity" in row:
        proof = f"PSK {row['psk_identity']}"
    return [
        row["clientid"],
        row["username"],
        row["listener"],
        f"{row['ip_address']}:{row['port']}",
        {3: "3.1", 4: "3.1.1", 5: "5.0"}.get(row["proto_ver"], row["proto_ver"]),
        proof,
        certificate.get("days_left"),
    ]


def certificates_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl certs``."""
    if not rows:
        return "No certificates are loaded."
    head = ("listener", "role", "subject", "serial", "until", "days", "file")
    names = ("listener", "role", "subject", "serial", "not_after", "days_left", "file")
    return table(head, ([row[name] for name in names] for row in rows))


def psk_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl psk list``."""
    return "\n".join(plain(row["identity"]) for row in rows) or "No pre-shared keys."


def crl_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl crl list``."""
    if not rows:
        return "No revocation lists."
    head = ("list", "usable", "revoked", "next update", "fetched", "problem")
    names = ("source", "usable", "entries", "next_update", "fetched", "error")
    return table(head, ([row[name] for name in names] for row in rows))


def ocsp_text(rows: Sequence[Row]) -> str:
    """``mqttd ctl ocsp list``."""
    if not rows:
        return "No responses are stapled."
    head = ("certificate", "responder", "status", "next update", "last fetch", "problem")
    names = ("subject", "url", "status", "next_update", "last_fetch", "last_error")
    return table(head, ([row[name] for name in names] for row in rows))


def reload_text(report: Row) -> str:
    """``mqttd ctl reload``."""
    if not report["ok"]:
        lines = ["Nothing was changed:", *(f"  {plain(each)}" for each in report["refused"])]
        return "\n".join(lines)
    lines = [f"changed: {plain(each)}" for each in report["changed"]] or ["Nothing has changed."]
    lines += [f"needs a restart: {plain(each)}" for each in report["needs_restart"]]
    lines += [plain(each) for each in report["findings"]]
    return "\n".join(lines)


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    units = (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1))
    left = int(seconds)
    parts: list[str] = []
    for name, size in units:
        if left >= size or (parts and len(parts) < 2):
            parts.append(f"{left // size} {name}")
            left %= size
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"
