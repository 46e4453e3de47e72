"""Servers of HTTP/1.0, which close every connection after their answer."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mqttd.outgoing.http import HTTPClient

_QUESTIONS = 300


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_question_that_meets_the_end_of_a_connection_is_asked_on_another(
    url: str, live_reactor: Any, settle: Callable[..., Any]
) -> None:
    """The end is noticed before the request is written, or after: both must not fail it."""
    one = HTTPClient(live_reactor)

    async def ask() -> list[bytes]:
        answers = []
        for number in range(_QUESTIONS):
            answer = await one.fetch(url, method="POST", body=b"?", timeout=10, max_size=10)
            answers.append(answer.body)
            # The end comes some hundred microseconds after the answer: meet it in several ways.
            if number % 10 == 0:
                await deferLater(live_reactor, 0)
        return answers

    assert settle(Deferred.fromCoroutine(ask())) == [b"?"] * _QUESTIONS
    settle(one.close())
