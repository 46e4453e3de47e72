"""Lists kept on disk: a restart while the server is down works, tampered files do not."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from mqttd.interfaces import STATUS_GOOD
from mqttd.revocation.disk_cache import DiskCache


def _filled(crl_world: Any, crl_server: Any, crl_ca: Any) -> tuple[Any, Any, Path]:
    good = crl_ca.chain(crl_server.url())
    bad = crl_ca.chain(crl_server.url())
    crl_server.pages["/ca.crl"] = crl_ca.crl(bad[0])
    checker = crl_world.checker(disk=True)
    crl_world.check(checker, good)
    folder: Path = crl_world.folder / "data/crl"
    crl_world.loop.until(lambda: len(list(folder.glob("*.json"))) == 1)
    checker.stop()
    return good, bad, folder


def test_a_restart_during_an_outage(crl_world: Any, crl_server: Any, crl_ca: Any) -> None:
    good, bad, folder = _filled(crl_world, crl_server, crl_ca)
    crl_server.stop()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    checker = crl_world.checker(disk=True)
    assert crl_world.check(checker, good) == STATUS_GOOD
    assert checker.known(bad).outcome == "revoked"


def test_what_is_on_disk_is_fetched_anew_at_start(
    crl_world: Any, crl_server: Any, crl_ca: Any
) -> None:
    good, bad, _ = _filled(crl_world, crl_server, crl_ca)
    crl_server.pages["/ca.crl"] = crl_ca.crl(bad[0], good[0])
    asked = len(crl_server.asked)
    checker = crl_world.checker(disk=True)

    def fetched() -> bool:
        crl_world.clock.advance(0.1)
        return len(crl_server.asked) > asked and checker.list()[0].entries == 2

    crl_world.loop.until(fetched)
    assert checker.known(good).outcome == "revoked"


@pytest.mark.parametrize("suffix", ["crl", "json"])
@pytest.mark.parametrize("damage", ["empty", "flipped", "foreign", "link", "huge"])
def test_damaged_files_are_refused(
    crl_world: Any, crl_server: Any, crl_ca: Any, make_crl_ca: Any, suffix: str, damage: str
) -> None:
    good, _, folder = _filled(crl_world, crl_server, crl_ca)
    crl_server.stop()
    [path] = folder.glob(f"*.{suffix}")
    data = path.read_bytes()
    foreign = {"crl": make_crl_ca().crl(), "json": b'{"key": "x", "about": [1]}'}[suffix]
    if damage == "link":
        path.rename(folder / "elsewhere")
        path.symlink_to(folder / "elsewhere")
    else:
        path.write_bytes(
            {
                "empty": b"",
                "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
                "foreign": foreign,
                "huge": data + b"\n" * (17 << 20),
            }[damage]
        )
    checker = crl_world.checker(disk=True)
    status = crl_world.check(checker, good)
    assert (status.outcome, status.cause) == ("unknown", "crl-unreachable")


def test_the_disk_cache_is_bounded_and_passes_over_what_is_not_its_own(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "kept", "crl", capacity=3, max_size=100)
    assert cache.load() == []
    for number in range(5):
        cache.save(f"key {number}", b"%d" % number, {"url": "u"})
    cache.save("large", b"x" * 101, {})
    (tmp_path / "kept/stray.json").write_text("{}")
    found = cache.load()
    assert len(found) == 3
    assert {each.data for each in found} <= {b"0", b"1", b"2", b"3", b"4"}
    cache.save(found[0].key, b"new", {"url": "u"})
    assert cache.read(found[0].key) == b"new"
    cache.remove(found[0].key)
    assert found[0].key not in [key for key, _ in cache.notes()]


def test_a_directory_that_cannot_be_written_is_one_line(
    tmp_path: Path, log_lines: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    cache = DiskCache(tmp_path / "file", "crl", capacity=3, max_size=100)
    cache.save("a", b"1", {})
    cache.save("b", b"1", {})
    assert cache.load() == []
    assert len(log_lines) == 1
    assert "cannot be written" in log_lines[0]
