"""The assertions that tests of plugins use: wrong plugins are told what to mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from mqttd.events import EVENTS, Event
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.interfaces import (
    REVOKED,
    STATUS_GOOD,
    UNKNOWN,
    IAuthenticator,
    IAuthorizer,
    IEnhancedAuthenticator,
    IEnhancedExchange,
    IEventSink,
    IPSKStore,
    IRevocationChecker,
    RevocationStatus,
)
from mqttd.testing import (
    access_request,
    answer_of,
    assert_authenticator,
    assert_authorizer,
    assert_enhanced_authenticator,
    assert_event_sink,
    assert_psk_store,
    assert_revocation_checker,
    certificate_chain,
    connect_request,
    plugin_context,
)

EMPTY: dict[str, Any] = {}
ONE: Any = 1
LIST: Any = ["x"]
ANN = connect_request("ann", "secret of ann")


async def later(value: Any) -> Any:
    return value


def raises(error: Exception) -> Any:
    raise error


@implementer(IAuthenticator)
class Answers:
    """An authenticator that answers as a function says."""

    def __init__(self, answer: Callable[[ConnectRequest], Any], **attributes: Any) -> None:
        self._answer = answer
        vars(self).update(attributes)

    def authenticate(self, request: ConnectRequest) -> Any:
        return self._answer(request)


@implementer(IAuthenticator)
class NoMethod:  # type: ignore[misc]
    pass


class NotDeclared:
    def authenticate(self, request: ConnectRequest) -> None:
        pass


def only_ann(request: ConnectRequest) -> Identity | None:
    if request.username != "ann":
        return None
    if request.password != b"secret of ann":
        raise Refused(0x86)
    return Identity("ann")


def test_right_authenticators_pass() -> None:
    wrong = connect_request("ann", "wrong")
    stranger = connect_request("bob", "x")
    expected: Mapping[str, Any] = {"admits": [ANN], "refuses": [wrong], "leaves": [stranger]}
    assert_authenticator(Answers(only_ann), **expected)

    async def ask(request: ConnectRequest) -> Identity | None:
        return only_ann(request)

    assert_authenticator(Answers(ask), **expected)
    assert_authenticator(Answers(lambda _: Deferred()))  # not there yet: not judged


@pytest.mark.parametrize(
    ("authenticator", "told"),
    [
        (NotDeclared(), "NotDeclared does not say that it is an IAuthenticator: put @implementer"),
        (Answers, "Answers is a class: give one of its instances"),
        (NoMethod(), "NoMethod is no IAuthenticator"),
        (Answers(lambda _: True), "answered with bool True: it must be an Identity or None"),
        (Answers(lambda _: later("ann")), "answered with str 'ann'"),
        (Answers(lambda _: succeed(1)), "answered with int 1"),
        (Answers(lambda _: EMPTY["x"]), "raised KeyError: 'x'; raise mqttd.identity.Refused"),
        (Answers(lambda _: fail(OSError("down"))), "raised OSError: down"),
        (Answers(lambda _: raises(Refused(0))), "refused with the reason code 0:"),
        (Answers(lambda _: raises(Refused(1))), "refused with the reason code 1:"),
        (
            Answers(
                lambda request: raises(Refused(0x86, (request.password or b"").decode("latin-1")))
            ),
            "a reason that holds the password",
        ),
        (Answers(lambda _: Identity(is_superuser=ONE)), "is_superuser is 1: it must be True or F"),
        (Answers(lambda _: Identity(attributes={"a": ONE})), "attributes is {'a': 1}"),
        (Answers(lambda _: Identity(rules=LIST)), "rules is ['x']: it must be a tuple of Acc"),
        (Answers(only_ann, start=True), "Answers.start is called by the broker, and is no meth"),
        (Answers(only_ann, methods=["X"]), "methods is a list: it must be a mapping"),
        (Answers(only_ann, methods={"X": object()}), "object does not say that it is an IEnh"),
    ],
)
def test_wrong_authenticators_are_told_what_to_mend(authenticator: Any, told: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_authenticator(authenticator)
    assert told in str(caught.value)


def test_expectations_of_an_authenticator() -> None:
    with pytest.raises(AssertionError, match=r"should be let in; the answer is None"):
        assert_authenticator(Answers(lambda _: None), admits=[ANN])
    with pytest.raises(AssertionError, match=r"should be refused; the answer is Identity"):
        assert_authenticator(Answers(only_ann), refuses=[ANN])
    with pytest.raises(AssertionError, match=r"should be left .* the answer is Refused\(0x86, ''"):
        assert_authenticator(Answers(only_ann), leaves=[connect_request("ann", "wrong")])
    with pytest.raises(AssertionError) as caught:
        assert_authenticator(Answers(lambda _: None), admits=[ANN])
    assert "secret of ann" not in str(caught.value)


@implementer(IEnhancedAuthenticator, IEnhancedExchange)
class Steps:
    """A method of enhanced authentication, and its exchange."""

    def __init__(self, answer: Callable[[bytes | None], Any]) -> None:
        self._answer = answer

    def start(self, request: ConnectRequest, data: bytes | None) -> Any:
        return self

    def step(self, data: bytes | None) -> Any:
        return self._answer(data)


def test_methods_of_enhanced_authentication() -> None:
    assert_enhanced_authenticator(Steps(lambda data: b"go on"))
    assert_enhanced_authenticator(Steps(lambda data: later(b"go on")))
    assert_enhanced_authenticator(Steps(lambda data: raises(Refused(0x87, "no"))))
    assert_authenticator(Answers(only_ann, methods={"X": Steps(lambda data: b"")}))
    for answer, told in (
        (lambda data: Authenticated(Identity()), "let a client in for data that prove nothing"),
        (lambda data: None, "answered with None: it must be bytes"),
        (lambda data: data.decode(), "raised AttributeError"),
        (lambda data: raises(Refused(0x18)), "refused with the reason code 24"),
    ):
        with pytest.raises(AssertionError) as caught:
            assert_enhanced_authenticator(Steps(answer))
        assert told in str(caught.value)


@implementer(IAuthorizer)
class Allows:
    def __init__(self, answer: Any, **attributes: Any) -> None:
        self._answer = answer
        vars(self).update(attributes)

    def authorize(self, request: Any) -> Any:
        return self._answer(request) if callable(self._answer) else self._answer


def test_authorizers() -> None:
    public = access_request(topic="public/a")
    private = access_request(topic="private/a")
    assert_authorizer(
        Allows(lambda request: request.topic.startswith("public/") or None),
        allows=[public],
        leaves=[private],
    )
    assert_authorizer(Allows(lambda request: later(False)), denies=[public])
    assert_authorizer(Allows(lambda request: Deferred()))
    for answer, attributes, told in (
        ("allow", {}, "answered with str 'allow': it must be True, False or None"),
        (lambda request: raises(ValueError("x")), {}, "raised ValueError: x; return False to de"),
        (True, {"on_change": lambda: None}, "on_change(function) raised TypeError"),
        (True, {"reload": "soon"}, "Allows.reload is called by the broker"),
    ):
        with pytest.raises(AssertionError) as caught:
            assert_authorizer(Allows(answer, **attributes))
        assert told in str(caught.value)
    with pytest.raises(AssertionError, match="is True, not False"):
        assert_authorizer(Allows(True), denies=[public])


@implementer(IRevocationChecker)
class Says:
    def __init__(self, known: Any, check: Any = STATUS_GOOD) -> None:
        self._known, self._check = known, check

    def known(self, chain: Any) -> Any:
        return self._known(chain) if callable(self._known) else self._known

    def check(self, chain: Any) -> Any:
        return self._check(chain) if callable(self._check) else later(self._check)

    def on_change(self, changed: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


def test_revocation_checkers() -> None:
    lost = certificate_chain("lost", serial=7)
    revoked = RevocationStatus(REVOKED, "lost", "it was lost")
    chain = certificate_chain()

    def by_serial(asked: Any) -> RevocationStatus:
        return revoked if asked[0].serial_number == 7 else STATUS_GOOD

    assert_revocation_checker(Says(by_serial), revoked=[lost], good=[chain])
    assert_revocation_checker(Says(None, RevocationStatus(UNKNOWN, "x")), unknown=[lost])
    assert_revocation_checker(Says(None, lambda chain: Deferred()))
    for checker, told in (
        (Says(lambda chain: later(None)), "known(chain) is awaited for"),
        (Says(lambda chain: EMPTY["x"]), "known(chain) raised KeyError"),
        (Says("good"), "known(chain) gave 'good': it must be a RevocationStatus"),
        (Says(RevocationStatus("maybe")), "whose outcome is one of good, revoked, unknown"),
        (Says(RevocationStatus(REVOKED)), "without a cause"),
        (Says(None, lambda chain: STATUS_GOOD), "check(chain) cannot be awaited: make it async"),
        (Says(None, lambda chain: fail(OSError("down"))), "check(chain) raised OSError"),
    ):
        with pytest.raises(AssertionError) as caught:
            assert_revocation_checker(checker)
        assert told in str(caught.value)
    with pytest.raises(AssertionError, match="should say revoked of CN=device, not good"):
        assert_revocation_checker(Says(STATUS_GOOD), revoked=[chain])


@implementer(IPSKStore)
class Keys:
    def __init__(self, key_for: Any, listed: Any = (), shown: str = "<Keys>") -> None:
        self._key_for, self._listed, self._shown = key_for, listed, shown

    def __repr__(self) -> str:
        return self._shown

    def key_for(self, identity: bytes) -> Any:
        return self._key_for(identity)

    def identities(self) -> Any:
        return self._listed

    def on_change(self, changed: Any) -> None:
        pass


def test_psk_stores() -> None:
    keys = {b"one": b"sixteen bytes..."}
    assert_psk_store(Keys(keys.get, list(keys)), keys=keys, unknown=[b"two"])
    for store, told in (
        (Keys(lambda identity: "text"), "gave a str: a key is 1 to 512 bytes"),
        (Keys(lambda identity: b""), "a key is 1 to 512 bytes"),
        (Keys(lambda identity: later(b"")), "is awaited for: the TLS handshake cannot wait"),
        (Keys(lambda identity: keys[identity]), "raised KeyError"),
        (Keys(keys.get, [b"one", b"two"]), "lists the identity b'two' and has no key for it"),
        (Keys(keys.get, "one"), "identities() gave a str: it must be a list of bytes"),
        (Keys(keys.get, [b"one"], "Keys(sixteen bytes...)"), "shows the key of b'one'"),
    ):
        with pytest.raises(AssertionError) as caught:
            assert_psk_store(store)
        assert told in str(caught.value)
        assert "sixteen" not in str(caught.value)
    with pytest.raises(AssertionError, match="does not give the key of b'two'"):
        assert_psk_store(Keys(keys.get), keys={b"two": b"x"})
    with pytest.raises(AssertionError, match="has a key for b'one', which it should not know"):
        assert_psk_store(Keys(keys.get), unknown=[b"one"])


def test_answers() -> None:
    assert answer_of(later(1)) == 1
    assert answer_of(succeed(2)) == 2
    assert answer_of(3) == 3
    with pytest.raises(Refused):
        answer_of(fail(Refused(0x87)))
    clock = Clock()
    waiting = deferLater(clock, 5, lambda: 4)
    with pytest.raises(AssertionError, match="not there yet"):
        answer_of(waiting)


def test_contexts(tmp_path: Path) -> None:
    context = plugin_context(tmp_path)
    called: list[int] = []
    context.reactor.callLater(1, called.append, 1)
    context.reactor.advance(1)
    assert (called, context.base_dir, context.data_dir) == ([1], tmp_path, tmp_path)


@implementer(IEventSink)
class Sink:
    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def handle(self, event: Event) -> Any:
        return self._handle(event)


def test_event_sinks() -> None:
    told: list[Event] = []
    assert_event_sink(Sink(told.append))
    assert {type(event) for event in told} >= set(EVENTS.values())
    for event in told:
        for field in attrs.fields(type(event)):
            value = getattr(event, field.name)
            assert value is not None or str(field.type).endswith("| None"), (event, field.name)
    assert_event_sink(Sink(later))
    assert_event_sink(Sink(lambda event: Deferred()))
    started: Any = Sink(told.append)
    started.stop = "soon"
    for sink, said in (
        (Sink(lambda event: EMPTY[event.name]), "Sink.handle(BrokerStarted) raised KeyError"),
        (Sink(lambda event: event.client_id), "Sink.handle(BrokerStarted) raised Attribute"),
        (Sink(lambda event: fail(OSError("down"))), "raised OSError: down; leave out events"),
        (started, "Sink.stop is called by the broker"),
        (object(), "object does not say that it is an IEventSink"),
    ):
        with pytest.raises(AssertionError) as caught:
            assert_event_sink(sink)
        assert said in str(caught.value)
