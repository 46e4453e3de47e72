"""Time a call in this process: the best of several rounds, which is what noise disturbs least."""

from __future__ import annotations

import time
from collections.abc import Callable


def microseconds(call: Callable[[], object], per_call: int = 1, seconds: float = 0.2) -> float:
    """CPU microseconds for one of the ``per_call`` things that ``call`` does."""
    best = float("inf")
    for _ in range(5):
        count = 0
        started = now = time.process_time()
        while now - started < seconds / 5:
            for _ in range(10):
                call()
            count += 10
            now = time.process_time()
        best = min(best, (now - started) / count)
    return best * 1e6 / per_call


def row(name: str, figure: float, unit: str = "us") -> None:
    """One line of a table."""
    print(f"{name:46}{figure:10.2f} {unit}", flush=True)
