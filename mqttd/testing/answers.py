"""Answers that are there at once or come later, and what is wrong with those that are none."""

from __future__ import annotations

from typing import Any, Final

from twisted.python.failure import Failure
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from mqttd.plugins import later

WAITING: Final = object()
"""In place of an answer that is not there yet."""


def answer_of(answer: Any) -> Any:
    """The answer itself: what a coroutine returns, what a Deferred has fired with.

    Raises what they raise. AssertionError: the answer is not there yet, because it waits for
    time to pass, for a thread or for the network.
    """
    settled = settle(answer)
    if settled is WAITING:
        raise AssertionError(
            "the answer is not there yet: fire its Deferred or advance the clock first; what "
            "needs threads or the network is tested with a running reactor (twisted.trial)"
        )
    if isinstance(settled, Failure):
        settled.raiseException()
    return settled


def settle(answer: Any) -> Any:
    """The answer, the Failure in its place, or WAITING: then nobody waits for it any more."""
    waiting = later(answer)
    if waiting is None:
        return answer
    results: list[Any] = []
    waiting.addBoth(results.append)
    if results:
        return results[0]
    waiting.cancel()
    return WAITING


def ask(method: Any, *arguments: Any) -> Any:
    """Call a plugin's method: the answer, the exception that was raised, or WAITING."""
    try:
        answer = settle(method(*arguments))
    except Exception as error:
        return error
    return answer.value if isinstance(answer, Failure) else answer


def provides(interface: Any, plugin: Any) -> None:
    """The object says that it has the interface, and has its methods with their arguments."""
    name = interface.__name__
    kind = type(plugin).__name__
    if isinstance(plugin, type):
        raise AssertionError(f"{plugin.__name__} is a class: give one of its instances")
    if not interface.providedBy(plugin):
        raise AssertionError(
            f"{kind} does not say that it is an {name}: put @implementer({name}) "
            "of zope.interface before its class"
        )
    try:
        verifyObject(interface, plugin)
    except Invalid as problem:
        raise AssertionError(f"{kind} is no {name}: {problem}") from None


def optional_methods(plugin: Any, *names: str) -> None:
    """Methods beyond the interface, if they are there, can be called without arguments."""
    for name in names:
        method = getattr(plugin, name, None)
        if method is not None and not callable(method):
            raise AssertionError(
                f"{type(plugin).__name__}.{name} is called by the broker, and is no method but "
                f"{method!r}: give the attribute another name"
            )


def failed(asked: str, error: object, cure: str) -> AssertionError:
    """What to say of an exception that should not have come."""
    return AssertionError(f"{asked} raised {type(error).__name__}: {error}; {cure}")
