"""Fuzz framer and decoder: ``python fuzz/fuzz_decode.py --runs 100000``.

The own engine (``guided.py``) needs nothing and repeats itself exactly. With ``--engine atheris``
(``pip install atheris``) libFuzzer does the same checks, faster and for as long as you like.
Exit status 1, and the input in hexadecimal, when the decoder did what it must not do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus.txt"


def read_corpus(path: Path) -> list[bytes]:
    """The inputs of a corpus file: one a line, hexadecimal."""
    return [bytes.fromhex(line) for line in path.read_text().split()]


def with_own_engine(arguments: argparse.Namespace) -> int:
    """Run our fuzzer; 1 when there are failures."""
    import guided  # noqa: PLC0415 - atheris must not see these imports first
    import target  # noqa: PLC0415

    from mqttd import packets  # noqa: PLC0415

    start = time.monotonic()
    report = guided.fuzz(
        target.check,
        read_corpus(arguments.corpus),
        folder=str(Path(packets.__file__).parent),
        runs=arguments.runs,
        seed=arguments.seed,
        tokens=target.TOKENS,
        repair=target.repair,
    )
    seconds = time.monotonic() - start
    print(
        f"{report.runs} runs in {seconds:.1f} s, {len(report.steps)} steps of the code seen, "
        f"{len(report.kept)} inputs worth keeping, {len(report.failures)} failures"
    )
    for data, error in report.failures:
        print(f"\ninput: {data.hex()}")
        traceback.print_exception(error)
    if arguments.keep:
        arguments.corpus.write_text("".join(f"{data.hex()}\n" for data in report.kept))
    return 1 if report.failures else 0


def with_atheris(arguments: argparse.Namespace) -> int:
    """Run libFuzzer, which ends the process itself."""
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["mqttd.packets"]):
        import target  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(read_corpus(arguments.corpus)):
            (Path(folder) / str(number)).write_bytes(data)
        options = [f"-runs={arguments.runs}", f"-seed={arguments.seed + 1}", "-max_len=512"]
        atheris.Setup([sys.argv[0], *options, folder], target.check)
        atheris.Fuzz()
    return 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=50_000, help="how many inputs to try")
    parser.add_argument("--seed", type=int, default=0, help="the same seed tries the same inputs")
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, help="file with inputs to start from"
    )
    parser.add_argument(
        "--keep", action="store_true", help="write what is worth keeping back to it"
    )
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    arguments = parser.parse_args()
    return with_atheris(arguments) if arguments.engine == "atheris" else with_own_engine(arguments)


if __name__ == "__main__":
    sys.exit(main())
