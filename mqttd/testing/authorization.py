"""Assertions for authorizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mqttd.identity import PUBLISH, SUBSCRIBE, AccessRequest, Identity
from mqttd.interfaces import IAuthorizer
from mqttd.testing.answers import WAITING, ask, failed, optional_methods, provides
from mqttd.testing.requests import access_request, peer_certificate, peer_info

_TOPICS = ("a", "a/b/c", "/", "a//b", "ä/é", "$SYS/broker/uptime", "${username}", "t" * 65_535)
_FILTERS = ("#", "+", "a/+/c", "$SYS/#", "+/${clientid}/#")


def assert_authorizer(
    authorizer: Any,
    *,
    allows: Iterable[AccessRequest] = (),
    denies: Iterable[AccessRequest] = (),
    leaves: Iterable[AccessRequest] = (),
) -> None:
    """What every :class:`~mqttd.interfaces.IAuthorizer` must keep to.

    It is asked about topics and filters of every shape, for clients with and without a name: its
    answers must be True, False or None. Requests it ``allows``, ``denies`` and ``leaves`` to the
    next source can be given. Answers that wait for threads or the network are not judged.

    Raises AssertionError, which says what to mend.
    """
    provides(IAuthorizer, authorizer)
    optional_methods(authorizer, "start", "stop", "reload")
    on_change = getattr(authorizer, "on_change", None)
    if on_change is not None:
        asked = f"{type(authorizer).__name__}.on_change(function)"
        answer = ask(on_change, lambda: None)
        if isinstance(answer, Exception):
            raise failed(asked, answer, "remember the function, no more") from answer
    for request in _odd_requests():
        _ask(authorizer, request)
    for requests, expected in ((allows, True), (denies, False), (leaves, None)):
        for request in requests:
            answer = _ask(authorizer, request)
            if answer is not expected:
                shown = "not there yet" if answer is WAITING else repr(answer)
                raise AssertionError(f"the answer to {request!r} is {shown}, not {expected!r}")


def _odd_requests() -> Iterable[AccessRequest]:
    peer = peer_info(certificate=peer_certificate("nobody"))
    for username in (None, "", "nobody", "+", "a/#"):
        yield access_request(PUBLISH, "a", username=username, client_id="a/+")
    for topic in _TOPICS:
        yield access_request(PUBLISH, topic, qos=2, retain=True, username="nobody", peer=peer)
    for topic in (*_TOPICS, *_FILTERS):
        yield access_request(SUBSCRIBE, topic, qos=1, group="group")
    identity = Identity("nobody", attributes={"group": "#"})
    yield access_request(PUBLISH, "a", username="nobody", identity=identity, is_will=True)


def _ask(authorizer: Any, request: AccessRequest) -> Any:
    kind = type(authorizer).__name__
    asked = f"{kind}.authorize, asked to {request.action} {request.topic!r:.40},"
    answer = ask(authorizer.authorize, request)
    if isinstance(answer, Exception):
        raise failed(asked, answer, "return False to deny, None to leave it to the next source")
    if answer is not WAITING and answer is not None and not isinstance(answer, bool):
        raise AssertionError(
            f"{asked} answered with {type(answer).__name__} {answer!r}: it must be True, False or "
            "None"
        )
    return answer
