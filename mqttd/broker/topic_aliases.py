"""Topic Aliases in both directions; they live as long as the Network Connection."""

from __future__ import annotations

from mqttd.packets.errors import QuotaExceeded, TopicAliasInvalid


class InboundAliases:
    """Aliases the client set. ``maximum`` is what the broker announced; ``room`` bounds the bytes.

    65,535 aliases of 65,535 bytes would be 4 GiB for one client, so the bytes are bounded too.
    """

    __slots__ = ("_room", "_topics", "maximum")

    def __init__(self, maximum: int, room: int) -> None:
        self.maximum = maximum
        self._room = room
        self._topics: dict[int, bytes] = {}

    def resolve(self, alias: int, topic: bytes) -> bytes:
        """The Topic Name of a PUBLISH with ``alias``; remembers ``topic`` when it is not empty.

        Raises TopicAliasInvalid for an alias out of range or never set.
        """
        if not 0 < alias <= self.maximum:  # [MQTT-3.3.2-8] [MQTT-3.3.2-9]
            raise TopicAliasInvalid(f"topic alias {alias} is not in 1 to {self.maximum}")
        if topic:
            self._room += len(self._topics.get(alias, b"")) - len(topic)
            if self._room < 0:
                raise QuotaExceeded("topic aliases hold too many bytes")
            self._topics[alias] = topic
            return topic
        try:
            return self._topics[alias]
        except KeyError:
            raise TopicAliasInvalid(f"topic alias {alias} was never set") from None


class OutboundAliases:
    """Aliases the broker set, first come first served. [MQTT-3.1.2-26] [MQTT-3.1.2-27]."""

    __slots__ = ("_maximum", "_topics")

    def __init__(self, maximum: int) -> None:
        # More than a few hundred would cost memory per client for little gain on the wire.
        self._maximum = min(maximum, 256)
        self._topics: dict[bytes, int] = {}

    def assign(self, topic: bytes) -> tuple[int, bool]:
        """(alias, whether the client knows it already); alias 0 when none is left."""
        alias = self._topics.get(topic)
        if alias is not None:
            return alias, True
        if len(self._topics) >= self._maximum:
            return 0, False
        alias = len(self._topics) + 1  # forget() only ever takes back the newest
        self._topics[topic] = alias
        return alias, False

    def forget(self, topic: bytes) -> None:
        """The PUBLISH that would have set the newest alias was not sent."""
        self._topics.pop(topic, None)
