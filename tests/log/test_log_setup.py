"""Where the log goes."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.logger import Logger, LogLevel

from mqttd.config.schema.log import ConsoleLog, FileLog, LogOptions
from mqttd.identity import PeerInfo
from mqttd.log import trace
from mqttd.log.setup import Log
from mqttd.log.trace import packet_trace
from mqttd.packets.ping import Pingreq

PEER = PeerInfo(listener="tcp:default", peer=("127.0.0.1", 5))


@attrs.define
class Shown:
    """A log whose console is text in memory."""

    log: Log
    console: io.StringIO

    def write(self, level: str, message: str) -> None:
        logger = Logger(namespace="mqttd.test", observer=self.log.observer)
        logger.emit(LogLevel.levelWithName(level), message)

    def messages(self) -> list[str]:
        return [line.partition("] ")[2] for line in self.console.getvalue().splitlines()]


def show(**options: Any) -> Shown:
    log = Log(LogOptions(console=ConsoleLog(**options)))
    console = io.StringIO()
    log.open_console(console, {})
    return Shown(log, console)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warn", "error", "critical"]),
        ("info", ["info", "warn", "error", "critical"]),
        ("warning", ["warn", "error", "critical"]),
        ("error", ["error", "critical"]),
        ("critical", ["critical"]),
    ],
)
def test_events_below_the_level_are_not_written(level: str, written: list[str]) -> None:
    shown = show(level=level)
    for each in ("debug", "info", "warn", "error", "critical"):
        shown.write(each, each)
    assert shown.messages() == written


def test_the_level_can_be_changed_while_it_runs() -> None:
    shown = show(level="info")
    assert packet_trace(PEER) is None
    shown.log.set_level("debug")
    shown.write("debug", "now")
    assert shown.messages() == ["now"]
    assert packet_trace(PEER) is not None
    shown.log.set_level("error")
    shown.write("warn", "no more")
    assert shown.messages() == ["now"]
    assert packet_trace(PEER) is None


def test_an_open_packet_log_ends_with_the_level() -> None:
    shown = show(level="debug")
    open_trace = packet_trace(PEER)
    assert open_trace is not None
    shown.log.set_level("info")
    open_trace("RECV", Pingreq())
    assert shown.messages() == []


def test_levels_of_a_configuration_that_was_read_again() -> None:
    """Only an option that changed says something new: else what was set by hand stays."""
    shown = show(level="info")
    shown.log.set_level("debug")
    shown.log.set_levels(LogOptions())
    assert packet_trace(PEER) is not None
    shown.log.set_levels(LogOptions(console=ConsoleLog(level="error")))
    assert packet_trace(PEER) is None
    shown.write("warn", "no more")
    assert shown.messages() == []


def test_who_watches_hears_when_the_packet_log_is_turned_on_or_off() -> None:
    shown = show(level="info")
    heard: list[bool] = []
    end = trace.watch(lambda: heard.append(packet_trace(PEER) is not None))
    shown.log.set_level("debug")
    shown.log.set_level("debug")
    shown.log.set_level("info")
    end()
    shown.log.set_level("debug")
    assert heard == [True, False]


@pytest.mark.parametrize("namespace", ["log_legacy", "twisted.web._newclient.HTTPClientParser"])
def test_twisteds_own_news_are_for_debugging(namespace: str) -> None:
    shown = show(level="info")
    event = {"log_level": LogLevel.info, "log_namespace": namespace, "log_format": "closed"}
    shown.log.observer(event)
    shown.log.observer(event | {"log_level": LogLevel.critical, "log_format": "broken"})
    assert shown.messages() == ["broken"]


def test_json_is_chosen_by_the_formatter() -> None:
    shown = show(formatter="json")
    shown.write("info", "x")
    assert shown.console.getvalue().startswith('{"ts": ')
    assert shown.log.console is not None
    assert not shown.log.console.for_people


def test_the_journals_form_is_for_the_journals_stream_only(tmp_path: Path) -> None:
    log = Log(LogOptions())
    with (tmp_path / "stream").open("w+") as stream:
        status = os.fstat(stream.fileno())
        log.open_console(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        Logger(observer=log.observer).warn("x")
        log.close()
        stream.seek(0)
        assert stream.read() == "<4>x\n"
    other = io.StringIO()
    log.open_console(other, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    Logger(observer=log.observer).info("x")
    assert other.getvalue().endswith(" [info] x\n")


def file_log(tmp_path: Path, **options: Any) -> Log:
    log = Log(LogOptions(file=FileLog(enable=True, path="log/mqttd.log", **options)))
    log.open_file(tmp_path)
    return log


def test_the_file_is_made_with_its_folder_and_not_for_everybody(tmp_path: Path) -> None:
    log = file_log(tmp_path)
    Logger(observer=log.observer).info("hello {name}", name="é")
    log.close()
    file = tmp_path / "log" / "mqttd.log"
    assert file.read_text("utf-8").endswith(" [info] hello é\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_disabled_file_is_not_made(tmp_path: Path) -> None:
    log = Log(LogOptions())
    log.open_file(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_continued(tmp_path: Path) -> None:
    for number in range(2):
        log = file_log(tmp_path)
        Logger(observer=log.observer).info("start {number}", number=number)
        log.close()
    text = (tmp_path / "log" / "mqttd.log").read_text()
    assert [line[-1] for line in text.splitlines()] == ["0", "1"]


def test_files_rotate_by_size_and_only_so_many_are_kept(tmp_path: Path) -> None:
    log = file_log(tmp_path, rotation_size=1024, rotation_count=2)
    for number in range(100):
        Logger(observer=log.observer).info("{number} {text}", number=number, text="x" * 100)
    log.close()
    files = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert files == ["mqttd.log", "mqttd.log.1", "mqttd.log.2"]
    assert " 99 " in (tmp_path / "log" / "mqttd.log").read_text()
    assert (tmp_path / "log" / "mqttd.log.1").stat().st_size < 1024 + 200


def test_a_file_moved_away_is_opened_anew(tmp_path: Path) -> None:
    log = file_log(tmp_path)
    logger = Logger(observer=log.observer)
    logger.info("old")
    file = tmp_path / "log" / "mqttd.log"
    file.rename(tmp_path / "moved")
    logger.info("still old")
    log.reopen()
    logger.info("new")
    log.close()
    assert [line.split("] ")[1] for line in file.read_text().splitlines()] == ["new"]
    assert len((tmp_path / "moved").read_text().splitlines()) == 2


def test_a_file_that_cannot_be_opened_anew_stays_open(tmp_path: Path) -> None:
    log = file_log(tmp_path)
    (tmp_path / "log").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        log.reopen()
    Logger(observer=log.observer).info("still here")
    log.close()
    assert "still here" in (tmp_path / "gone" / "mqttd.log").read_text()


def test_console_and_file_have_levels_of_their_own(tmp_path: Path) -> None:
    log = Log(
        LogOptions(
            console=ConsoleLog(level="error"),
            file=FileLog(enable=True, path="x.log", level="debug", formatter="json"),
        )
    )
    console = io.StringIO()
    log.open_console(console, {})
    log.open_file(tmp_path)
    Logger(observer=log.observer).debug("x")
    log.close()
    assert console.getvalue() == ""
    assert '"message": "x"' in (tmp_path / "x.log").read_text()


def test_one_output_that_fails_does_not_silence_the_other(tmp_path: Path) -> None:
    log = file_log(tmp_path)
    closed = io.StringIO()
    log.open_console(closed, {})
    closed.close()
    Logger(observer=log.observer).info("x")
    log.close()
    assert " [info] x\n" in (tmp_path / "log" / "mqttd.log").read_text()
