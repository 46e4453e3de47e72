"""What clients may do: the broker's ``Authorization``, by the rules in force."""

from __future__ import annotations

from functools import partial

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.authz.chain import Done, SourceChain
from mqttd.authz.reviews import Reviews
from mqttd.broker.authorization import Decision, settle_permissions
from mqttd.broker.broker import Broker
from mqttd.broker.connection import Connection
from mqttd.identity import AccessRequest, Identity


@attrs.frozen(eq=False)
class Rules:
    """The rules of one configuration. ``key`` is equal where they come from the same options and
    the same sources; ``remembered`` and ``remembered_for`` are those of ``authorization.cache``.
    """

    chain: SourceChain
    remembered: int = 32
    remembered_for: float = 60.0
    disconnects: bool = False
    key: object = attrs.field(default=None, repr=False)

    @property
    def open(self) -> bool:
        """Whether everybody may do everything, but for rules of identities."""
        return not self.chain.links and not self.chain.denies


class ClientAuthorization:
    """Fulfils the broker's ``Authorization`` port.

    Until :meth:`use` was called everything is denied.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._broker: Broker | None = None
        self._reviews: Reviews | None = None
        self._generation = 0
        self._rules = Rules(SourceChain((), clock, denies=True))

    def attach(self, broker: Broker) -> None:
        """The broker whose clients are asked about."""
        self._broker = broker
        broker.authorization = self
        self._reviews = Reviews(broker, self._clock)

    @property
    def rules(self) -> Rules:
        """Those in force."""
        return self._rules

    @property
    def reviews(self) -> Reviews:
        """The looks at live sessions."""
        assert self._reviews is not None
        return self._reviews

    # --- the port ----------------------------------------------------------------------------

    @property
    def remembered(self) -> int:
        """Topics remembered for one client."""
        return self._rules.remembered

    @property
    def remembered_for(self) -> float:
        """Seconds an answer counts."""
        return self._rules.remembered_for

    @property
    def disconnects(self) -> bool:
        """Whether a denial ends the connection."""
        return self._rules.disconnects

    def concerns(self, identity: Identity) -> bool:
        """Whether such a client has to be asked about at all."""
        return bool(identity.rules) or not self._rules.open

    def authorize(self, request: AccessRequest, done: Done) -> Decision | None:
        """The decision, or None: then ``done`` is called with it, once and later."""
        answered = partial(self._answered, request, done, self._generation)
        return self._rules.chain.ask(request, answered)

    def review(self, connection: Connection) -> None:
        """Look at what this client subscribed to, soon."""
        self.reviews.one(connection)

    # --- changes -----------------------------------------------------------------------------

    def use(self, rules: Rules) -> None:
        """From now on these count; live sessions are looked at when they are others."""
        if rules.key is not None and rules.key == self._rules.key:
            return
        opened = rules.open is not self._rules.open
        self._rules = rules
        if opened and self._broker is not None:
            for connection in self._broker.connections:
                settle_permissions(connection)
        self.changed()

    def changed(self) -> None:
        """A source's later answers may differ from earlier ones: forget those, and look again at
        every live session. Questions on their way are asked anew. Returns at once."""
        self._generation += 1
        if self._broker is not None:
            self._broker.rules = object()
            if self._broker.connections:
                self.reviews.everybody()

    def stop(self) -> None:
        """Look at nobody any more."""
        if self._reviews is not None:
            self._reviews.stop()

    # --- within ------------------------------------------------------------------------------

    def _answered(
        self, request: AccessRequest, done: Done, generation: int, decision: Decision
    ) -> None:
        if generation != self._generation:  # rules changed under the question
            again = self.authorize(request, done)
            if again is None:
                return
            decision = again
        try:
            done(decision)
        except Exception:
            self._log.failure("an answer about a client was lost; this is a bug in mqttd")
