"""A small coverage-guided fuzzer: inputs that reach new code are kept and changed further."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from random import Random
from types import CodeType, FrameType
from typing import Any

_EDGES = (0x00, 0x01, 0x02, 0x03, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xF0, 0xFF)
_LONGEST = 512


class Tracer:
    """Collects the steps from line to line that a call makes in the files below ``folder``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._numbers: dict[CodeType, int] = {}
        self._last = 0
        self.steps: set[int] = set()

    def run(self, function: Callable[[bytes], None], data: bytes) -> None:
        """Call ``function``; ``steps`` are then those of this call, also when it raises."""
        self.steps = set()
        self._last = 0
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            function(data)
        finally:
            sys.settrace(before)

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        number = self._numbers.get(frame.f_code)
        if number is None:
            watched = frame.f_code.co_filename.startswith(self._folder)
            number = len(self._numbers) + 1 if watched else 0
            self._numbers[frame.f_code] = number
        return self._line if number else None

    def _line(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line":
            here = self._numbers[frame.f_code] << 16 | frame.f_lineno
            self.steps.add(self._last << 32 | here)
            self._last = here
        return self._line


class Mutator:
    """Changes an input in a few of many ways."""

    def __init__(self, rng: Random, tokens: Sequence[bytes], longest: int = _LONGEST) -> None:
        self._rng = rng
        self._tokens = tokens
        self._longest = longest
        self._ways: tuple[Callable[[bytearray, bytes], None], ...] = (
            self._flip, self._edge, self._any, self._insert, self._delete, self._token,
            self._token, self._repeat, self._splice, self._add,
        )  # fmt: skip

    def change(self, data: bytes, other: bytes) -> bytes:
        """A changed ``data``; pieces may come from ``other``."""
        result = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 2, 3, 5))):
            self._rng.choice(self._ways)(result, other)
            if not result:
                result.append(self._rng.randrange(256))
        return bytes(result[: self._longest])

    def _at(self, data: bytearray) -> int:
        return self._rng.randrange(len(data))

    def _flip(self, data: bytearray, _other: bytes) -> None:
        data[self._at(data)] ^= 1 << self._rng.randrange(8)

    def _edge(self, data: bytearray, _other: bytes) -> None:
        data[self._at(data)] = self._rng.choice(_EDGES)

    def _any(self, data: bytearray, _other: bytes) -> None:
        data[self._at(data)] = self._rng.randrange(256)

    def _add(self, data: bytearray, _other: bytes) -> None:
        at = self._at(data)
        data[at] = (data[at] + self._rng.choice((-2, -1, 1, 2))) & 0xFF

    def _insert(self, data: bytearray, _other: bytes) -> None:
        at = self._at(data)
        data[at:at] = self._rng.randbytes(self._rng.choice((1, 1, 2, 4)))

    def _delete(self, data: bytearray, _other: bytes) -> None:
        at = self._at(data)
        del data[at : at + self._rng.choice((1, 1, 2, 8))]

    def _token(self, data: bytearray, _other: bytes) -> None:
        token = self._rng.choice(self._tokens)
        at = self._at(data)
        data[at : at + self._rng.choice((0, len(token)))] = token

    def _repeat(self, data: bytearray, _other: bytes) -> None:
        at = self._at(data)
        data[at:at] = data[at : at + self._rng.choice((1, 2, 3, 7, 16))]

    def _splice(self, data: bytearray, other: bytes) -> None:
        if other:
            at, start = self._at(data), self._rng.randrange(len(other))
            data[at:] = other[start:]


class Report:
    """What a run did. ``failures`` are (input, exception); ``kept`` the inputs worth keeping."""

    def __init__(self) -> None:
        self.runs = 0
        self.steps: set[int] = set()
        self.kept: list[bytes] = []
        self.failures: list[tuple[bytes, BaseException]] = []


def fuzz(
    check: Callable[[bytes], None],
    seeds: Iterable[bytes],
    *,
    folder: str,
    runs: int,
    seed: int = 0,
    tokens: Sequence[bytes] = (b"\x00",),
    repair: Callable[[Random, bytes], bytes] = lambda _rng, data: data,
    most_failures: int = 5,
) -> Report:
    """Call ``check`` with the seeds and then with changed inputs, ``runs`` times in all.

    Any exception is a failure. The same arguments give the same inputs on every machine.
    """
    rng = Random(seed)
    seeds = list(seeds)
    mutator = Mutator(rng, tokens, max(_LONGEST, *map(len, seeds), 0))
    tracer = Tracer(folder)
    report = Report()

    def attempt(data: bytes) -> None:
        report.runs += 1
        try:
            tracer.run(check, data)
        except Exception as error:
            report.failures.append((data, error))
            return
        if not tracer.steps <= report.steps:
            report.steps |= tracer.steps
            report.kept.append(data)

    for data in seeds:
        attempt(data)
    if not report.kept:
        attempt(b"\x00")
    while report.runs < runs and len(report.failures) < most_failures:
        # Recent finds are the ones with unknown code behind them.
        pool = report.kept[-20:] if rng.random() < 0.3 else report.kept
        base = rng.choice(pool or [b"\x00"])
        attempt(repair(rng, mutator.change(base, rng.choice(report.kept or [b""]))))
    return report
