"""Asks an OCSP responder over HTTP: GET or POST, and the other one when the first fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError

from mqttd.outgoing.http import FetchError
from mqttd.revocation.ocsp_message import Answer, BadAnswer, Question, get_url, prefers_get

MAX_SIZE: Final = 64 << 10
"""Most bytes of an answer; real ones have one to four thousand."""

_REQUEST_TYPE: Final = "application/ocsp-request"
_SHOWN_URL: Final = 200
_TRY_ANOTHER_WAY: Final = frozenset({"ocsp-garbage", "ocsp-refused", "http"})
"""Causes for which the other method may do better: the responder is there but did not see or like
our request. One that is down or says no is not asked twice."""

_FETCH_CAUSES: Final = {
    "timeout": "ocsp-timeout",
    "too-large": "ocsp-garbage",
    "bad-answer": "ocsp-garbage",
}


class Fetched(Protocol):
    """What came back: ``mqttd.outgoing.http.HTTPAnswer``."""

    @property
    def status(self) -> int:
        """Status code."""

    @property
    def body(self) -> bytes:
        """The body, whole."""


class Fetcher(Protocol):
    """Fetches over HTTP: ``mqttd.outgoing.http.HTTPClient``."""

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout: float,
        max_size: int,
        max_redirects: int = 3,
    ) -> Fetched:
        """Raises FetchError."""


async def ask(
    client: Fetcher,
    url: str,
    question: Question,
    *,
    timeout: float,
    seconds: Callable[[], float],
    now: Callable[[], float],
) -> Answer:
    """The answer of the responder at ``url``, verified.

    ``timeout`` is the most seconds that all tries may take together, ``seconds`` a clock to count
    them with, ``now`` epoch seconds for the dates of the answer. Raises BadAnswer for whatever
    goes wrong, without exception.
    """
    until = seconds() + timeout
    first = prefers_get(url, question)
    try:
        return await _try(client, url, question, timeout, now, get=first)
    except BadAnswer as problem:
        left = until - seconds()
        if problem.cause not in _TRY_ANOTHER_WAY or left <= 0:
            raise _outward(problem) from None
        earlier = problem
    try:
        return await _try(client, url, question, left, now, get=not first)
    except BadAnswer as problem:
        # The second try tells more only when the responder understood it.
        told = earlier if problem.cause in _TRY_ANOTHER_WAY else problem
        raise _outward(told) from None


def short_url(url: str) -> str:
    """The address for logs: without its query, which may hold a key, and not too long."""
    parts = urlsplit(url)
    text = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return text if len(text) <= _SHOWN_URL else f"{text[:_SHOWN_URL]}..."


async def _try(
    client: Fetcher,
    url: str,
    question: Question,
    timeout: float,
    now: Callable[[], float],
    *,
    get: bool,
) -> Answer:
    try:
        if get:
            fetched = await client.fetch(
                get_url(url, question.der), timeout=timeout, max_size=MAX_SIZE
            )
        else:
            fetched = await client.fetch(
                url,
                method="POST",
                body=question.der,
                headers=[("Content-Type", _REQUEST_TYPE)],
                timeout=timeout,
                max_size=MAX_SIZE,
            )
    except FetchError as problem:
        cause = _FETCH_CAUSES.get(problem.cause, "ocsp-unreachable")
        raise BadAnswer(cause, f"cannot be asked: {problem.text}") from None
    except CancelledError:
        raise BadAnswer("ocsp-timeout", "is no longer asked: the broker stops") from None
    except Exception as problem:  # a mistake of ours must not leave a client waiting
        raise BadAnswer("ocsp-unreachable", f"could not be asked: {problem!r}") from problem
    if fetched.status != 200:
        raise BadAnswer("http", f"answered with HTTP status {fetched.status}")
    # The content type is not looked at: responders get it wrong, and the signature decides.
    return question.read(fetched.body, now())


def _outward(problem: BadAnswer) -> BadAnswer:
    if problem.cause == "http":
        return BadAnswer("ocsp-unreachable", problem.text)
    return problem
