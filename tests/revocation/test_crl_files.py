"""Lists in local files: found, read again when they change, the last good ones kept."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.interfaces import STATUS_GOOD
from mqttd.revocation.crl_files import check_crl_files

HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _write(path: Path, data: bytes) -> None:
    """Replace a file so that it differs for who looks at its status only."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.replace(path)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_list_of_a_file_needs_no_fetch(
    crl_world: Any, crl_ca: Any, tmp_path: Path, encoding: Encoding
) -> None:
    good, bad = crl_ca.chain(), crl_ca.chain(name="bad")
    (tmp_path / "ca.crl").write_bytes(crl_ca.crl(bad[0], encoding=encoding))
    checker = crl_world.checker(files=["ca.crl"])
    assert checker.known(good) is None  # the issuer is not known yet
    assert crl_world.check(checker, good) == STATUS_GOOD
    assert checker.known(good) == STATUS_GOOD
    status = checker.known(bad)
    assert (status.outcome, status.cause) == ("revoked", "revoked")
    [listed] = checker.list()
    assert (listed.source, listed.entries) == (str(tmp_path / "ca.crl"), 1)
    assert listed.usable


def test_issuers_can_be_given_beforehand(crl_world: Any, crl_ca: Any, tmp_path: Path) -> None:
    bad = crl_ca.chain()
    (tmp_path / "ca.crl").write_bytes(crl_ca.crl(bad[0]))
    checker = crl_world.checker(files=["ca.crl"])
    crl_world.loop.wait(checker.reload([crl_ca.cert]))
    assert checker.known(bad).outcome == "revoked"


def test_a_directory_and_a_file_of_several_lists(
    crl_world: Any, crl_ca: Any, make_crl_ca: Any, tmp_path: Path
) -> None:
    other, third = make_crl_ca("Second"), make_crl_ca("Third")
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "two.pem").write_bytes(
        crl_ca.crl(encoding=Encoding.PEM) + other.crl(encoding=Encoding.PEM)
    )
    (folder / "one.crl").write_bytes(third.crl())
    (folder / "README").write_text("not a list")
    checker = crl_world.checker(directory="lists")
    for ca in (crl_ca, other, third):
        assert crl_world.check(checker, ca.chain()) == STATUS_GOOD
    assert len(checker.list()) == 3


def test_a_changed_file_is_read_again_and_sessions_are_looked_at(
    crl_world: Any, crl_ca: Any, tmp_path: Path
) -> None:
    chain = crl_ca.chain()
    path = tmp_path / "ca.crl"
    path.write_bytes(crl_ca.crl())
    checker = crl_world.checker(files=["ca.crl"])
    assert crl_world.check(checker, chain) == STATUS_GOOD
    crl_world.changes = 0
    assert crl_world.loop.wait(checker.reload()) == []
    assert crl_world.changes == 0
    _write(path, crl_ca.crl(chain[0]))
    assert crl_world.loop.wait(checker.reload()) == []
    assert crl_world.changes == 1
    # known at once: its issuer was seen before
    assert checker.known(chain).outcome == "revoked"


@pytest.mark.parametrize("damage", ["garbage", "half", "gone", "empty", "directory", "pipe"])
def test_what_cannot_be_read_changes_nothing(
    crl_world: Any, crl_ca: Any, tmp_path: Path, log_lines: list[str], damage: str
) -> None:
    chain = crl_ca.chain()
    path = tmp_path / "ca.crl"
    path.write_bytes(crl_ca.crl(chain[0], encoding=Encoding.PEM))
    checker = crl_world.checker(files=["ca.crl"])
    assert crl_world.check(checker, chain).outcome == "revoked"
    crl_world.changes = 0
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage != "gone":
        data = crl_ca.crl(encoding=Encoding.PEM)
        path.write_bytes({"garbage": b"<html>", "half": data[:99], "empty": b""}[damage])
    [finding] = crl_world.loop.wait(checker.reload())
    assert finding.severity == "error"
    assert "stay in use" in finding.message
    assert checker.known(chain).outcome == "revoked"
    assert crl_world.changes == 0
    # said once
    assert crl_world.loop.wait(checker.reload()) == []
    assert len([line for line in log_lines if line.startswith("error")]) == 1
    assert checker.list()[0].error != ""


