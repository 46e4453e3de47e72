"""Looks at what a client subscribed to earlier, and at its Will, under the rules of now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttd.broker.authorization import Decision
from mqttd.broker.subscriptions import Subscription
from mqttd.identity import PUBLISH, SUBSCRIBE

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection
    from mqttd.broker.session import Session


class Review:
    """One look at one client's session.

    :meth:`advance` does a piece of it at a time. When an answer has to be awaited it stops, and
    ``answered`` is called once more can be done. ``undecided`` says that nobody could decide
    about something; that is neither dropped nor kept here. At the end :meth:`enforce` drops what
    is not allowed.
    """

    __slots__ = ("_answered", "_connection", "_denied", "_queue", "_session", "_will", "undecided")

    def __init__(
        self,
        connection: Connection,
        session: Session,
        answered: Callable[[], object],
        *,
        will: bool = True,
    ) -> None:
        self._connection = connection
        self._session = session
        self._answered = answered
        self._queue: deque[Subscription] = deque(session.state.subscriptions.values())
        self._denied: list[Subscription] = []
        self._will = will and connection.will is not None
        self.undecided = False

    @property
    def finished(self) -> bool:
        """Whether everything was looked at, or the client is gone."""
        if self._connection.session is not self._session:
            return True
        return not self._queue and not self._will

    def advance(self, most: int) -> int | None:
        """Judge up to ``most`` things; returns how many, or None when an answer is awaited."""
        count = 0
        while count < most and not self.finished:
            permissions = self._connection.permissions
            if permissions is None:  # everything is allowed meanwhile
                self._queue.clear()
                self._will = False
                break
            count += 1
            decision = self._judge_will() if self._will else self._judge_next()
            if decision is None:
                return None
            self._take(decision)
        return count

    def enforce(self) -> None:
        """Drop the subscriptions, and the Will, that are not allowed any more."""
        if self._connection.session is not self._session:
            return
        # What was subscribed to anew meanwhile was judged then.
        current = self._session.state.subscriptions
        denied = [each for each in self._denied if current.get(each.key) is each]
        if denied:
            self._session.withdraw(denied)

    def _judge_will(self) -> Decision | None:
        connection, permissions = self._connection, self._connection.permissions
        assert connection.will is not None
        assert permissions is not None
        message = connection.will.message
        topic = message.topic[len(connection.mountpoint.encode()) :]
        return permissions.judge(
            PUBLISH, topic, message.qos, message.retain, self._later, is_will=True
        )

    def _judge_next(self) -> Decision | None:
        permissions = self._connection.permissions
        assert permissions is not None
        subscription = self._queue[0]
        topic = own_filter(self._connection, subscription).encode()
        return permissions.judge(
            SUBSCRIBE,
            topic,
            subscription.qos,
            False,
            self._later,
            group=subscription.group,
            remember=False,
        )

    def _take(self, decision: Decision) -> None:
        if not decision.known:
            self.undecided = True
        denied = decision.known and not decision.allowed
        if self._will:
            self._will = False
            if denied:
                self._connection.withdraw_will()
            return
        subscription = self._queue.popleft()
        if denied:
            self._denied.append(subscription)

    def _later(self, decision: Decision) -> None:
        if not self.finished:
            self._take(decision)
        self._answered()


def own_filter(connection: Connection, subscription: Subscription) -> str:
    """The Topic Filter in the client's own words: without mountpoint and ``$share``."""
    return subscription.topic_filter[len(connection.mountpoint) :]
