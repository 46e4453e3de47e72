"""How a client is refused whom no authenticator knows, or who has not said enough."""

from __future__ import annotations

from mqttd.identity import ConnectRequest, Refused
from mqttd.packets.reason_codes import ReasonCode

WRONG = "wrong user name or password"


def unknown(request: ConnectRequest) -> Refused:
    """The refusal of a user nobody knows.

    It must look, down to the Reason String, like that of a known one with a wrong password or
    with none: else a stranger could find out who is known.
    """
    if request.username is None and request.password is None:
        return Refused(ReasonCode.NOT_AUTHORIZED, "no authenticator lets the client in")
    return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, WRONG)
