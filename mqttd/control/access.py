"""What a connected client may do, and which rule says so."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from mqttd.authz.authorization import ClientAuthorization
from mqttd.authz.explain import Asking, Explanation, explain, parse_topic
from mqttd.broker.authorization import access_request
from mqttd.broker.connection import Connection
from mqttd.control.ports import Row, bad_request
from mqttd.identity import PUBLISH, SUBSCRIBE

_OPEN: Final = Explanation(True, ())


async def access_row(
    connection: Connection, action: str, topic: str, qos: int, retain: bool, clock: IReactorTime
) -> Row:
    """The explanation as JSON has it. Sources are asked as they would be. Raises ControlError."""
    if action not in (PUBLISH, SUBSCRIBE):
        raise bad_request("action must be publish or subscribe")
    try:
        group, name = parse_topic(action, topic)
    except ValueError as problem:
        raise bad_request(str(problem)) from None
    authorization = connection.broker.authorization
    found = _OPEN
    if isinstance(authorization, ClientAuthorization):
        chain = authorization.rules.chain
        sources = [Asking(link.name, "", link.authorizer) for link in chain.links]
        request = access_request(connection, action, name.encode(), qos, retain, group=group)
        found = await explain(request, sources, chain.no_match(request), clock)
    return attrs.asdict(found)
