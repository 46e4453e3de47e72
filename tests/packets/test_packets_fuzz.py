"""The fuzzer of fuzz/, for a bounded and repeatable run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mqttd import packets

FUZZ = Path(__file__).parent.parent.parent / "fuzz"
DECODER = str(Path(packets.__file__).parent)


def load(path: Path) -> Any:
    """A module that is in no package."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guided = load(FUZZ / "guided.py")
target = load(FUZZ / "target.py")


def corpus() -> list[bytes]:
    """The stored inputs."""
    return load(FUZZ / "fuzz_decode.py").read_corpus(FUZZ / "corpus.txt")  # type: ignore[no-any-return]


def run(runs: int, seed: int) -> Any:
    """A run over the decoder."""
    return guided.fuzz(
        target.check,
        corpus(),
        folder=DECODER,
        runs=runs,
        seed=seed,
        tokens=target.TOKENS,
        repair=target.repair,
    )


def test_the_decoder_gives_packets_and_mqtt_errors_only() -> None:
    report = run(20_000, seed=2026)
    assert report.failures == []
    assert report.runs == 20_000


def test_the_stored_corpus_reaches_nearly_everything() -> None:
    stored = corpus()
    assert len(stored) == len(set(stored)) < 200
    from_corpus = run(len(stored), seed=0)
    assert len(from_corpus.steps) >= 0.95 * len(run(8_000, seed=0).steps)


def test_the_same_seed_is_the_same_run() -> None:
    first, second = run(1_000, seed=7), run(1_000, seed=7)
    assert first.kept == second.kept
    assert first.steps == second.steps


FAULTY = """
def check(data):
    if len(data) > 3 and data[0] == 0x10:
        if data[1] == 0xC3:
            if data[2] == 0x28:
                if data[3] == 0x7A:
                    raise ZeroDivisionError
"""


def test_a_fault_behind_four_conditions_is_found(tmp_path: Path) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY)
    report = guided.fuzz(load(path).check, [], folder=str(tmp_path), runs=200_000, most_failures=1)
    ((data, error),) = report.failures
    assert data.startswith(b"\x10\xc3\x28\x7a")
    assert isinstance(error, ZeroDivisionError)
    assert report.runs < 200_000


def test_what_is_not_one_packet_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "encode", lambda packet, level: b"\xd0\x00")
    with pytest.raises(target.Fault, match="came back as"):
        target.check(b"\x01\xc0\x00")
    monkeypatch.setattr(target, "encode", lambda packet, level: b"\xc0\x00\xc0")
    with pytest.raises(target.Fault, match="not one packet"):
        target.check(b"\x01\xc0\x00")
    monkeypatch.setattr(target, "encode", lambda packet, level: b"\x00\x00")
    with pytest.raises(target.Fault, match="cannot be written"):
        target.check(b"\x01\xc0\x00")


def test_the_command() -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ / "fuzz_decode.py"), "--runs", "500", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 runs in ")
    assert "0 failures" in done.stdout


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fuzz_trust.py", ["tls", "crl", "ocsp", "psk", "proxy", "websocket"]),
        (
            "fuzz_identity.py",
            ["token", "key set", "answer", "scram", "users", "rules", "access list", "audit"],
        ),
    ],
)
def test_the_commands_for_all_other_readers(name: str, expected: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ / name), "--runs", "300", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    readers = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert readers == expected
