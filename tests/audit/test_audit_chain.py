"""The audit log's chain: every change of a file is seen, and no crash looks like one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mqttd.audit import writer
from mqttd.audit.records import BEGINNING, Head, opened, sealed
from mqttd.audit.verify import Verdict, verify
from mqttd.audit.writer import AuditLog, Unusable
from mqttd.cli import main

KEY = b"a key nobody else has"
TIME = "2026-11-21T12:00:00Z"


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(function, *arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def start(file: Path) -> Callable[..., AuditLog]:
    def call(**options: Any) -> AuditLog:
        given: dict[str, Any] = {"clock": Clock(), "in_thread": at_once} | options
        log = AuditLog(file, **given)
        log.open(TIME)
        return log

    return call


def fill(log: AuditLog, count: int = 5) -> None:
    for number in range(count):
        log.add({"time": TIME, "event": "connected", "client": f"c{number}"})


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def test_a_log_is_what_was_written(file: Path, start: Callable[..., AuditLog]) -> None:
    log = start()
    fill(log)
    assert file.stat().st_mode & 0o777 == 0o600
    found = verify([file])
    assert found == Verdict(log.head, first=1, records=6)
    records = [json.loads(line) for line in lines(file)]
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[0]["prev"] == BEGINNING
    assert [each["prev"] for each in records[1:]] == [each["hash"] for each in records[:-1]]
    assert list(records[1])[-2:] == ["prev", "hash"]


def _without(number: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda given: given[:number] + given[number + 1 :]


CHANGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a changed name": (
        lambda given: [given[0], given[1].replace(b"c0", b"c9"), *given[2:]],
        "not what was written",
    ),
    "a removed line": (_without(2), "1 missing"),
    "a removed beginning of the middle": (lambda given: given[:1] + given[4:], "3 missing"),
    "two in another order": (
        lambda given: [*given[:2], given[3], given[2], *given[4:]],
        "1 missing",
    ),
    "a line twice": (lambda given: [*given[:3], *given[2:]], "out of order, or there twice"),
    "a line put in": (lambda given: [*given[:2], b'{"seq":3}\n', *given[2:]], "is no record"),
    "an empty line": (lambda given: [*given[:2], b"\n", *given[2:]], "is no record"),
    "a cut line": (lambda given: [*given[:2], given[2][:40] + b"\n", *given[3:]], "is no record"),
    "a cut last line": (lambda given: [*given[:5], given[5][:-9] + b"\n"], "is no record"),
    "a line without end": (lambda given: [*given, b"x" * (1 << 21) + b"\n"], "longer than any"),
}


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "keyed"])
@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(
    file: Path,
    start: Callable[..., AuditLog],
    change: Callable[[list[bytes]], list[bytes]],
    problem: str,
    key: bytes,
) -> None:
    fill(start(key=key))
    file.write_bytes(b"".join(change(lines(file))))
    found = verify([file], key=key)
    assert problem in found.problem
    assert found.file == str(file)
    assert found.line >= 2


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    line, _ = sealed(Head(), {"event": "connected", "client": "c"}, KEY)
    place = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    changed = line[:place] + bytes((other,)) + line[place + 1 : -1]
    with pytest.raises(ValueError, match=r"^(is|has)"):
        opened(changed, KEY)


def test_with_a_key_nobody_else_can_seal(file: Path, start: Callable[..., AuditLog]) -> None:
    fill(start(key=KEY))
    forged, head = b"", Head()
    for line in lines(file):
        fields = json.loads(line)
        for name in ("seq", "prev", "hash"):
            del fields[name]
        sealed_line, head = sealed(head, fields, b"a guess")
        forged += sealed_line
    file.write_bytes(forged)
    assert verify([file], key=b"a guess").problem == ""
    assert "not what was written" in verify([file], key=KEY).problem


def test_a_cut_end_is_missed_only_against_what_is_known(
    file: Path, start: Callable[..., AuditLog]
) -> None:
    log = start()
    fill(log)
    file.write_bytes(b"".join(lines(file)[:-2]))
    assert verify([file]).problem == ""
    assert "record 6" in verify([file], expected=log.head).problem
    assert verify([file], expected=Head(3, opened(lines(file)[2][:-1])[1].hash)).problem == ""


def test_a_restart_goes_on(file: Path, start: Callable[..., AuditLog]) -> None:
    fill(start())
    log = start()
    fill(log)
    assert verify([file]) == Verdict(log.head, first=1, records=12)


@pytest.mark.parametrize("cut", [1, 20, 60, 64, 70, 120])
def test_a_crash_within_a_line_is_accounted_for(
    file: Path, start: Callable[..., AuditLog], cut: int
) -> None:
    fill(start())
    file.write_bytes(file.read_bytes()[:-cut])
    assert verify([file]).problem == ""
    fill(start())
    found = verify([file])
    assert found.problem == ""
    assert found.torn == (cut > 1)
    # and what is torn cannot be changed either
    if found.torn:
        content = lines(file)
        file.write_bytes(b"".join([*content[:5], b"x" + content[5], *content[6:]]))
        assert "is no record" in verify([file]).problem


def test_a_crash_within_the_first_line(file: Path, start: Callable[..., AuditLog]) -> None:
    file.write_bytes(b'{"seq":1,"ti')
    fill(start())
    found = verify([file])
    assert (found.problem, found.torn, found.records) == ("", 1, 6)


@pytest.mark.parametrize("content", [b"my diary\n", b"x" * 2_000_000, b"a\nb\nc\ntorn"])
def test_what_is_no_audit_log_is_not_gone_on_with(
    file: Path, start: Callable[..., AuditLog], content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(Unusable):
        start()
    assert file.read_bytes() == content


def test_another_key_does_not_go_on(file: Path, start: Callable[..., AuditLog]) -> None:
    fill(start(key=KEY))
    with pytest.raises(Unusable, match="its hash is another"):
        start(key=b"other")


def test_rotation_keeps_one_chain(file: Path, start: Callable[..., AuditLog]) -> None:
    log = start(rotation_size=1000, rotation_count=3)
    fill(log, 30)
    former = [file.with_name(f"audit.log.{number}") for number in (3, 2, 1)]
    assert all(each.exists() for each in former)
    assert not file.with_name("audit.log.4").exists()
    files = [*former, *([file] if file.exists() else [])]
    found = verify(files)
    assert (found.problem, found.head) == ("", log.head)
    assert found.first > 1
    assert "missing" in verify([former[0], former[2]]).problem


def test_a_start_right_after_a_rotation_goes_on(
    file: Path, start: Callable[..., AuditLog]
) -> None:
    fill(start())
    file.rename(file.with_name("audit.log.1"))
    log = start()
    assert verify([file.with_name("audit.log.1"), file]) == Verdict(log.head, 1, 7)


class Disk:
    """Writes that fail while it is full."""

    def __init__(self) -> None:
        self.full = False

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        def run() -> Any:
            if self.full:
                raise OSError(28, "No space left on device")
            return function(*arguments)

        return maybeDeferred(run)


def test_a_full_disk_is_told_and_nothing_is_lost(
    file: Path, start: Callable[..., AuditLog]
) -> None:
    clock, disk = Clock(), Disk()
    log = start(clock=clock, in_thread=disk.in_thread)
    disk.full = True
    with capturedLogs() as logs:
        fill(log)
        clock.advance(1)
        clock.advance(1)
        assert len(lines(file)) == 1
        disk.full = False
        clock.advance(1)
    assert [line["event"] for line in logs] == ["audit_failed", "audit_recovered"]
    assert logs[0]["said"] == "No space left on device"
    assert verify([file]) == Verdict(log.head, first=1, records=6)


def test_what_is_lost_is_counted_in_the_chain(
    file: Path, start: Callable[..., AuditLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 3)
    clock, disk = Clock(), Disk()
    log = start(clock=clock, in_thread=disk.in_thread)
    disk.full = True
    with capturedLogs():
        fill(log, 8)
        disk.full = False
        clock.advance(1)
    fill(log, 1)
    assert verify([file]).records == 5
    assert json.loads(lines(file)[-1])["lost_before"] == 5


def test_a_write_that_fails_halfway_leaves_nothing(
    file: Path, start: Callable[..., AuditLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = start()
    before = file.read_bytes()
    real, room = os.write, [40]

    def write(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    with capturedLogs():
        fill(log, 1)
    assert file.read_bytes() == before
    monkeypatch.undo()
    log.close()
    assert verify([file]) == Verdict(log.head, first=1, records=2)


def test_closing_waits_for_what_is_written(file: Path, start: Callable[..., AuditLog]) -> None:
    writes: list[tuple[Deferred[None], Callable[[], Any]]] = []

    def in_thread(function: Callable[..., Any], *arguments: Any) -> Deferred[None]:
        writes.append((Deferred(), lambda: function(*arguments)))
        return writes[-1][0]

    log = start(in_thread=in_thread)
    fill(log, 3)
    closed: list[None] = []
    log.close().addCallback(closed.append)
    while writes:
        assert closed == []
        done, write = writes.pop(0)
        write()
        done.callback(None)
    assert closed == [None]
    assert verify([file]).records == 4


def test_the_command(
    file: Path, start: Callable[..., AuditLog], capsys: pytest.CaptureFixture[str]
) -> None:
    log = start(key=KEY)
    fill(log)
    key_file = file.with_name("key")
    key_file.write_bytes(KEY + b"\n")
    key = ["--key-file", str(key_file)]
    head = f"{log.head.seq}:{log.head.hash}"
    assert main(["audit", "verify", str(file), *key, "--expect", head]) == 0
    assert f"6 records are what was written, 1 to {head}" in capsys.readouterr().out
    assert main(["audit", "verify", str(file)]) == 1
    told = capsys.readouterr().out
    assert "its hash is another" in told
    assert "made with a key: --key-file" in told
    file.write_bytes(b"".join(lines(file)[2:]))
    assert main(["audit", "verify", str(file), *key, "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert (known["ok"], known["first"], known["records"]) == (True, 3, 4)
    assert main(["audit", "verify", str(file.with_name("none"))]) == 1
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["audit", "verify", str(file), "--expect", "7"])
