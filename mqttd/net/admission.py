"""Who may come in: today everybody; the place where authenticators will be asked."""

from __future__ import annotations

from collections.abc import Callable

from mqttd.identity import ConnectRequest, Identity, Refused


class OpenAdmission:
    """Admits every client under the name it gives. Used while no authenticator is configured."""

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        """Fulfils the broker's ``Admission`` port."""
        done(Identity(username=request.username))
