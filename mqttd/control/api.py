"""The control plane's resources under ``/api/v5``: JSON over HTTP, in EMQX's shapes."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override

from mqttd.config.errors import InvalidValue
from mqttd.config.types import parse_duration
from mqttd.control.ports import LARGEST_PAGE, Control, ControlError, Page, Row, bad_request

LARGEST_BODY: Final = 64 << 10
"""Bytes of a request's body; every request of this API is far smaller."""

_LONGEST_TOLD: Final = 300
_CREDENTIALS: Final = struct.Struct("3i")
_BASE: Final = ["api", "v5"]
_USUAL_PAGE: Final = 100


class ControlRequest(Request):
    """A request whose body is not kept beyond the limit."""

    too_large = False
    _size = 0

    @override
    def gotLength(self, length: int | None) -> None:
        self.too_large = length is not None and length > LARGEST_BODY
        super().gotLength(0 if self.too_large else length)

    @override
    def handleContentChunk(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LARGEST_BODY:
            self.too_large = True
            if self._size > 16 * LARGEST_BODY:
                self.loseConnection()
            return
        super().handleContentChunk(data)


@attrs.frozen
class Asked:
    """What a handler gets: names out of the path, the query, the body."""

    names: Sequence[str]
    query: dict[str, str]
    body: bytes

    def number(self, name: str, default: int, most: int) -> int:
        """A number of the query, from 1 to ``most``. Raises ControlError."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= most:
            raise bad_request(f"{name} must be a number from 1 to {most}")
        return int(text)

    def duration(self, name: str) -> float | None:
        """Seconds out of the query, or None. Raises ControlError."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return parse_duration(text)
        except InvalidValue as problem:
            raise bad_request(f"{name}: {problem.problem}") from None

    def object(self) -> Row:
        """The body as a JSON object. Raises ControlError."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise bad_request("the body is no JSON") from None
        if not isinstance(value, dict):
            raise bad_request("the body is no JSON object")
        return value


Handler = Callable[[Control, Asked], Any]
Told = Callable[[int | None, str, int], object]


def _listener_action(control: Control, asked: Asked) -> Any:
    name, action = asked.names
    if action not in ("start", "stop", "restart"):
        raise ControlError(404, "NOT_FOUND", "a listener can be started, stopped and restarted")
    return control.change_listener(name, action)


def _clients(control: Control, asked: Asked) -> Row:
    page = asked.number("page", 1, 10_000_000)
    limit = asked.number("limit", _USUAL_PAGE, LARGEST_PAGE)
    return _paged(control.clients(page, limit, asked.duration("expiring")), page, limit)


def _access(control: Control, asked: Asked) -> Any:
    query = asked.query
    qos = query.get("qos", "0")
    if qos not in ("0", "1", "2"):
        raise bad_request("qos must be 0, 1 or 2")
    action, topic = query.get("action", ""), query.get("topic", "")
    return control.access(asked.names[0], action, topic, int(qos), query.get("retain") == "true")


def _banned(control: Control, asked: Asked) -> Row:
    page = asked.number("page", 1, 10_000_000)
    limit = asked.number("limit", _USUAL_PAGE, LARGEST_PAGE)
    return _paged(control.banned.list(page, limit), page, limit)


def _paged(found: Page, page: int, limit: int) -> Row:
    more = page * limit < found.count
    meta = {"page": page, "limit": limit, "count": found.count, "hasnext": more}
    return {"data": list(found.rows), "meta": meta}


def _set_level(control: Control, asked: Asked) -> Row:
    level = asked.object().get("level")
    if not isinstance(level, str):
        raise bad_request('the body must be {"level": LEVEL}')
    return control.set_log_level(level)


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "status": {"GET": lambda control, _: control.status()},
    "listeners": {"GET": lambda control, _: control.listeners()},
    "listeners/*": {"GET": lambda control, asked: control.listener(asked.names[0])},
    "listeners/*/*": {"POST": _listener_action},
    "clients": {"GET": _clients},
    "clients/*": {
        "GET": lambda control, asked: control.client(asked.names[0]),
        "DELETE": lambda control, asked: control.kick(asked.names[0]),
    },
    "clients/*/acl": {"GET": _access},
    "log/level": {"GET": lambda control, _: control.log_level(), "PUT": _set_level},
    "certs": {"GET": lambda control, _: control.certificates()},
    "psk": {"GET": lambda control, _: control.psk()},
    "crl": {"GET": lambda control, _: control.crl()},
    "crl/refresh": {"POST": lambda control, _: control.refresh_crl()},
    "ocsp": {"GET": lambda control, _: control.ocsp()},
    "ocsp/refresh": {"POST": lambda control, _: control.refresh_ocsp()},
    "banned": {
        "GET": _banned,
        "POST": lambda control, asked: control.banned.add(asked.object()),
        "DELETE": lambda control, _: control.banned.clear(),
    },
    "banned/*/*": {"DELETE": lambda control, asked: control.banned.remove(*asked.names)},
    "reload": {"POST": lambda control, _: control.reload()},
    "plugins": {"GET": lambda control, _: control.plugins()},
}
"""Handlers by path below ``/api/v5`` and method; ``*`` is a name, percent-encoded, one segment."""


class Api(Resource):
    """Answers every request with JSON: what was asked for, or ``{code, message}``."""

    isLeaf = True  # noqa: N815 - Twisted's name
    _log = Logger()

    def __init__(self, control: Control, told: Told = lambda *_: None) -> None:
        """``told`` is called after each request that was to change something."""
        super().__init__()
        self._control = control
        self._told = told

    @override
    def render(self, request: Any) -> int:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        answering = Deferred.fromCoroutine(self._answer(request))
        answering.addErrback(self._failed)

        def answered(answer: tuple[int, bytes]) -> None:
            if request.method not in (b"GET", b"HEAD"):
                what = b" ".join((request.method, request.path))[:_LONGEST_TOLD]
                self._told(_user_of(request), what.decode("ascii", "replace"), answer[0])
            if not gone:
                status, body = answer
                request.setResponseCode(status)
                request.setHeader(b"Content-Type", b"application/json")
                request.setHeader(b"Content-Length", b"%d" % len(body))
                if request.method != b"HEAD":
                    request.write(body)
                request.finish()

        answering.addCallback(answered)
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> tuple[int, bytes]:
        try:
            if request.too_large:
                raise ControlError(413, "BAD_REQUEST", "the body is too large")
            handler, asked = _find(request)
            value = handler(self._control, asked)
            if isawaitable(value):
                value = await value
        except ControlError as problem:
            return problem.status, _json({"code": problem.code, "message": problem.message})
        return (204, b"") if value is None else (200, _json(value))

    def _failed(self, failure: Any) -> tuple[int, bytes]:
        """An error of ours: it goes to the log, not to whoever asked."""
        self._log.failure("a request to the control socket failed", failure=failure)
        message = "internal error; the log says more"
        return 500, _json({"code": "INTERNAL_ERROR", "message": message})


def _user_of(request: Any) -> int | None:
    """The user whose process sits at the other end of the socket (unix(7), SO_PEERCRED)."""
    end = getattr(request.channel.transport, "socket", None)
    if end is None:
        return None
    try:
        _, user, _ = _CREDENTIALS.unpack(
            end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
    except OSError:
        return None
    return int(user)


def _find(request: Any) -> tuple[Handler, Asked]:
    """The handler for a request and what it asks. Raises ControlError."""
    try:
        path = [segment.decode("utf-8") for segment in request.postpath]
        query = {
            name.decode("utf-8"): values[-1].decode("utf-8")
            for name, values in request.args.items()
        }
        method = request.method.decode("ascii")
    except UnicodeDecodeError:
        raise bad_request("the address is no UTF-8") from None
    if path[:2] == _BASE:
        for pattern, methods in ROUTES.items():
            names = _match(pattern.split("/"), path[2:])
            if names is None:
                continue
            handler = methods.get(method)
            if handler is None:
                raise ControlError(
                    405, "METHOD_NOT_ALLOWED", f"only {' and '.join(methods)} can be used here"
                )
            return handler, Asked(names, query, request.content.read())
    raise ControlError(404, "NOT_FOUND", "there is nothing at this address")


def _match(pattern: Sequence[str], path: Sequence[str]) -> list[str] | None:
    if len(pattern) != len(path):
        return None
    names = []
    for wanted, given in zip(pattern, path, strict=True):
        if wanted == "*":
            names.append(given)
        elif wanted != given:
            return None
    return names


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
