"""What one client may do: asked of the authorization port, and remembered for the hot path."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from mqttd.identity import PUBLISH, AccessRequest
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_LONGEST: Final = 256
"""Bytes of a topic that is remembered: a client cannot fill memory with names."""

PUBLISH_BITS: Final = ((1, 2), (4, 8), (16, 32))
"""What an answer about publishing is kept under, by QoS and retain."""
_SUBSCRIBE_BITS: Final = (64, 128, 256)


@attrs.frozen
class Decision:
    """Whether something is allowed. ``source`` says in words who decided, for logs.

    ``known`` False: nobody could decide, and so it is denied; this is never remembered.
    """

    allowed: bool
    source: str
    known: bool = True


Done = Callable[[Decision], None]


class _Answers:
    """What is known of one topic, under the rules of then and until a time; the masks hold bits of
    the tables above."""

    __slots__ = ("allowed", "denied", "rules", "until")

    def __init__(self, rules: object, until: float) -> None:
        self.rules = rules
        self.until = until
        self.allowed = 0
        self.denied: dict[int, Decision] | None = None


class Permissions:
    """What one connected client may do, in its own topics: a mountpoint is not part of them.

    A remembered answer costs a look-up and allocates nothing. Everything else is asked of the
    broker's ``Authorization``.
    """

    __slots__ = ("_broker", "_connection", "_known")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._broker = connection.broker
        self._known: dict[bytes, _Answers] = {}

    def knows(self, topic: bytes, bit: int) -> bool:
        """Whether publishing is remembered as allowed; ``bit`` is one of PUBLISH_BITS."""
        answers = self._known.get(topic)
        if answers is None or not answers.allowed & bit:
            return False
        broker = self._broker
        return answers.rules is broker.rules and broker.now < answers.until

    def judge(
        self,
        action: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Done,
        *,
        group: str | None = None,
        is_will: bool = False,
        remember: bool = True,
    ) -> Decision | None:
        """The decision, or None: then ``done`` is called with it, once and later.

        ``remember`` False leaves an answer that is not known yet out of what is remembered.
        """
        authorization = self._broker.authorization
        if authorization is None:
            return _NOBODY
        # Plugins see the Share Name, and that it is the Will: both may count for them.
        plain = group is None and not is_will
        bit = PUBLISH_BITS[qos][retain] if action == PUBLISH else _SUBSCRIBE_BITS[qos]
        if plain:
            decision = self._remembered(topic, bit)
            if decision is not None:
                return decision
        request = access_request(
            self._connection, action, topic, qos, retain, group=group, is_will=is_will
        )
        remembers = plain and remember

        def answered(decision: Decision) -> None:
            self._broker.answered()
            connection = self._connection
            if connection.identity is not request.identity:  # it authenticated anew meanwhile
                permissions = connection.permissions
                again: Decision | None = _SUPERUSER
                if permissions is not None:
                    again = permissions.judge(
                        action,
                        topic,
                        qos,
                        retain,
                        done,
                        group=group,
                        is_will=is_will,
                        remember=remember,
                    )
                if again is None:
                    return
                decision = again
            elif remembers:
                self._remember(topic, bit, decision)
            try:
                done(decision)
            except Exception:  # ours; nobody would ever go on with the client
                connection.close(ReasonCode.UNSPECIFIED_ERROR, "internal error")
                raise

        decision = authorization.authorize(request, answered)
        if decision is not None and remembers:
            self._remember(topic, bit, decision)
        return decision

    def _counts(self, answers: _Answers) -> bool:
        return answers.rules is self._broker.rules and self._broker.now < answers.until

    def forget(self) -> None:
        """The client is another now: ask anew."""
        self._known.clear()

    def _remembered(self, topic: bytes, bit: int) -> Decision | None:
        answers = self._known.get(topic)
        if answers is None or not self._counts(answers):
            return None
        if answers.allowed & bit:
            return _REMEMBERED
        return None if answers.denied is None else answers.denied.get(bit)

    def _remember(self, topic: bytes, bit: int, decision: Decision) -> None:
        authorization = self._broker.authorization
        most = 0 if authorization is None else authorization.remembered
        if not decision.known or not most or len(topic) > _LONGEST:
            return
        assert authorization is not None
        known = self._known
        answers = known.get(topic)
        if answers is None or not self._counts(answers):
            known.pop(topic, None)
            while len(known) >= most:
                del known[next(iter(known))]
            answers = known[topic] = _Answers(
                self._broker.rules, self._broker.now + authorization.remembered_for
            )
        if decision.allowed:
            answers.allowed |= bit
            return
        if answers.denied is None:
            answers.denied = {}
        answers.denied[bit] = decision


_REMEMBERED = Decision(True, "remembered")
_NOBODY = Decision(True, "no authorization")
_SUPERUSER = Decision(True, "superuser")


def settle_permissions(connection: Connection) -> None:
    """What the client is asked about from now on: None when it may do everything.

    A superuser may; and everybody may where there are no rules.
    """
    authorization = connection.broker.authorization
    identity = connection.identity
    if authorization is None or identity.is_superuser or not authorization.concerns(identity):
        connection.permissions = None
    elif connection.permissions is None:
        connection.permissions = Permissions(connection)
    else:
        connection.permissions.forget()


def access_request(
    connection: Connection,
    action: str,
    topic: bytes,
    qos: int,
    retain: bool = False,
    *,
    group: str | None = None,
    is_will: bool = False,
) -> AccessRequest:
    """What the client wants to do, as authorizers see it."""
    return AccessRequest(
        action=action,
        topic=topic.decode(),
        qos=qos,
        retain=retain,
        username=connection.username,
        client_id=connection.client_id,
        identity=connection.identity,
        peer=connection.peer,
        is_will=is_will,
        group=group,
    )


def denied(connection: Connection, request: AccessRequest, decision: Decision) -> bool:
    """Tell of a denial, and do what is done to who is denied: True when the client may stay.

    Nobody is sent away for want of an answer: all would be who talk to a source that is down.
    """
    broker = connection.broker
    if broker.events is not None:
        broker.events.denied(connection, request, decision.source)
    if not decision.known or broker.authorization is None or not broker.authorization.disconnects:
        return True
    connection.close(ReasonCode.NOT_AUTHORIZED, f"not authorized to {request.action}")
    return False
