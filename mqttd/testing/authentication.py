"""Assertions for authenticators and methods of enhanced authentication."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mqttd.identity import AccessRule, Authenticated, ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, IEnhancedAuthenticator, IEnhancedExchange
from mqttd.packets.reason_codes import ReasonCode
from mqttd.testing.answers import WAITING, ask, failed, optional_methods, provides
from mqttd.testing.requests import connect_request, peer_certificate

_CURE = "raise mqttd.identity.Refused to refuse, return None to leave the client to the next one"
_GARBAGE = (None, b"", b"\0", b"\xff" * 300)


def assert_authenticator(
    authenticator: Any,
    *,
    admits: Iterable[ConnectRequest] = (),
    refuses: Iterable[ConnectRequest] = (),
    leaves: Iterable[ConnectRequest] = (),
) -> None:
    """What every :class:`~mqttd.interfaces.IAuthenticator` must keep to.

    It is asked about clients that are odd in every way a client can be: its answers must be of the
    right kind, and its refusals must say no secret. Clients it ``admits``, ``refuses`` and
    ``leaves`` to the next authenticator can be given. Answers that wait for threads or the network
    are not judged. Its ``methods`` are looked at as :func:`assert_enhanced_authenticator` does.

    Raises AssertionError, which says what to mend.
    """
    provides(IAuthenticator, authenticator)
    optional_methods(authenticator, "start", "stop", "reload")
    for request in _odd_requests():
        _ask(authenticator, request)
    expectations: tuple[tuple[Iterable[ConnectRequest], str, Callable[[Any], bool]], ...] = (
        (admits, "let in", lambda answer: isinstance(answer, Identity)),
        (refuses, "refused", lambda answer: isinstance(answer, Refused)),
        (leaves, "left to the next authenticator", lambda answer: answer is None),
    )
    for requests, expected, is_it in expectations:
        for request in requests:
            answer = _ask(authenticator, request)
            if not is_it(answer):
                raise AssertionError(
                    f"{request!r} should be {expected}; the answer is {_shown(answer)}"
                )
    methods = getattr(authenticator, "methods", {})
    if not isinstance(methods, Mapping):
        raise AssertionError(
            f"methods is a {type(methods).__name__}: it must be a mapping of the names of "
            "Authentication Methods to objects with IEnhancedAuthenticator"
        )
    for name, method in methods.items():
        if not isinstance(name, str) or not name:
            raise AssertionError(f"an Authentication Method is called {name!r}: it must be text")
        assert_enhanced_authenticator(method)


def assert_enhanced_authenticator(method: Any, *, request: ConnectRequest | None = None) -> None:
    """What every :class:`~mqttd.interfaces.IEnhancedAuthenticator` must keep to.

    Exchanges are begun with no data, empty data and garbage, as any client may send them: the
    answers must be of the right kind, and must not let anybody in. Raises AssertionError, which
    says what to mend.
    """
    provides(IEnhancedAuthenticator, method)
    kind = type(method).__name__
    for data in _GARBAGE:
        asked = f"{kind}.start(request, {_data(data)})"
        try:
            exchange = method.start(connect_request() if request is None else request, data)
        except Refused as refusal:
            _check_refusal(asked, refusal, None)
            continue
        except Exception as error:
            raise failed(asked, error, "leave what can fail to the exchange's step") from error
        provides(IEnhancedExchange, exchange)
        asked = f"{type(exchange).__name__}.step({_data(data)})"
        answer = ask(exchange.step, data)
        if isinstance(answer, Refused):
            _check_refusal(asked, answer, None)
        elif isinstance(answer, Exception):
            cure = "raise mqttd.identity.Refused for data that make no sense"
            raise failed(asked, answer, cure) from answer
        elif isinstance(answer, Authenticated):
            raise AssertionError(f"{asked} let a client in for data that prove nothing")
        elif answer is not WAITING and not isinstance(answer, bytes):
            raise AssertionError(
                f"{asked} answered with {_shown(answer)}: it must be bytes, the next challenge, "
                "or mqttd.identity.Authenticated"
            )


def _odd_requests() -> Iterable[ConnectRequest]:
    """Clients as they come: nameless, unknown, with nothing, with too much, with garbage."""
    yield connect_request()
    yield connect_request(client_id="")
    yield connect_request("")
    yield connect_request("nobody-has-this-name")
    yield connect_request("nobody-has-this-name", "")
    yield connect_request("nobody-has-this-name", "not-the-password", level=4)
    yield connect_request("nobody-has-this-name", b"\xff\0\xfe")
    yield connect_request(None, "a-password-without-a-name")
    yield connect_request("${username} ' OR 1=1 -- +/#\r\n", "' OR '1'='1")
    yield connect_request("n" * 65_535, b"p" * 65_535)
    yield connect_request("nobody", certificate=peer_certificate("nobody", dns=["nobody.test"]))
    yield connect_request("nobody", psk_identity=b"\xff nobody")


def _ask(authenticator: Any, request: ConnectRequest) -> Any:
    kind = type(authenticator).__name__
    asked = (
        f"{kind}.authenticate, asked about a client with the username {request.username!r:.40},"
    )
    answer = ask(authenticator.authenticate, request)
    if isinstance(answer, Refused):
        _check_refusal(asked, answer, request)
    elif isinstance(answer, Exception):
        raise failed(asked, answer, _CURE) from answer
    elif isinstance(answer, Identity):
        _check_identity(asked, answer)
    elif answer is not None and answer is not WAITING:
        raise AssertionError(
            f"{asked} answered with {_shown(answer)}: it must be an Identity or None; {_CURE}"
        )
    return answer


def _check_refusal(asked: str, refusal: Refused, request: ConnectRequest | None) -> None:
    code, reason = refusal.reason_code, refusal.reason
    try:
        known = ReasonCode(code) >= 0x80
    except (ValueError, TypeError):
        known = False
    if not known:
        raise AssertionError(
            f"{asked} refused with the reason code {code!r}: use one of MQTT 5 that is an error, "
            "such as mqttd.packets.reason_codes.ReasonCode.NOT_AUTHORIZED"
        )
    if not isinstance(reason, str):
        raise AssertionError(f"{asked} refused with a reason that is no text but {reason!r}")
    password = b"" if request is None else request.password or b""
    if len(password) > 3 and password.decode(errors="replace") in reason:
        raise AssertionError(
            f"{asked} refused with a reason that holds the password: it goes to the log and to "
            "the client"
        )


def _check_identity(asked: str, identity: Identity) -> None:
    fields = (
        ("username", isinstance(identity.username, str | None), "text or None"),
        ("client_id", isinstance(identity.client_id, str | None), "text or None"),
        ("is_superuser", isinstance(identity.is_superuser, bool), "True or False"),
        ("expires_at", isinstance(identity.expires_at, int | float | None), "seconds or None"),
        ("attributes", _is_text_mapping(identity.attributes), "a mapping of text to text"),
        ("rules", _are_rules(identity.rules), "a tuple of AccessRule"),
    )
    for name, right, wanted in fields:
        if not right:
            value = getattr(identity, name)
            raise AssertionError(
                f"{asked} gave an Identity whose {name} is {value!r}: it must be {wanted}"
            )


def _is_text_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def _are_rules(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, AccessRule) for each in value)


def _shown(answer: Any) -> str:
    if answer is WAITING:
        return "not there yet"
    if isinstance(answer, Refused):
        return f"Refused({answer.reason_code:#04x}, {answer.reason!r})"
    return f"{type(answer).__name__} {answer!r}" if answer is not None else "None"


def _data(data: bytes | None) -> str:
    return repr(data) if data is None or len(data) < 20 else f"{len(data)} bytes"
