"""Lets devices in with tickets: passwords signed for one device, which end by themselves."""

from __future__ import annotations

import hashlib
import hmac
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from zope.interface import implementer

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode


def ticket(secret: bytes, client_id: str, end: int) -> str:
    """The password of a device until ``end``, in seconds since the epoch: ``END.PROOF``."""
    proof = hmac.new(secret, f"{end}.{client_id}".encode(), hashlib.sha256)
    return f"{end}.{proof.hexdigest()}"


@implementer(IAuthenticator)
class Tickets:
    """Knows the secret that tickets are signed with."""

    def __init__(self, secret_file: Path, now: Callable[[], float] = time.time) -> None:
        self._secret_file = secret_file
        self._now = now
        self._secret = read_secret(secret_file)

    def authenticate(self, request: ConnectRequest) -> Identity | None:
        """Who has a ticket is the device that it was signed for, until it ends."""
        password = request.password or b""
        end, dot, _ = password.partition(b".")
        if not dot or not end.isdigit() or len(end) > 11:
            return None  # no ticket: the next authenticator may know this client
        expected = ticket(self._secret, request.client_id, int(end)).encode()
        if not hmac.compare_digest(password, expected):
            raise Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        if int(end) <= self._now():
            raise Refused(ReasonCode.NOT_AUTHORIZED, "the ticket has ended")
        return Identity(username=request.client_id, expires_at=float(end))

    async def reload(self) -> None:
        """Read the secret again, as all files are at a reload. An error keeps the former one."""
        self._secret = await deferToThread(read_secret, self._secret_file)


def read_secret(file: Path) -> bytes:
    """Raises ValueError, whose text becomes an error of the configuration."""
    try:
        secret = file.read_bytes().strip()
    except OSError as problem:
        raise ValueError(f"{file}: {problem.strerror}") from None
    if len(secret) < 32:
        raise ValueError(f"{file}: holds less than 32 bytes")
    return secret


def make(options: Mapping[str, Any], context: PluginContext) -> Tickets:
    """``authentication { mechanism = "acme-tickets", secret_file = "tickets.secret" }``."""
    unknown = set(options) - {"secret_file"}
    if unknown:
        raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
    name = options.get("secret_file")
    if not isinstance(name, str):
        raise ValueError("secret_file is needed")
    return Tickets(context.base_dir / name)


if __name__ == "__main__":  # python -m acme_tickets SECRET_FILE CLIENT_ID HOURS
    _, secret_file, client_id, hours = sys.argv
    print(ticket(read_secret(Path(secret_file)), client_id, int(time.time() + 3600 * int(hours))))
