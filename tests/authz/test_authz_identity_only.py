"""Rules that came with an identity are a source: what they do not speak of is denied."""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface import implementer

from mqttd.auth.acl_claims import access_rules
from mqttd.authz.authorization import Rules
from mqttd.authz.chain import SourceChain
from mqttd.identity import ConnectRequest, Identity
from mqttd.interfaces import IAuthenticator
from mqttd.packets.reason_codes import ReasonCode
from mqttd.testing import MemoryBroker

NOT_AUTHORIZED = ReasonCode.NOT_AUTHORIZED


@implementer(IAuthenticator)
class Claims:
    """Gives everybody but ``free`` these rules."""

    def __init__(self, acl: Any) -> None:
        self.rules = access_rules(acl)

    def authenticate(self, request: ConnectRequest) -> Identity:
        return Identity(rules=() if request.client_id == "free" else self.rules)


@pytest.mark.parametrize(
    "acl", [{"sub": ["a"]}, [{"permission": "allow", "action": "all", "topic": "a"}]]
)
def test_a_token_that_allows_one_topic_allows_no_other(acl: Any) -> None:
    broker = MemoryBroker(authenticators=[Claims(acl)])
    assert broker.connected("c").subscribe("a", "#", "b").reason_codes == [
        0,
        NOT_AUTHORIZED,
        NOT_AUTHORIZED,
    ]
    assert broker.connected("free").subscribe("a", "#").reason_codes == [0, 0]


@pytest.mark.parametrize("acl", [[], {}, {"pub": [], "sub": [], "all": []}])
def test_a_token_that_allows_nothing_does(acl: Any) -> None:
    broker = MemoryBroker(authenticators=[Claims(acl)])
    assert broker.connected("c").subscribe("a").reason_codes == [NOT_AUTHORIZED]


def test_no_match_allow_counts_for_them_too(world: Any) -> None:
    chain = SourceChain((), world.clock, denies=False, denies_ruled=False)
    world.authorization.use(Rules(chain))
    world.names.identities["c"] = Identity(rules=access_rules({"sub": ["a"]}))
    assert world.connected("c").subscribe("b").reason_codes == [0]
