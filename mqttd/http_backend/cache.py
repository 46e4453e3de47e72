"""Answers remembered for a while, under names nobody can reckon a secret from."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import attrs

_KEY: Final = 32

Answer = TypeVar("Answer")


@attrs.frozen
class _Kept(Generic[Answer]):
    answer: Answer
    until: float


class AnswerCache(Generic[Answer]):
    """At most ``max_size`` answers, each for ``ttl`` seconds; the least lately used goes first.

    Times given are epoch seconds, since answers end by them as well.
    """

    def __init__(self, ttl: float, max_size: int) -> None:
        self._ttl = ttl
        self._max_size = max_size
        self._kept: OrderedDict[bytes, _Kept[Answer]] = OrderedDict()
        self._secret = secrets.token_bytes(_KEY)

    def __len__(self) -> int:
        return len(self._kept)

    def name(self, values: Iterable[bytes]) -> bytes:
        """What the answer to a question made of ``values`` is kept under.

        A hash with a key of this process: whoever sees the memory cannot try passwords against
        it without the key, and nobody can make two questions meet.
        """
        digest = hashlib.blake2b(key=self._secret, digest_size=_KEY)
        for value in values:
            # the lengths keep ("ab", "c") and ("a", "bc") apart
            digest.update(len(value).to_bytes(8, "big"))
            digest.update(value)
        return digest.digest()

    def get(self, name: bytes, now: float) -> Answer | None:
        """The answer, or None when there is none that still holds."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        # A clock set back must not make an answer hold for longer than its time.
        if not kept.until - self._ttl <= now < kept.until:
            del self._kept[name]
            return None
        self._kept.move_to_end(name)
        return kept.answer

    def put(self, name: bytes, answer: Answer, now: float, ends: float | None = None) -> None:
        """Remember an answer, not past ``ends``."""
        until = now + self._ttl
        if ends is not None:
            until = min(until, ends)
        self._kept[name] = _Kept(answer, until)
        self._kept.move_to_end(name)
        if len(self._kept) > self._max_size:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
