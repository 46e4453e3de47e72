"""The list of bans over the control socket, in the shapes of EMQX's ``/api/v5/banned``."""

from __future__ import annotations

from mqttd.abuse.banned import KINDS, OPERATOR
from mqttd.control.ports import ControlError, Page, Row, bad_request
from mqttd.runtime.abuse import Abuse


class BannedControl:
    """What ``mqttd ctl banned`` does."""

    def __init__(self, abuse: Abuse) -> None:
        self._abuse = abuse

    def figures(self) -> Row:
        """How many are banned, and how many clients were refused at CONNECT, by kind."""
        guard = self._abuse.guard
        return {"banned": len(guard.bans), "refused_clients": dict(sorted(guard.refused.items()))}

    def list(self, page: int, limit: int) -> Page:
        """Page ``page``, from 1, of ``limit`` entries, oldest first."""
        bans = self._abuse.rows()
        begin = (page - 1) * limit
        return Page([ban.row() for ban in bans[begin : begin + limit]], len(bans))

    def add(self, row: Row) -> Row:
        """Ban somebody; the entry as it is kept. Raises ControlError."""
        try:
            return self._abuse.add(row, OPERATOR).row()
        except ValueError as problem:
            raise bad_request(str(problem)) from None

    def remove(self, kind: str, who: str) -> None:
        """Take an entry out. Raises ControlError when it is not there."""
        if kind not in KINDS:
            raise bad_request(f"as must be one of {', '.join(KINDS)}")
        if not self._abuse.remove(kind, who):
            raise ControlError(404, "NOT_FOUND", f"{kind} {who} is not banned")

    def clear(self) -> None:
        """Take all out."""
        self._abuse.clear()
