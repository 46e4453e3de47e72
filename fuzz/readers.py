"""Runs the fuzzer over several readers of bytes; what the fuzz_*.py files with a table share."""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import attrs
import guided

import mqttd


@attrs.frozen
class Target:
    """One reader: what it must do with any bytes, where to start, and pieces worth trying."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    tokens: Sequence[bytes] = (b"\x00\x00", b"\xff\xff")


def _unchanged(_rng: Random, data: bytes) -> bytes:
    return data


def main(about: str, targets: Mapping[str, Target]) -> int:
    """Read the command line and run; 1 when a reader failed."""
    parser = argparse.ArgumentParser(description=about.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5_000, help="how many inputs for each reader")
    parser.add_argument("--seed", type=int, default=0, help="another seed tries other inputs")
    parser.add_argument("--only", action="append", help="one reader by its name; may be repeated")
    arguments = parser.parse_args()
    failures = 0
    for name, target in targets.items():
        if arguments.only and name not in arguments.only:
            continue
        start = time.monotonic()
        report = guided.fuzz(
            target.check,
            target.seeds,
            folder=str(Path(mqttd.__file__).parent),
            runs=arguments.runs,
            seed=arguments.seed,
            tokens=target.tokens,
            repair=_unchanged,
        )
        print(
            f"{name}: {report.runs} runs in {time.monotonic() - start:.1f} s, "
            f"{len(report.steps)} steps of the code seen, {len(report.failures)} failures"
        )
        for data, error in report.failures:
            print(f"\ninput: {data.hex()}")
            traceback.print_exception(error)
        failures += len(report.failures)
    return 1 if failures else 0