def test_a_directory_that_is_gone_takes_nothing_away(
    crl_world: Any, crl_ca: Any, tmp_path: Path
) -> None:
    chain = crl_ca.chain()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/a.crl").write_bytes(crl_ca.crl(chain[0]))
    checker = crl_world.checker(directory="lists")
    assert crl_world.check(checker, chain).outcome == "revoked"
    (tmp_path / "lists").rename(tmp_path / "moved")
    assert crl_world.loop.wait(checker.reload())
    assert checker.known(chain).outcome == "revoked"
    (tmp_path / "lists").mkdir()
    assert crl_world.loop.wait(checker.reload()) == []
    assert checker.known(chain).cause == "no-distribution-point"


def test_a_file_by_another_key_of_that_name(
    crl_world: Any, crl_ca: Any, make_crl_ca: Any, tmp_path: Path
) -> None:
    twin = make_crl_ca("CRL Root")
    (tmp_path / "ca.crl").write_bytes(twin.crl())
    checker = crl_world.checker(files=["ca.crl"])
    status = crl_world.check(checker, crl_ca.chain())
    assert (status.outcome, status.cause) == ("unknown", "crl-bad-signature")
    assert checker.list()[0].error.startswith("crl-bad-signature")
    # both may be there while a CA changes its key
    assert crl_world.check(checker, twin.chain()) == STATUS_GOOD


def test_an_expired_file_gives_way_to_the_distribution_point(
    crl_world: Any, crl_ca: Any, crl_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "ca.crl").write_bytes(crl_ca.crl(update=NOW - 2 * HOUR))
    chain = crl_ca.chain(crl_server.url())
    crl_server.pages["/ca.crl"] = crl_ca.crl(chain[0])
    checker = crl_world.checker(files=["ca.crl"])
    assert crl_world.check(checker, chain).outcome == "revoked"
    alone = crl_world.check(checker, crl_ca.chain())
    assert (alone.outcome, alone.cause) == ("unknown", "crl-expired")


def test_a_file_that_ends_is_noticed(
    crl_world: Any, crl_ca: Any, tmp_path: Path, log_lines: list[str]
) -> None:
    chain = crl_ca.chain()
    (tmp_path / "ca.crl").write_bytes(crl_ca.crl())
    checker = crl_world.checker(files=["ca.crl"])
    crl_world.loop.wait(checker.reload([crl_ca.cert]))
    assert checker.known(chain) == STATUS_GOOD
    crl_world.changes = 0
    crl_world.clock.pump([1800.0, 1700.0, 60.0])
    assert crl_world.changes == 0
    crl_world.clock.pump([200.0])
    assert crl_world.changes == 1
    assert checker.known(chain).cause == "crl-expired"
    assert any("no longer used" in line for line in log_lines)


def test_a_list_of_one_distribution_point_covers_its_certificates_only(
    crl_world: Any, crl_ca: Any, tmp_path: Path
) -> None:
    url = "http://127.0.0.1:9/part1"
    point = x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier(url)], None, False, False, None, False, False
    )
    mine, other = crl_ca.chain(url), crl_ca.chain()
    data = crl_ca.crl(mine[0], other[0], extensions=[(point, True)])
    (tmp_path / "ca.crl").write_bytes(data)
    checker = crl_world.checker(files=["ca.crl"])
    assert crl_world.check(checker, mine).outcome == "revoked"
    assert crl_world.check(checker, other).cause == "crl-bad-scope"


def test_findings(crl_ca: Any, tmp_path: Path) -> None:
    (tmp_path / "good.crl").write_bytes(crl_ca.crl())
    (tmp_path / "old.crl").write_bytes(crl_ca.crl(update=NOW - 2 * HOUR))
    (tmp_path / "soon.crl").write_bytes(crl_ca.crl(update=NOW + HOUR))
    (tmp_path / "bad.crl").write_text("bad")
    delta = crl_ca.crl(extensions=[(x509.DeltaCRLIndicator(1), True)])
    (tmp_path / "delta.crl").write_bytes(delta)
    (tmp_path / "large.crl").write_bytes(b"x" * 3000)
    names = ["good", "old", "soon", "bad", "delta", "large", "none"]
    options = CrlCacheOptions(
        files=[f"{name}.crl" for name in names], directory="nowhere", max_size=2000
    )
    found = check_crl_files(options, tmp_path)
    assert [(each.path, each.severity) for each in found] == [
        ("crl_cache.directory", "error"),
        ("crl_cache.files", "warning"),
        ("crl_cache.files", "warning"),
        ("crl_cache.files", "error"),
        ("crl_cache.files", "error"),
        ("crl_cache.files", "error"),
        ("crl_cache.files", "error"),
    ]
    texts = "\n".join(each.message for each in found)
    for words in ("nextUpdate was", "valid from", "no CRL", "delta", "more than 2000", "No such"):
        assert words in texts
    assert all(each.cure for each in found)
