"""Topic Aliases in both directions."""

from __future__ import annotations

import pytest

from mqttd.broker.topic_aliases import InboundAliases, OutboundAliases
from mqttd.packets.errors import QuotaExceeded, TopicAliasInvalid


def test_an_alias_is_remembered_and_resolved() -> None:
    aliases = InboundAliases(maximum=2, room=100)
    assert aliases.resolve(1, b"a/b") == b"a/b"
    assert aliases.resolve(1, b"") == b"a/b"
    assert aliases.resolve(1, b"c") == b"c"
    assert aliases.resolve(1, b"") == b"c"


@pytest.mark.parametrize("alias", [0, 3, 65_535])
def test_an_alias_out_of_range_is_refused(alias: int) -> None:
    with pytest.raises(TopicAliasInvalid):
        InboundAliases(maximum=2, room=100).resolve(alias, b"a")


def test_an_alias_never_set_is_refused() -> None:
    with pytest.raises(TopicAliasInvalid):
        InboundAliases(maximum=2, room=100).resolve(2, b"")


def test_the_bytes_kept_are_bounded_and_replacing_gives_room_back() -> None:
    aliases = InboundAliases(maximum=10, room=8)
    aliases.resolve(1, b"12345678")
    aliases.resolve(1, b"1234")
    aliases.resolve(2, b"5678")
    with pytest.raises(QuotaExceeded):
        aliases.resolve(3, b"9")


def test_outbound_aliases_are_given_first_come_first_served() -> None:
    aliases = OutboundAliases(2)
    assert aliases.assign(b"a") == (1, False)
    assert aliases.assign(b"b") == (2, False)
    assert aliases.assign(b"a") == (1, True)
    assert aliases.assign(b"c") == (0, False)


def test_an_alias_that_was_not_sent_is_taken_back() -> None:
    aliases = OutboundAliases(2)
    aliases.assign(b"a")
    aliases.forget(b"a")
    assert aliases.assign(b"b") == (1, False)
